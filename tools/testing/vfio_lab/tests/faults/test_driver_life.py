# SPDX-License-Identifier: GPL-2.0
"""Resets, unbinding and module removal while a VF is open, in every state; and two VFs at once."""

from __future__ import annotations

import dataclasses
import errno
import subprocess
from collections.abc import Iterator

import pytest

import bench as lab_bench
from bench import PF, RIVAL, VARIANT, Bench, wait_until
from defect_scenarios import SQC_TABLE, go, works
from lab.core import hardware
from lab.core.errors import LabError
from lab.scenario import accelerator
from steps import DATA_SIZE, Loops, State, Vf

pytestmark = pytest.mark.slow("removal of drivers in each state")

STATES = (State.RUNNING, State.RUNNING_P2P, State.STOP, State.PRE_COPY, State.PRE_COPY_P2P, State.STOP_COPY,
          State.RESUMING)
HAS_FILE = (State.PRE_COPY, State.PRE_COPY_P2P, State.STOP_COPY, State.RESUMING)
#: resets from all sides
RESETS = 80


@pytest.fixture(scope="module")
def bench(context) -> Iterator[Bench]:
    """One host for all tests here: each test leaves both VFs bound."""
    with lab_bench.one_host(context, "driver-life") as one:
        yield one


def waits(bench: Bench) -> int:
    """How often the kernel waited for a user of the VF."""
    return int(bench.host.ssh.out("dmesg | grep -c 'blocked until released by user' || true"))


def dead(vf: Vf, state: State) -> bool:
    """Whether the migration file of the state has become invalid."""
    return state not in HAS_FILE or (vf.write_migration_data() if state == State.RESUMING else vf.read_migration_data()) == -19


@pytest.mark.parametrize("state", STATES, ids=lambda s: s.name)
def test_a_reset_by_the_host(bench, state):
    """An FLR through sysfs must leave the VF in RUNNING with its migration files invalid, while a
    user has it open."""
    with bench.open() as vf:
        vf.guest_up()
        go(vf, state)
        bench.host.ssh.run(f"echo 1 > /sys/bus/pci/devices/{vf.address}/reset")
        assert vf.state() == State.RUNNING and dead(vf, state)
        works(vf)


def test_an_unused_vf_is_in_d3hot(bench):
    """A VF must be in D3hot while no user has it open, and in D0 for a user, with registers that work."""
    path = f"/sys/bus/pci/devices/{bench.vfs[0]}"

    def power() -> list[str]:
        return bench.host.ssh.out(f"cat {path}/power_state {path}/power/runtime_status").split()

    wait_until("the VF is in D3hot", lambda: power() == ["D3hot", "suspended"])
    with bench.open() as vf:
        assert power() == ["D0", "active"]
        works(vf)
    wait_until("the VF is in D3hot again", lambda: power() == ["D3hot", "suspended"])


@pytest.mark.parametrize("state", STATES, ids=lambda s: s.name)
def test_a_hot_reset_is_refused(bench, state):
    """A hot reset must be refused: the VFs are integrated endpoints, without slot or bus reset."""
    with bench.open() as vf:
        vf.guest_up()
        go(vf, state)
        assert vf.hot_reset() == ("ENODEV", state)
        assert vf.reset() == ("", State.RUNNING)
        works(vf)


@pytest.mark.parametrize("how", ["unbind", "sriov_numvfs"])
@pytest.mark.parametrize("state", STATES, ids=lambda s: s.name)
def test_a_vf_is_unbound_or_removed(bench, state, how):
    """Unbinding or removing the VF must wait until the user closes it, and must then succeed."""
    address = bench.vfs[0]
    what = f"echo {address} > /sys/bus/pci/drivers/{VARIANT}/unbind" if how == "unbind" else \
        f"echo 0 > {PF}/sriov_numvfs"
    before = waits(bench)
    with bench.open() as vf:
        vf.guest_up()
        go(vf, state)
        taking = bench.host.ssh.popen(what, stderr=subprocess.PIPE)
        wait_until("the kernel waits for the user", lambda: waits(bench) > before, 10)
        # the VF still serves its user
        assert vf.state() == state
        if state in HAS_FILE:
            assert vf.write_migration_data() == 0 if state == State.RESUMING else vf.read_migration_data() > 0
        assert taking.poll() is None, "unbinding did not wait for the user"
    assert taking.wait(30 * bench.host.timeout_scale) == 0
    if how == "sriov_numvfs":
        bench.enable(2)
    bench.bind()


@pytest.mark.parametrize("state", STATES, ids=lambda s: s.name)
def test_a_module_in_use_stays(bench, state):
    """In every state, an open VF must hold a reference to the module."""
    with bench.open() as vf:
        vf.guest_up()
        go(vf, state)
        assert bench.host.ssh.run(f"rmmod {VARIANT}", check=False).returncode
        assert vf.state() == state
    wait_until("the module is free", lambda: not bench.references(), 5)
    bench.unbind()
    bench.host.ssh.run(f"rmmod {VARIANT}")
    bench.bind()


