# SPDX-License-Identifier: GPL-2.0
"""This driver on a failing device: a failed state transition must leave the previous state or
ERROR, and a reset must make the VF usable again."""

from __future__ import annotations

import errno
import io
from collections.abc import Iterator

import pytest

import steps
from bench import wait_until
from defect_scenarios import works
from lab.core import hardware, paths
from lab.core.progress import Steps
from lab.scenario import accelerator
from lab.scenario.config import MODEL, HostConfig
from lab.scenario.host import Host
from lab.scenario.session import Session
from kernels import EACH
from steps import DATA_SIZE, State

SEC = hardware.ENGINES["sec"]
SQC_TABLE, PAUSE = "4", "14"
QUEUES = {"queues": str(hardware.PF_QUEUES + 2)}     # one for each of two VFs


@pytest.fixture(scope="module", params=EACH)
def host(request, context) -> Iterator[Host]:
    """One host of each kernel for all tests here: each test leaves the device without faults."""
    program = steps.program(context)
    with Session(Steps(io.StringIO()), paths.BUILD / f"check/driver-faults-{request.param}") as session:
        (one,) = session.boot([session.spec("host", HostConfig(
            kernel=request.param, push={steps.REMOTE: program}, model={**MODEL, **QUEUES}))])
        accelerator.set_up(one.ssh, [SEC], 2)
        yield one


@pytest.fixture
def break_it(host):
    """Inject a fault for the first VF until the test ends; without arguments, remove all faults."""
    def now(**faults: object) -> None:
        for name, value in {**steps.SOUND, "fault-function": "1",
                            **{n.replace("_", "-"): v for n, v in faults.items()}}.items():
            host.set_model("sec", name, value)

    yield now
    now()
    host.set_model("sec", "fault-function", "all")


@pytest.fixture
def vf(host, break_it) -> Iterator[steps.Vf]:
    """The first VF, with a guest's driver using it."""
    del break_it                        # remove faults before the VF is closed
    address = accelerator.vfs(host.ssh, SEC)[0]
    with steps.Vf(host, address) as opened:
        opened.guest_up()
        yield opened


def works_after_a_reset(vf: steps.Vf) -> None:
    """In ERROR every transition must fail, and a reset must return to RUNNING."""
    if vf.state() == State.ERROR:
        assert vf.go(State.RUNNING) == ("EIO", State.ERROR)
    assert vf.reset() == ("", State.RUNNING)
    works(vf)


def kicks(host: Host) -> int:
    """Restarts of queues that the device has counted."""
    return host.counters("sec", 1)["events"]["kicks"]


def test_a_write_back_that_never_ends(host, vf, break_it):
    """A write-back that never ends must lead to ERROR."""
    break_it(fault_writeback="stuck")
    assert vf.go(State.STOP) == ("ETIMEDOUT", State.ERROR)
    break_it()
    works_after_a_reset(vf)


def test_a_write_back_that_is_late_for_stop_only(host, vf, break_it):
    """A late write-back must lead to STOP, to ERROR, or back to RUNNING with the queues restarted."""
    before = kicks(host)
    break_it(writeback_latency=12000)
    error, state = vf.go(State.STOP)
    break_it(writeback_latency=0)
    assert (error, state) in (("", State.STOP), ("ETIMEDOUT", State.ERROR),
                              ("ETIMEDOUT", State.RUNNING))
    assert state != State.RUNNING or kicks(host) > before, "state is RUNNING, but the VF is paused"
    works_after_a_reset(vf)


@pytest.mark.parametrize("faults, error, state", [
    ({"fault_mailbox": "fail", "fault_opcode": PAUSE}, "EIO", State.PRE_COPY),
    ({"fault_mailbox": "busy", "fault_opcode": PAUSE}, "ETIMEDOUT", State.ERROR),
    ({"fault_writeback": "stuck"}, "ETIMEDOUT", State.ERROR),
    ({"fault_registers": "all-ones"}, "EIO", State.PRE_COPY)])
def test_a_pre_copy_whose_stop_fails(host, vf, break_it, faults, error, state):
    """If the stop fails in pre-copy, the VF must stay in PRE_COPY or enter ERROR."""
    assert vf.go(State.PRE_COPY) == ("", State.PRE_COPY)
    break_it(**faults)
    assert vf.go(State.STOP_COPY) == (error, state)
    break_it()
    if state != State.ERROR:
        assert vf.go(State.RUNNING) == ("", State.RUNNING)
        works(vf)
    works_after_a_reset(vf)


