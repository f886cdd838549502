# SPDX-License-Identifier: GPL-2.0
"""In D3hot, or without bus master enable, PF and VFs must start no DMA and no interrupt; properties
of the model select what happens to pending work."""

from __future__ import annotations

import pytest

from registers import CIPHER, VF_BAR, VF_DB_BAR, Model, PfOrVf
from test_model_versions import MigRegs, put_mig_regs

COMMAND, STATUS, FIRST_CAPABILITY = 0x4, 0x6, 0x34
MEMORY, MASTER = 2, 4
POWER_MANAGEMENT = 1
D0, D1, D2, D3HOT = range(4)
NO_SOFT_RESET = 8
PAUSE, BUSY, STATUS_BITS = 0xE, 0x2000, 0x1E00
ALL_ONES = 0xFFFFFFFF
SLOW = ",request-latency=1000"


def capability(model: Model, number: int, wanted: int = POWER_MANAGEMENT) -> int:
    """Offset of a capability, found as a kernel does; 0 if there is none."""
    config = model.config(number)
    assert model.read(config + STATUS, 2) & 0x10
    at = model.read(config + FIRST_CAPABILITY, 1)
    while at and model.read(config + at, 1) != wanted:
        at = model.read(config + at + 1, 1)
    return at


def power(f: PfOrVf, state: int) -> int:
    """Request a power state; returns the resulting one."""
    register = f.model.config(f.number) + capability(f.model, f.number) + 4
    f.model.write(register, f.model.read(register, 2) & ~3 | state, 2)
    return f.model.read(register, 2) & 3


def master(f: PfOrVf, on: bool) -> None:
    """Set or clear bus master enable."""
    f.model.write(f.model.config(f.number) + COMMAND, MEMORY | (MASTER if on else 0), 2)


def transferred(f: PfOrVf) -> int:
    """Bytes that the PF or VF has transferred by DMA."""
    events = f.events()
    return events["dma-bytes-read"] + events["dma-bytes-written"]


def guest_errors(f: PfOrVf, name: str) -> int:
    """Count of a guest error."""
    return f.model.property("counters", f.number)["guest-errors"][name]


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("option", ["off", "on"])
def test_pf_and_vfs_have_d3hot(start, number, option):
    """PF and VFs must support D0 and D3hot only, and report no_soft_reset."""
    vf = start(f",no-soft-reset={option}")
    f = PfOrVf(vf.model, number)
    at = vf.model.config(number) + capability(vf.model, number)
    assert vf.model.read(at + 2, 2) == 3, "more states than D0 and D3hot, or PME support"
    assert vf.model.read(at + 4, 2) == (NO_SOFT_RESET if option == "on" else 0)
    assert [power(f, state) for state in (D1, D2, D3HOT, D2, D1, D0)] == [D0, D0, D3HOT, D3HOT, D3HOT, D0]
    assert "once the device exists" in vf.model.set("no-soft-reset", "on")


def test_an_flr_ends_d3hot(start):
    """An FLR must return to D0."""
    vf = start()
    power(vf, D3HOT)
    before = vf.events()["resets"]
    vf.model.reset(1)
    assert power(vf, D0) == D0 and vf.events()["resets"] == before + 1
    vf.start()
    vf.submit(0)
    assert vf.reap(0) == [(0, 0)]


@pytest.mark.parametrize("isolation", ["off", "on"])
def test_registers_are_out_of_reach_in_d3hot(start, isolation):
    """In D3hot reads must return all ones and writes be dropped, except in configuration space."""
    vf = start(f",no-soft-reset=on,isolation={isolation},queues=16")
    other = PfOrVf(vf.model, 2)
    vf.write(0x34, 2)
    power(vf, D3HOT)
    assert vf.read(0x60) == vf.read(0x8004) == ALL_ONES and vf.read(0x0, 8) == (1 << 64) - 1
    assert vf.read(0x208, 1) == 0xFF
    vf.write(0x34, 1)
    vf.doorbell(0, 0, 1)
    assert guest_errors(vf, "access-in-d3") == 6
    if isolation == "on":
        assert vf.model.read(VF_DB_BAR + 0x1000) == ALL_ONES
        vf.model.write(VF_DB_BAR + 0x1000, 1 << 32, 8)
        assert guest_errors(vf, "access-in-d3") == 8
    assert vf.model.read(vf.model.config(1) + COMMAND, 2) == MASTER, "configuration space is inaccessible"
    assert other.read(0x60) == 1, "the other VF is inaccessible"
    power(vf, D0)
    assert vf.read(0x34) == 2 and vf.events()["sq-doorbells"] == 0
    assert vf.guest_errors() == {"access-in-d3"}


