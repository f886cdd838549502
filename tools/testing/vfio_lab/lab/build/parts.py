# SPDX-License-Identifier: GPL-2.0
"""The parts that can be built, the status of the cache, and cleaning it."""

from __future__ import annotations

import fnmatch
import functools
import io
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, cast

from ..core import disk, durations, machine, paths, schedule, versions
from ..core.apt import Apt
from ..core.cache import Cache, Entry, Waiting
from ..core.context import Context
from ..core.errors import LabError
from ..core.progress import Steps
from . import cross, driver, firmware, kernel, kselftest, kunit, pyqmp, qemu, rootfs


@dataclass(frozen=True)
class Part:
    """One thing to build: how, a pattern of its cache entry's kind, the disk space it takes,
    and the parts that it is made from.  A ``heavy`` one keeps all processors busy."""

    build: Callable[[Context], object]
    kind: str
    size: int
    after: tuple[str, ...] = ()
    heavy: bool = False


def _programs(context: Context) -> list[Path]:
    return [cross.static_program(paths.LAB / "programs" / name, context) for name in ("load.c", "clock.c")]


#: What can be built, in the order in which it is begun.
WHAT: dict[str, Part] = {
    "rootfs": Part(rootfs.roots, "rootfs", 1 * disk.GB),
    **{f"rootfs-{vmm.name}": Part(functools.partial(rootfs.host_root, vmm), f"rootfs-qemu-{vmm.name}", 1 * disk.GB)
       for vmm in versions.VMMS[1:]},
    "library": Part(pyqmp.path, "package-python3-qemu-qmp", 10 * disk.MB),
    "programs": Part(_programs, "program-*", 10 * disk.MB),
    "qemu-source": Part(qemu.sources, "qemu-source", 50 * disk.MB),
}


def _module(series: str, context: Context) -> Path:
    return driver.module(kernel.kernel(series, context), context)


for _name in versions.SERIES:
    WHAT[f"linux-source-{_name}"] = Part(functools.partial(kernel.sources, _name), f"linux-source-{_name}", 2 * disk.GB)
for _name in kernel.NAMES:
    WHAT[f"kernel-{_name}"] = Part(functools.partial(kernel.kernel, _name), f"kernel-{_name}", 2 * disk.GB,
                                   (f"linux-source-{_name.partition('-')[0]}",), heavy=True)
    if _name in versions.SERIES:
        WHAT[f"driver-{_name}"] = Part(functools.partial(_module, _name), f"driver-{_name}", 10 * disk.MB,
                                       (f"kernel-{_name}",))
WHAT["qemu"] = Part(qemu.outer, "qemu", 2 * disk.GB, ("qemu-source",), heavy=True)
WHAT["qemu-asan"] = Part(qemu.sanitized, "qemu-asan", 4 * disk.GB, ("qemu-source",), heavy=True)
WHAT["firmware"] = Part(firmware.uefi, f"package-{firmware.PACKAGE}", 10 * disk.MB)
# A check of the sources only, before builds that take hours
WHAT["kselftest-hook"] = Part(kselftest.check_hook, "kselftest", 0, (f"linux-source-{versions.DEFAULT}",))
WHAT["kselftest"] = Part(kselftest.installed, "kselftest", 50 * disk.MB,
                         ("kselftest-hook", f"kernel-{versions.DEFAULT}"))
WHAT["kunit"] = Part(kunit.prepared, "kunit", 1 * disk.GB, (f"linux-source-{versions.DEFAULT}",), heavy=True)
#: parts of a host
HOST = ("rootfs", "library", "qemu", f"kernel-{versions.DEFAULT}", f"driver-{versions.DEFAULT}")
#: parts for `make demo`
USUAL = (*HOST, "programs", f"kernel-{kernel.GUEST}")
#: parts for `make check`; `vlab check --asan` replaces the outer QEMU
ALL = (*USUAL, *(f"rootfs-{vmm.name}" for vmm in versions.VMMS[1:]), "firmware",
       *(f"{part}-{series}" for series in versions.CHECKED for part in ("kernel", "driver")
         if series != versions.DEFAULT), "kselftest", "kunit")


class _Missing(Exception):
    """Something has to be built or fetched."""


class _NoApt:
    """Stands in for Debian's packages: any use means that something has to be fetched."""

    def __init__(self, arch: str) -> None:
        self.arch = arch

    def __getattr__(self, name: str) -> NoReturn:
        raise _Missing(name)


class _Looking(Cache):
    """A read-only view of the cache."""

    def entry(self, kind: str, version: str, key: str, build: Callable[[Path], None],
              waiting: Waiting | None = None) -> Path:
        found = self.peek(kind, version, key)
        if found is None:
            raise _Missing(kind)
        return found

    def tree(self, kind: str, version: str, key: str, prepare: Callable[[Path], None],
             waiting: Waiting | None = None) -> AbstractContextManager[Path]:
        raise _Missing(kind)


