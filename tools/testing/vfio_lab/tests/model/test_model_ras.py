# SPDX-License-Identifier: GPL-2.0
"""Errors that the device raises by itself: wrong addresses, tags and rings of a VF
must be reported in the registers that the PF's driver reads."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from registers import PfOrVf
from test_model_engines import Hpre, Zip
from test_model_faults import ENGINE_ERRORS, unmask

NOWHERE = 1 << 52
QM_SOURCE, FUNCTION_ERRORS = 0x100000, 0x100280
READ, WRITE, OVERFLOW, TAG = 1 << 0, 1 << 1, 1 << 11, 1 << 12
#: bits of each engine for errors of reads and writes of data
ENGINE_BITS = {PfOrVf: (1 << 0, 1 << 1), Zip: (1 << 2, 1 << 3), Hpre: (1 << 10, 1 << 16)}


def sq_nowhere(vf: PfOrVf) -> None:
    """The device cannot read requests."""
    vf.model.put(vf.buffer, struct.pack("<HHQIHHHHHHI", 0, 0, NOWHERE, vf.DEPTH - 1 | 7 << 12, 0, 0, 0, 0, 0, 1 << 4, 0))
    vf.ask(0, vf.buffer, 0)
    vf.doorbell(0, 0, 1)


def cq_nowhere(vf: PfOrVf) -> None:
    """The device cannot write completions."""
    vf.model.put(vf.buffer, struct.pack("<HHQIHHHHII", 0, 0, NOWHERE, vf.DEPTH - 1 | 4 << 12, 0, 0, 0, 0, 3, 0))
    vf.ask(1, vf.buffer, 0)
    vf.submit(0)


def context_nowhere(vf: PfOrVf) -> None:
    """The device cannot read a context."""
    vf.mailbox(0, NOWHERE)


def table_nowhere(vf: PfOrVf) -> None:
    """The device cannot write contexts back."""
    vf.ask(4, NOWHERE)
    vf.write(0x204, 1)


def full_eq(vf: PfOrVf) -> None:
    """The event queue is full."""
    for _ in range(vf.DEPTH):
        vf.submit(0)
        vf.reap(0)


def full_cq(vf: PfOrVf) -> None:
    """The completion queue is full."""
    for _ in range(vf.DEPTH):
        vf.submit(0)
        vf.model.run_due()


@pytest.mark.parametrize("ras", ["off", "on"])
@pytest.mark.parametrize("version", ["v3", "v5"])
@pytest.mark.parametrize("error, bits", [
    (sq_nowhere, READ), (cq_nowhere, WRITE), (context_nowhere, READ), (table_nowhere, WRITE), (full_cq, 0),
    (lambda vf: vf.doorbell(0, 0, 1, random=5), TAG), (lambda vf: vf.doorbell(0, 0, 20), 0)])
def test_errors_of_the_queue_manager(start, error: Callable[[PfOrVf], None], bits: int, version: str, ras: str):
    """V5 must also report whose bus error it is."""
    vf = start(f",ras={ras},hw-version={version}")
    pf = PfOrVf(vf.model, 0)
    unmask(pf)
    error(vf)
    vf.model.run_due()
    raised = bits if ras == "on" else 0
    assert pf.read(QM_SOURCE) == raised and vf.model.interrupt(0) == (3 if raised else None)
    assert pf.read(ENGINE_ERRORS[PfOrVf][0]) == 0
    if version == "v5":
        assert pf.read(FUNCTION_ERRORS, 8) == (2 if raised & (READ | WRITE) else 0)


@pytest.mark.parametrize("fill, what", [(full_cq, 0), (full_eq, 1)])
def test_a_full_queue_may_be_an_error_of_the_device(start, fill: Callable[[PfOrVf], None], what: int):
    """It must then report which queue of which VF is full."""
    vf = start(",ras-overflow=on")
    pf = PfOrVf(vf.model, 0)
    unmask(pf)
    fill(vf)
    assert pf.read(QM_SOURCE) == OVERFLOW and vf.model.interrupt(0) == 3
    assert pf.read(0x100010) == what << 6 | 1


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize("kind", ENGINE_BITS, ids=lambda kind: kind.DEVICE)
def test_errors_of_the_engine(start, kind, write):
    """Each engine must report errors of its own."""
    vf = start(",hw-version=v5", kind)
    pf = PfOrVf(vf.model, 0)
    unmask(pf, kind)
    there, nowhere = vf.data + 0x400, NOWHERE
    source, destination = (there, nowhere) if write else (nowhere, there)
    if kind is PfOrVf:
        sqe = vf.request(source, destination)
    elif kind is Zip:
        raw = bytearray(128)
        struct.pack_into("<I", raw, 16, 16)
        struct.pack_into("<III", raw, 28, 3 << 28, 0, 1)
        struct.pack_into("<I", raw, 56, 4096)
        struct.pack_into("<QQ", raw, 72, source, destination)
        sqe = bytes(raw)
    else:
        vf.model.put(vf.data, bytes([1]) * 0x400)
        raw = bytearray(64)
        struct.pack_into("<IB", raw, 0, 0 | 1 << 30, 128 // 8 - 1)
        struct.pack_into("<QQQ", raw, 8, vf.data, source if write else nowhere, destination)
        sqe = bytes(raw)
    vf.submit(0, sqe)
    vf.model.run_due()
    assert pf.read(ENGINE_ERRORS[kind][0]) == ENGINE_BITS[kind][write] and pf.read(QM_SOURCE) == 0
    assert vf.model.interrupt(0) == 3 and pf.read(FUNCTION_ERRORS, 8) == 2


def test_an_error_that_the_device_raises_closes_the_bus(start):
    """An error selected to close the bus must close it for the PF and all VFs; afterwards they must
    continue."""
    vf = start()
    pf, other = PfOrVf(vf.model, 0), PfOrVf(vf.model, 2)
    other.start()
    pf.write(0x1040F8, READ)
    sq_nowhere(vf)
    vf.model.run_due()
    other.submit(0)
    vf.model.step(1000)
    assert other.events()["requests-completed"] == 0
    pf.write(QM_SOURCE, READ)
    vf.model.run_due()
    assert other.reap(0) == [(0, 0)] and vf.guest_errors() == {"dma-fault"} and not other.guest_errors()
