# SPDX-License-Identifier: GPL-2.0
"""Fault injection: each fault must have the documented effect, on the selected PF or VF only, and
end when it is removed."""

from __future__ import annotations

import pytest

from registers import PfOrVf, refusal
from test_model_engines import Hpre, Zip

BUSY, STATUS = 0x2000, 0x1E00
ALL_ONES = 0xFFFFFFFF
FAULTS = {"fault-function": "all", "fault-opcode": "all", "fault-mailbox": "none",
          "fault-writeback": "none", "fault-vf-state": "none", "fault-registers": "none", "fault-reraise": "none",
          "fault-msi-drop": 0, "error-reads": 0, "abnormal-error": 0, "engine-error": 0}


def break_it(vf: PfOrVf, **faults: object) -> None:
    """Set properties; underscores stand for dashes."""
    for name, value in faults.items():
        assert not vf.model.set(name.replace("_", "-"), value)


def test_nothing_is_broken_by_itself(start):
    """All faults must be off by default."""
    vf = start()
    assert {name: vf.model.property(name) for name in FAULTS} == FAULTS


def test_a_mailbox_stays_busy_until_it_is_let_go(start):
    """With fault-mailbox=busy a command must stay busy until the fault is removed."""
    vf = start()
    break_it(vf, fault_mailbox="busy")
    vf.mailbox(4, 0x1234)
    vf.model.step(10_000_000)
    assert vf.read(0x300) & BUSY
    vf.mailbox(4, 0x5678)
    assert vf.guest_errors() == {"mailbox-busy"}
    break_it(vf, fault_mailbox="none")
    vf.model.run_due()
    assert not vf.read(0x300) & BUSY and vf.ask(4, get=True) == 0x1234


def test_a_reset_ends_what_is_stuck(start):
    """A VF reset must end commands and write-backs that are stuck."""
    vf = start()
    break_it(vf, fault_mailbox="busy", fault_writeback="stuck")
    vf.mailbox(4, 0x1234)
    vf.write(0x204, 1)
    vf.model.reset(1)
    assert vf.read(0x300) == 0 and vf.read(0x208) == 1
    break_it(vf, fault_mailbox="none", fault_writeback="none")
    vf.model.run_due()
    assert vf.ask(4, get=True) == 0, "a command was not ended by the reset"


def test_a_mailbox_command_fails_and_does_nothing(start):
    """With fault-mailbox=fail the command must set the error status without effect."""
    vf = start()
    break_it(vf, fault_mailbox="fail", fault_opcode="4")
    vf.mailbox(4, 0x1234)
    assert vf.read(0x300) & (STATUS | BUSY) == 0x200
    vf.ask(5, 0x5678)                   # another opcode
    break_it(vf, fault_mailbox="none")
    assert vf.ask(4, get=True) == vf.sq_table
    assert vf.ask(5, get=True) == 0x5678


def test_a_mailbox_answers_garbage(start):
    """With fault-mailbox=garbage a read must return a fixed pattern."""
    vf = start()
    break_it(vf, fault_mailbox="garbage", fault_opcode="4")
    assert vf.ask(4, get=True) == 0xA5A5A5A5A5A5A5A5
    assert vf.ask(5, get=True) == vf.cq_table


def test_faults_concern_one_vf(start):
    """With fault-function, other VFs must not be affected."""
    vf = start()
    other = PfOrVf(vf.model, 2)
    break_it(vf, fault_function="1", fault_mailbox="fail", fault_registers="all-ones",
             fault_vf_state="ready", fault_writeback="stuck", fault_msi_drop=7)
    other.start()
    assert other.ask(4, get=True) == other.sq_table
    other.submit(0)
    assert vf.model.interrupt(2) == 0 and other.reap(0) == [(0, 0)]
    other.write(0x204, 1)
    assert other.read(0x208) == 1
    assert vf.model.property("fault-msi-drop") == 7 and not other.guest_errors()
    assert vf.model.property("fault-function") == "1"


