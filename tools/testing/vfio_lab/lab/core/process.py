# SPDX-License-Identifier: GPL-2.0
"""How the running half of the lab starts what stays up: hosts and SSH.

Unlike a build's command (run.py) these live as long as a scenario, and are
talked to meanwhile.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

from .run import PR_SET_PDEATHSIG

_libc = ctypes.CDLL(None, use_errno=True)


def _tie(parent: int) -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:      # it died before the line above
        os._exit(1)


def kept_apart() -> dict[str, Any]:
    """Keywords for subprocess: a process that Ctrl-C does not reach, so that the
    lab ends it in order, and that never outlives the lab, even a killed one.

    The tie is to the thread that starts it: start from one that stays.
    """
    parent = os.getpid()
    return {"process_group": 0, "preexec_fn": lambda: _tie(parent)}


def tied() -> dict[str, Any]:
    """The same, but in the terminal's own process group: for what reads from it."""
    parent = os.getpid()
    return {"preexec_fn": lambda: _tie(parent)}


@contextlib.contextmanager
def killed_after(seconds: float, process: subprocess.Popen[Any]) -> Iterator[None]:
    """Around a read from a process: one that takes longer than so many seconds finds
    the end of the output, because the process is killed."""
    timer = threading.Timer(seconds, process.kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()            # no kill comes later