@pytest.mark.parametrize("fault, error", [("fail", errno.EIO), ("busy", errno.ETIMEDOUT)])
def test_a_pre_copy_whose_save_fails(host, vf, break_it, fault, error):
    """If saving in pre-copy fails, read() must return the error and the guest must continue."""
    assert vf.go(State.PRE_COPY) == ("", State.PRE_COPY)
    break_it(fault_mailbox=fault, fault_opcode=SQC_TABLE)
    assert vf.go(State.STOP_COPY) == ("", State.STOP_COPY)
    assert vf.read_migration_data() == -error
    break_it()
    before = kicks(host)
    assert vf.go(State.RUNNING) == ("", State.RUNNING)
    assert kicks(host) > before, "state is RUNNING, but the VF is paused"
    works(vf)


@pytest.mark.parametrize("fault, error, after", [
    ("fail", "EIO", State.RUNNING), ("busy", "ETIMEDOUT", State.ERROR)])
def test_a_pause_that_is_not_taken(host, vf, break_it, fault, error, after):
    """A PAUSE command that fails must leave the VF running; one that gets no answer must lead to ERROR."""
    break_it(fault_mailbox=fault, fault_opcode=PAUSE)
    assert vf.go(State.STOP) == (error, after)
    break_it()
    if after == State.RUNNING:
        works(vf)
    works_after_a_reset(vf)


@pytest.mark.parametrize("fault, error", [("fail", errno.EIO), ("busy", errno.ETIMEDOUT)])
def test_a_mailbox_that_does_not_save(vf, break_it, fault, error):
    """After a save that failed in the mailbox, the next save must succeed."""
    assert vf.go(State.STOP) == ("", State.STOP)
    break_it(fault_mailbox=fault, fault_opcode=SQC_TABLE)
    assert vf.go(State.STOP_COPY) == ("", State.STOP_COPY)
    assert vf.read_migration_data() == -error
    break_it()
    assert vf.go(State.STOP) == ("", State.STOP)
    assert vf.go(State.STOP_COPY) == ("", State.STOP_COPY)
    assert vf.read_migration_data() == DATA_SIZE
    assert vf.go(State.RUNNING) == ("", State.RUNNING)
    works(vf)


def test_a_mailbox_that_fails_while_loading(vf, break_it):
    """A mailbox that fails while migration data is loaded must fail the transition."""
    assert vf.go(State.STOP_COPY) == ("", State.STOP_COPY)
    assert vf.read_migration_data() == DATA_SIZE
    assert vf.reset() == ("", State.RUNNING)
    assert vf.go(State.RESUMING) == ("", State.RESUMING)
    assert vf.write_migration_data() == DATA_SIZE
    break_it(fault_mailbox="fail", fault_opcode=SQC_TABLE)
    assert vf.go(State.RUNNING) == ("EIO", State.ERROR)
    break_it()
    works_after_a_reset(vf)


def test_a_table_that_is_garbage_is_never_sent(vf, break_it):
    """Migration data with an invalid table address must not be sent: read() fails with EBADMSG."""
    assert vf.go(State.STOP) == ("", State.STOP)
    break_it(fault_mailbox="garbage", fault_opcode=SQC_TABLE)
    assert vf.go(State.STOP_COPY) == ("", State.STOP_COPY)
    assert vf.read_migration_data() == -errno.EBADMSG
    break_it()
    assert vf.go(State.RUNNING) == ("", State.RUNNING)
    works(vf)


def test_a_vf_that_is_gone_while_running(vf, break_it):
    """With registers that read all ones, a stop must fail with EIO and leave the VF running."""
    break_it(fault_registers="all-ones")
    assert vf.go(State.STOP) == ("EIO", State.RUNNING)
    break_it()
    works(vf)


def test_a_vf_that_is_gone_while_stopped(vf, break_it):
    """With registers that read all ones, a stopped VF must fail read() with EIO."""
    assert vf.go(State.STOP) == ("", State.STOP)
    break_it(fault_registers="all-ones")
    assert vf.go(State.STOP_COPY) == ("", State.STOP_COPY)
    assert vf.read_migration_data() == -errno.EIO
    # as long as no register is needed
    assert vf.go(State.RUNNING) == ("EIO", State.RUNNING_P2P)
    break_it()
    assert vf.go(State.RUNNING) == ("", State.RUNNING)
    works(vf)


def test_a_vf_that_is_gone_while_loading(vf, break_it):
    """With registers that read all ones, loading must fail and leave the VF in RESUMING."""
    assert vf.go(State.STOP_COPY) == ("", State.STOP_COPY)
    assert vf.read_migration_data() == DATA_SIZE
    assert vf.reset() == ("", State.RUNNING)
    assert vf.go(State.RESUMING) == ("", State.RESUMING)
    assert vf.write_migration_data() == DATA_SIZE
    break_it(fault_registers="all-ones")
    assert vf.go(State.STOP) == ("ETIMEDOUT", State.RESUMING)
    break_it()
    works_after_a_reset(vf)


