# SPDX-License-Identifier: GPL-2.0
"""Where a command leaves its logs and reports."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
from collections.abc import Iterator

from ..core import paths


@contextlib.contextmanager
def folder(command: str) -> Iterator[pathlib.Path]:
    """build/COMMAND, or build/COMMAND-PID while another run uses that."""
    place = paths.BUILD / command
    place.mkdir(parents=True, exist_ok=True)
    with open(place / ".lock", "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            place = place.with_name(f"{command}-{os.getpid()}")
            place.mkdir()
        yield place