def test_a_module_stays_while_a_migration_file_is_open(bench):
    """A migration file that is open must hold a reference to the module."""
    with bench.open() as vf:
        go(vf, State.PRE_COPY)
        vf.close_device()
        bench.unbind()
        assert bench.host.ssh.run(f"rmmod {VARIANT}", check=False).returncode
        assert vf.read_migration_data() == -19 and vf.precopy_info() == "ENODEV"
    bench.host.ssh.run(f"rmmod {VARIANT}")
    bench.bind()


def test_resets_from_all_sides(bench):
    """Resets by the host and by another thread of the user must be safe in every state."""
    address, before = bench.vfs[0], bench.count("resets")
    with Loops(bench.host, "race", [address]) as users, Loops(bench.host, "sysfs", [address]) as hosts:
        wait_until("the VF was reset often", lambda: bench.count("resets") > before + RESETS)
        for loop in hosts.end()[address], users.end()[address]:
            assert not loop.failed and loop.times > 1, loop
    with bench.open() as vf:
        works(vf)


def test_nothing_of_a_guest_is_left(bench):
    """After close, nothing of the guest may be left in debugfs, the migration file or the VF."""
    with bench.open() as vf:
        vf.guest_up()
        go(vf, State.STOP_COPY)
        assert vf.read_migration_data() == DATA_SIZE
        shown = bench.host.ssh.out(f"cat /sys/kernel/debug/vfio/{vf.address}/migration/hisi_acc/migf_data")
        assert "00000000:" in shown
        vf.close_device()
        assert vf.read_migration_data() == -19
        left = bench.host.ssh.out(f"cat /sys/kernel/debug/vfio/{vf.address}/migration/hisi_acc/*")
        assert left.splitlines() == ["device is not open", "device is not open", "no transfer"]
    with bench.open() as vf:
        assert vf.table() == 0 and vf.load(0x60) == 1


def test_saving_one_does_not_wait_for_another(bench):
    """Saving one VF must not wait for another whose mailbox hangs."""
    with bench.open() as slow, bench.open(1) as other:
        slow.guest_up()
        other.guest_up()
        go(slow, State.STOP)
        with bench.broken(vf="1", fault_mailbox="busy", fault_opcode=SQC_TABLE):
            # The first VF times out after a second. A loaded machine may take that long to save the
            # other one, which is no failure: a save that waits never ends in time.
            for _ in range(20):
                slow.start(State.STOP_COPY)
                go(other, State.STOP, State.STOP_COPY)
                assert other.read_migration_data() == DATA_SIZE
                early = slow.finish(0)
                assert (early or slow.finish()) == ("", State.STOP_COPY)
                assert slow.read_migration_data() == -errno.ETIMEDOUT
                if not early:
                    break
                go(slow, State.STOP)
                go(other, State.RUNNING)
            else:
                pytest.fail("the other was never saved before the first had given up")
        go(slow, State.RUNNING)


def test_migration_and_reset_of_all_exclude_each_other(bench):
    """While the PF is being reset, a stop must not touch the device; it waits and then succeeds.
    Starting a migration and read() fail with EBUSY; transitions that need no register succeed."""
    with bench.rival(), bench.open() as vf:
        vf.guest_up()
        bench.tell("hold", 1)
        before = bench.mailboxes()
        assert vf.go(State.PRE_COPY) == ("EBUSY", State.RUNNING)
        vf.start(State.STOP)
        assert not vf.finish(3)
        assert bench.mailboxes() == before
        bench.tell("hold", 0)
        assert vf.finish() == ("", State.STOP)

        bench.tell("hold", 1)
        go(vf, State.STOP_COPY)
        assert vf.read_migration_data() == -errno.EBUSY
        go(vf, State.STOP)
        bench.tell("hold", 0)
        go(vf, State.RUNNING)
        works(vf)


def test_a_disturbed_read_of_the_queue_table_is_repeated(bench):
    """The driver must read its queue table entry correctly while another user reads other entries
    without taking the lock."""
    def learnt() -> bytes:
        with bench.open() as vf:
            go(vf, State.PRE_COPY)
            assert vf.read_migration_data() > 0
            return vf.migration_data()[8:24]

    alone = learnt()
    with bench.rival():
        rude = bench.host.ssh.popen(f"echo '2 20000' > {RIVAL}/rude")
        times = 0
        while rude.poll() is None and times < 10:
            assert learnt() == alone
            times += 1
        assert times, "the transition ended before the first read"
        assert rude.wait(60 * bench.host.timeout_scale) == 0


def test_a_device_without_sr_iov_is_refused_with_a_sentence(bench):
    """For a device without SR-IOV the lab must report that, not a shell's error. The host's network
    card stands for an accelerator whose firmware disables SR-IOV."""
    card = dataclasses.replace(hardware.ENGINES["sec"], driver="virtio-pci", slot=1)
    with pytest.raises(LabError, match="0000:00:01.0 has no SR-IOV$"):
        accelerator.bring_up(bench.host.ssh, card, 2)
