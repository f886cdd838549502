# SPDX-License-Identifier: GPL-2.0
"""Arc latency: how long save and restore take, arc by arc, both drivers in turn."""

from __future__ import annotations

import collections
import dataclasses
import math
import statistics

from .rig import MAINLINE, OURS, Rig, in_turn

#: microseconds that the device takes over a command of its mailbox
MAILBOX_US = (0, 2, 20, 200)
#: what of each way a guest waits for; `leave`, `start` and `begin` it does not
DOWNTIME = {
    "stop-copy": ("stop", "save", "read"),
    "pre-copy": ("save", "read"),
    "load": ("write", "load", "restart"),
}
# A driver's turn: so many rounds at each speed of the device, then the other's
TURN = 5


@dataclasses.dataclass(frozen=True)
class Sample:
    """Seconds that a step took, seconds of processor time in it, and how often it
    slept."""

    seconds: float
    cpu: float
    sleeps: int


#: samples by driver, microseconds of the mailbox, way and arc
Samples = dict[tuple[str, int, str, str], list[Sample]]
#: how often the driver gave a way up, by driver, microseconds of the mailbox, way
Failures = collections.Counter[tuple[str, int, str]]


def measure(rig: Rig, rounds: int) -> tuple[Samples, Failures]:
    """`rounds` saves and restores for each driver and speed of the device, the
    drivers taking turns."""
    found: Samples = {}
    failed: Failures = collections.Counter()
    for turn in range(0, rounds, TURN):
        for which in in_turn((OURS, MAINLINE), turn // TURN):
            rig.use(which)
            for speed in MAILBOX_US:
                rig.model(mailbox_latency=speed)
                # The first after that is for the emulator, which translates code anew
                for number in range(min(TURN, rounds - turn) + 1):
                    lines = _one(rig)
                    if number:
                        _take(lines, which, speed, found, failed)
            rig.model(mailbox_latency=0)
    return found, failed


def _one(rig: Rig) -> list[list[str]]:
    """What the program says of one save each way, and one restore.  The functions have
    just been bound, as one that is migrated to: what a driver looks at only then is
    part of what the guest waits for."""
    rig.bind_anew()
    return rig.run(f"pair 1 {rig.functions[0]} {rig.functions[1]}")


def _take(lines: list[list[str]], which: str, speed: int, found: Samples, failed: Failures) -> None:
    for way, arc, _, *numbers in lines:
        if arc == "failed":
            failed[which, speed, way] += 1
            continue
        wall, cpu, sleeps = map(int, numbers)
        found.setdefault((which, speed, way, arc), []).append(Sample(wall / 1e9, cpu / 1e9, sleeps))


def downtimes(found: Samples, which: str, speed: int, way: str) -> list[float]:
    """The seconds of each round that a guest waits for, of the whole way."""
    columns = [[s.seconds for s in found.get((which, speed, way, arc), [])] for arc in DOWNTIME[way]]
    return [sum(row) for row in zip(*columns)]


def spread(values: list[float]) -> tuple[float, float, float]:
    """Median, and the quartiles around it; of nothing, not a number."""
    if not values:
        return math.nan, math.nan, math.nan
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return middle, low, high
