# SPDX-License-Identifier: GPL-2.0
"""Registers of hardware versions after V3, and isolated doorbells."""

from __future__ import annotations

import pytest

from registers import CIPHER, PF_BAR, PF_DB_BAR, VF_DB_BAR, PfOrVf

MIG_REGS, PITCH, REGION_SELECT = 0x180000, 0x2000, 0x100198
XQC_MOVED = 0x8000 - 0x1C00
ALL_ONES = 0xFFFFFFFF
DB_PITCH = 0x10000
LATER = ["v4", "v5"]


class MigRegs(PfOrVf):
    """A VF accessed through its migration registers in the PF, as the host's driver does."""

    def __init__(self, vf: PfOrVf) -> None:
        super().__init__(vf.model, vf.number)
        self.bar = PF_BAR + MIG_REGS + PITCH * vf.number

    def read(self, offset: int, size: int = 4) -> int:
        return super().read(offset - XQC_MOVED if offset >= 0x8000 else offset, size)

    def write(self, offset: int, value: int, size: int = 4) -> None:
        super().write(offset - XQC_MOVED if offset >= 0x8000 else offset, value, size)


def put_mig_regs(vf: PfOrVf, where: int) -> PfOrVf:
    """Put the migration registers into the PF's BAR, or back; returns the PF."""
    pf = PfOrVf(vf.model, 0)
    pf.write(REGION_SELECT, where)
    assert pf.read(REGION_SELECT) == where
    return pf


@pytest.mark.parametrize("version, number", [("v3", 0), ("v4", 0x50), ("v5", 0x51)])
def test_pf_and_vfs_have_the_version(start, version, number):
    """PF and VFs must report the hardware version."""
    vf = start(f",hw-version={version}")
    assert vf.read(0x210) == PfOrVf(vf.model, 0).read(0x210) == number
    assert vf.model.property("hw-version") == version


@pytest.mark.parametrize("version", LATER)
def test_a_migration_by_the_registers_of_v4(start, version):
    """The migration registers must work from the PF's BAR."""
    vf = start(f",hw-version={version},pause-inflight=hold,request-latency=1000")
    assert vf.read(0x8004) == vf.eq & ALL_ONES      # still in the VF's BAR2
    put_mig_regs(vf, 1)
    mig_regs = MigRegs(vf)
    for _ in range(3):
        vf.submit(0)
    mig_regs.ask(0xE)
    mig_regs.write(0x204, 1)
    assert mig_regs.read(0x208) == 1 and vf.saved_sqc(0) == (0, 3, vf.sq(0))
    state = mig_regs.save()
    assert state["eq"][1] == vf.eq & ALL_ONES
    vf.model.reset(1)
    mig_regs.load(state)
    for queue in range(4):
        mig_regs.kick(queue)
    for _ in range(5):
        vf.model.step(1000)
    assert vf.reap(0) == [(0, 0), (1, 0), (2, 0)]
    assert vf.model.memory(vf.result_at(0, 2), 16) == CIPHER
    assert not vf.guest_errors() and not PfOrVf(vf.model, 0).guest_errors()


@pytest.mark.parametrize("version", LATER)
def test_the_v3_registers_are_empty_with_those_of_v4(start, version):
    """Accesses to migration registers that are elsewhere must return all ones and be guest errors."""
    vf = start(f",hw-version={version}")
    pf = put_mig_regs(vf, 1)
    assert vf.read(0x8004) == ALL_ONES
    vf.write(0x8004, 0)
    assert vf.guest_errors() == {"mig-regs-not-there"}
    assert MigRegs(vf).read(0x8004) == vf.eq & ALL_ONES
    put_mig_regs(vf, 0)
    assert vf.read(0x8004) == vf.eq & ALL_ONES
    assert MigRegs(vf).read(0x8004) == ALL_ONES
    assert pf.guest_errors() == {"mig-regs-not-there"}


@pytest.mark.parametrize("version", LATER)
@pytest.mark.parametrize("how", ["controller", "FLR"])
@pytest.mark.parametrize("choice", ["keep", "lost"])
def test_whether_a_reset_disables_migration_registers_is_a_choice(start, version, how, choice):
    """mig-regs-reset must select whether a PF reset moves the migration registers back."""
    vf = start(f",hw-version={version}")
    assert not vf.model.set("mig-regs-reset", choice)
    pf = put_mig_regs(vf, 1)
    if how == "controller":
        vf.model.write(vf.model.config(0) + 0x40, 1)
    else:
        vf.model.reset(0)
    vf.model.bring_up()
    assert pf.read(REGION_SELECT) == (choice == "keep")
    vf.start()
    here, elsewhere = (MigRegs(vf), vf) if choice == "keep" else (vf, MigRegs(vf))
    assert here.read(0x8004) == vf.eq & ALL_ONES and elsewhere.read(0x8004) == ALL_ONES


