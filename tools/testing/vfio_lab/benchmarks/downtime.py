# SPDX-License-Identifier: GPL-2.0
"""Downtime of a guest with no VF, one VF and three VFs, and the driver's share of it.

The guest is idle: with a load, sending dirty pages would dominate the downtime, and
vary by more than the driver's share.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable

from lab.core import versions
from lab.core.errors import LabError
from lab.build import driver, kernel
from lab.scenario import accelerator
from lab.scenario.config import GuestConfig, HostConfig, MigrationConfig
from lab.scenario.migration import Scenario
from lab.scenario.session import Session
from lab.scenario.timeline import Phase

from .rig import IN_TREE, MODULE, TREE, SEC, Rig, in_turn

VERSION = versions.DEFAULT
#: driver, and number of VFs of the guest, in the order of the first round
CASES = ((TREE, 0), (TREE, 1), (IN_TREE, 1), (TREE, 3), (IN_TREE, 3))
MOST = max(vfs for _, vfs in CASES)
#: the phases that the driver traces
SHARES = ("stop", "save", "load", "restart")


@dataclasses.dataclass(frozen=True)
class Downtime:
    """One migration: QEMU's downtime, the time from the guest's stop to its resumption, and
    the total, in milliseconds; the phases, if the driver traces them.  `refused` is
    QEMU's error message if it did not migrate the guest."""

    driver: str
    vfs: int
    downtime_ms: int = 0
    stopped_ms: float = 0
    total_ms: int = 0
    device_bytes: int = 0
    phases: tuple[Phase, ...] = ()
    refused: str = ""

    def share_ms(self, name: str) -> float:
        """Duration of a phase."""
        return sum(p.seconds for p in self.phases if p.name == name) * 1e3


def _hosts(session: Session) -> list[Rig]:
    """Two hosts that have both drivers."""
    context = session.context
    tree = driver.module(kernel.kernel(VERSION, context), context)
    config = HostConfig(kernel=VERSION, driver=IN_TREE, vfs=MOST, push={MODULE: tree})
    hosts = session.boot(session.pair(config, config, GuestConfig()))
    for host in hosts:
        accelerator.bring_up(host.ssh, SEC, MOST)
    return [Rig(host, VERSION, accelerator.vfs(host.ssh, SEC)) for host in hosts]


def _migrate(session: Session, rigs: list[Rig], which: str, vfs: int) -> Downtime:
    for rig in rigs:
        rig.use(which)
    scenario = Scenario(rigs[0].host, rigs[1].host, GuestConfig(vfs=vfs), MigrationConfig(slow=False, load=""),
                        session.context.steps)
    try:
        scenario.set_up()
        scenario.start_guest()
        scenario.migrate()
    except LabError as e:
        if "P2P" in str(e):
            return Downtime(which, vfs, refused=str(e))
        raise
    finally:
        scenario.close()
    out = scenario.outcome
    return Downtime(which, vfs, out.downtime_ms or 0, out.stopped_ms or 0, out.total_ms or 0, out.device_bytes,
                    tuple(out.phases))


def measure(session: Session, runs: int,
            watch: Callable[[Callable[[], str]], None] = lambda look: None,
            keep: Callable[[list[Downtime]], None] = lambda found: None) -> list[Downtime]:
    """Measure each case so many times, the cases in turn.  A case that QEMU refuses is not
    repeated.  `watch` gets a function that returns the progress; `keep` gets the
    results so far after each migration."""
    found: list[Downtime] = []
    watch(lambda: f"migration {len(found) + 1}")
    rigs = _hosts(session)
    for run in range(runs):
        for which, vfs in in_turn(CASES, run):
            if not any(b.refused for b in found if (b.driver, b.vfs) == (which, vfs)):
                found.append(_migrate(session, rigs, which, vfs))
                keep(found)
    return found


def of(found: list[Downtime], which: str, vfs: int) -> list[Downtime]:
    """The successful migrations of one case."""
    return [b for b in found if (b.driver, b.vfs) == (which, vfs) and not b.refused]


def typical(found: list[Downtime], which: str = TREE, vfs: int = 1) -> Downtime | None:
    """The migration whose downtime is closest to the median."""
    some = of(found, which, vfs)
    if not some:
        return None
    middle = statistics.median(b.downtime_ms for b in some)
    return min(some, key=lambda b: abs(b.downtime_ms - middle))
