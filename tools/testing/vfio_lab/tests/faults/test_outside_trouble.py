# SPDX-License-Identifier: GPL-2.0
"""Conditions outside the VF or pending with its guest: a device error, a mailbox message, a slow
command or request. None may keep the VF from being stopped, because QEMU then resets it. Errors and
messages keep it from being migrated, at two points: when the migration begins, and when migration
data is read."""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Iterator

import pytest

import bench as lab_bench
from bench import PF, RIVAL, Bench, wait_until
from defect_scenarios import ASK_QUEUES, go
from lab.scenario import watch
from lab.scenario.migration import ENGINE
from migrations import TRICKLE, ended, event, goes_on, running, states, stop_and_cont, vf_runs
from steps import DATA_SIZE, State, Vf
from tenant_scenarios import ECC, TROUBLES, Trouble, device_error, goes_there_and_back, message_from_guest

pytestmark = pytest.mark.slow("trouble from outside beside migrations")


@pytest.fixture(scope="module")
def bench(context) -> Iterator[Bench]:
    """One host for all tests here: each test leaves the device without errors."""
    with lab_bench.one_host(context, "outside-trouble") as one:
        with one.rival():
            yield one


# less than the driver waits for a command that does not drain the engine
SLOW_COMMAND_US = 700_000
# more than that, and less than the five seconds for one that does
SLOW_REQUEST_US = 3_000_000

EACH = [pytest.param(trouble, id=trouble.begins.__name__) for trouble in TROUBLES]


@contextlib.contextmanager
def opened(bench: Bench, trouble: Trouble) -> Iterator[Vf]:
    """An open VF; it must not be reset, and must work at the end."""
    watch.expect(f"hisi_acc_vfio_pci .* {trouble.words}", maybe=True)
    with bench.open() as vf:
        vf.guest_up()
        before = bench.count("resets")
        yield vf
        assert bench.count("resets") == before
        vf.guest_up()
        go(vf, State.STOP, State.STOP_COPY)
        # a message to the PF stays until the reset
        assert vf.read_migration_data() == (DATA_SIZE if trouble.begins is not message_from_guest else -errno.EBUSY)


def said(bench: Bench, vf: Vf) -> list[str]:
    """What the driver has logged about the VF."""
    return [line for line in bench.host.ssh.out("dmesg").splitlines() if f"{vf.address}: " in line]


@pytest.mark.parametrize("trouble", EACH)
def test_a_vf_is_stopped(bench, trouble):
    """The VF must be stopped, and must resume afterwards."""
    with opened(bench, trouble) as vf, trouble.begins(bench, vf):
        for _ in range(3):
            goes_there_and_back(bench, vf, State.RUNNING_P2P, State.STOP, State.RUNNING_P2P, State.RUNNING)


@pytest.mark.parametrize("trouble", EACH)
def test_a_migration_does_not_begin(bench, trouble):
    """A migration that could only fail after the guest is stopped must be refused at its start,
    with one line in the log."""
    with opened(bench, trouble) as vf, trouble.begins(bench, vf):
        for _ in range(2):
            before = len(said(bench, vf))
            assert vf.go(State.PRE_COPY) == ("EBUSY", State.RUNNING)
            (line,) = said(bench, vf)[before:]
            assert trouble.words in line


@pytest.mark.parametrize("trouble", EACH)
@pytest.mark.parametrize("state", [State.PRE_COPY, State.RUNNING], ids=lambda state: state.name)
def test_a_migration_ends_with_the_read(bench, trouble, state):
    """With the condition, the VF must reach STOP_COPY, and read() must fail with EBUSY rather than
    return data that lacks the pending message."""
    with opened(bench, trouble) as vf:
        if state == State.PRE_COPY:
            go(vf, state)
            assert vf.read_migration_data() > 0
        with trouble.begins(bench, vf):
            before = len(said(bench, vf))
            go(vf, State.STOP_COPY)
            assert vf.read_migration_data() == -errno.EBUSY
            assert vf.read_migration_data() == -errno.EBUSY
            (line,) = said(bench, vf)[before:]
            assert trouble.words in line
            go(vf, State.RUNNING)


def test_what_is_over_in_time_does_no_harm(bench):
    """A condition that is gone before the data is read must not fail the migration."""
    with bench.open() as vf:
        vf.guest_up()
        go(vf, State.PRE_COPY)
        assert vf.read_migration_data() > 0
        with device_error(bench, vf):
            go(vf, State.PRE_COPY_P2P)
        go(vf, State.STOP_COPY)
        assert vf.read_migration_data() > 0
        go(vf, State.RUNNING)


