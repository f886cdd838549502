# SPDX-License-Identifier: GPL-2.0
"""Long run: one guest under load that moves between two hosts many times. What
could grow with each move is looked at after each: memory, downtime, open files."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Callable

from lab.core.errors import LabError
from lab.core.hardware import VARIANT_DRIVER
from lab.scenario.host import Host
from lab.scenario.migration import Scenario
from lab.scenario.session import Choice, Session

# Caches give back what they only keep for later: what remains is in use.  The slab
# allocator does not do so by itself: Linux 7 keeps sheaves of free objects, up to 10
# for each kind of object and two for each processor, which fill over many moves.
# Nor are addresses given back that were mapped (a thread's stack, a function's BAR)
# and are free again: 72 bytes of slab each, until they come to 64 MiB on two processors,
# or until a module is loaded; any will do that nothing here needs.
MODULE = "asn1_decoder"
LOOK = (f"modprobe {MODULE} && rmmod {MODULE} || exit 1; sync; echo 3 > /proc/sys/vm/drop_caches; "
        "for kind in /sys/kernel/slab/*/shrink; do echo 1 > $kind; done; "
        "awk '/^(MemFree|SUnreclaim|Percpu|KernelStack):/ { print $1, $2 * 1024 }' /proc/meminfo; "
        "awk '{ print \"files:\", $1 }' /proc/sys/fs/file-nr; "
        f"echo references: $(cat /sys/module/{VARIANT_DRIVER}/refcnt); "
        "echo datafiles: $(ls -l /proc/[0-9]*/fd 2>/dev/null | grep -c hisi_acc_migration)")
#: what is looked for a slope in
FIGURES = ("downtime_ms", "total_ms", "free", "slab", "percpu", "stacks", "files")
#: moves whose figures are not part of a slope: things come to be once
WARM_UP = 10


@dataclasses.dataclass(frozen=True)
class Move:
    """One move, and the host that the guest left, when its QEMU was gone there."""

    number: int
    left: str
    downtime_ms: int
    total_ms: int
    verified: int
    free: int
    slab: int
    percpu: int
    stacks: int
    files: int


@dataclasses.dataclass(frozen=True)
class Slope:
    """By how much a figure grows with each move, and the standard error of that."""

    each: float
    error: float

    @property
    def flat(self) -> bool:
        """Is it what chance alone would give (two standard errors)?"""
        return not abs(self.each) > 2 * self.error


@dataclasses.dataclass
class Long:
    """A long run: its moves, what the end had to say, requests in all."""

    wanted: int
    moves: list[Move]
    verified: int
    complaints: list[str]
    left_open: dict[str, dict[str, int]]

    def slope(self, name: str) -> Slope:
        """Of one figure, over all moves but the first; hosts, which differ from
        the start, are compared each with itself."""
        some = self.moves[WARM_UP:]
        return slope([[(m.number, getattr(m, name)) for m in some if m.left == left]
                      for left in dict.fromkeys(m.left for m in some)])


def slope(series: list[list[tuple[float, float]]]) -> Slope:
    """The line of least squares through some series of points, each moved to its own
    middle.  The error allows for looks that take after the one before, as those at
    memory do: a page that is half in use stays so over many moves.  So they count as
    fewer than they are, by the correlation of neighbours (a process of first order)."""
    points = [_centred(some) for some in series if some]
    spread = sum(x * x for some in points for x, _ in some)
    free = sum(len(some) - 1 for some in points) - 1
    if free < 1:
        return Slope(0, math.nan)
    each = sum(x * y for some in points for x, y in some) / spread
    rest = [[y - each * x for x, y in some] for some in points]
    square = sum(e * e for some in rest for e in some)
    alike = sum(e * after for some in rest for e, after in zip(some, some[1:])) / square if square else 0
    return Slope(each, math.sqrt(square / free / spread * (1 + max(alike, 0)) / (1 - max(alike, 0))))


def _centred(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    x0, y0 = (statistics.fmean(p[n] for p in points) for n in (0, 1))
    return [(x - x0, y - y0) for x, y in points]


def _look(host: Host) -> dict[str, int]:
    return {key.rstrip(":"): int(float(value)) for key, value in
            (line.split() for line in host.ssh.out(LOOK).splitlines())}


def _move(scenario: Scenario, number: int) -> Move:
    scenario.migrate()
    out = scenario.outcome
    left = scenario.source
    scenario.turn_round()
    seen = _look(left)
    assert scenario.record.last
    return Move(number, left.name, out.downtime_ms or 0, out.total_ms or 0, scenario.record.last.verified,
                seen["MemFree"], seen["SUnreclaim"], seen["Percpu"], seen["KernelStack"], seen["files"])


def measure(session: Session, choice: Choice, moves: int,
            watch: Callable[[Callable[[], str]], None] = lambda look: None,
            keep: Callable[[Long], None] = lambda found: None) -> Long:
    """Move a guest so often.  A move that fails ends the run, and is a complaint.
    `watch` is told how to learn how far it is; `keep` is given what was found after
    each move."""
    found = Long(moves, [], 0, [], {})
    watch(lambda: f"move {len(found.moves) + 1}")
    with session.scenario(choice, choice) as scenario:
        try:
            scenario.set_up()
            scenario.start_guest()
            for number in range(1, moves + 1):
                found.moves.append(_move(scenario, number))
                found.verified = found.moves[-1].verified
                keep(found)
            scenario.finish(scenario.guest)
        except LabError as e:
            scenario.outcome.complaints.append(f"move {len(found.moves) + 1}: {e}")
        scenario.close()
        scenario.inspect()
        found.left_open = {host.name: _look(host) for host in (scenario.source, scenario.destination) if host.alive()}
        found.complaints = scenario.outcome.complaints
        found.verified = scenario.record.last.verified if scenario.record.last else 0
    for name, seen in found.left_open.items():
        found.complaints += [f"{name}: {seen[what]} {what} at the end" for what in ("references", "datafiles")
                             if seen[what]]
    keep(found)
    return found
