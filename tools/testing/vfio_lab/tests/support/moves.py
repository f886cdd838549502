# SPDX-License-Identifier: GPL-2.0
"""A guest that runs under load, for tests that do something to it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from lab.scenario import session
from lab.scenario.guest import Guest
from lab.scenario.migration import ENGINE, SLOW_REQUEST_US, Scenario
from lab.scenario.session import MODEL, Choice

# The network is never this slow, and memory moves for as long as it takes to look
TRICKLE = 1 << 20
ENDED = ("completed", "failed", "cancelled")


@contextlib.contextmanager
def running(new_session, source=Choice(), destination=Choice()) -> Iterator[Scenario]:
    """A guest under load on the source; at the end of the test it must be there,
    with nothing lost, and neither hosts nor devices may complain."""
    with new_session().scenario(source, destination) as scenario:
        scenario.set_up()
        scenario.start_guest()
        guest = scenario.guest
        scenario.source.set_model(ENGINE, "request-latency", SLOW_REQUEST_US)
        yield scenario
        goes_on(scenario, guest)
        scenario.finish(guest)
        scenario.inspect()
        assert not scenario.outcome.complaints, scenario.outcome.complaints


def goes_on(scenario: Scenario, guest: Guest) -> None:
    """Every lane of the load gets on, at the pace of before."""
    scenario.source.set_model(ENGINE, "request-latency", int(MODEL["request-latency"]))
    scenario.keep_going(guest)


def queues(vfs: int = Choice.vfs) -> int:
    """Queue pairs of each of so many virtual functions, as the lab sets them up."""
    return session.queues(MODEL, vfs)


def states(scenario: Scenario) -> str:
    """What the VFIO core says of the guest's function on the source."""
    return scenario.source.ssh.out("cat /sys/kernel/debug/vfio/*/migration/state").splitlines()[0]


def event(guest: Guest, name: str, since: float, **data: str) -> None:
    """Wait for an event that came after `since`."""
    guest.qmp.wait(f"{name} {data or ''}", lambda e: e.name == name and e.at >= since and
                   all(e.data.get(k) == v for k, v in data.items()), 60, guest.alive)


def stop_and_cont(scenario: Scenario, guest: Guest) -> None:
    """QEMU's monitor stops the guest, and resumes it."""
    began = time.monotonic()
    guest.qmp.cmd("stop")
    event(guest, "STOP", began)
    assert states(scenario) == "STOP"
    guest.qmp.cmd("cont")
    event(guest, "RESUME", began)
    assert states(scenario) == "RUNNING"


def ended(guest: Guest, since: float) -> str:
    """How the migration ended that began after `since`."""
    end = guest.qmp.wait("the migration ends", lambda e: e.name == "MIGRATION" and e.at >= since and
                         e.data["status"] in ENDED, 60, guest.alive)
    return end.data["status"]