@pytest.mark.parametrize("access, seen", [("all-ones", set()), ("abort", {"dma-fault"})])
def test_how_d3hot_answers_is_a_choice(start, access, seen):
    """d3-access must select whether DMA of another VF to a VF in D3hot gets data or an error, as a CPU does."""
    vf = start()
    other = PfOrVf(vf.model, 2)
    other.start()
    assert not vf.model.set("d3-access", access)
    power(vf, D3HOT)
    other.submit(0, other.request(VF_BAR + 0x100, other.data))
    ((_, error),) = other.reap(0)
    other.submit(0, other.request(other.data, VF_BAR + 0x100))
    ((_, second),) = other.reap(0)
    assert bool(error) == bool(second) == bool(seen) and other.guest_errors() == seen
    assert guest_errors(vf, "access-in-d3") >= 2


def test_nothing_is_begun_in_d3hot_and_all_goes_on_in_d0(start):
    """In D3hot no DMA or interrupt may start; in D0 all requests must complete."""
    vf = start(SLOW + ",no-soft-reset=on")
    for _ in range(6):
        vf.submit(0)
    vf.model.step(1)                    # four in the engine, two in the ring
    power(vf, D3HOT)
    before = transferred(vf)
    vf.model.step(1_000_000)
    assert transferred(vf) == before and vf.model.interrupt(1) is None
    assert vf.events()["requests-fetched"] == 4
    power(vf, D0)
    for _ in range(3):
        vf.model.step(1000)
    assert vf.reap(0) == [(i, 0) for i in range(6)] and vf.model.interrupt(1) == 0
    assert vf.model.memory(vf.result_at(0, 5), 16) == CIPHER and not vf.guest_errors()


@pytest.mark.parametrize("no_soft_reset", ["off", "on"])
def test_an_interrupt_waits_for_d0(start, no_soft_reset):
    """An interrupt pending in D3hot must be raised in D0, unless the return to D0 resets it."""
    vf = start(f",no-soft-reset={no_soft_reset}")
    pf = PfOrVf(vf.model, 0)
    pf.write(0x24, 0)
    power(pf, D3HOT)
    vf.ask(0xC, 9)
    vf.write(0x2C, 1)
    assert vf.model.interrupt(0) is None and pf.events()["msi-ifc"] == 0
    power(pf, D0)
    assert vf.model.interrupt(0) == (2 if no_soft_reset == "on" else None)


@pytest.mark.parametrize("no_soft_reset", ["off", "on"])
def test_what_the_way_from_d3hot_to_d0_resets_is_a_choice(start, no_soft_reset):
    """no-soft-reset must select whether the return to D0 resets."""
    vf = start(f",no-soft-reset={no_soft_reset}{SLOW}")
    vf.submit(0)
    before = vf.events()["resets"]
    power(vf, D3HOT)
    power(vf, D3HOT)
    assert vf.events()["resets"] == before
    power(vf, D0)
    vf.model.step(2000)
    if no_soft_reset == "on":
        assert vf.events()["resets"] == before and vf.reap(0) == [(0, 0)]
        return
    assert vf.events()["resets"] == before + 1
    assert not vf.model.read(vf.model.config(1) + COMMAND, 2) & MASTER
    assert vf.read(0x60) == 1 and vf.read(0x8004) == 0 and vf.ask(4, get=True) == 0
    vf.model.enable(1)
    vf.start()
    vf.submit(0)
    for _ in range(2):
        vf.model.step(1000)
    assert vf.reap(0) == [(0, 0)] and not vf.guest_errors()


def test_the_pf_resets_on_its_way_to_d0(start):
    """The PF's return to D0 must reset like an FLR: VFs are disabled and lose their state."""
    vf = start()
    pf = PfOrVf(vf.model, 0)
    power(pf, D3HOT)
    assert vf.read(0x60) == 0, "the VF is inaccessible while the PF is in D3hot"
    power(pf, D0)
    assert vf.model.read(vf.model.config(0) + 0x208, 2) == 0
    vf.model.bring_up()
    assert vf.read(0x8004) == 0


