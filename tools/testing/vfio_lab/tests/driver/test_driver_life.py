# SPDX-License-Identifier: GPL-2.0
"""Resets, unbinding and the module's removal in every state of a function that is
open, from other hands than its user's; and two functions beside each other."""

from __future__ import annotations

import dataclasses
import errno
import subprocess
from collections.abc import Iterator

import pytest

import bench as lab_bench
import tap
from bench import PF, RIVAL, VARIANT, Bench, wait_until
from defect_scenarios import SQC_TABLE, go, works
from lab.core import hardware
from lab.core.errors import LabError
from lab.scenario import accelerator
from steps import IMAGE, Function, State

STATES = (State.RUNNING, State.RUNNING_P2P, State.STOP, State.PRE_COPY, State.PRE_COPY_P2P, State.STOP_COPY,
          State.RESUMING)
HAS_FILE = (State.PRE_COPY, State.PRE_COPY_P2P, State.STOP_COPY, State.RESUMING)


@pytest.fixture(scope="module")
def bench(context) -> Iterator[Bench]:
    """One host for all tests here: each leaves both functions bound."""
    with lab_bench.one_host(context, "driver-life") as one:
        yield one


def waits(bench: Bench) -> int:
    """How often the kernel had to wait for a function's user."""
    return int(bench.host.ssh.out("dmesg | grep -c 'blocked until released by user' || true"))


def dead(vf: Function, state: State) -> bool:
    """Is the data file that came with the state of no use any more?"""
    return state not in HAS_FILE or (vf.write_image() if state == State.RESUMING else vf.read_image()) == -19


@pytest.mark.parametrize("state", STATES, ids=lambda s: s.name)
def test_a_reset_by_the_host(bench, state):
    """FLR through sysfs, below a user who knows nothing of it."""
    with bench.open() as vf:
        vf.guest_up()
        go(vf, state)
        bench.host.ssh.run(f"echo 1 > /sys/bus/pci/devices/{vf.address}/reset")
        assert vf.state() == State.RUNNING and dead(vf, state)
        works(vf)


@pytest.mark.parametrize("state", STATES, ids=lambda s: s.name)
def test_a_hot_reset_is_refused(bench, state):
    """Functions of the root complex have neither slot nor bus to reset."""
    with bench.open() as vf:
        vf.guest_up()
        go(vf, state)
        assert vf.hot_reset() == ("ENODEV", state)
        assert vf.reset() == ("", State.RUNNING)
        works(vf)


@pytest.mark.parametrize("how", ["unbind", "sriov_numvfs"])
@pytest.mark.parametrize("state", STATES, ids=lambda s: s.name)
def test_a_function_that_is_taken_away(bench, state, how):
    """Both wait for the user, who is asked to go, and then find nothing in the way."""
    address = bench.functions[0]
    what = f"echo {address} > /sys/bus/pci/drivers/{VARIANT}/unbind" if how == "unbind" else \
        f"echo 0 > {PF}/sriov_numvfs"
    before = waits(bench)
    with bench.open() as vf:
        vf.guest_up()
        go(vf, state)
        taking = bench.host.ssh.popen(what, stderr=subprocess.PIPE)
        wait_until("the kernel waits for the user", lambda: waits(bench) > before, 10)
        # the user is still served
        assert vf.state() == state
        if state in HAS_FILE:
            assert vf.write_image() == 0 if state == State.RESUMING else vf.read_image() > 0
        assert taking.poll() is None, "it did not wait for the user"
    assert taking.wait(30 * bench.host.patience) == 0
    if how == "sriov_numvfs":
        bench.enable(2)
    bench.bind()


@pytest.mark.parametrize("state", STATES, ids=lambda s: s.name)
def test_a_module_in_use_stays(bench, state):
    with bench.open() as vf:
        vf.guest_up()
        go(vf, state)
        assert bench.host.ssh.run(f"rmmod {VARIANT}", check=False).returncode
        assert vf.state() == state
    wait_until("the module is free", lambda: not bench.references(), 5)
    bench.unbind()
    bench.host.ssh.run(f"rmmod {VARIANT}")
    bench.bind()


def test_a_module_stays_while_a_data_file_is_open(bench):
    """Its code is what the file runs on."""
    with bench.open() as vf:
        go(vf, State.PRE_COPY)
        vf.close_device()
        bench.unbind()
        assert bench.host.ssh.run(f"rmmod {VARIANT}", check=False).returncode
        assert vf.read_image() == -19 and vf.precopy_info() == "ENODEV"
    bench.host.ssh.run(f"rmmod {VARIANT}")
    bench.bind()