def test_a_write_back_that_never_ends(start):
    """With fault-writeback=stuck the write-back must complete when the fault is removed."""
    vf = start()
    vf.submit(0)
    vf.reap(0)
    break_it(vf, fault_writeback="stuck")
    vf.write(0x204, 1)
    vf.model.step(60_000_000)
    assert vf.read(0x208) == 0 and vf.saved_sqc(0) == (0, 0, 0)
    break_it(vf, fault_writeback="none")
    vf.model.run_due()
    assert vf.read(0x208) == 1 and vf.saved_sqc(0) == (1, 1, vf.sq(0))


@pytest.mark.parametrize("fault, shown", [("ready", 0), ("not-ready", 1)])
def test_vf_state_is_stuck(start, fault, shown):
    """fault-vf-state must override VF_STATE."""
    vf = start()
    break_it(vf, fault_vf_state=fault)
    for value in (1, 0):
        vf.write(0x60, value)
        assert vf.read(0x60) == shown
    break_it(vf, fault_vf_state="none")
    assert vf.read(0x60) == 0


def test_registers_that_read_all_ones(start):
    """With fault-registers=all-ones reads must return all ones and writes be dropped, except in
    configuration space."""
    vf = start()
    break_it(vf, fault_registers="all-ones", fault_function="1")
    assert vf.read(0x300) == vf.read(0x60) == vf.read(0x8004) == vf.read(0x3100) == ALL_ONES
    assert vf.read(0x208, 1) == 0xFF and vf.read(0x0, 8) == (1 << 64) - 1
    vf.write(0x60, 1)
    vf.kick(0)
    assert vf.model.read(vf.model.config(1) + 4, 2) != 0xFFFF, "configuration space is inaccessible"
    break_it(vf, fault_registers="none")
    assert vf.read(0x60) == 0 and not vf.guest_errors()


def test_lost_interrupts(start):
    """fault-msi-drop must drop so many interrupts."""
    vf = start()
    break_it(vf, fault_msi_drop=2, fault_function="1")
    vf.submit(0)
    assert vf.model.interrupt(1) is None
    assert vf.model.property("fault-msi-drop") == 1
    vf.doorbell(0, 2, 0)                # the entry is unconsumed: raised again
    assert vf.model.interrupt(1) is None
    vf.doorbell(0, 2, 0)
    assert vf.model.interrupt(1) == 0
    assert vf.events()["msi-dropped"] == 2 and vf.events()["msi-eq"] == 1


@pytest.mark.parametrize("name, status, source", [
    ("abnormal-error", 0x100008, 0x100000), ("engine-error", 0x301008, 0x301010)])
def test_errors_are_reported_until_cleared(start, name, status, source):
    """An error must be reported, with an interrupt, until it is cleared."""
    vf = start()
    pf = PfOrVf(vf.model, 0)
    unmask(pf)
    assert pf.read(status) == 0 and vf.model.interrupt(0) is None
    assert not vf.model.set(name, 0x12)
    assert pf.read(status) == 0x12 and vf.model.interrupt(0) == 3
    pf.write(source, 0x10)
    assert pf.read(status) == 2 == vf.model.property(name)
    assert not vf.model.set(name, 0)
    assert pf.read(status) == 0 and vf.model.interrupt(0) is None


def test_a_masked_error_is_not_reported(start):
    """A masked error must be in the source register only."""
    vf = start()
    pf = PfOrVf(vf.model, 0)
    pf.write(0x100004, 0xFFFFFFFD)
    assert not vf.model.set("abnormal-error", 5)
    assert pf.read(0x100008) == 0 and pf.read(0x100000) == 5
    assert vf.model.interrupt(0) is None


@pytest.mark.parametrize("name, status", [("abnormal-error", 0x100008), ("engine-error", 0x301008)])
def test_an_error_that_is_over_after_so_many_reads(start, name, status):
    """error-reads must count reads of a status that shows an error, and then clear the error and
    open the bus."""
    vf = start()
    pf = PfOrVf(vf.model, 0)
    unmask(pf)
    pf.write(QM_ERRORS[1], 4)
    pf.write(ENGINE_ERRORS[PfOrVf][1], 4)
    break_it(vf, error_reads=2)
    assert pf.read(status) == 0
    assert not vf.model.set(name, 4)
    vf.submit(0)
    assert pf.read(status) == 4 and vf.model.property("error-reads") == 1 and not vf.reap(0)
    assert pf.read(status) == 4 and pf.read(status) == 0 == vf.model.property(name)
    assert vf.reap(0) == [(0, 0)]
    assert not vf.model.set(name, 4)    # the next error has no such limit
    assert {pf.read(status) for _ in range(5)} == {4}


