# SPDX-License-Identifier: GPL-2.0
"""Busy VFs and the PF's driver, which needs the whole device for a moment: it must get it, and no
VF may starve."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import bench as lab_bench
from bench import SEC, Bench
from lab.build import kernel_tree
from steps import Loop, Loops
from tenant_scenarios import TURNS, WAIT_MS, gets_its_turn

pytestmark = pytest.mark.slow("many VFs at once")

#: VFs of a device: some, or the maximum
SOME, ALL = 8, 63
SLOW_COMMAND_US = 300_000


@pytest.fixture(scope="module", params=[SOME, pytest.param(ALL, marks=pytest.mark.long("takes minutes to bind"))])
def bench(request, context) -> Iterator[Bench]:
    """One host with all VFs; each test leaves them bound."""
    with lab_bench.one_host(context, f"fairness-{request.param}", request.param) as one:
        yield one


def got_on(what: str, loop: Loop) -> bool:
    """Whether the VF's user made progress; reads of debugfs may be refused."""
    return loop.times - loop.failed > 1 and (not loop.failed or what in ("debugfs", "all") and loop.error == "EBUSY")


@pytest.mark.parametrize("count", [1, None], ids=["one", "each"])
@pytest.mark.parametrize("what", ["sysfs", "reset", "flr", "states", "open", "debugfs", "all"])
def test_the_pfs_driver_gets_its_turn(bench, what, count):
    """The PF's driver must get its turn while VFs block PF reset in turns that leave no gap,
    although it polls less often the longer it waits; and no VF may starve."""
    done = gets_its_turn(bench, what, count)
    assert {address: loop for address, loop in done.items() if not got_on(what, loop)} == {}


def test_the_pfs_driver_gets_its_turn_on_a_slow_device(bench):
    """The same while each mailbox command takes a third of a second, so that a stop takes longer than the
    time for which VFs may join."""
    bench.set(mailbox_latency=SLOW_COMMAND_US)
    try:
        done = gets_its_turn(bench, "states", SOME)
    finally:
        bench.sound()
    assert {address: loop for address, loop in done.items() if not got_on("states", loop)} == {}


@pytest.fixture(scope="module")
def patched(context) -> Iterator[Bench]:
    """A host whose hisi_qm knows which VFs block PF reset."""
    with lab_bench.one_host(context, "fairness-patched", SOME, kernel_tree.QM_PATCH) as one:
        yield one


def rounds(bench: Bench, what: str) -> tuple[list[float], dict[str, Loop]]:
    """Time in seconds of each turn of the PF's driver, caused by alg_qos in debugfs; and the result
    of the VFs' loops."""
    file = f"/sys/kernel/debug/hisi_sec2/{SEC.pf}/alg_qos"
    with Loops(bench.host, what, bench.vfs) as loops:
        said = bench.host.ssh.out(f"""for i in $(seq {TURNS}); do
            a=$(cut -d' ' -f1 /proc/uptime); cat {file} > /dev/null || exit 1; echo $a $(cut -d' ' -f1 /proc/uptime)
        done""")
        done = loops.end()
    return [float(b) - float(a) for a, b in map(str.split, said.splitlines())], done


@pytest.mark.long("builds a kernel")
@pytest.mark.parametrize("what", ["sysfs", "reset", "flr", "states", "open", "debugfs", "all"])
def test_with_hisi_qm_as_the_series_has_it(patched, what):
    """With hisi_qm_try_block_reset(), which this driver then uses, the PF's driver must get its
    turn by its own wait, and no VF may starve."""
    symbols = patched.host.ssh.out("cat /proc/kallsyms")
    assert "hisi_qm_try_block_reset\t[hisi_qm]" in symbols and "compat_qm_try_block_reset" not in symbols
    seconds, done = rounds(patched, what)
    slowest_ms = max(loop.longest_ms for loop in done.values())
    print(f"{what}: the driver {max(seconds) * 1000:.0f} ms, a VF's user {slowest_ms} ms")
    assert max(seconds) * 1000 <= WAIT_MS and len(seconds) == TURNS
    assert {address: loop for address, loop in done.items() if not got_on(what, loop)} == {}
