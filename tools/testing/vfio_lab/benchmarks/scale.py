# SPDX-License-Identifier: GPL-2.0
"""Scale: many functions of one physical function saving at once."""

from __future__ import annotations

import dataclasses

from .rig import MAINLINE, OURS, Rig

#: so many functions at once
COUNTS = (1, 2, 4, 8, 16, 32, 63)
#: microseconds of the device's mailbox: a device whose answers are worth waiting for
MAILBOX_US = 200


@dataclasses.dataclass(frozen=True)
class Together:
    """Saves of `count` functions: seconds of wall clock and of processor for all,
    of the slowest function and of the quickest."""

    driver: str
    parallel: bool
    count: int
    wall: float
    cpu: float
    slowest: float
    quickest: float


def measure(rig: Rig, rounds: int) -> list[Together]:
    """Each count, one after another and at once, for both drivers in turn."""
    found = []
    rig.model(mailbox_latency=MAILBOX_US)
    for which in (OURS, MAINLINE):
        rig.use(which)
        for count in (c for c in COUNTS if c <= len(rig.functions)):
            # The first round is for the caches
            for line in rig.run(f"many {rounds + 1} {' '.join(rig.functions[:count])}"):
                if line[1] != "0":
                    numbers = [int(n) / 1e9 for n in line[2:]]
                    found.append(Together(which, line[0] == "parallel", count, *numbers))
    rig.model(mailbox_latency=0)
    return found