@pytest.mark.parametrize("name, select, source", [
    ("abnormal-error", 0x1040F8, 0x100000), ("engine-error", 0x301014, 0x301010)])
def test_an_error_that_is_selected_for_it_keeps_requests_from_memory(start, name, select, source):
    """An error selected for it must close the bus: requests wait in the engine or ring until it is cleared."""
    vf = start(",request-latency=100")
    pf = PfOrVf(vf.model, 0)
    pf.write(select, 4)
    assert not vf.model.set(name, 2)    # not selected
    vf.submit(0)
    vf.model.step(100)
    assert vf.reap(0) == [(0, 0)]
    vf.submit(0)
    vf.model.step(1)                    # the engine has fetched it
    assert not vf.model.set(name, 4)
    vf.submit(0)
    vf.model.step(10_000)
    assert not vf.reap(0) and vf.events()["requests-fetched"] == 2
    vf.ask(0xE)                         # during a pause they stay in the ring
    vf.write(0x204, 1)
    assert vf.read(0x208) == 0 and vf.saved_sqc(0) == (0, 0, 0)
    pf.write(source, 4)
    vf.model.run_due()
    assert vf.read(0x208) == 1 and vf.saved_sqc(0)[:2] == (1, 3)
    vf.kick(0)
    for _ in range(2):
        vf.model.step(100)
    assert vf.reap(0) == [(1, 0), (2, 0)] and not vf.guest_errors()


#: error registers of each accelerator: mask, whether 1 enables, status, register that raises errors
#: or None
MASKS = {PfOrVf: (0x301000, True, 0x301008, None), Zip: (0x3010A4, False, 0x3010AC, 0x3010A8),
         Hpre: (0x301400, False, 0x301800, 0x301500)}


def unmask(pf: PfOrVf, kind: type[PfOrVf] = PfOrVf, bits: int = ALL_ONES) -> None:
    """Unmask these errors and mask all others."""
    pf.write(0x100004, bits ^ ALL_ONES)
    mask, enables, _, _ = MASKS[kind]
    pf.write(mask, bits if enables else bits ^ ALL_ONES)


@pytest.mark.parametrize("kind", MASKS, ids=lambda kind: kind.DEVICE)
def test_errors_of_the_engine_are_masked_as_its_driver_does(start, kind):
    """All engine errors must be masked at reset. The mask must not keep an error from closing the
    bus: ZIP's driver closes it by a masked error."""
    vf = start(kind=kind)
    pf = PfOrVf(vf.model, 0)
    status, source = MASKS[kind][2], ENGINE_ERRORS[kind][0]
    assert not vf.model.set("engine-error", 6)
    assert pf.read(status) == 0 and pf.read(source) == 6 and vf.model.interrupt(0) is None
    unmask(pf, kind, 2)
    assert pf.read(status) == 2 and vf.model.interrupt(0) == 3
    unmask(pf, kind, 3)
    assert vf.model.interrupt(0) is None, "an interrupt for an earlier error"
    unmask(pf, kind, 0)
    assert pf.read(status) == 0
    pf.write(ENGINE_ERRORS[kind][1], 4)
    vf.submit(0, bytes(kind.SQE))
    vf.model.step(10)
    assert completed(vf) == [0]


@pytest.mark.parametrize("kind", [Zip, Hpre], ids=lambda kind: kind.DEVICE)
def test_a_driver_raises_an_error_of_the_engine(start, kind):
    """A driver must be able to raise an engine error; ZIP's does so to close the bus before a reset."""
    vf = start(kind=kind)
    pf = PfOrVf(vf.model, 0)
    unmask(pf, kind)
    pf.write(MASKS[kind][3], 2)
    assert pf.read(ENGINE_ERRORS[kind][0]) == 2 and vf.model.interrupt(0) == 3
    assert not pf.guest_errors()


