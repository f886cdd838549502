# SPDX-License-Identifier: GPL-2.0
"""What every builder uses: cache, progress display, Debian packages."""

from __future__ import annotations

import shutil
from functools import cached_property
from pathlib import Path

from .apt import Apt
from .cache import Cache
from .progress import Steps, shared as shared_steps


class Context:
    """The cache, the display and the private apt of one run."""

    def __init__(self, cache: Cache | None = None, steps: Steps | None = None) -> None:
        self.cache = cache if cache is not None else Cache()
        self.steps = steps if steps is not None else shared_steps()

    @cached_property
    def apt(self) -> Apt:
        """Debian 13's packages for this machine."""
        return Apt(self.cache)

    def waiting(self, text: str) -> None:
        """Callback of the cache: another process is building the entry."""
        self.steps.note(text)

    def package(self, package: str, version: str | None = None, apt: Apt | None = None, keep: str = "") -> Path:
        """A package's files, unpacked, from the cache or else from Debian.

        Without a version, any cached one is used.  `apt` is for another
        architecture than this machine's.  With `keep`, only that file is kept.
        """
        from .apt import unpack
        from .cache import digest

        kind = f"package-{package}" + (f"-{apt.arch}" if apt else "")
        apt = apt or self.apt
        cached = self.cache.newest(kind)
        if version is None and cached is not None:
            self.cache.peek(cached.kind, cached.version, cached.key)
            return cached.path
        with self.steps.step(f"fetch Debian's {package}") as step:
            wanted = version or apt.candidate(package) or ""

            def fetch(folder: Path) -> None:
                deb = apt.download(package, wanted or None, folder, step.watch)
                whole = folder / "whole" if keep else folder
                unpack(deb, whole, self.cache.log(f"unpack-{package}"))
                deb.unlink()
                if keep:
                    (folder / keep).parent.mkdir(parents=True)
                    (whole / keep).rename(folder / keep)
                    shutil.rmtree(whole)

            inputs = {"recipe": 1, "version": wanted, **({"keep": keep} if keep else {})}
            return self.cache.entry(kind, wanted, digest(inputs), fetch, self.waiting)


_shared: Context | None = None


def shared() -> Context:
    """The context of this process, for callers that were given none."""
    global _shared
    if _shared is None:
        _shared = Context()
    return _shared