def test_a_reset_of_a_vf_never_disables_migration_registers(start):
    """A VF reset must not move the migration registers."""
    vf = start(",hw-version=v4,mig-regs-reset=lost")
    pf = put_mig_regs(vf, 1)
    vf.model.reset(1)
    assert pf.read(REGION_SELECT) == 1


@pytest.mark.parametrize("number", [0, 3, 63])
def test_migration_registers_of_vfs_that_do_not_exist(start, number):
    """Migration registers of VFs that do not exist must return all ones."""
    pf = put_mig_regs(start(",hw-version=v4"), 1)
    assert pf.read(MIG_REGS + PITCH * number + 0x60) == ALL_ONES
    assert pf.guest_errors() == {"mig-regs-not-there"}


def test_v3_has_no_separate_migration_registers(start):
    """V3 must not have the migration registers in the PF."""
    vf = start()
    pf = PfOrVf(vf.model, 0)
    pf.write(REGION_SELECT, 1)
    assert pf.read(REGION_SELECT) == 0 and pf.read(MIG_REGS + PITCH) == 0
    assert pf.guest_errors() == {"undefined-register"}
    assert vf.read(0x8004) == vf.eq & ALL_ONES


def test_the_migration_registers_end_where_the_driver_expects(start):
    """Undefined offsets in the migration registers must return all ones."""
    vf = start(",hw-version=v4")
    put_mig_regs(vf, 1)
    assert MigRegs(vf).read(0x1F00) == ALL_ONES
    assert vf.guest_errors() == {"undefined-register"}


def test_an_event_doorbell_beyond_the_registers_is_a_guest_error(start):
    """An event queue doorbell beyond the migration registers must be a guest error without effect."""
    vf = start(",hw-version=v4")
    put_mig_regs(vf, 1)
    neighbour = PfOrVf(vf.model, 2)
    neighbour.start()
    MigRegs(vf).doorbell(0, 2, 5)
    MigRegs(neighbour).doorbell(0, 3, 5)             # the last VF
    assert vf.guest_errors() == neighbour.guest_errors() == {"event-doorbell-outside-mig-regs"}
    assert neighbour.read(0x0) == neighbour.read(0x4) == 0, "the doorbell reached the next VF"


def test_a_fault_of_a_vf_shows_in_its_migration_registers(start):
    """Faults of a VF must apply to its migration registers in the PF."""
    vf = start(",hw-version=v4")
    put_mig_regs(vf, 1)
    assert not vf.model.set("fault-function", "1")
    assert not vf.model.set("fault-registers", "all-ones")
    assert MigRegs(vf).read(0x60) == ALL_ONES and PfOrVf(vf.model, 0).read(0x30) == 0


def test_accesses_to_migration_registers_count_for_their_vf(start):
    """Accesses to migration registers must be counted for their VF."""
    vf = start(",hw-version=v4")
    put_mig_regs(vf, 1)
    MigRegs(vf).read(0x60)
    assert vf.model.property("counters", 1)["reads"]["mig-regs-4"] == 1
    assert vf.model.property("counters", 0)["reads"]["mig-regs-4"] == 0


@pytest.mark.parametrize("version", LATER)
def test_messages_by_register(start, version):
    """From V4 on messages must be sent by registers; the mailbox must work, too."""
    vf = start(f",hw-version={version}")
    pf, other = PfOrVf(vf.model, 0), PfOrVf(vf.model, 2)
    for each in (pf, vf, other):
        each.write(0x24, 0)
    pf.write(0x104700, 0x7_00000008, 8)
    pf.write(0x100134, 0x7F)
    pf.write(0x100130, 1)
    assert vf.model.interrupt(1) == 2 == vf.model.interrupt(2)
    assert vf.read(0x380, 8) == other.read(0x380, 8) == 0x7_00000008
    vf.write(0x20, 1)
    assert pf.read(0x100128, 8) == 4
    vf.write(0x320, 0x3_00000004, 8)
    vf.write(0x2C, 1)
    assert vf.model.interrupt(0) == 2 and pf.read(0x100138, 8) == 2
    assert pf.read(0x104804) == 4 and pf.read(0x104808) == 0
    pf.write(0x100138, 2, 8)
    assert vf.read(0x2C) == 0
    pf.ask(0xC, 9, queue=1)             # a driver that treats it as V3
    pf.write(0x100134, 1)
    pf.write(0x100130, 1)
    assert vf.ask(0xD) == 9
    assert not pf.guest_errors() and not vf.guest_errors()