def test_a_slow_command_of_the_guest_ends_first(bench):
    """A stop must wait for a mailbox command that the guest had in progress, and the guest must
    find its answer."""
    with bench.open() as vf:
        vf.guest_up()
        before = bench.count("resets")
        vf.begin_command(ASK_QUEUES)
        want = vf.answer()
        bench.set(mailbox_latency=SLOW_COMMAND_US)
        vf.begin_command(ASK_QUEUES)
        go(vf, State.RUNNING_P2P, State.RUNNING)
        bench.sound()
        assert vf.answer() == want
        assert bench.count("resets") == before


@pytest.mark.long("the stock driver waits 40 seconds for answers that do not come")
# which sends messages to VFs whose event queues were lost in the reset
@pytest.mark.expect("hisi_sec2 .* failed to", "hisi_sec2 .* not ping PF",
                    "sec 1: .* dma-without-bus-master", "sec 1: .* event-queue-unset")
@pytest.mark.expect("hisi_sec2 .* unsupported command", maybe=True)
def test_a_vf_is_stopped_after_a_pf_reset(bench):
    """A stop must succeed after a PF reset has cleared the VF's state."""
    with bench.open() as vf:
        vf.guest_up()
        resetting = bench.host.ssh.popen(f"echo 1 > {PF}/reset")
        wait_until("the reset has begun", lambda: bench.host.ssh.out(f"cat {RIVAL}/hold") == "1")
        go(vf, State.STOP)
        assert resetting.wait(60 * bench.host.timeout_scale) == 0
        go(vf, State.RUNNING)
        assert vf.reset() == ("", State.RUNNING)
        vf.guest_up()
        go(vf, State.STOP, State.STOP_COPY)
        assert vf.read_migration_data() == DATA_SIZE


@pytest.mark.expect("hisi_acc_vfio_pci .* device error", "hisi_acc_vfio_pci .* during an error",
                    "Device or resource busy")
def test_a_guest_under_qemu(new_session):
    """Under QEMU: stop and cont, a migration refused at its start, one failed in pre-copy, and one
    failed after the stop. None may reset the VF, and the load must continue when the error is
    gone."""
    with running(new_session) as scenario:
        guest, host = scenario.guest, scenario.source

        def resets() -> int:
            return host.counters(ENGINE, 1)["events"]["resets"]

        def error(bits: int) -> None:
            host.set_model(ENGINE, "fault-function", "0")
            host.set_model(ENGINE, "fault-msi-drop", 1 if bits else 0)
            host.set_model(ENGINE, "abnormal-error", bits)

        before = resets()
        error(ECC)
        stop_and_cont(scenario, guest)
        began = time.monotonic()
        guest.qmp.cmd("migrate", uri="exec:cat > /dev/null")
        assert ended(guest, began) == "failed"
        vf_runs(scenario)
        error(0)
        goes_on(scenario, guest)

        began = time.monotonic()
        guest.qmp.cmd("migrate-set-parameters", max_bandwidth=TRICKLE)
        guest.qmp.cmd("migrate", uri="exec:cat > /dev/null")
        event(guest, "MIGRATION", began, status="active")
        wait_until("it is in pre-copy", lambda: states(scenario) == "PRE_COPY")
        error(ECC)
        guest.qmp.cmd("migrate-set-parameters", max_bandwidth=1 << 40)
        assert ended(guest, began) == "failed"
        vf_runs(scenario)
        error(0)
        goes_on(scenario, guest)

        error(ECC)
        began = time.monotonic()
        guest.qmp.cmd("stop")
        event(guest, "STOP", began)
        error(0)
        guest.qmp.cmd("migrate", uri="exec:cat > /dev/null")
        assert ended(guest, began) == "failed"
        guest.qmp.cmd("cont")
        event(guest, "RESUME", began)
        goes_on(scenario, guest)
        assert resets() == before


def test_slow_requests_are_waited_for(new_session):
    """A stop must wait for a request that the engine works on for seconds, and must not end with a
    reset by QEMU."""
    with running(new_session) as scenario:
        guest, host = scenario.guest, scenario.source

        def count(what: str) -> int:
            return host.counters(ENGINE, 1)["events"][what]

        before = count("resets")
        host.set_model(ENGINE, "request-latency", SLOW_REQUEST_US)
        for _ in range(2):
            done = count("requests-completed")
            wait_until("the next request is in the engine", lambda: count("requests-completed") > done)
            began = time.monotonic()
            stop_and_cont(scenario, guest)
            assert time.monotonic() - began > 1
        goes_on(scenario, guest)
        assert count("resets") == before
