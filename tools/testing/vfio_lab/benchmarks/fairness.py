# SPDX-License-Identifier: GPL-2.0
"""Busy VFs, and how long the PF's driver waits for its turn beside them."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Callable
from pathlib import Path

from lab.build import cross, kernel, load_module
from lab.core.context import Context
from lab.core.process import killed_after
from lab.scenario.session import Session

from . import rig

#: operations that each VF repeats; see vfio_loop.c
KINDS = ("sysfs", "reset", "flr", "states", "open", "debugfs", "all")
#: numbers of busy VFs
COUNTS = (1, 8, 63)
#: number of turns of the PF's driver
TURNS = 20
#: seconds after which loops hang
LIMIT_SECONDS = 120
#: seconds after which the rival gives up waiting for one turn
TURN_SECONDS = 81
LOOP, MODULE, PARAMETERS = "/lab/vfio_loop", "/lab/qm_rival.ko", "/sys/module/qm_rival/parameters"


@dataclasses.dataclass(frozen=True)
class Turns:
    """Turns of the PF's driver beside `count` VFs that repeat `what`: how many it got of TURNS, and
    its longest wait; operations of the VFs' users, how many failed, and the longest, which is
    None if they hung.  Times in milliseconds."""

    driver: str
    what: str
    count: int
    taken: int
    longest_ms: int
    operations: int = 0
    failed: int = 0
    users_longest_ms: int | None = None


def files(version: str, context: Context) -> dict[str, Path]:
    """Files that the host needs."""
    return {LOOP: cross.vfio_program("vfio_loop", context),
            MODULE: load_module.rival_module(kernel.kernel(version, context), context)}


def _turns(bed: rig.Rig) -> tuple[int, int]:
    """The PF's driver takes its turns, until one takes too long; returns how many it got, and the
    longest wait."""
    taken, longest_ms = bed.ssh.out(f"echo {TURNS} > {PARAMETERS}/turns; cat {PARAMETERS}/turns",
                                    timeout=TURNS * TURN_SECONDS).split()
    return int(taken), int(longest_ms)


def _beside(bed: rig.Rig, which: str, what: str, count: int) -> Turns:
    """Measure one number of VFs, each of which repeats one operation."""
    process = bed.ssh.popen(f"exec {LOOP} {what} {' '.join(bed.vfs[:count])} 2>&1",
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout
    with killed_after(LIMIT_SECONDS * bed.host.timeout_scale, process):
        going = process.stdout.readline() == b"going\n"
    taken, longest_ms = _turns(bed)
    with killed_after(LIMIT_SECONDS * bed.host.timeout_scale, process):
        loops = [list(map(int, line.split()[1:])) for line in process.communicate()[0].splitlines()]
    if not going or len(loops) < count:
        return Turns(which, what, count, taken, longest_ms)
    operations, failed, _, longest = zip(*loops)
    return Turns(which, what, count, taken, longest_ms, sum(operations), sum(failed), max(longest))


def measure(new_session: Callable[[], Session], version: str, keep: Callable[[list[Turns]], None]) -> list[Turns]:
    """Measure each kind and number of VFs with each driver, on a host that is booted again when
    an operation hung or a turn was missed; `keep` gets the results so far."""
    found: list[Turns] = []
    for which in (rig.TREE, rig.IN_TREE):
        left = [(what, count) for what in KINDS for count in COUNTS]
        while left:
            with new_session() as session:
                bed = rig.boot(session, version, max(COUNTS), push=files(version, session.context))
                bed.use(which)
                bed.ssh.run(f"insmod {MODULE}")
                sound = True
                while left and sound:
                    found.append(_beside(bed, which, *left.pop(0)))
                    keep(found)
                    sound = found[-1].users_longest_ms is not None and found[-1].taken == TURNS
    return found
