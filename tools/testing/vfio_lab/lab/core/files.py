# SPDX-License-Identifier: GPL-2.0
"""List of the project's files."""

from __future__ import annotations

from . import paths
from .git import git


def listed(*places: str) -> list[str]:
    """Names of the project's files, relative to its top directory, in all of it or below some
    paths: in a clone, files in git and new ones; in an installed package, all files."""
    if (paths.ROOT / ".git").exists():
        names = git(paths.ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--",
                    *places).split("\0")
    else:
        names = [str(path.relative_to(paths.ROOT)) for place in places or (".",)
                 for path in sorted((paths.ROOT / place).rglob("*"))]
    return [name for name in names if name and (paths.ROOT / name).is_file()]
