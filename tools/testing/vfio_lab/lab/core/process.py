# SPDX-License-Identifier: GPL-2.0
"""Start long-running processes: hosts and SSH.

Unlike build commands (run.py) they run as long as a scenario.
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
    """Keywords for subprocess: Ctrl-C does not reach the process, so that the lab stops it in
    order; it is killed when the lab exits, even if the lab is killed.

    It depends on the thread that starts it: start it from a long-lived one.
    """
    parent = os.getpid()
    return {"process_group": 0, "preexec_fn": lambda: _tie(parent)}


def tied() -> dict[str, Any]:
    """The same, but in the terminal's own process group: for what reads from it."""
    parent = os.getpid()
    return {"preexec_fn": lambda: _tie(parent)}


@contextlib.contextmanager
def killed_after(seconds: float, process: subprocess.Popen[Any]) -> Iterator[None]:
    """Timeout of a read from a process: kill the process after so many seconds, so that the
    read returns."""
    timer = threading.Timer(seconds, process.kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()            # no kill comes later
