# SPDX-License-Identifier: GPL-2.0
"""Scale: many functions of one physical function saving at once."""

from __future__ import annotations

import dataclasses
import statistics

from .rig import MAINLINE, OURS, Rig, in_turn

#: so many functions at once
COUNTS = (1, 2, 4, 8, 16, 32, 63)
#: microseconds of the device's mailbox: a device whose answers are worth waiting for
MAILBOX_US = 200
# A driver's turn: so many rounds of each count, then the other's; opening and closing
# all functions takes longer
TURN = 10


@dataclasses.dataclass(frozen=True)
class Together:
    """Saves of `count` functions, at once or one after another: seconds of wall
    clock and of processors for all, of the slowest function and of the quickest;
    and how many could not be saved."""

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
    """The medians of one driver and count.  Rounds in which a save failed are only
    counted: it took its time, but did not do its work."""

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
        """Processor time at once, of that one after another."""
        return self.cpu / self.turn_cpu

    @property
    def wall_ratio(self) -> float:
        """Wall clock, of the bound."""
        return self.wall / self.bound


def measure(rig: Rig, rounds: int) -> list[Together]:
    """Each count, one after another and at once, for both drivers in turn."""
    found = []
    rig.model(mailbox_latency=MAILBOX_US)
    for turn in range(0, rounds, TURN):
        for which in in_turn((OURS, MAINLINE), turn // TURN):
            rig.use(which)
            for count in (c for c in COUNTS if c <= len(rig.functions)):
                lines = rig.run(f"many {min(TURN, rounds - turn) + 1} {' '.join(rig.functions[:count])}")
                # The first round is for the caches
                for how, _, *numbers in (line for line in lines if line[1] != "0"):
                    *times, failed = map(int, numbers)
                    found.append(Together(which, how == "parallel", count, *(n / 1e9 for n in times), failed))
    rig.model(mailbox_latency=0)
    return found


def rows(found: list[Together]) -> list[Row]:
    """What the figures come to.  The bound of the wall clock is what one function
    takes alone, with all that it waits for, and the processor time of all others
    one after another: as if none of it could be done side by side."""
    out = []
    for which in (OURS, MAINLINE):
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
