# SPDX-License-Identifier: GPL-2.0
"""A guest under load, for tests that interfere with it."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator

from lab.core.guide import blocks
from lab.scenario.config import MODEL, GuestConfig, HostConfig, MigrationConfig
from lab.scenario.guest import Guest
from lab.scenario.host import Host
from lab.scenario.migration import ENGINE, Scenario, slow_down
from bench import wait_until

# Low bandwidth, so that memory is transferred while the test acts
TRICKLE = 1 << 20
#: limits of the downtime, in milliseconds: with little bandwidth pre-copy does not end, and otherwise it does
SHORT_MS, LONG_MS = 300, 60_000
ENDED = ("completed", "failed", "cancelled")
#: the guide's commands of QEMU's monitor, by name
COMMANDS = {name: text.splitlines() for name, text in blocks("none", "options").items()}


def channels(number: int = 8, tls: bool = False) -> MigrationConfig:
    """Migrations in so many multifd channels, encrypted or not."""
    both = [re.sub(r"(multifd-channels) \d+", rf"\1 {number}", line) for line in COMMANDS["multifd"]]
    leaving, arriving = (COMMANDS["tls-source"], COMMANDS["tls-destination"]) if tls else ([], [])
    return MigrationConfig(leaving=(*both, *leaving), arriving=(*both, *arriving))


@contextlib.contextmanager
def running(new_session, source: HostConfig = HostConfig(), destination: HostConfig | None = None,
            guest: GuestConfig = GuestConfig(), migration: MigrationConfig = MigrationConfig()) -> Iterator[Scenario]:
    """A guest under load on the source; at the end of the test no request may be lost, and hosts
    and devices must report no errors."""
    with new_session().scenario(source, destination, guest, migration) as scenario:
        scenario.set_up()
        scenario.start_guest()
        started = scenario.guest
        slow_down(scenario.source, ENGINE)
        yield scenario
        goes_on(scenario, started)
        scenario.finish(started)
        scenario.inspect()
        assert not scenario.outcome.failures, scenario.outcome.failures


def goes_on(scenario: Scenario, guest: Guest) -> None:
    """Wait until each lane makes progress, with the default latency."""
    scenario.source.set_model(ENGINE, "request-latency", int(MODEL["request-latency"]))
    scenario.keep_going(guest)


def states(scenario: Scenario, host: Host | None = None) -> str:
    """State of the guest's VF on a host, by default the source, from the VFIO core."""
    return (host or scenario.source).ssh.out("cat /sys/kernel/debug/vfio/*/migration/state").splitlines()[0]


def vf_runs(scenario: Scenario) -> None:
    """Wait until the guest's VF is in RUNNING: QEMU sends its events before it sets this state."""
    wait_until("the VF is in RUNNING", lambda: states(scenario) == "RUNNING")


def event(guest: Guest, name: str, since: float, **data: str) -> None:
    """Wait for an event after `since`."""
    guest.qmp.wait(f"{name} {data or ''}", lambda e: e.name == name and e.at >= since and
                   all(e.data.get(k) == v for k, v in data.items()), 60, guest.alive)


def stop_and_cont(scenario: Scenario, guest: Guest) -> None:
    """Stop the guest by QEMU's monitor, and resume it."""
    began = time.monotonic()
    guest.qmp.cmd("stop")
    event(guest, "STOP", began)
    assert states(scenario) == "STOP"
    guest.qmp.cmd("cont")
    event(guest, "RESUME", began)
    vf_runs(scenario)


def ended(guest: Guest, since: float) -> str:
    """The final status of the migration that started after `since`; QEMU accepts "cont" then."""
    end = guest.qmp.wait("the migration ends", lambda e: e.name == "MIGRATION" and e.at >= since and
                         e.data["status"] in ENDED, 60, guest.alive)
    # the event comes before QEMU is done: until then it answers that the migration is not
    # finalized yet
    wait_until("QEMU is done with it", lambda: guest.qmp.cmd("query-status")["status"] != "finish-migrate")
    return end.data["status"]


def cancel_in_pre_copy(scenario: Scenario) -> None:
    """Begin a migration and cancel it while the guest runs."""
    guest, began = scenario.guests[0], time.monotonic()
    arriving = scenario.expect_guest()
    scenario.begin(guest, TRICKLE, downtime_limit=SHORT_MS)
    event(guest, "MIGRATION", began, status="active")
    wait_until("it is in pre-copy", lambda: states(scenario) == "PRE_COPY")
    guest.qmp.cmd("migrate_cancel")
    assert ended(guest, began) == "cancelled"
    vf_runs(scenario)
    arriving.close()


#: let QEMU wait when the guest is stopped and its VF saved: it ignores migrate_cancel while it
#: completes a migration
WAIT = "pause-before-switchover"


def cancel_in_stop_copy(scenario: Scenario) -> None:
    """Begin a migration and cancel it when the guest is stopped."""
    guest, began = scenario.guests[0], time.monotonic()
    before = scenario.source.counters(ENGINE, 1)["events"]["kicks"]
    arriving = scenario.expect_guest()
    guest.enable(WAIT)
    scenario.begin(guest, 1 << 40, downtime_limit=LONG_MS)
    event(guest, "MIGRATION", began, status="pre-switchover")
    assert states(scenario) == "STOP_COPY"
    guest.qmp.cmd("migrate_cancel")
    assert ended(guest, began) == "cancelled"
    event(guest, "RESUME", began)
    vf_runs(scenario)
    assert scenario.source.counters(ENGINE, 1)["events"]["kicks"] > before
    guest.enable(WAIT, state=False)
    arriving.close()


def starts(scenario: Scenario, bandwidth: int) -> tuple[Guest, float]:
    """Start a migration, which with TRICKLE stays in pre-copy until hurry(); returns the destination's QEMU and the
    time of the start."""
    arriving, began = scenario.expect_guest(), time.monotonic()
    scenario.begin(scenario.guests[0], bandwidth, downtime_limit=SHORT_MS if bandwidth == TRICKLE else LONG_MS)
    return arriving, began


def hurry(guest: Guest) -> None:
    """Let a migration that was started with TRICKLE end."""
    guest.qmp.cmd("migrate-set-parameters", max_bandwidth=1 << 40, downtime_limit=LONG_MS)


KILL = "killall -9 qemu-system-aarch64"


def kill(scenario: Scenario, arriving: Guest) -> None:
    """Kill the destination's QEMU."""
    scenario.destination.ssh.run(KILL)
    arriving.close()


def resumes(scenario: Scenario, began: float) -> None:
    """The source must resume its guest, by itself or by the monitor's cont."""
    guest = scenario.guests[0]
    if ended(guest, began) == "completed":
        guest.qmp.cmd("cont")
    event(guest, "RESUME", began)
    vf_runs(scenario)


def destination_dies(scenario: Scenario) -> None:
    """Kill the destination in pre-copy, and just after the guest is stopped: the source must resume
    the guest with each lane progressing."""
    guest = scenario.guests[0]
    arriving, began = starts(scenario, TRICKLE)
    event(guest, "MIGRATION", began, status="active")
    wait_until("it is in pre-copy", lambda: states(scenario) == "PRE_COPY")
    kill(scenario, arriving)
    assert ended(guest, began) == "failed"
    vf_runs(scenario)
    goes_on(scenario, guest)

    arriving, began = starts(scenario, 1 << 40)
    event(guest, "STOP", began)
    kill(scenario, arriving)
    resumes(scenario, began)
    goes_on(scenario, guest)