def test_a_guest_that_never_sets_vf_state(host, vf, break_it):
    """A VF whose guest never sets the ready state must be stopped and saved if it has an interrupt unmasked."""
    vf.guest_up(events=1)
    break_it(fault_vf_state="not-ready")
    before = host.counters("sec", 1)["mailbox-set"]["pause"]
    assert vf.go(State.STOP) == ("", State.STOP)
    assert host.counters("sec", 1)["mailbox-set"]["pause"] == before + 1
    assert vf.go(State.STOP_COPY) == ("", State.STOP_COPY)
    assert vf.read_migration_data() == DATA_SIZE
    stopped = kicks(host)
    assert vf.go(State.RUNNING) == ("", State.RUNNING)
    assert kicks(host) > stopped
    break_it()
    works(vf)


# the driver rings queues that the guest has not set up
@pytest.mark.expect("sec 1: .*: kick-without-table", "sec 1: .*: event-queue-unset")
def test_vf_state_ready_without_a_guest(vf, break_it):
    """A VF that reports ready without a guest driver must be saved and must resume."""
    assert vf.reset() == ("", State.RUNNING)
    break_it(fault_vf_state="ready")
    assert vf.go(State.STOP_COPY) == ("", State.STOP_COPY)
    assert vf.read_migration_data() == DATA_SIZE
    assert vf.go(State.RUNNING) == ("", State.RUNNING)
    break_it()
    works_after_a_reset(vf)


@pytest.mark.expect("hisi_acc_vfio_pci 0000:00:08.1: cannot be migrated now: (device|engine) error is 0x4$")
@pytest.mark.parametrize("what", ["abnormal-error", "engine-error"])
def test_an_error_of_the_device_keeps_it_here(host, vf, break_it, what):
    """With a device error, a VF must stop and resume, and PRE_COPY and read() must fail with EBUSY."""
    # the PF's driver gets no interrupt, so the error stays
    break_it(fault_function="0", fault_msi_drop=1)
    host.set_model("sec", what, 4)
    assert vf.go(State.PRE_COPY) == ("EBUSY", State.RUNNING)
    assert vf.go(State.STOP) == ("", State.STOP)
    assert vf.go(State.STOP_COPY) == ("", State.STOP_COPY)
    assert vf.read_migration_data() == -errno.EBUSY
    before = kicks(host)
    assert vf.go(State.RUNNING) == ("", State.RUNNING)
    assert kicks(host) > before, "state is RUNNING, but the VF is paused"
    break_it()
    works(vf)


# the stock driver's message for each error
@pytest.mark.expect(r"hisi_sec2 0000:00:08.0: (qm_ecc_1bit|sec_bd_err_rint) \[error status=0x8")
@pytest.mark.parametrize("what, bits", [("abnormal-error", 0x8), ("engine-error", 0x80)])
def test_an_error_that_the_stock_driver_clears(host, vf, break_it, what, bits):
    """A corrected error must be left to the PF's driver, which clears it."""
    host.set_model("sec", what, bits)
    wait_until(f"the driver clears {what}", lambda: not host.qmp.cmd(
        "qom-get", path="/machine/peripheral/sec", property=what))
    works(vf)


@pytest.mark.parametrize("access", ["all-ones", "abort"])
def test_a_vf_in_d3hot_is_not_accessed(host, vf, break_it, access):
    """The driver must not access a VF in D3hot, where an MMIO read may crash the host. A return to
    D0 resets the VF."""
    host.set_model("sec", "d3-access", access)
    vf.power(3)
    assert vf.go(State.PRE_COPY) == ("EIO", State.RUNNING)
    assert vf.go(State.STOP) == ("", State.STOP)
    assert vf.go(State.STOP_COPY) == ("", State.STOP_COPY)
    assert vf.read_migration_data() == -errno.EIO
    assert vf.go(State.RUNNING) == ("", State.RUNNING)
    vf.power(0)
    works(vf)
    # put into D3hot only after the stop
    assert vf.go(State.STOP) == ("", State.STOP)
    vf.power(3)
    host.ssh.run(f"cat /sys/kernel/debug/vfio/{vf.address}/migration/hisi_acc/* > /dev/null", check=False)
    assert vf.go(State.RUNNING) == ("", State.RUNNING)
    vf.power(0)
    assert not host.counters("sec", 1)["guest-errors"]["access-in-d3"]
    works_after_a_reset(vf)
