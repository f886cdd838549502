# SPDX-License-Identifier: GPL-2.0
"""A small repository of the files of a kernel tree that a series touches."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ..core.git import git
from .series_cuts import Files


class Repository:
    """A repository of the files that the series touches."""

    def __init__(self, folder: Path, who: tuple[str, str]) -> None:
        self.folder = folder
        self._who = who
        folder.mkdir()
        self.git("init", "-q", "--template=", "-b", "series")

    def git(self, *argv: str | Path) -> str:
        """Output of a git command."""
        return git(self.folder, *argv, who=self._who)

    def put(self, files: Files, all_places: set[str]) -> None:
        """Write these files to the tree and remove the others of `all_places`."""
        for place in all_places - set(files):
            (self.folder / place).unlink(missing_ok=True)
        for place, text in files.items():
            (self.folder / place).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / place).write_text(text, encoding="utf-8")
        self.git("add", "-A")

    def commit(self, message: str) -> None:
        """Commit all changes, signed off by the user."""
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
            file.write(message)
            file.flush()
            self.git("commit", "-q", "--signoff", "-F", file.name)

    def files(self, revision: str) -> Files:
        """All files of a revision."""
        names = self.git("ls-tree", "-r", "--name-only", revision).splitlines()
        return {n: self.git("show", f"{revision}:{n}") for n in names}


def as_it_was(base: Path, places: set[str]) -> Files:
    """The files at these places of a tree that exist there."""
    return {p: (base / p).read_text(encoding="utf-8") for p in places if (base / p).is_file()}
