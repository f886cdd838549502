# SPDX-License-Identifier: GPL-2.0
"""A migration that is cancelled, refused or never begun: the guest must continue on the source
without losing a request."""

from __future__ import annotations

import time

import pytest

from lab.scenario.config import HostConfig
from lab.scenario.migration import ENGINE, slow_down
from kernels import DEFAULT_FIRST
from migrations import TRICKLE, cancel_in_pre_copy, cancel_in_stop_copy, ended, goes_on, running, stop_and_cont, vf_runs


@pytest.mark.parametrize("kernel", DEFAULT_FIRST)
def test_cancelled_and_stopped_a_guest_goes_on(new_session, kernel):
    """After a cancellation in pre-copy, one in STOP_COPY, and stop and cont, each lane of the load
    must progress."""
    with running(new_session, HostConfig(kernel=kernel)) as scenario:
        guest = scenario.guest
        cancel_in_pre_copy(scenario)
        goes_on(scenario, guest)
        cancel_in_stop_copy(scenario)
        goes_on(scenario, guest)
        slow_down(scenario.source, ENGINE)
        for _ in range(5):
            stop_and_cont(scenario, guest)


@pytest.mark.slow("a migration that is refused")
def test_a_destination_that_does_not_match_refuses_in_pre_copy(new_session):
    """A destination with another number of queues must refuse the migration before the guest is stopped."""
    source, destination = HostConfig(), HostConfig(vfs=3)
    with running(new_session, source, destination) as scenario:
        guest, began = scenario.guest, time.monotonic()
        scenario.expect_guest()
        scenario.begin(guest, TRICKLE, downtime_limit=300)
        assert ended(guest, began) == "failed"
        assert not [e for e in guest.qmp.events if e.name == "STOP"]
        assert (f"number of queues: got {source.queues:#x}, expected {destination.queues:#x}"
                in scenario.destination.ssh.out("dmesg"))
        vf_runs(scenario)