def test_an_unmasked_error_of_the_queue_manager_interrupts(start):
    """Unmasking an error of the queue manager must raise the interrupt."""
    vf = start()
    pf = PfOrVf(vf.model, 0)
    assert not vf.model.set("abnormal-error", 6)
    pf.write(0x100004, ALL_ONES - 2)
    assert vf.model.interrupt(0) == 3
    pf.write(0x100004, ALL_ONES - 3)
    assert vf.model.interrupt(0) is None
    pf.write(0x100004, ALL_ONES - 7)
    assert vf.model.interrupt(0) == 3


#: error registers of each accelerator: source, and selection of errors that close the bus
ENGINE_ERRORS = {PfOrVf: (0x301010, 0x301014), Zip: (0x3010A0, 0x30120C), Hpre: (0x301600, 0x301A3C)}
QM_ERRORS = (0x100000, 0x1040F8)


def completed(*vfs: PfOrVf) -> list[int]:
    """Completed requests of the PF and each VF."""
    return [vf.events()["requests-completed"] for vf in vfs]


@pytest.mark.parametrize("opens", ["driver clears it", "user clears it", "other selection", "no selection",
                                   "loss of bus mastering"])
@pytest.mark.parametrize("engine", [False, True], ids=["queue manager", "engine"])
@pytest.mark.parametrize("kind", ENGINE_ERRORS, ids=lambda kind: kind.DEVICE)
def test_requests_that_wait_for_the_bus_go_on_however_it_opens(start, kind, engine, opens):
    """When the bus opens, by the error's end or its deselection, all VFs must complete pending
    requests without another doorbell. The stock drivers write the selection alone around a VF
    reset."""
    vf = start(",request-latency=100,bus-master-off=reset", kind)
    model, pf, other = vf.model, PfOrVf(vf.model, 0), kind(vf.model, 2)
    other.start()
    name = "engine-error" if engine else "abnormal-error"
    source, select = ENGINE_ERRORS[kind] if engine else QM_ERRORS
    pf.write(select, 4)
    for f in (vf, other):
        f.submit(0, bytes(kind.SQE))
    model.step(1)                       # the engine has fetched them
    assert not model.set(name, 4)
    for f in (vf, other):
        f.submit(1, bytes(kind.SQE))
    model.step(10_000)
    assert completed(vf, other) == [0, 0]
    match opens:
        case "driver clears it":
            pf.write(source, 4)
        case "user clears it":
            assert not model.set(name, 0)
        case "other selection":
            pf.write(select, 8)
        case "no selection":
            pf.write(select, 0)
        case "loss of bus mastering":   # an FLR of the PF resets its registers alone
            model.write(model.config(0) + 4, 2, 2)
            model.assign(1, 4, 4)
            model.assign(2, 8, 4)
    model.step(1)                       # the latency of the fetched requests has passed
    assert completed(vf, other) == [1, 1]
    model.step(100)
    assert completed(vf, other) == [2, 2]


@pytest.mark.parametrize("command", range(4))
@pytest.mark.parametrize("get", [False, True])
def test_no_context_is_loaded_or_dumped_while_the_bus_is_closed(start, command, get):
    """While the bus is closed no context may be loaded or dumped: Linux' drivers do not try, as it
    "will fail"."""
    vf = start()
    pf = PfOrVf(vf.model, 0)
    pf.write(QM_ERRORS[1], 4)
    assert not vf.model.set("abnormal-error", 4)
    before = vf.events()["dma-bytes-read"], vf.events()["dma-bytes-written"]
    vf.mailbox(command, vf.buffer, get=get)
    assert vf.read(0x300, 2) & (BUSY | STATUS) == 0x200
    assert (vf.events()["dma-bytes-read"], vf.events()["dma-bytes-written"]) == before
    assert vf.ask(4, get=True) == vf.sq_table and not vf.guest_errors()


def dma(vf: PfOrVf) -> tuple[int, int]:
    """Bytes that the VF has read and written."""
    return vf.events()["dma-bytes-read"], vf.events()["dma-bytes-written"]


@pytest.mark.parametrize("options, ring", [
    ("", lambda vf: vf.kick(0)), (",context-fetch=doorbell", lambda vf: vf.doorbell(0, 0, 1)),
    (",context-fetch=doorbell", lambda vf: vf.doorbell(0, 1, 0, priority=1))], ids=["resume", "SQ", "CQ"])
