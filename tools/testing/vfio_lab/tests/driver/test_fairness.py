# SPDX-License-Identifier: GPL-2.0
"""Tenants who keep their functions busy, and the physical function's driver, which
needs all of the device for a moment: it gets it, whatever they do, and none of
them keeps another from getting on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import bench as lab_bench
from bench import SEC, Bench
from lab.build import kernel_tree
from steps import Loop, Loops
from tenant_scenarios import TURNS, WAIT_MS, gets_its_turn

#: functions of a device: some, or as many as one has
SOME, ALL = 8, 63


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
    done = gets_its_turn(bench, what, count)
    assert {address: loop for address, loop in done.items() if not got_on(what, loop)} == {}


@pytest.fixture(scope="module")
def patched(context) -> Iterator[Bench]:
    """The same with a kernel whose hisi_qm knows of those who block resets."""
    with lab_bench.one_host(context, "fairness-patched", SOME, kernel_tree.QM_PATCH) as one:
        yield one


def rounds(bench: Bench, what: str) -> tuple[list[float], dict[str, Loop]]:
    """How long the physical function's driver took for each of its turns, in seconds, which
    alg_qos of debugfs gives it; and what the functions did meanwhile."""
    file = f"/sys/kernel/debug/hisi_sec2/{SEC.pf}/alg_qos"
    with Loops(bench.host, what, bench.functions) as loops:
        said = bench.host.ssh.out(f"""for i in $(seq {TURNS}); do
            a=$(cut -d' ' -f1 /proc/uptime); cat {file} > /dev/null || exit 1; echo $a $(cut -d' ' -f1 /proc/uptime)
        done""")
        done = loops.end()
    return [float(b) - float(a) for a, b in map(str.split, said.splitlines())], done


@pytest.mark.long("builds a kernel")
@pytest.mark.parametrize("what", ["sysfs", "reset", "flr", "states", "open", "debugfs", "all"])
def test_with_hisi_qm_as_the_series_has_it(patched, what):
    """The driver of the physical function must get its turn, by its own wait, and no
    function may starve, where hisi_qm has hisi_qm_try_block_reset(): the driver uses it."""
    symbols = patched.host.ssh.out("cat /proc/kallsyms")
    assert "hisi_qm_try_block_reset\t[hisi_qm]" in symbols and "compat_qm_try_block_reset" not in symbols
    seconds, done = rounds(patched, what)
    print(f"{what}: the driver {max(seconds) * 1000:.0f} ms, "
          f"a function's user {max(loop.longest_ms for loop in done.values())} ms")
    assert max(seconds) * 1000 <= WAIT_MS and len(seconds) == TURNS
    assert {address: loop for address, loop in done.items() if not got_on(what, loop)} == {}
