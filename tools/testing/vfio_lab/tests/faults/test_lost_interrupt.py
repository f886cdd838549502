# SPDX-License-Identifier: GPL-2.0
"""An interrupt that is pending when a guest is stopped must reach it afterwards."""

import time

import pytest

from bench import wait_until
from lab.core import hardware
from lab.core.errors import LabError
from lab.scenario import accelerator
from lab.scenario.config import GuestConfig, HostConfig
from lab.scenario.guest import Guest
from lab.scenario.load import LoadRecord

pytestmark = pytest.mark.slow("a guest whose interrupt is lost")

SEC = hardware.ENGINES["sec"]


def stalled(host) -> bool:
    """Whether the device stays idle for half a second."""
    def done() -> tuple[int, int]:
        events = host.counters("sec", 1)["events"]
        return events["requests-fetched"], events["requests-completed"]

    before = done()
    time.sleep(0.5)                     # the observed time span
    return before[0] == before[1] and done() == before


@pytest.fixture
def guest(new_session):
    """A guest under load that loses one interrupt and stalls."""
    session = new_session()
    (host,) = session.boot([session.spec("host", HostConfig(vfs=1), GuestConfig())])
    vfs = accelerator.set_up(host.ssh, [SEC], 1)["sec"]
    record = LoadRecord()
    one = Guest(host, vfs, record)
    try:
        record.wait_progress("the load runs", 100, 180, one.alive)
        host.set_model("sec", "fault-function", "1")
        host.set_model("sec", "fault-msi-drop", 1)
        wait_until("an interrupt is lost", lambda: host.counters("sec", 1)["events"]["msi-dropped"] == 1)
        wait_until("the load stands still without it", lambda: stalled(host))
        yield host, one, record
    finally:
        one.console()
        one.close()


def test_stop_and_go_makes_up_for_a_lost_interrupt(guest):
    """After stop and cont, the guest must get the interrupt that it lost."""
    host, one, record = guest
    assert host.counters("sec", 1)["events"]["kicks"] == 0
    one.qmp.cmd("stop")
    one.qmp.cmd("cont")
    record.wait_progress("the load goes on", 100, 30, one.alive)
    assert host.counters("sec", 1)["events"]["kicks"] > 0
    assert record.failures() == []


def test_without_it_the_load_stays_where_it_is(guest):
    """Without stop and cont, the load must stay stalled, so that the test above verifies something."""
    _, one, record = guest
    lanes = ", ".join(map(str, range(len(record.last.lanes))))
    with pytest.raises(LabError, match=rf"^the load goes on: not within \d+ s; lanes without an answer: {lanes};"):
        record.wait_progress("the load goes on", 1, 3, one.alive)
