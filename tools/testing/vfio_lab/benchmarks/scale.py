# SPDX-License-Identifier: GPL-2.0
"""Save many VFs of one PF in parallel."""

from __future__ import annotations

import dataclasses
import statistics

from .rig import IN_TREE, TREE, Rig, in_turn

#: numbers of VFs
COUNTS = (1, 2, 4, 8, 16, 32, 63)
#: mailbox latency in microseconds: long enough for a driver to sleep
MAILBOX_US = 200
# Rounds of one driver at each number of VFs before the other driver's turn; opening and
# closing all VFs takes longer
TURN = 10


@dataclasses.dataclass(frozen=True)
class Together:
    """Saves of `count` VFs, in parallel or in sequence: wall clock and CPU time of all, of
    the slowest and of the fastest VF, in seconds; and the number of failed saves."""

    driver: str
    parallel: bool
    count: int
    wall: float
    cpu: float
    slowest: float
    quickest: float
    failed: int


@dataclasses.dataclass(frozen=True)
class Row:
    """Medians for one driver and number of VFs.  Rounds with a failed save are counted but
    not timed."""

    driver: str
    count: int
    turn_wall: float
    turn_cpu: float
    wall: float
    cpu: float
    slowest: float
    bound: float
    failed: int

    @property
    def cpu_ratio(self) -> float:
        """CPU time in parallel, relative to that in sequence."""
        return self.cpu / self.turn_cpu

    @property
    def wall_ratio(self) -> float:
        """Wall clock, relative to the bound."""
        return self.wall / self.bound


def measure(rig: Rig, rounds: int) -> list[Together]:
    """Save each number of VFs in sequence and in parallel, both drivers in turn."""
    found = []
    rig.model(mailbox_latency=MAILBOX_US)
    for turn in range(0, rounds, TURN):
        for which in in_turn((TREE, IN_TREE), turn // TURN):
            rig.use(which)
            for count in (c for c in COUNTS if c <= len(rig.vfs)):
                lines = rig.run(f"many {min(TURN, rounds - turn) + 1} {' '.join(rig.vfs[:count])}")
                # The first round is a warm-up
                for how, _, *numbers in (line for line in lines if line[1] != "0"):
                    *times, failed = map(int, numbers)
                    found.append(Together(which, how == "parallel", count, *(n / 1e9 for n in times), failed))
    rig.model(mailbox_latency=0)
    return found


def rows(found: list[Together]) -> list[Row]:
    """Summarize.  The bound of the wall clock is the time of one VF, including its waits,
    plus the CPU time of all others in sequence, as if CPU time could not overlap."""
    out = []
    for which in (TREE, IN_TREE):
        alone = 0.0
        for count in sorted({t.count for t in found}):
            some = {side: [t for t in found if (t.driver, t.count, t.parallel) == (which, count, side) and not t.failed]
                    for side in (False, True)}
            if not all(some.values()):
                continue

            def middle(side: bool, name: str) -> float:
                return statistics.median(getattr(t, name) for t in some[side])

            alone = alone or middle(False, "wall")
            out.append(Row(which, count, middle(False, "wall"), middle(False, "cpu"), middle(True, "wall"),
                           middle(True, "cpu"), middle(True, "slowest"),
                           alone + middle(False, "cpu") * (count - 1) / count,
                           sum(t.failed for t in found if (t.driver, t.count) == (which, count))))
    return out