def test_migration_registers_answer_for_a_vf_in_d3hot(start):
    """The migration registers of a VF in D3hot must be accessible, as they are in the PF's memory
    space. Commands and write-backs that need the VF's DMA must wait for D0, others not."""
    vf = start(",hw-version=v4,no-soft-reset=on")
    put_mig_regs(vf, 1)
    mig_regs = MigRegs(vf)
    vf.submit(0)
    assert vf.reap(0) == [(0, 0)]
    power(vf, D3HOT)
    before = transferred(vf)
    assert mig_regs.read(0x8004) == vf.eq & ALL_ONES
    assert mig_regs.ask(4, get=True) == vf.sq_table
    mig_regs.write(0x204, 1)
    mig_regs.mailbox(0, vf.buffer, get=True)
    vf.model.step(1_000_000)
    assert mig_regs.read(0x208) == 0 and mig_regs.read(0x300) & BUSY and transferred(vf) == before
    mig_regs.doorbell(0, 1, 1, priority=1)
    assert vf.events()["doorbells-without-bus-master"] == 1
    power(vf, D0)
    vf.model.run_due()
    assert mig_regs.read(0x208) == 1 and not mig_regs.read(0x300) & (BUSY | STATUS_BITS)
    assert vf.saved_sqc(0) == (1, 1, vf.sq(0)) and not vf.guest_errors()


def test_a_command_that_is_under_way_waits_too(start):
    """Commands and write-backs in progress must wait for D0, too."""
    vf = start(",no-soft-reset=on,hw-version=v4")
    put_mig_regs(vf, 1)
    mig_regs = MigRegs(vf)
    for latency in ("mailbox-latency", "writeback-latency"):
        assert not vf.model.set(latency, 100)
    vf.write(0x204, 1)
    vf.mailbox(0, vf.buffer, get=True)
    power(vf, D3HOT)
    before = transferred(vf)
    vf.model.step(1000)
    assert mig_regs.read(0x208) == 0 and mig_regs.read(0x300) & BUSY and transferred(vf) == before
    power(vf, D0)
    vf.model.run_due()
    assert mig_regs.read(0x208) == 1 and not mig_regs.read(0x300) & (BUSY | STATUS_BITS) and not vf.guest_errors()


@pytest.mark.parametrize("choice", ["keep", "lost"])
def test_migration_registers_after_d3hot_are_as_after_any_reset(start, choice):
    """mig-regs-reset must apply to the return to D0."""
    vf = start(f",hw-version=v4,mig-regs-reset={choice}")
    pf = put_mig_regs(vf, 1)
    power(pf, D3HOT)
    power(pf, D0)
    vf.model.bring_up()
    assert pf.read(0x100198) == (choice == "keep")


@pytest.mark.parametrize("choice", ["fail", "wait", "reset"])
def test_without_bus_master_a_doorbell_gives_no_dma(start, choice):
    """Without bus master a doorbell must cause no DMA; bus-master-off selects whether it fails,
    waits or resets."""
    vf = start(f",bus-master-off={choice}")
    if choice == "reset":               # the reset clears its queues
        master(vf, False)
        vf.doorbell(0, 0, 1)
        assert "doorbell-without-context" in vf.guest_errors() and vf.events()["doorbells-without-bus-master"] == 1
        return
    master(vf, False)
    before = transferred(vf)
    vf.submit(0)
    vf.model.step(1_000_000)
    assert transferred(vf) == before and vf.events()["doorbells-without-bus-master"] == 1
    assert vf.guest_errors() == ({"dma-without-bus-master"} if choice == "fail" else set())
    master(vf, True)
    vf.submit(1)
    assert vf.reap(1) == [(0, 0)], "other queues are lost, too"
    assert vf.reap(0) == ([] if choice == "fail" else [(0, 0)])
    assert vf.events()["doorbells-without-bus-master"] == 1
    if choice == "fail":                # like a ring at an unmapped address
        vf.submit(0)
        assert vf.guest_errors() == {"dma-without-bus-master", "doorbell-of-stopped-queue"}
        vf.set_up(0)
        vf.submit(0)
        assert vf.reap(0) == [(0, 0)]


@pytest.mark.parametrize("choice", ["fail", "wait"])
def test_requests_in_the_engine_when_bus_mastering_ends(start, choice):
    """Without bus master, requests in the engine must fail or wait."""
    vf = start(f",bus-master-off={choice}{SLOW}")
    for _ in range(6):
        vf.submit(0)
    vf.model.step(1)
    master(vf, False)
    before = transferred(vf)
    vf.model.step(1_000_000)
    assert transferred(vf) == before and vf.model.interrupt(1) is None
    master(vf, True)
    for _ in range(4):
        vf.model.step(1000)
    assert vf.reap(0) == ([] if choice == "fail" else [(i, 0) for i in range(6)])


