# SPDX-License-Identifier: GPL-2.0
"""A PF reset that takes long. Operations on a VF must wait for its end, where QEMU would answer an
error by resetting the VF; only the start of a migration is refused. A waiting process can be
killed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

import bench as lab_bench
from bench import Bench, wait_until
from defect_scenarios import go, works
from steps import State, Vf
from tenant_scenarios import HELD_SECONDS, open_waits_for_a_reset_of_all, resets_wait_for_a_long_reset_of_all

pytestmark = pytest.mark.slow("waits of many VFs")

VFS = 5
#: how long the start of a migration waits for it, at most
REFUSED_SECONDS = 8
#: time for a program to end that no longer waits
KILLED_SECONDS = 8


@pytest.fixture(scope="module")
def bench(context) -> Iterator[Bench]:
    """One host for all tests here: each test leaves all VFs bound."""
    with lab_bench.one_host(context, "waits", VFS) as one:
        yield one


def test_resets_wait_for_a_reset_of_all(bench):
    """A VF reset must not give up waiting and run during the PF reset."""
    resets_wait_for_a_long_reset_of_all(bench)


def test_open_waits_for_a_reset_of_all(bench):
    """open() must wait for the PF reset, and must succeed."""
    open_waits_for_a_reset_of_all(bench)


def test_a_stop_waits_for_a_reset_of_all(bench):
    """A stop must wait for the PF reset: if it fails, QEMU resets the VF."""
    with bench.rival(), bench.open() as vf:
        vf.guest_up()
        bench.tell("hold", 1)
        vf.start(State.STOP)
        early = vf.finish(HELD_SECONDS)
        bench.tell("hold", 0)
        assert early is None
        assert vf.finish() == ("", State.STOP)
        go(vf, State.RUNNING)
        works(vf)


def test_configuration_is_restored_in_a_reset_of_all(bench):
    """A write to Device Control that resets nothing must not wait: the PF's driver waits for the
    guest that restores its configuration space."""
    with bench.rival(), bench.open() as vf:
        vf.guest_up()
        bench.tell("hold", 1)
        vf.start_restore()
        said = vf.finish(KILLED_SECONDS)
        bench.tell("hold", 0)
        assert said == ("", State.RUNNING), "it waits"
        works(vf)


def test_a_migration_does_not_begin_in_a_reset_of_all(bench):
    """A migration must not begin during the PF reset and then stall with the guest stopped; and a
    reset that is over in a moment must not refuse it."""
    with bench.rival(), bench.open() as vf:
        vf.guest_up()
        bench.tell("hold", 1)
        began = time.monotonic()
        said = vf.go(State.PRE_COPY)
        took = time.monotonic() - began
        bench.tell("hold", 0)
        assert said == ("EBUSY", State.RUNNING) and 1 < took < REFUSED_SECONDS
        bench.tell("hold", 1)
        vf.start(State.PRE_COPY)
        assert vf.finish(0.5) is None, "it does not wait at all"
        bench.tell("hold", 0)
        assert vf.finish() == ("", State.PRE_COPY)
        go(vf, State.RUNNING)


@pytest.mark.parametrize("start", [
    lambda vf: vf.start(State.STOP), lambda vf: vf.start_reset(), None],
    ids=["SET_STATE", "VFIO_DEVICE_RESET", "open"])
def test_a_waiting_process_can_be_killed(bench, start: Callable[[Vf], None] | None):
    """A process that waits for the PF reset can be killed, without unblocking a PF reset that it
    did not block."""
    with bench.rival():
        if start:
            vf = bench.open()
            vf.guest_up()
            bench.tell("hold", 1)
            start(vf)
            assert vf.finish(1) is None, "it does not wait"
        else:
            bench.tell("hold", 1)
            vf = Vf(bench.host, bench.vfs[0], wait=False)
            assert not vf.opened(1), "it does not wait"
        gone = vf.kill(KILLED_SECONDS)
        bench.tell("hold", 0)
        # closing the VF resets it, which waits, too
        assert gone == (start is None), "it cannot be killed" if start is None else "the VF was reset meanwhile"
        vf.end()
    wait_until("the driver is unused", lambda: not bench.references(), 10)
    with bench.open() as vf:
        works(vf)
