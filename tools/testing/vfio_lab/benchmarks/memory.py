# SPDX-License-Identifier: GPL-2.0
"""Memory: what a virtual function costs the kernel bound, open, and with a data file."""

from __future__ import annotations

import dataclasses

from lab.errors import LabError

from .rig import MAINLINE, OURS, Rig

# All slab caches, in pages: with many functions they even out
SLAB = "awk '/^Slab:/ { print $2 * 1024 }' /proc/meminfo"
# Without what the kernel frees later, or holds back for the next one
SETTLE = "sync; echo 2 > /proc/sys/vm/drop_caches; cat /sys/kernel/slab/*/shrink >/dev/null 2>&1; "


@dataclasses.dataclass(frozen=True)
class Cost:
    """Bytes of slab memory for each function bound; for one open; for one open and
    saved, with its data file."""

    driver: str
    bound: int
    opened: int
    saved: int


def _slab(rig: Rig) -> int:
    return int(rig.ssh.out(SETTLE + SLAB))


def _held(rig: Rig, what: str) -> int:
    """Bytes more for each function while one program holds `what` of all."""
    before = _slab(rig)
    process = rig.popen(f"hold {what} {' '.join(rig.functions)}")
    assert process.stdin and process.stdout
    line = process.stdout.readline().decode().strip()
    if line != "held":
        raise LabError(f"the program cannot hold {len(rig.functions)} functions: {line}")
    held = _slab(rig) - before
    process.stdin.write(b"\n")
    process.stdin.close()
    process.wait(60)
    return held // len(rig.functions)


def measure(rig: Rig) -> list[Cost]:
    """Both drivers on all functions of the host."""
    found = []
    for which in (OURS, MAINLINE):
        rig.use(which)
        _held(rig, "file")                  # caches that appear once
        rig.unload()
        free = _slab(rig)
        rig.use(which)
        bound = (_slab(rig) - free) // len(rig.functions)
        found.append(Cost(which, bound, _held(rig, "open"), _held(rig, "file")))
    return found
