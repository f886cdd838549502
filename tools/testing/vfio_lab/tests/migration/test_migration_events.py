# SPDX-License-Identifier: GPL-2.0
"""A migration combined with another event: QEMU dies, the destination is of another hardware or
kernel version, the guest is paused, idle, reset, or without a driver, or a second guest migrates at
the same time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from bench import wait_until
from lab.build import kernel
from lab.core import hardware, versions
from lab.core.errors import LabError
from lab.scenario import accelerator
from lab.scenario.config import MODEL, GuestConfig, HostConfig, MigrationConfig
from lab.scenario.guest import Guest
from lab.scenario.load import LoadRecord
from lab.scenario.migration import ENGINE, Scenario
from migrations import (KILL, TRICKLE, destination_dies, ended, event, hurry, kill, resumes, running, starts, states,
                        vf_runs)

pytestmark = pytest.mark.slow("a migration and another event")

#: latency of a mailbox command on the destination, so that a test can act while it loads
SLOW_MAILBOX_US = 700_000

#: shorter tests cover most of the same
LONG = pytest.mark.long("takes minutes")


def swift(scenario: Scenario) -> None:
    """Set the default latency of requests again, which a guest needs to boot."""
    scenario.source.set_model(ENGINE, "request-latency", int(MODEL["request-latency"]))


@pytest.mark.parametrize("vmm", [versions.DEFAULT_VMM, *(pytest.param(vmm, marks=LONG) for vmm in versions.VMM
                                                         if vmm != versions.DEFAULT_VMM)])
def test_the_destination_dies(new_session, vmm):
    """If the destination dies in pre-copy, just after the guest is stopped, or while it loads the
    VF, the source must resume the guest with each lane progressing."""
    with running(new_session, HostConfig(vmm=vmm)) as scenario:
        guest = scenario.guest
        destination_dies(scenario)
        scenario.destination.set_model(ENGINE, "mailbox-latency", SLOW_MAILBOX_US)
        arriving, began = starts(scenario, 1 << 40)
        assert ended(guest, began) == "completed"
        assert not [e for e in arriving.qmp.events if e.name == "RESUME"], "the guest had resumed before"
        kill(scenario, arriving)
        resumes(scenario, began)


@LONG
def test_the_source_dies(new_session):
    """If the source dies, the destination must fail, and the next guest must find its VF in the
    initial state."""
    with new_session().scenario() as scenario:
        scenario.set_up()
        scenario.start_guest()
        arriving, began = starts(scenario, TRICKLE)
        event(scenario.guests[0], "MIGRATION", began, status="active")
        scenario.source.ssh.run(KILL)
        arriving.qmp.wait("the incoming migration fails", lambda e: e.name == "MIGRATION" and e.data["status"] == "failed",
                          60, arriving.alive)
        scenario.close()
        swift(scenario)
        scenario.record = LoadRecord()
        scenario.start_guest()
        scenario.keep_going(scenario.guest)
        scenario.finish(scenario.guest)
        scenario.inspect()
        assert scenario.outcome.failures == []


@LONG
@pytest.mark.parametrize("model, line, words", [
    ({"isolation": "on"}, "doorbell isolation: got 0x0, expected 0x", "Operation not supported"),
    ({"hw-version": "v4"}, "hardware version: got 0x30, expected 0x50", "Operation not supported"),
], ids=["isolation", "hardware"])
def test_a_destination_of_another_make_refuses(new_session, model, line, words):
    """Hardware that differs must be refused while the guest runs, with the reason in the kernel log
    and the error in QEMU's message."""
    with running(new_session, destination=HostConfig(model={**MODEL, **model})) as scenario:
        arriving, began = starts(scenario, TRICKLE)
        assert ended(scenario.guests[0], began) == "failed"
        assert line in scenario.destination.ssh.out("dmesg")
        assert words in arriving.last_words(), arriving.last_words()
        vf_runs(scenario)


def arrives(scenario: Scenario, arriving: Guest, began: float) -> Guest:
    """Wait until the guest is on the destination, running or paused."""
    assert ended(scenario.guests[0], began) == "completed"
    arriving.qmp.wait("the guest is here", lambda e: e.name == "MIGRATION" and e.data["status"] == "completed", 60,
                      arriving.alive)
    return arriving


def came(arriving: Guest) -> bool:
    """Whether QEMU resumed the guest; otherwise it must have exited."""
    with contextlib.suppress(LabError):
        arriving.qmp.wait("the guest is here", lambda e: e.name == "RESUME", 60, arriving.alive)
        return True
    assert not arriving.alive(), "QEMU neither resumed the guest nor exited"
    return False


