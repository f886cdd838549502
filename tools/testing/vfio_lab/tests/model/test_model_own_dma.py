# SPDX-License-Identifier: GPL-2.0
"""DMA of a VF to the device's own registers, by its rings, data or interrupts, must fail like DMA
to an unmapped address and change nothing."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from registers import PF_BAR, VF_BAR, VF_BAR_SIZE, Model, PfOrVf

MIG_REGS = PF_BAR + 0x182000            # V4: VF 1's migration registers in the PF's BAR2
WRITE_BACK = 0x204
RESET_OF_ALL = 0x40                     # in the PF's configuration space


def cqe_at(vf: PfOrVf, address: int) -> None:
    """The second CQE of queue 0, with its index 1, goes there."""
    vf.model.put(vf.buffer, struct.pack("<HHQIHHHHII", 0, 0, address - 24, PfOrVf.DEPTH - 1 | 4 << 12,
                                        0, 0, 0, 0, 3, 0))
    vf.ask(1, vf.buffer, 0)
    vf.submit(0)
    vf.submit(0)


def eqe_at(vf: PfOrVf, address: int) -> None:
    """The first EQE, with queue 1, goes there."""
    vf.model.put(vf.buffer, struct.pack("<HHQIIII", 0, 0, address, 0, 0, 0, PfOrVf.DEPTH - 1))
    vf.ask(2, vf.buffer)
    vf.submit(1)


def result_at(vf: PfOrVf, address: int) -> None:
    """The result of a request, of odd bytes, goes there."""
    vf.model.put(vf.data, bytes(32))
    for word in range(8):
        vf.model.put(vf.data + 0x100, struct.pack("<IIII", word, 0, 0, 0))
        vf.submit(0, vf.request(vf.data + 0x100, address))
        vf.reap(0)


def message_at(vf: PfOrVf, address: int) -> None:
    """The interrupt message of vector 0, a 1, goes there."""
    config = vf.model.config(1)
    vf.model.write(config + 0x54, address & 0xFFFFFFFF)
    vf.model.write(config + 0x58, address >> 32)
    vf.model.write(config + 0x5C, 1 << 8 | 1, 2)
    vf.submit(0)


@pytest.mark.parametrize("version", ["v3", "v4", "v5"])
@pytest.mark.parametrize("how", [cqe_at, eqe_at, result_at, message_at])
@pytest.mark.parametrize("target", [
    lambda model: MIG_REGS + WRITE_BACK, lambda model: VF_BAR + WRITE_BACK, lambda model: model.config(0) + RESET_OF_ALL],
    ids=["migration registers", "own register", "reset of all"])
def test_dma_to_the_device_itself_changes_nothing(start, version: str, how: Callable[[PfOrVf, int], None],
                                                  target: Callable[[Model], int]):
    """The DMA must cause no write-back and no reset, and the VF's other queue must work."""
    vf = start(f",hw-version={version}")
    address = target(vf.model)
    if version != "v3":
        PfOrVf(vf.model, 0).write(0x100198, 1)
    before = vf.events()
    how(vf, address)
    vf.model.run_due()
    after = vf.events()
    assert [after[name] - before[name] for name in ("write-backs", "resets")] == [0, 0]
    assert vf.guest_errors() <= {"dma-fault", "doorbell-of-stopped-queue"}
    vf.set_up(2)
    vf.submit(2)
    assert vf.reap(2) == [(0, 0)]


def test_dma_to_another_vf_changes_nothing(start):
    """A doorbell of VF 2 that VF 1 writes by DMA must have no effect."""
    vf = start()
    other = PfOrVf(vf.model, 2)
    other.start()
    other.model.put(other.sq(0), other.request(other.data, other.data))
    before = other.events()
    cqe_at(vf, VF_BAR + VF_BAR_SIZE + 0x1000)
    vf.model.run_due()
    assert other.events() == before and not other.guest_errors()
    assert vf.guest_errors() == {"dma-fault", "doorbell-of-stopped-queue"}


def test_dma_that_resets_its_bus_ends(outer, tmp_path):
    """If DMA resets the bus, by the root port's secondary bus reset, the device must not use the
    freed context afterwards."""
    with Model(outer, tmp_path, port=True) as model:
        model.bring_up()
        vf = PfOrVf(model, 1)
        vf.start()
        model.assign(1, 100, 100)
        vf.set_up(64)
        assert model.port is not None
        model.put(vf.buffer, struct.pack("<HHQIIII", 0, 0, model.port + 0x3E, 0, 0, 0, PfOrVf.DEPTH - 1))
        vf.ask(2, vf.buffer)
        before = vf.events()["resets"]
        vf.submit(64)
        model.run_due()
        assert vf.events()["resets"] > before
        model.write(model.port + 0x3E, 0, 2)
        model.bring_up()
        vf.start()
        vf.submit(0)
        assert vf.reap(0) == [(0, 0)]
