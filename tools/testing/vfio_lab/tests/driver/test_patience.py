# SPDX-License-Identifier: GPL-2.0
"""A reset of all functions that takes long. What a function's user or host wants of
it meanwhile waits for the end, whatever QEMU would answer a refusal with a reset of
the function; only the beginning of a migration is refused. Who waits can be ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

import bench as lab_bench
from bench import Bench, wait_until
from defect_scenarios import go, works
from steps import Function, State
from tenant_scenarios import HELD_SECONDS, open_waits_for_a_reset_of_all, resets_wait_for_a_long_reset_of_all

VFS = 5
#: what of it a migration's beginning waits for, at most
REFUSED_SECONDS = 8
#: what a program may take to end that waits for nothing more
KILLED_SECONDS = 8


@pytest.fixture(scope="module")
def bench(context) -> Iterator[Bench]:
    """One host for all tests here: each leaves all functions bound."""
    with lab_bench.one_host(context, "patience", VFS) as one:
        yield one


def test_resets_wait_for_a_reset_of_all(bench):
    """Would catch a wait that is given up: a function that is reset in the middle of
    the reset of all."""
    resets_wait_for_a_long_reset_of_all(bench)


def test_open_waits_for_a_reset_of_all(bench):
    """Would catch the same of one that is opened, and an open that is refused."""
    open_waits_for_a_reset_of_all(bench)


def test_a_stop_waits_for_a_reset_of_all(bench):
    """Would catch a stop that is refused, which QEMU answers with a reset."""
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
    """A write to Device Control that resets nothing must not wait: the physical function's
    driver waits for the guest that restores its configuration space."""
    with bench.rival(), bench.open() as vf:
        vf.guest_up()
        bench.tell("hold", 1)
        vf.start_restore()
        said = vf.finish(KILLED_SECONDS)
        bench.tell("hold", 0)
        assert said == ("", State.RUNNING), "it waits"
        works(vf)


def test_a_migration_does_not_begin_in_a_reset_of_all(bench):
    """Would catch a migration that begins and then stands still with the guest
    stopped, and a refusal for what is over in a moment."""
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
def test_who_waits_can_be_killed(bench, start: Callable[[Function], None] | None):
    """Would catch a process whose end takes from the physical function what it waited
    for, and one that waits for a function which it does not have yet."""
    with bench.rival():
        if start:
            vf = bench.open()
            vf.guest_up()
            bench.tell("hold", 1)
            start(vf)
            assert vf.finish(1) is None, "it does not wait"
        else:
            bench.tell("hold", 1)
            vf = Function(bench.host, bench.functions[0], wait=False)
            assert not vf.opened(1), "it does not wait"
        gone = vf.kill(KILLED_SECONDS)
        bench.tell("hold", 0)
        # what a process has open is closed, which is a reset, too, and waits
        assert gone == (start is None), "it cannot be killed" if start is None else "a function was reset meanwhile"
        vf.end()
    wait_until("nobody uses the driver", lambda: not bench.references(), 10)
    with bench.open() as vf:
        works(vf)
