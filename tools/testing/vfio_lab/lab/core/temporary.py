# SPDX-License-Identifier: GPL-2.0
"""Directories for temporary files, with enough free space, and for sockets, with a short
enough path."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from . import disk
from .cache import default_root
from .errors import LabError

#: what compilers put there
ROOM = 100 * disk.MB
#: a socket's address has 107 bytes, of which SSH's control socket in a host's directory
#: takes 48 behind the directory for temporary files
LONGEST = 55
SHORT = ("/tmp", "/var/tmp", "/dev/shm")


def top() -> Path:
    """The directory for temporary files: TMPDIR, or else the system's."""
    named = os.environ.get("TMPDIR")
    if named and not (os.path.isabs(named) and os.path.isdir(named) and os.access(named, os.W_OK | os.X_OK)):
        raise LabError(f"TMPDIR is {named}, which is not a directory that can be written to.")
    return Path(named or tempfile.gettempdir())


def require(size: int, purpose: str) -> None:
    """Fail if the directory for temporary files has not enough free space."""
    disk.require(top(), size, purpose, "TMPDIR")


def check() -> None:
    """Fail if builds are not possible in a directory."""
    for folder, variable in ((top(), "TMPDIR"), (default_root(), "VFIO_LAB_CACHE")):
        if any(c.isspace() or c == ":" for c in str(folder)):
            raise LabError(f"The kernel's build takes no space and no colon in a path, and {folder} has one: set "
                           f"{variable} to another directory.")
    require(ROOM, "temporary files")


def short_top() -> Path:
    """The directory for temporary files, if sockets can lie in it, or else one where they can."""
    for folder in (top(), *map(Path, SHORT)):
        if len(os.fsencode(folder)) <= LONGEST and os.access(folder, os.W_OK | os.X_OK):
            return folder
    raise LabError(f"The path of {top()} is too long for sockets: set TMPDIR to a directory of at most {LONGEST} bytes.")