class _LookingContext(Context):
    """With it, what a part is built by returns if the part is there, and else raises
    _Missing before it does anything."""

    def __init__(self, cache: Cache) -> None:
        super().__init__(_Looking(cache.root), Steps(io.StringIO()))

    @property
    def apt(self) -> Apt:  # type: ignore[override]
        return cast(Apt, _NoApt("amd64"))

    def package(self, package: str, version: str | None = None, apt: Apt | None = None, keep: str = "") -> Path:
        return super().package(package, version, cast(Apt, _NoApt(apt.arch)) if apt else None, keep)


def missing(names: Iterable[str], cache: Cache) -> list[str]:
    """Those of the parts that are not cached, each behind those that it is made from."""
    context = _LookingContext(cache)
    found: dict[str, None] = {}

    def look(name: str) -> None:
        if name in found:
            return
        try:
            WHAT[name].build(context)
        except _Missing:
            for other in WHAT[name].after:
                look(other)
            found[name] = None

    for name in names:
        look(name)
    return list(found)


def build(what: Iterable[str] = USUAL, steps: Steps | None = None) -> None:
    """Build the named parts as far as they are not cached, side by side; refuse names
    unknown.

    Checks the machine first, and that the disk has space for all of it.
    """
    names = list(what) or list(USUAL)
    for name in names:
        if name not in WHAT:
            raise LabError(f"There is nothing called {name} to build; known are "
                           f"{', '.join(WHAT)}.")
    machine.check()
    context = Context(steps=steps)
    have = [entry.kind for entry in context.cache.entries() if not entry.is_tree]
    size = sum(WHAT[name].size for name in _closure(names) if not fnmatch.filter(have, WHAT[name].kind))
    disk.require(context.cache.root, size, "what is to be built")
    machine.prepare(context)
    lacking = missing(names, context.cache)
    if lacking:
        _make(lacking, context)
    # Only now: what was needed has become used again
    gone = context.cache.evict()
    if gone:
        context.steps.note(f"removed old entries from the cache: {_named(gone)}")


def _closure(names: Iterable[str]) -> set[str]:
    """Parts with all that they are made from."""
    found: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += WHAT[name].after
    return found


def _make(lacking: Sequence[str], context: Context) -> None:
    """Build what is missing, side by side."""
    jobs = [schedule.Job(name, (sys.executable, "-B", str(paths.LAB / "lab/build/part.py"), name),
                         context.cache.root / f"logs/part-{name}.log",
                         tuple(other for other in WHAT[name].after if other in lacking), WHAT[name].heavy)
            for name in sorted(lacking, key=list(WHAT).index)]
    known = durations.known(context.cache.root)
    schedule.run(jobs, context.steps, {name: known.get(name) or durations.shipped(name) for name in lacking},
                 functools.partial(durations.keep, context.cache.root))


def prepare(steps: Steps) -> None:
    """Check the machine and install missing packages, without building."""
    machine.check()
    machine.prepare(Context(steps=steps))


def _named(entries: Sequence[Entry]) -> str:
    return ", ".join(f"{entry.kind} {entry.version}" for entry in entries)


def age(seconds: float) -> str:
    """A time in the past, as text."""
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def status(cache: Cache | None = None) -> str:
    """A table of what is cached, with versions."""
    cache = cache or Cache()
    now = time.time()
    rows = [("WHAT", "VERSION", "SIZE", "MADE", "LAST USED")]
    total = 0
    for entry in cache.entries():
        size = entry.size()
        total += size
        rows.append((entry.kind, entry.version, disk.size_text(size), age(now - entry.made),
                     age(now - entry.used)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
             for row in rows]
    if len(rows) == 1:
        lines = ["The cache is empty."]
    lines.append(f"{disk.size_text(total)} in {cache.root}")
    return "\n".join(lines)


def _newest_of_each(entries: list[Entry]) -> set[Path]:
    last: dict[tuple[str, bool], Entry] = {}
    for entry in entries:
        other = last.get((entry.kind, entry.is_tree))
        if other is None or entry.used > other.used:
            last[entry.kind, entry.is_tree] = entry
    return {entry.path for entry in last.values()}


def clean(cache: Cache | None = None, old_only: bool = False) -> str:
    """Remove what is cached; with ``old_only``, all but the last used of each kind.

    What is being used or built at the moment stays, and is named.
    """
    cache = cache or Cache()
    keep = _newest_of_each(cache.entries()) if old_only else set()
    before = disk.used(cache.root)
    gone, in_use = cache.clean(lambda entry: entry.path in keep)
    if not old_only and not in_use:
        cache.forget_lists()
    freed = before - disk.used(cache.root)
    kept = f"\nKept what a running command uses: {_named(in_use)}." if in_use else ""
    return f"Removed {len(gone)} of the cache's parts, {disk.size_text(freed)}.{kept}"
