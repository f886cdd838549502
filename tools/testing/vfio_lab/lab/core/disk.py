# SPDX-License-Identifier: GPL-2.0
"""Check for free disk space before a build."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from .errors import LabError

MB = 1000 * 1000
GB = 1000 * MB


def size_text(size: int) -> str:
    """A size with its unit."""
    if size >= GB:
        return f"{size / GB:.1f} GB"
    if size >= MB:
        return f"{size / MB:.0f} MB"
    return f"{max(size, 0) / 1000:.0f} kB"


def require(folder: Path, size: int, purpose: str, variable: str = "VFIO_LAB_CACHE") -> None:
    """Fail if ``folder``, which ``variable`` sets, has not enough free disk space.

    ``folder`` need not exist yet.
    """
    there = folder
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    if free < size:
        raise LabError(
            f"Not enough disk for {purpose}: {folder} has {size_text(free)} free and "
            f"{size_text(size)} are needed; free some space, or set {variable} to a directory "
            f"on a larger disk.")


def used(folder: Path) -> int:
    """Disk usage of a directory; hard-linked files count once."""
    total = 0
    seen: set[tuple[int, int]] = set()
    for top, _, files in os.walk(folder):
        for name in files:
            try:
                info = os.lstat(os.path.join(top, name))
            except FileNotFoundError:
                continue
            if (info.st_dev, info.st_ino) not in seen:
                seen.add((info.st_dev, info.st_ino))
                total += info.st_blocks * 512
    return total