def test_no_doorbell_fetches_a_context_while_the_bus_is_closed(start, options, ring):
    """While the bus is closed, a doorbell that needs a context from memory must be lost."""
    vf = start(options)
    pf = PfOrVf(vf.model, 0)
    vf.write(0x204, 1)
    assert vf.read(0x208) == 1
    pf.write(0x300000, 1)
    before = dma(vf)
    ring(vf)
    vf.model.run_due()
    assert dma(vf) == before and vf.events()["contexts-fetched"] == 0
    assert vf.events()["dma-while-bus-closed"] == 1
    pf.write(0x300000, 0)
    vf.model.run_due()
    assert vf.events()["contexts-fetched"] == 0
    vf.kick(0)
    vf.submit(0)
    assert vf.reap(0) == [(0, 0)]


def test_no_event_is_written_while_the_bus_is_closed(start):
    """While the bus is closed, arming a completion queue must write no event; it must follow when the
    bus opens."""
    vf = start()
    pf = PfOrVf(vf.model, 0)
    for _ in range(2):                  # the second completion finds the queue not armed
        vf.submit(0)
        vf.model.run_due()
    assert vf.model.interrupt(1) == 0 and vf.events()["eqes"] == 1
    vf.doorbell(0, 2, 1)
    pf.write(0x300000, 1)
    before = dma(vf)
    vf.doorbell(0, 1, 1, priority=1)
    assert dma(vf) == before and vf.model.interrupt(1) is None
    pf.write(0x300000, 0)
    assert vf.model.interrupt(1) == 0 and vf.events()["eqes"] == 2


def test_a_request_whose_error_closes_the_bus_completes_when_it_opens(start):
    """A request whose error closes the bus must be done once, and complete when the bus opens."""
    vf = start()
    pf = PfOrVf(vf.model, 0)
    source, select = ENGINE_ERRORS[PfOrVf]
    pf.write(select, 1)
    vf.submit(0, vf.request(1 << 52, vf.data))
    vf.model.step(1000)
    assert pf.read(source) == 1 and vf.events()["requests-failed"] == 1
    assert completed(vf) == [0] and vf.events()["cqes"] == 0 and vf.events()["dma-while-bus-closed"] == 0
    pf.write(source, 1)
    ((index, error),) = vf.reap(0)
    assert index == 0 and error and vf.events()["requests-failed"] == 1


#: the register and bit of each accelerator by which its driver opens the bus after a reset
OPENING = {PfOrVf: (0x301200, 1 << 12), Zip: (0x30100C, 1 << 14), Hpre: (0x301044, 1 << 0)}


@pytest.mark.parametrize("engine", [False, True], ids=["queue manager", "engine"])
@pytest.mark.parametrize("kind", OPENING, ids=lambda kind: kind.DEVICE)
@pytest.mark.parametrize("reopen", ["clear", "toggle"])
def test_what_opens_the_bus_after_an_error(start, reopen, kind, engine):
    """With bus-reopen=toggle a bus that an error closed must stay closed until no error closes it and
    the driver has cleared the engine's shutdown enable."""
    vf = start(f",bus-reopen={reopen}", kind)
    pf = PfOrVf(vf.model, 0)
    control, enable = OPENING[kind]
    source, select = ENGINE_ERRORS[kind] if engine else QM_ERRORS
    pf.write(control, enable)
    pf.write(select, 4)
    assert not vf.model.set("engine-error" if engine else "abnormal-error", 4)
    vf.submit(0, bytes(kind.SQE))
    pf.write(control, 0)                # the error is still there
    pf.write(control, enable)
    vf.model.run_due()
    assert completed(vf) == [0]
    pf.write(source, 4)
    vf.model.run_due()
    assert completed(vf) == [int(reopen == "clear")]
    pf.write(control, 0)
    pf.write(control, enable)
    vf.model.run_due()
    assert completed(vf) == [1]


def test_the_pf_closes_the_bus(start):
    """Register 0x300000 must close the bus; the drivers end all DMA with it before a reset."""
    vf = start()
    pf = PfOrVf(vf.model, 0)
    pf.write(0x300000, 1)
    assert pf.read(0x300150) == 3
    vf.submit(0)
    vf.model.step(1000)
    assert completed(vf) == [0] and vf.events()["requests-fetched"] == 0
    pf.write(0x300000, 0)
    vf.model.run_due()
    assert vf.reap(0) == [(0, 0)]


