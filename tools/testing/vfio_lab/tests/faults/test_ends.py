# SPDX-License-Identifier: GPL-2.0
"""Events from outside: removal of the PF's driver, the limit of open files, a killed process, fifty
migrations in a row.

Nothing may leak, and what follows must work as before.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import pytest

import bench as lab_bench
from bench import PF, SEC, Bench, wait_until
from defect_scenarios import SQC_TABLE, go, works
from lab.core import versions
from migrations import ended, vf_runs
from steps import State
from test_driver_life import STATES, waits

pytestmark = pytest.mark.slow("processes that end")

DRIVER = f"/sys/bus/pci/drivers/{SEC.driver}"


@pytest.fixture(scope="module")
def bench(context) -> Iterator[Bench]:
    """One host for all tests here: each test leaves both VFs bound."""
    with lab_bench.one_host(context, "ends") as one:
        yield one


@pytest.mark.parametrize("state", STATES, ids=lambda s: s.name)
def test_the_pfs_driver_is_removed(bench, state):
    """Removal of the PF's driver must wait for the VF's user and must then succeed, without use after free."""
    before = waits(bench)
    with bench.open() as vf:
        vf.guest_up()
        go(vf, state)
        going = bench.host.ssh.popen(f"echo {SEC.pf} > {DRIVER}/unbind", stderr=subprocess.PIPE)
        wait_until("the kernel waits for the user", lambda: waits(bench) > before, 10)
        # the VF still serves its user, except for resets: the kernel holds the device lock
        assert vf.state() == state
        if state != State.RESUMING:
            go(vf, State.RUNNING)
            works(vf)
        assert going.poll() is None, "removal did not wait for the user"
    assert going.wait(60 * bench.host.timeout_scale) == 0
    assert not bench.vfs
    bench.host.ssh.run(f"echo {SEC.pf} > {DRIVER}/bind")
    bench.host.ssh.run(f"echo 0 > {PF}/sriov_drivers_autoprobe")
    bench.enable(2)
    bench.bind()
    with bench.open() as vf:
        works(vf)


@pytest.mark.parametrize("states", [
    (State.RUNNING, State.PRE_COPY), (State.STOP, State.STOP_COPY), (State.STOP, State.RESUMING)],
    ids=lambda states: states[1].name)
def test_no_number_is_left_for_a_file(bench, states):
    """If no file descriptor is left for the migration file, the transition must succeed without a
    leak: the kernel finds that out after the driver's part, and the new state is in force."""
    start, end = states
    with bench.open() as vf:
        works(vf)
        used = bench.references()
        for _ in range(3):
            go(vf, start)
            vf.limit_files(0)
            assert vf.go(end) == ("EMFILE", end)
            vf.limit_files(64)
            assert vf.reset() == ("", State.RUNNING)
            works(vf)
        assert bench.references() == used
    wait_until("the driver is unused", lambda: not bench.references(), 10)


@pytest.mark.parametrize("fault, walked, arc", [
    (SQC_TABLE, (State.STOP,), State.STOP_COPY), ("14", (), State.STOP),
    (SQC_TABLE, (State.PRE_COPY,), State.STOP_COPY)], ids=["save", "pause", "pre-copy"])
def test_killed_while_a_mailbox_hangs(bench, fault, walked, arc):
    """Killing a process while its mailbox hangs must unblock PF reset and release the module."""
    with bench.rival():
        vf = bench.open()
        vf.guest_up()
        go(vf, *walked)
        with bench.broken(vf="1", fault_mailbox="busy", fault_opcode=fault):
            vf.start(arc)
            wait_until("PF reset is blocked", lambda: bench.host.ssh.out(f"cat {lab_bench.RIVAL}/hold") == "1", 5)
            assert vf.kill(20 * bench.host.timeout_scale)
        vf.end()
        assert bench.tell("turns", 1, check=False), "PF reset stays blocked"
        wait_until("the driver is unused", lambda: not bench.references(), 10)
        with bench.open() as after:
            works(after)


def test_failed_migrations_and_a_good_one(request, new_session):
    """A failed migration, of memory or of the VF, must not leak a file, a reference or an
    interrupt. --long runs fifty."""
    with new_session().scenario() as scenario:
        scenario.set_up()
        scenario.start_guest()
        guest, host = scenario.guest, scenario.source
        one = Bench(host, versions.DEFAULT, "tree")

        def left() -> tuple[int, int]:
            return one.references(), int(host.ssh.out("ls /proc/$(pidof qemu-system-aarch64)/fd | wc -l"))

        guest.qmp.cmd("migrate-set-parameters", max_bandwidth=1 << 40)
        used = []
        for number in range(50 if request.config.getoption("--long") else 8):
            began, program = time.monotonic(), "cat" if number % 2 else "head -c 1000000"
            with one.broken(fault_mailbox="fail" if number % 2 else "none", fault_opcode=SQC_TABLE):
                guest.qmp.cmd("migrate", uri=f"exec:{program} > /dev/null")
                assert ended(guest, began) == "failed"
                wait_until("it runs again", lambda: guest.qmp.cmd("query-status")["status"] == "running")
            vf_runs(scenario)
            used.append(left())
        # the first two start what QEMU keeps for its lifetime
        assert used[-1] == used[1]
        scenario.keep_going(guest)
        scenario.migrate()
        scenario.go_on()
        scenario.inspect()
        assert scenario.outcome.failures == []
