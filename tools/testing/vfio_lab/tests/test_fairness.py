# SPDX-License-Identifier: GPL-2.0
"""Tenants who keep their functions busy, and the physical function's driver, which
needs all of the device for a moment: it gets it, whatever they do, and none of
them keeps another from getting on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import bench as lab_bench
from bench import RIVAL, Bench
from steps import Loop, Loops

#: functions of a device: some, or as many as one has
SOME, ALL = 8, 63
#: how often the physical function's driver comes, and how long it may wait each time
TURNS, WAIT_MS = 20, 2000


@pytest.fixture(scope="module", params=[SOME, pytest.param(ALL, marks=pytest.mark.long("takes minutes to bind"))])
def bench(request, context) -> Iterator[Bench]:
    """One host with all virtual functions, which each test leaves bound."""
    with lab_bench.one_host(context, f"fairness-{request.param}", request.param) as one:
        yield one


def got_on(what: str, loop: Loop) -> bool:
    """Whether a function's user did what was wanted; a look, which comes to nobody's
    harm, may be refused."""
    return loop.times - loop.failed > 1 and (not loop.failed or what in ("debugfs", "all") and loop.error == "EBUSY")


@pytest.mark.parametrize("count", [1, None], ids=["one", "each"])
@pytest.mark.parametrize("what", ["sysfs", "reset", "flr", "states", "open", "debugfs", "all"])
def test_the_physical_functions_driver_gets_its_turn(bench, what, count):
    """Would catch functions that hold what the physical function's driver waits for in
    turns that leave no gap, or one that the driver does not find: it looks less often
    the longer it waits. And a fairness by which a function waits for ever."""
    with bench.rival(), Loops(bench.host, what, bench.functions[:count]) as loops:
        served = bench.tell("turns", TURNS, check=False)
        taken, longest_ms = map(int, bench.host.ssh.out(f"cat {RIVAL}/turns").split())
        done = loops.end()
    assert served, f"locked out, after {taken} turns"
    slowest_ms = max(loop.longest_ms for loop in done.values())
    print(f"{what}, {len(bench.functions[:count])} functions: {longest_ms} ms; a function's user: {slowest_ms} ms")
    assert longest_ms <= WAIT_MS, f"waited for {longest_ms} ms; a function's user for {slowest_ms} ms"
    assert taken == TURNS
    assert {address: loop for address, loop in done.items() if not got_on(what, loop)} == {}
