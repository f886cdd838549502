# SPDX-License-Identifier: GPL-2.0
"""Long run: migrate one guest under load between two hosts many times.  After each
migration, record what must not grow: memory, downtime, open files."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Callable

from lab.core.errors import LabError
from lab.core.hardware import VARIANT_DRIVER
from lab.scenario.config import HostConfig
from lab.scenario.host import Host
from lab.scenario.migration import Scenario
from lab.scenario.session import Session

# Drop caches, so that only memory in use is counted.  Slab caches have to be shrunk
# separately: Linux 7 keeps sheaves of free objects, up to 10 for each cache and two for
# each CPU, which fill over many migrations.  vmalloc frees unmapped areas (stacks of
# threads, BARs) lazily: 72 bytes of slab each, until they reach 64 MiB on two CPUs, or
# until a module is loaded; any unused module will do.
MODULE = "asn1_decoder"
READ_STATE = (f"modprobe {MODULE} && rmmod {MODULE} || exit 1; sync; echo 3 > /proc/sys/vm/drop_caches; "
        "for kind in /sys/kernel/slab/*/shrink; do echo 1 > $kind; done; "
        "awk '/^(MemFree|SUnreclaim|Percpu|KernelStack):/ { print $1, $2 * 1024 }' /proc/meminfo; "
        "awk '{ print \"files:\", $1 }' /proc/sys/fs/file-nr; "
        f"echo references: $(cat /sys/module/{VARIANT_DRIVER}/refcnt); "
        "echo migration-files: $(ls -l /proc/[0-9]*/fd 2>/dev/null | grep -c hisi_acc_migration)")
#: figures whose slope is computed
FIGURES = ("downtime_ms", "total_ms", "free", "slab", "percpu", "stacks", "files")
#: first migrations, left out of slopes: some memory is allocated once
WARM_UP = 10


@dataclasses.dataclass(frozen=True)
class Migration:
    """One migration, and the state of its source after QEMU ended there."""

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
    """Growth of a figure with each migration, and its standard error."""

    each: float
    error: float

    @property
    def flat(self) -> bool:
        """Whether the slope is within two standard errors of zero."""
        return not abs(self.each) > 2 * self.error


@dataclasses.dataclass
class Long:
    """A long run: its migrations, failed checks, verified requests."""

    wanted: int
    migrations: list[Migration]
    verified: int
    failures: list[str]
    left_open: dict[str, dict[str, int]]

    def slope(self, name: str) -> Slope:
        """The slope of a figure over all migrations after the warm-up; each host is
        compared with itself only."""
        some = self.migrations[WARM_UP:]
        return slope([[(m.number, getattr(m, name)) for m in some if m.left == left]
                      for left in dict.fromkeys(m.left for m in some)])


def slope(series: list[list[tuple[float, float]]]) -> Slope:
    """Least squares through several series of points, each centred on its mean.  The
    error allows for autocorrelation (first order): a half-used page stays so over many
    migrations, so neighbouring points are not independent."""
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


def _state(host: Host) -> dict[str, int]:
    return {key.rstrip(":"): int(float(value)) for key, value in
            (line.split() for line in host.ssh.out(READ_STATE).splitlines())}


def _migrate(scenario: Scenario, number: int) -> Migration:
    scenario.migrate()
    out = scenario.outcome
    left = scenario.source
    scenario.turn_round()
    seen = _state(left)
    assert scenario.record.last
    return Migration(number, left.name, out.downtime_ms or 0, out.total_ms or 0, scenario.record.last.verified,
                seen["MemFree"], seen["SUnreclaim"], seen["Percpu"], seen["KernelStack"], seen["files"])


def measure(session: Session, config: HostConfig, migrations: int,
            watch: Callable[[Callable[[], str]], None] = lambda look: None,
            keep: Callable[[Long], None] = lambda found: None) -> Long:
    """Migrate a guest so many times.  A migration that fails ends the run.  `watch` gets a
    function that returns the progress; `keep` gets the results so far after each
    migration."""
    found = Long(migrations, [], 0, [], {})
    watch(lambda: f"migration {len(found.migrations) + 1}")
    with session.scenario(config) as scenario:
        try:
            scenario.set_up()
            scenario.start_guest()
            for number in range(1, migrations + 1):
                found.migrations.append(_migrate(scenario, number))
                found.verified = found.migrations[-1].verified
                keep(found)
            scenario.finish(scenario.guest)
        except LabError as e:
            scenario.outcome.failures.append(f"migration {len(found.migrations) + 1}: {e}")
        scenario.close()
        scenario.inspect()
        found.left_open = {host.name: _state(host) for host in (scenario.source, scenario.destination) if host.alive()}
        found.failures = scenario.outcome.failures
        found.verified = scenario.record.last.verified if scenario.record.last else 0
    for name, seen in found.left_open.items():
        found.failures += [f"{name}: {seen[what]} {what} at the end" for what in ("references", "migration-files")
                           if seen[what]]
    keep(found)
    return found