def test_the_bus_is_closed_until_no_error_closes_it(start):
    """With two errors that close the bus, it must stay closed until both are cleared."""
    vf = start(",request-latency=100")
    pf = PfOrVf(vf.model, 0)
    pf.write(QM_ERRORS[1], 4)
    pf.write(ENGINE_ERRORS[PfOrVf][1], 2)
    assert not vf.model.set("abnormal-error", 4) and not vf.model.set("engine-error", 2)
    vf.submit(0)
    pf.write(QM_ERRORS[1], 0)
    vf.model.step(10_000)
    pf.write(QM_ERRORS[1], 4)
    pf.write(ENGINE_ERRORS[PfOrVf][0], 2)
    vf.model.step(10_000)
    assert vf.events()["requests-fetched"] == 0
    pf.write(QM_ERRORS[1], 0)
    for _ in range(2):
        vf.model.step(100)
    assert vf.reap(0) == [(0, 0)]


def test_a_reset_of_all_opens_the_bus_and_leaves_nothing_behind(start):
    """A device reset must open the bus and discard what waited for it; later requests must complete."""
    vf = start(",request-latency=100")
    pf = PfOrVf(vf.model, 0)
    pf.write(QM_ERRORS[1], 4)
    assert not vf.model.set("abnormal-error", 4)
    vf.submit(0)
    vf.model.step(10_000)
    vf.model.reset(0)
    vf.model.bring_up()
    vf.model.step(10_000)
    assert completed(vf) == [0]
    vf.start()
    vf.submit(0)
    for _ in range(2):
        vf.model.step(100)
    assert vf.reap(0) == [(0, 0)]


@pytest.mark.parametrize("option, words", [
    ("fault-mailbox=slow",
     "fault-mailbox must be 'none', 'busy', 'fail' or 'garbage', not 'slow'"),
    ("fault-writeback=slow", "fault-writeback must be 'none' or 'stuck', not 'slow'"),
    ("fault-vf-state=odd", "fault-vf-state must be 'none', 'ready' or 'not-ready', not 'odd'"),
    ("fault-registers=zero", "fault-registers must be 'none' or 'all-ones', not 'zero'"),
    ("function-error=1", "function-error can only be set once the device exists, with hw-version=v5"),
    ("engine-error=1", "engine-error can only be set once the device exists"),
    ("fault-function=64", "fault-function must be 'all' or a number from 0 to 63, not '64'"),
    ("fault-opcode=pause", "fault-opcode must be 'all' or a number from 0 to 15, not 'pause'"),
    ("abnormal-error=1", "abnormal-error can only be set once the device exists"),
    ("access-trace=/nowhere/x",
     "access-trace cannot write to '/nowhere/x': No such file or directory"),
])
def test_a_wrong_fault_is_refused_with_a_sentence(outer, option, words):
    """An invalid fault must be rejected with one line."""
    assert refusal(outer, option) == words


def counted(vf: PfOrVf, kind: str) -> dict[str, int]:
    """The counters that are not zero."""
    counters = vf.model.property("counters", vf.number)[kind]
    return {name: count for name, count in counters.items() if count}


def test_accesses_are_counted_by_region_and_width(start):
    """Accesses must be counted by region and width."""
    vf = start()
    pf = PfOrVf(vf.model, 0)
    before = [counted(f, kind) for f in (vf, pf) for kind in ("reads", "writes")]

    for size in (1, 2, 4, 8):
        vf.read(0x300, size)
    vf.read(0x8000)
    vf.write(0x8004, vf.read(0x8004))
    vf.write(0x34, 1)
    vf.kick(0)
    pf.read(0x30)
    pf.read(0x100008)
    pf.read(0x100138, 8)
    pf.write(0x100138, 0, 8)

    after = [counted(f, kind) for f in (vf, pf) for kind in ("reads", "writes")]
    more = [{name: count - old.get(name, 0) for name, count in new.items()
             if count != old.get(name, 0)} for old, new in zip(before, after, strict=True)]
    assert more == [
        {"function-1": 1, "function-2": 1, "function-4": 1, "function-8": 1, "mig-regs-4": 2},
        {"mig-regs-4": 1, "function-4": 1, "function-8": 1},
        {"function-4": 1, "global-4": 1, "global-8": 1},
        {"global-8": 1}]


