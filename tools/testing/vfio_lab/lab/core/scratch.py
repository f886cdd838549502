# SPDX-License-Identifier: GPL-2.0
"""Private directories of runs, which go even if a run is killed: the next one removes them."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "vlab-"
#: what is locked in a directory while its run lives; a directory without it is not a run's
MARK = ".in-use"


def _remove_if_left(folder: Path) -> None:
    """Remove a directory whose run is gone: the kernel took the lock from it."""
    try:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            return
        descriptor = os.open(folder / MARK, os.O_WRONLY | os.O_NOFOLLOW)
    except OSError:
        return      # no mark, or another run was quicker
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        pass
    finally:
        os.close(descriptor)


@contextmanager
def folder(what: str = "", where: Path | None = None) -> Iterator[Path]:
    """A directory below ``where``, or where temporary files go, for the body; its name is
    short, for the sockets in it.  Those that killed runs left there are removed."""
    top = Path(where or tempfile.gettempdir())
    for left in top.glob(f"{PREFIX}*"):
        _remove_if_left(left)
    # Under another name until it is locked: others remove what is not
    made = Path(tempfile.mkdtemp(prefix=f".{PREFIX}{what}", dir=top))
    descriptor = os.open(made / MARK, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    ours = top / made.name[1:]
    made.rename(ours)
    try:
        yield ours
    finally:
        shutil.rmtree(ours, ignore_errors=True)
        os.close(descriptor)
