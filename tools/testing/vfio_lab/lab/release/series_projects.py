# SPDX-License-Identifier: GPL-2.0
"""The projects that patches are for: how their trees are recognized, and what their tools lack."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..core import versions
from ..core.context import Context
from ..core.errors import UsageError
from ..build import qemu
from ..build.kernel import sources


@dataclass(frozen=True)
class Project:
    """A project: its name and that of its releases, and those of which the lab has the sources.

    ``number`` is the release of a tree, or None; ``place`` the file that has it.  ``pristine`` gives a directory
    that has these files of a release, at least, and may use the directory that it gets; ``ignores`` is whether its
    checkpatch.pl has the option --ignore."""

    name: str
    label: str
    releases: tuple[str, ...]
    place: str
    number: Callable[[str], str | None]
    pristine: Callable[[str, set[str], Path, Context], Path]
    ignores: bool = True

    def release(self, base: Path) -> str:
        """The release of a tree.  Fails if it is not a tree of this project, or not of one of these releases."""
        file = base / self.place
        found = self.number(file.read_text(encoding="utf-8", errors="replace")) if file.is_file() else None
        if not found or not (base / "MAINTAINERS").is_file() or not (base / "scripts/checkpatch.pl").is_file():
            raise UsageError(f"{base} is not {self.name}'s source tree")
        if found not in self.releases:
            raise UsageError(f"{base} is the tree of {self.label} {found}; the series is for {' and '.join(self.releases)}")
        return found


def _linux(makefile: str) -> str | None:
    found = re.findall(r"^(?:VERSION|PATCHLEVEL) = (\d+)$", makefile, re.M)
    return ".".join(found) if len(found) == 2 else None


def _qemu(version: str) -> str | None:
    found = re.fullmatch(r"(\d+\.\d+)\.\d+\n", version)
    return found[1] if found else None


LINUX = Project("a kernel", "Linux", versions.BASES, "Makefile", _linux,
                lambda release, places, work, context: sources(release, context))
QEMU = Project("QEMU", "QEMU", (versions.OUTER_QEMU,), "VERSION", _qemu,
               lambda release, places, work, context: qemu.unpacked({*places, "VERSION"}, work, context), ignores=False)
