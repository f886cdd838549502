# SPDX-License-Identifier: GPL-2.0
"""Latency of each arc of save and restore, both drivers in turn."""

from __future__ import annotations

import collections
import dataclasses
import math
import statistics

from .rig import IN_TREE, TREE, Rig, in_turn

#: latency of a mailbox command in microseconds
MAILBOX_US = (0, 2, 20, 200)
#: arcs that are part of the downtime; `leave`, `start` and `begin` are not
DOWNTIME = {
    "stop-copy": ("stop", "save", "read"),
    "pre-copy": ("save", "read"),
    "load": ("write", "load", "restart"),
}
# Rounds of one driver at each mailbox latency before the other driver's turn
TURN = 5


@dataclasses.dataclass(frozen=True)
class Sample:
    """One step: wall clock and CPU time in seconds, and number of sleeps."""

    seconds: float
    cpu: float
    sleeps: int


#: samples by driver, mailbox latency, operation and arc
Samples = dict[tuple[str, int, str, str], list[Sample]]
#: number of failed operations by driver, mailbox latency and operation
Failures = collections.Counter[tuple[str, int, str]]


def measure(rig: Rig, rounds: int) -> tuple[Samples, Failures]:
    """`rounds` saves and restores for each driver and mailbox latency, the drivers in
    turn."""
    found: Samples = {}
    failed: Failures = collections.Counter()
    for turn in range(0, rounds, TURN):
        for which in in_turn((TREE, IN_TREE), turn // TURN):
            rig.use(which)
            for speed in MAILBOX_US:
                rig.model(mailbox_latency=speed)
                # A warm-up round: the emulator translates the code of the new module
                for number in range(min(TURN, rounds - turn) + 1):
                    lines = _one(rig)
                    if number:
                        _take(lines, which, speed, found, failed)
            rig.model(mailbox_latency=0)
    return found, failed


def _one(rig: Rig) -> list[list[str]]:
    """The program's output for one save of each kind and one restore.  The VFs are bound
    immediately before, as on a destination: checks that a driver does only once are part
    of the downtime."""
    rig.bind_anew()
    return rig.run(f"pair 1 {rig.vfs[0]} {rig.vfs[1]}")


def _take(lines: list[list[str]], which: str, speed: int, found: Samples, failed: Failures) -> None:
    for way, arc, _, *numbers in lines:
        if arc == "failed":
            failed[which, speed, way] += 1
            continue
        wall, cpu, sleeps = map(int, numbers)
        found.setdefault((which, speed, way, arc), []).append(Sample(wall / 1e9, cpu / 1e9, sleeps))


def downtimes(found: Samples, which: str, speed: int, way: str) -> list[float]:
    """Seconds of downtime of each round."""
    columns = [[s.seconds for s in found.get((which, speed, way, arc), [])] for arc in DOWNTIME[way]]
    return [sum(row) for row in zip(*columns)]


def spread(values: list[float]) -> tuple[float, float, float]:
    """Median and quartiles; NaN without values."""
    if not values:
        return math.nan, math.nan, math.nan
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return middle, low, high