def test_accesses_are_written_down_in_order(start, tmp_path):
    """access-trace must have each access in order."""
    vf = start()
    pf = PfOrVf(vf.model, 0)
    trace = tmp_path / "trace"
    assert not vf.model.set("access-trace", str(trace))
    vf.write(0x34, 2)
    vf.read(0x34, 2)
    pf.read(0x100008)
    vf.kick(1)
    assert not vf.model.set("access-trace", "")
    vf.read(0x34)
    lines = [line.split() for line in trace.read_text().splitlines()]
    assert [line[1:] for line in lines] == [
        ["1", "2", "W", "4", "0x34", "0x2"], ["1", "2", "R", "2", "0x34", "0x2"],
        ["0", "2", "R", "4", "0x100008", "0x0"],
        ["1", "2", "W", "8", "0x1000", "0x1000000000001"]]
    times = [int(line[0]) for line in lines]
    assert times == sorted(times)
    assert vf.model.property("access-trace") == ""


def test_qemus_trace_events_have_what_the_device_does(start):
    """QEMU's trace events must have accesses, mailbox commands, counted events, each error and what
    the device reports; only when they are enabled."""
    vf = start()
    pf = PfOrVf(vf.model, 0)
    vf.write(0x34, 1)
    vf.model.qmp("trace-event-set-state", name="hisi_acc_*", enable=True)
    vf.write(0x34, 2)
    vf.ask(8, queue=1)
    vf.kick(0)
    vf.read(0x3300)
    vf.read(0x3300)
    pf.write(0x10000c, 0x800)
    vf.model.qmp("trace-event-set-state", name="hisi_acc_*", enable=False)
    vf.write(0x34, 3)
    lines = [line.partition(" ")[2] for line in vf.model.log.read_text().splitlines() if line.startswith("hisi_acc_")]
    for line, times in {"hisi-sec2 VF 1: BAR2 write of 4 bytes at 0x34: 0x1": 0,
                        "hisi-sec2 VF 1: BAR2 write of 4 bytes at 0x34: 0x2": 1,
                        "hisi-sec2 VF 1: BAR2 write of 4 bytes at 0x34: 0x3": 0,
                        "hisi-sec2 VF 1: command 0x8, get 0, queue 1, data 0x0": 1,
                        "hisi-sec2 VF 1: command 0x8 done 1, data 0x0": 1,
                        "hisi-sec2 VF 1: undefined-register (0x3300)": 2,
                        "hisi-sec2 VF 1: kicks +1": 1,
                        "hisi-sec2 PF: BAR2 write of 4 bytes at 0x10000c: 0x800": 1,
                        "hisi-sec2: errors of the queue manager 0x800": 1}.items():
        assert lines.count(line) == times, (line, lines)


def test_what_the_device_does_is_counted(start):
    """Each action of the device must be counted."""
    vf = start()
    before = vf.model.property("counters", 1)
    vf.submit(0)
    assert vf.model.interrupt(1) == 0 and vf.reap(0) == [(0, 0)]
    vf.doorbell(0, 2, 1)
    vf.doorbell(0, 3, 0)
    vf.ask(4, get=True)
    vf.ask(8)
    vf.write(0x204, 1)
    more = {group: {name: count - before[group][name] for name, count in counts.items() if count != before[group][name]}
            for group, counts in vf.model.property("counters", 1).items() if group not in ("reads", "writes")}
    # memory accesses: request, key, text; result, 4 bytes in the request, CQE, EQE, and a context
    # for each ring of two queues
    assert more == {"guest-errors": {}, "mailbox-get": {"sqc-table": 1}, "mailbox-set": {"stop-queue": 1}, "events": {
        "sq-doorbells": 1, "cq-doorbells": 1, "eq-doorbells": 1, "aeq-doorbells": 1,
        "requests-fetched": 1, "requests-completed": 1, "cqes": 1, "eqes": 1, "msi-eq": 1,
        "write-backs": 1, "contexts-written-back": 4, "reads": 6, "writes": 9,
        "dma-bytes-read": 128 + 16 + 16, "dma-bytes-written": 16 + 4 + 16 + 4 + 4 * 32}}