@LONG
def test_a_paused_guest_migrates(new_session):
    """A paused guest must arrive paused, and cont must complete its pending requests."""
    with new_session().scenario() as scenario:
        scenario.set_up()
        scenario.start_guest()
        scenario.guest.qmp.cmd("stop")
        assert states(scenario) == "STOP"
        arrived = arrives(scenario, *starts(scenario, 1 << 40))
        assert arrived.qmp.cmd("query-status")["status"] == "paused"
        arrived.qmp.cmd("cont")
        scenario.keep_going(arrived)
        scenario.finish(arrived)
        scenario.inspect()
        assert scenario.outcome.failures == []


@contextlib.contextmanager
def scripted(new_session, tmp_path, script: str) -> Iterator[Scenario]:
    """A guest that runs a script. The script reads a line when the guest has arrived, and must then
    end with status 0. The guest migrates after the test's body, or in it."""
    file = tmp_path / "script"
    file.write_text(script, encoding="utf-8")
    with new_session().scenario(guest=GuestConfig(script=file)) as scenario:
        scenario.set_up()
        scenario.start_guest()
        yield scenario
        if len(scenario.guests) == 1:
            arrives(scenario, *starts(scenario, 1 << 40))
        arrived = scenario.guest
        arrived.stop_load()
        scenario.record.wait("the script ends", lambda: scenario.record.exit_status is not None, 180, arrived.alive)
        assert scenario.record.exit_status == 0, arrived.console()
        scenario.inspect()
        assert scenario.outcome.failures == []


def says(guest: Guest, word: str) -> None:
    """Wait for a word on the guest's console."""
    wait_until(f"the guest says {word}", lambda: word in guest.console(), 60)


# The driver's algorithms are registered and tested
TESTED = ("until grep -q '^driver *: hisi_' /proc/crypto && ! grep -A6 '^driver *: hisi_' /proc/crypto | grep -q unknown; "
          "do usleep 100000; done")
# Send requests and wait for their results
AFTERWARDS = """mkfifo /tmp/ears; /lab/load 2 4096 sec < /tmp/ears > /tmp/said &
exec 4> /tmp/ears; until grep -q '"verified":[1-9]' /tmp/said; do usleep 100000; done; echo stop >&4; wait $!
"""


@LONG
def test_an_idle_guest_migrates(new_session, tmp_path):
    """A guest without pending requests must migrate, and its later requests must complete."""
    with scripted(new_session, tmp_path, f"read -r _ <&3; {AFTERWARDS}"):
        pass


@LONG
def test_a_guest_without_a_driver_migrates(new_session, tmp_path):
    """A guest without a driver must migrate without VF state; a driver loaded on the destination
    must find the VF in its initial state and pass its self-tests."""
    script = f"rmmod hisi_sec2 && echo the driver is gone; read -r _ <&3; modprobe hisi_sec2; {TESTED}; {AFTERWARDS}"
    with scripted(new_session, tmp_path, script) as scenario:
        says(scenario.guest, "the driver is gone")


@LONG
def test_a_suspended_guest_migrates(new_session, tmp_path):
    """A guest in suspend-to-idle, with processes frozen in the middle of requests, must migrate;
    after wakeup the requests must complete."""
    script = """echo 8 > /proc/sys/kernel/printk; echo enabled > /sys/class/tty/ttyAMA0/power/wakeup || exit 1
mkfifo /tmp/ears; /lab/load 8 4096 sec < /tmp/ears > /tmp/said & load=$!
exec 4> /tmp/ears; until grep -q '"verified":[1-9]' /tmp/said; do usleep 100000; done
echo freeze > /sys/power/state || exit 1
here=$(wc -l < /tmp/said); until [ $(wc -l < /tmp/said) -gt $((here + 5)) ]; do usleep 100000; done
read -r _ <&3; echo stop >&4; wait $load"""
    with scripted(new_session, tmp_path, script) as scenario:
        source, awake = scenario.guest, "PM: suspend exit"
        says(source, "Suspending console")
        arrived = arrives(scenario, *starts(scenario, 1 << 40))
        assert awake not in source.console() + arrived.console(), "the guest woke up early"
        arrived.type("")
        says(arrived, awake)


@contextlib.contextmanager
def rebooting(new_session, guest: GuestConfig = GuestConfig()) -> Iterator[Scenario]:
    """A guest under load that reboots when it is reset."""
    with new_session().scenario(guest=guest) as scenario:
        scenario.set_up()
        scenario.start_guest()
        scenario.guest.qmp.cmd("set-action", reboot="reset")
        yield scenario


