# SPDX-License-Identifier: GPL-2.0
"""All that can be built, by name; what is cached; and its removal.

``python3 -m lab.build [WHAT]…`` builds from the folder above.
"""

from __future__ import annotations

import fnmatch
import functools
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from . import cross, disk, driver, firmware, kernel, kselftest, machine, paths, pyqmp, qemu, rootfs, versions
from .cache import Cache, Entry
from .context import Context
from .errors import LabError
from .progress import Steps
from .run import stop_on_sigterm


@dataclass(frozen=True)
class Part:
    """One thing to build: how, a pattern of its cache entry's kind, the room it takes."""

    build: Callable[[Context], object]
    kind: str
    room: int


def _programs(context: Context) -> list[Path]:
    return [cross.static_program(source, context)
            for source in sorted([*paths.LAB.glob("guest/*.c"), *paths.LAB.glob("host/*.c")])]


#: What can be built, in the order that makes a person wait least for a refusal.
WHAT: dict[str, Part] = {
    "rootfs": Part(rootfs.roots, "rootfs", 1 * disk.GB),
    **{f"rootfs-{vmm.name}": Part(functools.partial(rootfs.host_root, vmm), f"rootfs-qemu-{vmm.name}", 1 * disk.GB)
       for vmm in versions.VMMS[1:]},
    "library": Part(pyqmp.path, "package-python3-qemu-qmp", 10 * disk.MB),
    "programs": Part(_programs, "program-*", 10 * disk.MB),
    "qemu": Part(qemu.outer, "qemu", 2 * disk.GB),
    "firmware": Part(firmware.uefi, "firmware", 10 * disk.MB),
}


def _module(series: str, context: Context) -> Path:
    return driver.module("ours", kernel.kernel(series, context), context)


for _name in kernel.NAMES:
    WHAT[f"kernel-{_name}"] = Part(functools.partial(kernel.kernel, _name), f"kernel-{_name}", 4 * disk.GB)
    if _name in versions.SERIES:
        WHAT[f"driver-{_name}"] = Part(functools.partial(_module, _name), f"driver-{_name}", 10 * disk.MB)
WHAT["kselftest"] = Part(kselftest.installed, "kselftest", 50 * disk.MB)
WHAT["qemu-asan"] = Part(qemu.sanitized, "qemu-asan", 4 * disk.GB)
#: what `make demo` takes
USUAL = ("rootfs", "library", "programs", "qemu", f"kernel-{versions.DEFAULT}", f"driver-{versions.DEFAULT}",
         f"kernel-{kernel.GUEST}")
#: what `make check` takes; of both programs of QEMU, `vlab check --asan` takes the other
ALL = (*USUAL, *(f"rootfs-{vmm.name}" for vmm in versions.VMMS[1:]), "firmware", *(f"{part}-{series}" for series in versions.CHECKED for part in ("kernel", "driver")
                             if series != versions.DEFAULT), "kselftest")


def build(what: Iterable[str] = USUAL, steps: Steps | None = None) -> None:
    """Build the named parts as far as they are not cached; refuse names unknown.

    Checks the machine first, and that the disk has room for all of it.
    """
    names = list(what) or list(USUAL)
    for name in names:
        if name not in WHAT:
            raise LabError(f"There is nothing called {name} to build; known are "
                           f"{', '.join(WHAT)}.")
    machine.check()
    context = Context(steps=steps)
    have = [entry.kind for entry in context.cache.entries() if not entry.is_tree]
    room = sum(WHAT[name].room for name in names
               if not fnmatch.filter(have, WHAT[name].kind))
    disk.require(context.cache.root, room, "what is to be built")
    machine.prepare(context)
    if "kselftest" in names:
        kselftest.check_hook(context)
    for name in names:
        WHAT[name].build(context)


def age(seconds: float) -> str:
    """How long ago, in words."""
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
        lines = ["Nothing is cached yet."]
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

    What is being built at the moment stays.
    """
    cache = cache or Cache()
    keep = _newest_of_each(cache.entries()) if old_only else set()
    before = disk.used(cache.root)
    gone = cache.clean(lambda entry: entry.path in keep)
    if not old_only:
        cache.forget_lists()
    freed = before - disk.used(cache.root)
    return f"Removed {len(gone)} of the cache's parts, {disk.size_text(freed)}."


def main(argv: list[str]) -> int:
    """For use without vlab."""
    stop_on_sigterm()
    try:
        if argv == ["status"]:
            print(status())
        elif argv == ["clean"]:
            print(clean())
        else:
            build(argv)
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
