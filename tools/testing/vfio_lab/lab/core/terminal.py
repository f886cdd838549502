# SPDX-License-Identifier: GPL-2.0
"""What a terminal can show, and what an operating system's error means to its reader."""

from __future__ import annotations

import codecs
import errno
import os
import select
import tempfile
from typing import TextIO

from . import paths
from .cache import default_root

#: in ASCII, what the lab writes besides it
PLAIN = {"█": "#", "▏": "|", "…": "...", "–": "-", "—": "-", "’": "'", "‘": "'", "“": '"', "”": '"', "×": "x"}
_HANDLER = "vfio_lab.plain"


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAIN.get(c, "?") for c in error.object[error.start:error.end]), error.end


def fit(*streams: TextIO) -> None:
    """Have streams write in ASCII what their encoding lacks, in place of failing.  If the
    user set the locale "C" or "POSIX", where Python takes UTF-8, that is all of it."""
    codecs.register_error(_HANDLER, _plain)
    language = os.environ.get("LANG") or ""
    asked = os.environ.get("LC_ALL") or os.environ.get("LC_CTYPE") or language
    # Python itself put this there
    if asked == "C.UTF-8" and not os.environ.get("LC_ALL"):
        asked = language
    for stream in streams:
        # A test's own stream takes anything
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=_HANDLER, **({"encoding": "ascii"} if asked in ("C", "POSIX") else {}))


def lost_reader(stream: TextIO) -> bool:
    """Whether a stream is a pipe that is no longer read."""
    poll = select.poll()
    poll.register(stream, 0)
    return any(events & select.POLLERR for _, events in poll.poll(0))


def sentence(error: OSError) -> str:
    """The message for an error that the user can fix, "" for any other."""
    where = f" {error.filename}" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (f"No space left to write{where or ' a file'}: free space in {tempfile.gettempdir()} (or set TMPDIR), "
                f"{default_root()} (or set VFIO_LAB_CACHE) and {paths.BUILD}.")
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM) and error.filename:
        return f"{error.filename} cannot be written: {error.strerror}."
    return ""
