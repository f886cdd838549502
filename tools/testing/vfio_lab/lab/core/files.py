# SPDX-License-Identifier: GPL-2.0
"""Which files are this project's."""

from __future__ import annotations

from . import paths
from .git import git


def listed(*places: str) -> list[str]:
    """Their names, seen from the project's top, in all of it or in some places: of a
    clone those in git, and new ones; of an installed package, all that there is."""
    if (paths.ROOT / ".git").exists():
        names = git(paths.ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--",
                    *places).split("\0")
    else:
        names = [str(path.relative_to(paths.ROOT)) for place in places or (".",)
                 for path in sorted((paths.ROOT / place).rglob("*"))]
    return [name for name in names if name and (paths.ROOT / name).is_file()]