@pytest.mark.parametrize("choice, after", [("fail", None), ("wait", 2), ("reset", None)])
def test_without_bus_master_there_is_no_interrupt(start, choice, after):
    """Without bus master no interrupt may be raised; with bus-master-off=wait it is raised later."""
    vf = start(f",bus-master-off={choice}")
    pf = PfOrVf(vf.model, 0)
    vf.write(0x24, 0)
    master(vf, False)
    vf.write(0x24, 0)                   # the reset has masked it
    pf.ask(0xC, 5, queue=1)
    pf.write(0x100134, 1)
    pf.write(0x100130, 1)
    assert vf.model.interrupt(1) is None and vf.events()["msi-ifc"] == 0
    assert vf.events()["msi-without-bus-master"] == (0 if choice == "wait" else 1)
    master(vf, True)
    assert vf.model.interrupt(1) == after and vf.read(0x28) == 1


def test_an_event_waits_for_bus_mastering(start):
    """With bus-master-off=wait events must be posted when bus master is set."""
    vf = start(",bus-master-off=wait")
    vf.submit(0)
    assert vf.model.interrupt(1) == 0
    vf.doorbell(0, 2, 1)
    vf.submit(0)                        # the queue is not armed
    vf.model.run_due()
    master(vf, False)
    vf.doorbell(0, 1, 1, priority=1)
    assert vf.events()["eqes"] == 1 and vf.model.interrupt(1) is None
    master(vf, True)
    assert vf.events()["eqes"] == 2 and vf.model.interrupt(1) == 0 and not vf.guest_errors()


def test_what_waits_goes_on_when_the_choice_changes(start):
    """When bus-master-off changes to fail, what waited must fail."""
    vf = start(",bus-master-off=wait")
    master(vf, False)
    vf.submit(0)
    vf.mailbox(0, vf.buffer, get=True)
    assert vf.read(0x300) & BUSY and not vf.guest_errors()
    assert not vf.model.set("bus-master-off", "fail")
    vf.model.run_due()
    assert vf.read(0x300) & (BUSY | STATUS_BITS) == 0x200
    assert vf.guest_errors() == {"dma-without-bus-master"} and guest_errors(vf, "dma-without-bus-master") == 2


@pytest.mark.parametrize("choice", ["fail", "wait"])
def test_a_write_back_without_bus_master_loses_no_context(start, choice):
    """A write-back without bus master must not lose contexts."""
    vf = start(f",bus-master-off={choice}")
    vf.submit(0)
    assert vf.reap(0) == [(0, 0)]
    vf.ask(PAUSE)
    master(vf, False)
    vf.write(0x204, 1)
    vf.model.run_due()
    assert vf.read(0x208) == (choice == "fail") and vf.saved_sqc(0) == (0, 0, 0)
    master(vf, True)
    vf.model.run_due()
    if choice == "fail":
        vf.write(0x204, 1)
    assert vf.read(0x208) == 1 and vf.saved_sqc(0) == (1, 1, vf.sq(0))
    vf.kick(0)
    vf.submit(0)
    assert vf.reap(0) == [(1, 0)]


def test_a_write_back_of_nothing_does_not_wait(start):
    """A write-back without contexts must not wait: a host stops VFs whose guest has no driver."""
    vf = start(",bus-master-off=wait")
    vf.model.reset(1)
    master(vf, False)
    vf.ask(PAUSE)
    vf.write(0x204, 1)
    assert vf.read(0x208) == 1 and not vf.guest_errors()


def test_a_loss_of_bus_mastering_that_resets_leaves_configuration_alone(start):
    """With bus-master-off=reset configuration space must not be reset."""
    vf = start(",bus-master-off=reset")
    before = vf.events()["resets"]
    master(vf, True)
    assert vf.events()["resets"] == before
    address = vf.model.read(vf.model.config(1) + 0x54)
    master(vf, False)
    master(vf, False)
    assert vf.events()["resets"] == before + 1 and vf.read(0x8004) == 0
    assert vf.model.read(vf.model.config(1) + 0x54) == address
    master(vf, True)
    vf.start()
    vf.submit(0)
    assert vf.model.interrupt(1) == 0 and vf.reap(0) == [(0, 0)]
