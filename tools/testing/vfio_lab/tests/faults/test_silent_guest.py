# SPDX-License-Identifier: GPL-2.0
"""A guest whose driver never sets the ready state (VF_STATE): drivers before Linux 5.18 do not,
later ones set it last. And the opposite: a VF whose guest has gone, stopped without a new state."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

import bench as lab_bench
from bench import Bench
from defect_scenarios import go, saved
from lab.scenario.config import GuestConfig
from lab.scenario.migration import ENGINE, slow_down
from migrations import event, goes_on, states
from steps import State
from tenant_scenarios import CQC_TABLE, NOT_READY, READY, VF_STATE, is_emptied, is_stopped_and_saved, tables

pytestmark = pytest.mark.slow("guests that do nothing")

#: the register by which the stock driver reports ready
SAYS_SO = "writel(state, qm->io_base + QM_VF_STATE);"
#: how long a stopped VF must stay silent
SILENT_SECONDS = 3


@pytest.fixture(scope="module")
def bench(context) -> Iterator[Bench]:
    """One host for all tests here: each test leaves both VFs bound."""
    with lab_bench.one_host(context, "silent-guest") as one:
        yield one


@pytest.mark.parametrize("state", [State.STOP, State.PRE_COPY_P2P], ids=lambda state: state.name)
def test_it_is_stopped_and_saved(bench, state):
    """A VF that is in use must be stopped and saved, whatever the one register says."""
    is_stopped_and_saved(bench, state)


@pytest.mark.parametrize("master_off", ["fail", "wait", "reset"])
def test_a_driver_that_is_being_loaded_migrates_with_its_registers(bench, master_off):
    """A driver that is being loaded must find what it has set up after the migration, at whatever
    moment the stop comes, and whatever the loss of bus mastering does to a VF."""
    bench.host.set_model(ENGINE, "bus-master-off", master_off)
    with bench.open() as vf, bench.open(1) as other:
        vf.guest_up()
        _, missing = tables(vf)
        vf.store(VF_STATE, NOT_READY)
        vf.command(CQC_TABLE, 0)
        known = tables(vf)
        assert known[0] and not known[1]
        go(vf, State.PRE_COPY)
        assert vf.read_migration_data() > 0
        go(vf, State.STOP_COPY)
        assert vf.read_migration_data() > 0
        go(vf, State.RUNNING)
        data = saved(vf)
        go(vf, State.RUNNING)
        go(other, State.RESUMING)
        other.load_migration_data(data)
        assert other.write_migration_data() == len(data)
        go(other, State.RUNNING)
        for each in vf, other:
            assert tables(each) == known and each.load(VF_STATE) == NOT_READY
            each.command(CQC_TABLE, missing)
            each.store(VF_STATE, READY)
            whole = saved(each)
            go(each, State.RUNNING)
            assert int.from_bytes(whole[168:176], "little") == missing


@pytest.mark.parametrize("ready", [READY, NOT_READY], ids=["ready", "not-ready"])
def test_the_state_of_an_unused_vf_replaces_a_guests(bench, ready):
    """Loading the state of an unused VF must clear the queues of a previous guest, whose memory may
    have another owner."""
    is_emptied(bench, ready)


def silent(host) -> None:
    """With work pending, the VF must not take or complete a request, access memory or raise an interrupt."""
    def events() -> dict[str, int]:
        return {name: count for name, count in host.counters(ENGINE, 1)["events"].items()
                if name not in ("reads", "writes")}

    before = events()
    assert before["sq-doorbells"] > before["requests-completed"], "there was nothing to do"
    time.sleep(SILENT_SECONDS)          # the observed time span
    assert events() == before


@pytest.mark.parametrize("lacks", [SAYS_SO, pytest.param("", marks=pytest.mark.long("the same of a guest of today"))],
                         ids=["silent", "sets-vf-state"])
def test_a_guest_under_load(new_session, lacks):
    """A guest under load: stopped it must be idle, continued it must go on, migrated it must lose nothing."""
    with new_session().scenario(guest=GuestConfig(lacks=lacks)) as scenario:
        scenario.set_up()
        scenario.start_guest()
        guest, host, began = scenario.guest, scenario.source, time.monotonic()
        slow_down(host, ENGINE)
        guest.qmp.cmd("stop")
        event(guest, "STOP", began)
        assert states(scenario) == "STOP"
        silent(host)
        guest.qmp.cmd("cont")
        event(guest, "RESUME", began)
        goes_on(scenario, guest)
        scenario.migrate()
        scenario.go_on()
        scenario.inspect()
        assert scenario.outcome.failures == []


def masters(bench: Bench, address: str) -> bool:
    """Whether the VF itself has bus mastering set."""
    return bool(int(bench.host.ssh.out(f"od -An -tu1 -j4 -N1 /sys/bus/pci/devices/{address}/config")) & 4)


@pytest.mark.parametrize("written", [False, True], ids=["cleared", "set"])
def test_bus_mastering_is_that_which_userspace_wrote_last(bench, written):
    """A VF that is stopped without a pause stays kept from memory whatever its VMM writes, and
    has after a restart what the VMM wrote last."""
    with bench.open() as vf:
        vf.bus_master(True)
        go(vf, State.STOP)
        assert not masters(bench, bench.vfs[0])
        vf.bus_master(written)
        assert not masters(bench, bench.vfs[0])
        go(vf, State.RUNNING)
        assert masters(bench, bench.vfs[0]) == written
