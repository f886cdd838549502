# SPDX-License-Identifier: GPL-2.0
"""A migration that does not come to its end, or was never meant: the guest goes
on where it is, and loses nothing."""

from __future__ import annotations

import time

import pytest

from lab.migration import ENGINE
from lab.session import Choice
from moves import TRICKLE, ended, event, running, states

def test_cancelled_before_the_switch(new_session):
    with running(new_session) as scenario:
        guest, began = scenario.guest, time.monotonic()
        scenario.expect_guest()
        scenario.begin(guest, 300, TRICKLE)
        event(guest, "MIGRATION", began, status="active")
        assert states(scenario) == "PRE_COPY"
        guest.qmp.cmd("migrate_cancel")
        assert ended(guest, began) == "cancelled"
        assert states(scenario) == "RUNNING"


def test_cancelled_after_the_switch(new_session):
    with running(new_session) as scenario:
        guest, began = scenario.guest, time.monotonic()
        scenario.expect_guest()
        scenario.begin(guest, 60_000, 1 << 40)
        event(guest, "STOP", began)
        guest.qmp.cmd("migrate_cancel")
        assert ended(guest, began) == "cancelled"
        event(guest, "RESUME", began)
        assert states(scenario) == "RUNNING"
        assert scenario.source.counters(ENGINE, 1)["events"]["kicks"] > 0


def test_a_destination_that_does_not_fit_says_so_early(new_session):
    """Another number of queues: refused before the guest is stopped."""
    with running(new_session, destination=Choice(vfs=3)) as scenario:
        guest, began = scenario.guest, time.monotonic()
        scenario.expect_guest()
        scenario.begin(guest, 300, TRICKLE)
        assert ended(guest, began) == "failed"
        assert not [e for e in guest.qmp.events if e.name == "STOP"]
        assert "number of queues is 0x48, 0x30 here" in scenario.destination.ssh.out("dmesg")
        assert states(scenario) == "RUNNING"


@pytest.mark.parametrize("kernel", ["7.2", "6.12"])
def test_stop_and_cont(new_session, kernel):
    with running(new_session, Choice(kernel=kernel), Choice(kernel=kernel)) as scenario:
        guest = scenario.guest
        for _ in range(5):
            began = time.monotonic()
            guest.qmp.cmd("stop")
            event(guest, "STOP", began)
            assert states(scenario) == "STOP"
            guest.qmp.cmd("cont")
            event(guest, "RESUME", began)
            assert states(scenario) == "RUNNING"