@pytest.mark.parametrize("whom", ["VF", "device"])
def test_v5_drops_doorbells(start, whom):
    """V5 must drop doorbells while a register of the VF or of the PF requests it."""
    vf = start(",hw-version=v5")
    pf = PfOrVf(vf.model, 0)
    write = vf.write if whom == "VF" else pf.write
    register = 0x38 if whom == "VF" else 0x100250
    bit = 1 if whom == "VF" else 2
    write(register, bit, 4 if whom == "VF" else 8)
    vf.submit(0)
    vf.doorbell(0, 2, 0)
    assert not vf.reap(0) and vf.events()["doorbells-dropped"] == 2
    write(register, 0, 4 if whom == "VF" else 8)
    vf.doorbell(0, 0, 1)
    assert vf.reap(0) == [(0, 0)] and not vf.guest_errors()


def test_v5_reports_whose_the_error_is(start):
    """V5 must report the VF that caused an error."""
    vf = start(",hw-version=v5")
    pf = PfOrVf(vf.model, 0)
    assert not vf.model.set("function-error", 6)
    assert pf.read(0x100280, 8) == 6
    pf.write(0x100280, 2, 8)
    assert vf.model.property("function-error") == 4 and not pf.guest_errors()
    assert "hw-version=v5" in start().model.set("function-error", 6)


@pytest.mark.parametrize("version, bits", [("v3", 0x6C77), ("v4", 0x6C77), ("v5", 0x6C74)])
def test_which_errors_need_a_reset_of_all(start, version, bits):
    """The mask of errors that need a device reset must be that of the version."""
    assert PfOrVf(start(f",hw-version={version}").model, 0).read(0x3128) == bits


@pytest.mark.parametrize("register", [0x38, 0x100250, 0x100280, 0x104700])
def test_v3_does_not_know_later_registers(start, register):
    """V3 must treat registers of later versions as undefined."""
    pf = PfOrVf(start().model, 0)
    pf.write(register, 1)
    assert pf.guest_errors() == {"undefined-register"}


def test_isolated_doorbells(start):
    """With isolation=on doorbells in BAR4 must work, and those in BAR2, too."""
    vf = start(",isolation=on,queues=16")
    pf = PfOrVf(vf.model, 0)
    assert vf.read(0x30) == pf.read(0x30) == 1
    vf.write(0x30, 1)
    pf.start()
    vf.submit(0)                        # BAR2 works, too
    for each, bar in ((vf, VF_DB_BAR), (pf, PF_DB_BAR)):
        each.doorbell = lambda queue, command, index, priority=0, random=0, bar=bar, each=each: \
            each.model.write(bar + queue * DB_PITCH + 0x1000,
                             queue | command << 12 | random << 16 | index << 32 | priority << 48, 8)
        each.submit(1)
        assert each.reap(1) == [(0, 0)]
    assert vf.reap(0) == [(0, 0)] and not vf.guest_errors() and not pf.guest_errors()


@pytest.mark.parametrize("offset, value, error", [
    (DB_PITCH + 0x1000, 1 << 32, "doorbell-out-of-range"),      # of queue 0, in the page of queue 1
    (0x2000, 1 << 32, "undefined-register"),
    (9 * DB_PITCH + 0x1000, 9 | 1 << 32, "doorbell-out-of-range"),
])
def test_isolation_isolates(start, offset, value, error):
    """A doorbell outside the page of its queue must be a guest error."""
    vf = start(",isolation=on,queues=16")
    vf.model.write(VF_DB_BAR + offset, value, 8)
    assert vf.guest_errors() == {error}


def test_without_isolation_there_is_no_page(start):
    """With isolation=off the register must be undefined."""
    vf = start()
    assert vf.read(0x30) == 0
    vf.write(0x30, 1)
    assert vf.guest_errors() == {"undefined-register"}


def test_the_version_is_fixed_once_it_exists(start):
    """The version must not change after device creation."""
    model = start().model
    assert model.set("hw-version", "v4") == "hw-version cannot be changed once the device exists"
    assert model.set("isolation", "on") == "isolation cannot be changed once the device exists"
