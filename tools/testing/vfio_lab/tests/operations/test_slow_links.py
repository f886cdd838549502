# SPDX-License-Identifier: GPL-2.0
"""Migration by a link that is slow, far or lossy, with QEMU's default limit of the downtime: the guest
arrives, or continues on the source if it is cancelled."""

from __future__ import annotations

import time

import pytest

from bench import wait_until
from lab.core import versions
from lab.scenario.config import HostConfig, MigrationConfig
from lab.scenario.guest import Guest
from lab.scenario.link import Link
from lab.scenario.migration import Scenario
from migrations import COMMANDS, ended, event, vf_runs

pytestmark = pytest.mark.long("minutes of pre-copy")

DOWNTIME_MS = 300
#: bytes per second: less than the VF writes
TOO_SLOW = 1_000_000
#: syncs of dirty pages after which pre-copy would have ended if it could
MANY_SYNCS = 8
SECONDS = 300


def begin(scenario: Scenario, bandwidth: int = 1 << 40) -> tuple[Guest, float]:
    """Begin a migration; returns the destination's QEMU and the time."""
    arriving, began = scenario.expect_guest(), time.monotonic()
    scenario.begin(scenario.guests[0], bandwidth, downtime_limit=DOWNTIME_MS)
    return arriving, began


def arrives(scenario: Scenario, began: float) -> None:
    """The guest must arrive, and all of its requests must complete."""
    source = scenario.guests[0]
    source.qmp.wait("the migration ends", lambda e: e.name == "MIGRATION" and e.at >= began and
                    e.data["status"] in ("completed", "failed"), SECONDS, source.alive)
    info = source.qmp.cmd("query-migrate")
    assert info["status"] == "completed", info
    event(scenario.guest, "RESUME", began)
    scenario.keep_going(scenario.guest)
    scenario.finish(scenario.guest)
    scenario.inspect()
    assert scenario.outcome.failures == []


@pytest.mark.parametrize("vmm", versions.VMM)
@pytest.mark.parametrize("link, ways", [(Link(100, 20), ()), (Link(100, 20, 1), ("multifd",)), (Link(1000, 100), ("multifd",))],
                         ids=["far", "lossy", "farther"])
def test_a_guest_migrates(new_session, link, ways, vmm):
    """A guest must migrate by a link of 100 Mbit/s and 20 ms, by one that also loses a frame in a hundred in
    eight channels, and by one of 1 Gbit/s and 100 ms."""
    commands = tuple(line for way in ways for line in COMMANDS[way])
    migration = MigrationConfig(slow=False, link=link, leaving=commands, arriving=commands)
    with new_session().scenario(HostConfig(vmm=vmm), migration=migration) as scenario:
        scenario.set_up()
        scenario.start_guest()
        _, began = begin(scenario)
        arrives(scenario, began)


@pytest.mark.parametrize("vmm", versions.VMM)
def test_a_migration_that_does_not_converge(new_session, vmm):
    """While the VF writes faster than the link transfers, pre-copy must go on until it is cancelled, and the
    guest then continue; with auto-converge, which slows the guest's CPUs, the guest must migrate."""
    with new_session().scenario(HostConfig(vmm=vmm), migration=MigrationConfig(slow=False)) as scenario:
        scenario.set_up()
        scenario.start_guest()
        source = scenario.guest
        arriving, began = begin(scenario, TOO_SLOW)
        source.qmp.wait("so many syncs", lambda e: e.name == "MIGRATION_PASS" and e.data["pass"] >= MANY_SYNCS, SECONDS,
                        source.alive)
        assert not [e for e in source.qmp.events if e.name == "STOP"]
        source.qmp.cmd("migrate_cancel")
        assert ended(source, began) == "cancelled"
        vf_runs(scenario)
        arriving.close()
        scenario.keep_going(source)

        for line in COMMANDS["auto-converge"]:
            source.execute(line)
        _, began = begin(scenario, TOO_SLOW)
        wait_until("QEMU slows the guest's CPUs", lambda: source.qmp.cmd("query-migrate").get("cpu-throttle-percentage"), SECONDS)
        arrives(scenario, began)