def boots(scenario: Scenario, guest: Guest, before: str) -> None:
    """Wait for another boot than `before`, whose load must end without errors."""
    record = scenario.record
    record.wait("another boot's load reports", lambda: record.last.boot != before, 120, guest.alive)
    record.wait_progress("it works", 20, 60, guest.alive)
    guest.stop_load()
    record.wait("the load ends", lambda: record.exit_status is not None, 60, guest.alive)
    assert record.exit_status == 0


@LONG
# QEMU clears bus mastering before it resets a VF, which has requests
@pytest.mark.expect("source sec 1: the device counted .* dma-without-bus-master", maybe=True)
def test_a_guest_is_reset_meanwhile(new_session):
    """If the guest is reset in pre-copy, the migration must fail or migrate the VF as it is after
    the reset; the guest must boot and its load run."""
    with rebooting(new_session) as scenario:
        guest, first = scenario.guest, scenario.record.last.boot
        arriving, began = starts(scenario, TRICKLE)
        event(guest, "MIGRATION", began, status="active")
        guest.qmp.cmd("system_reset")
        event(guest, "RESET", began)
        swift(scenario)
        hurry(guest)
        here = arriving if ended(guest, began) == "completed" else guest
        boots(scenario, here, first)
        if here is guest:
            vf_runs(scenario)


@LONG
@pytest.mark.expect("hisi_sec2", "sec 1: the device counted .* dma-without-bus-master", maybe=True)
@pytest.mark.parametrize("phase", ["pre-copy", "stop", "load"])
@pytest.mark.parametrize("which", ["virtual", "physical"])
def test_pf_or_vf_is_reset_meanwhile(new_session, which, phase):
    """If the host resets a VF or the PF during a migration, the migration may fail. Nothing may
    hang, no kernel may report an error, and the guest must be able to boot on one of the hosts."""
    with rebooting(new_session, GuestConfig(kernel=kernel.flavoured(kernel.GUEST_FLAVOUR))) as scenario:
        guest, first = scenario.guest, scenario.record.last.boot
        host = scenario.destination if phase == "load" else scenario.source
        if phase != "pre-copy":
            host.set_model(ENGINE, "mailbox-latency", SLOW_MAILBOX_US)
        arriving, began = starts(scenario, TRICKLE if phase == "pre-copy" else 1 << 40)
        if phase == "pre-copy":
            event(guest, "MIGRATION", began, status="active")
        else:
            event(guest, "STOP", began)
        engine = hardware.ENGINES[ENGINE]
        address = engine.pf if which == "physical" else accelerator.vfs(host.ssh, engine)[0]
        host.ssh.run(f"echo 1 > /sys/bus/pci/devices/{address}/reset", check=False, timeout=120)
        host.set_model(ENGINE, "mailbox-latency", 0)
        swift(scenario)
        hurry(guest)
        here = arriving if ended(guest, began) == "completed" else guest
        if here is arriving and not came(arriving):
            here = guest
            guest.qmp.cmd("cont")
        here.qmp.cmd("set-action", reboot="reset")
        here.qmp.cmd("system_reset")
        boots(scenario, here, first)


@LONG
@pytest.mark.parametrize("vmm", versions.VMM)
@pytest.mark.parametrize("kernel, to_kernel", [(versions.DEFAULT, versions.LTS), (versions.LTS, versions.DEFAULT)])
def test_a_host_with_another_kernel(new_session, kernel, to_kernel, vmm):
    """Where versions.py says that this QEMU cannot load the guest, it must report why, and the
    source must resume the guest without losing a request; otherwise the guest must arrive."""
    source, destination = HostConfig(kernel=kernel, vmm=vmm), HostConfig(kernel=to_kernel, vmm=vmm)
    words = versions.refusal(versions.SERIES[kernel], versions.VMM[vmm], versions.SERIES[to_kernel], versions.VMM[vmm])
    if words is None:
        assert new_session().migrate(source, destination).failures == []
        return
    with running(new_session, source, destination) as scenario:
        guest = scenario.guest
        arriving, began = starts(scenario, 1 << 40)
        assert ended(guest, began) == "completed"
        arriving.wait(60)
        assert words in arriving.last_words()
        guest.qmp.cmd("cont")
        event(guest, "RESUME", began)
        vf_runs(scenario)


def test_two_guests_at_once(new_session):
    """Two simultaneous migrations must not block each other for good, nor mix the states of their VFs."""
    with new_session().scenario(migration=MigrationConfig(load="12,4096")) as scenario:
        scenario.set_up()
        scenario.start_guest()
        both = [scenario, scenario.beside()]
        both[1].start_guest()
        started = [starts(one, 1 << 40) for one in both]
        for one, start in zip(both, started):
            arrived = arrives(one, *start)
            one.keep_going(arrived)
            one.finish(arrived)
        for one in both:
            one.inspect()
            one.close()
            assert one.outcome.failures == []