def test_resets_from_all_sides(bench):
    """Resets by the host, others by a thread of the user's, while the user walks
    through all states. The host's end on their own: the kernel turns a user's reset
    away while another runs, so one who never paused could keep the user out for ever."""
    address = bench.functions[0]
    resets = bench.host.ssh.popen(
        f"n=0; until [ $n = 40 ]; do echo 1 > /sys/bus/pci/devices/{address}/reset || exit 1; n=$((n + 1)); done",
        stderr=subprocess.DEVNULL)
    said = bench.kselftest("resets_in_between", timeout=120)
    assert resets.wait(60 * bench.host.patience) == 0
    assert tap.verdicts(said) == {"resets_in_between": tap.PASSED}, said
    with bench.open() as vf:
        works(vf)


def test_nothing_of_a_guest_is_left(bench):
    """After the close: not in debugfs, not in the data file, not in the function."""
    with bench.open() as vf:
        vf.guest_up()
        go(vf, State.STOP_COPY)
        assert vf.read_image() == IMAGE
        shown = bench.host.ssh.out(f"cat /sys/kernel/debug/vfio/{vf.address}/migration/hisi_acc/migf_data")
        assert "00000000:" in shown
        vf.close_device()
        assert vf.read_image() == -19
        left = bench.host.ssh.out(f"cat /sys/kernel/debug/vfio/{vf.address}/migration/hisi_acc/*")
        assert left.splitlines() == ["device is not open", "device is not open", "no transfer"]
    with bench.open() as vf:
        assert vf.table() == 0 and vf.load(0x60) == 1


def test_saving_one_does_not_wait_for_another(bench):
    """The first one's mailbox hangs, the second is saved meanwhile; and a physical
    function's driver that waits its turn holds up nobody who has it."""
    with bench.open() as slow, bench.open(1) as other:
        slow.guest_up()
        other.guest_up()
        go(slow, State.STOP)
        with bench.broken(function="1", fault_mailbox="busy", fault_opcode=SQC_TABLE):
            # The first one gives up after a second, which a busy machine may need for
            # the other: that says nothing. One that waits is never saved in time.
            for _ in range(20):
                slow.start(State.STOP_COPY)
                go(other, State.STOP, State.STOP_COPY)
                assert other.read_image() == IMAGE
                early = slow.finish(0)
                assert (early or slow.finish()) == ("", State.STOP_COPY)
                assert slow.read_image() == -errno.ETIMEDOUT
                if not early:
                    break
                go(slow, State.STOP)
                go(other, State.RUNNING)
            else:
                pytest.fail("the other was never saved before the first had given up")
        go(slow, State.RUNNING)


def test_migration_and_reset_of_all_exclude_each_other(bench):
    """While the physical function is being reset, a stop touches nothing of the device;
    it waits, and succeeds. What can be refused without a loss is, and what needs no
    register goes on."""
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
        assert vf.read_image() == -errno.EBUSY
        go(vf, State.STOP)
        bench.tell("hold", 0)
        go(vf, State.RUNNING)
        works(vf)


def test_a_disturbed_read_of_the_queue_table_is_repeated(bench):
    """Somebody reads another function's entry all the time, without asking: what is
    learnt of a function is right, or nothing is."""
    def learnt() -> bytes:
        with bench.open() as vf:
            go(vf, State.PRE_COPY)
            assert vf.read_image() > 0
            return vf.image()[8:24]

    alone = learnt()
    with bench.rival():
        rude = bench.host.ssh.popen(f"echo '2 20000' > {RIVAL}/rude")
        times = 0
        while rude.poll() is None and times < 10:
            assert learnt() == alone
            times += 1
        assert times, "it was over before the first read"
        assert rude.wait(60 * bench.host.patience) == 0


def test_a_device_without_sr_iov_is_refused_with_a_sentence(bench):
    """The host's network card stands for an accelerator whose firmware has it switched
    off. A shell's complaint of a file would be caught."""
    card = dataclasses.replace(hardware.ENGINES["sec"], driver="virtio-pci", slot=1)
    with pytest.raises(LabError, match="0000:00:01.0 has no SR-IOV$"):
        accelerator.bring_up(bench.host.ssh, card, 2)
