# SPDX-License-Identifier: GPL-2.0
"""A reset of all functions that takes long. What a function's user or host wants of
it meanwhile waits for the end, whatever QEMU would answer a refusal with a reset of
the function; only the beginning of a migration is refused. Who waits can be ended."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

import pytest

import bench as lab_bench
from bench import Bench, wait_until
from defect_scenarios import go, works
from steps import Function, State

VFS = 5
#: longer than any wait that the driver ever had
HELD_SECONDS = 15
#: what of it a migration's beginning waits for, at most
REFUSED_SECONDS = 8
#: what a program may take to end that waits for nothing more
KILLED_SECONDS = 8


@pytest.fixture(scope="module")
def bench(context) -> Iterator[Bench]:
    """One host for all tests here: each leaves all functions bound."""
    with lab_bench.one_host(context, "patience", VFS) as one:
        yield one


def resets(bench: Bench) -> list[int]:
    """How often each function was reset, the physical one first."""
    return [bench.count("resets", function=number) for number in range(VFS + 1)]


def test_all_of_it_waits_for_a_reset_of_all(bench):
    """Would catch a wait that is given up: a function that is reset in the middle of
    the reset of all, or a stop that is refused, which QEMU answers with such a reset."""
    with bench.rival(), contextlib.ExitStack() as stack:
        reset, flr, stop = (stack.enter_context(bench.open(n)) for n in range(3))
        for vf in reset, flr, stop:
            vf.guest_up()
        # D3hot, from which a reset by the host wakes it before anybody is asked, may reset it
        bench.host.ssh.run("; ".join(f"echo on > /sys/bus/pci/devices/{address}/power/control"
                                     for address in bench.functions[3:5]))
        before = resets(bench)
        bench.tell("hold", 1)
        reset.start_reset()
        flr.start_flr()
        stop.start(State.STOP)
        host = bench.host.ssh.popen(f"echo 1 > /sys/bus/pci/devices/{bench.functions[3]}/reset")
        late = stack.enter_context(Function(bench.host, bench.functions[4], wait=False))
        early = {"VFIO_DEVICE_RESET": reset.finish(HELD_SECONDS), "FLR": flr.finish(0), "STOP": stop.finish(0),
                 "reset by the host": host.poll(), "open": late.opened(0) or None}
        meanwhile = resets(bench)
        bench.tell("hold", 0)
        assert {what: outcome for what, outcome in early.items() if outcome is not None} == {}
        assert meanwhile == before
        assert reset.finish() == ("", State.RUNNING)
        assert flr.finish() == ("", State.RUNNING)
        assert stop.finish() == ("", State.STOP)
        assert host.wait(60 * bench.host.patience) == 0
        late.opened()
        after = [new - old for old, new in zip(before, resets(bench), strict=True)]
        assert after == [0, 1, 1, 0, 1, 1]
        go(stop, State.RUNNING)
        for vf in reset, flr, stop, late:
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
