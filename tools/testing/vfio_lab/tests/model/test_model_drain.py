# SPDX-License-Identifier: GPL-2.0
"""STOP_QP, FLUSH and PAUSE must keep the mailbox busy until what they wait for is done, without
delaying other accesses of the guest."""

from __future__ import annotations

import random
import struct
import zlib

import pytest

from bench import wait_until
from registers import Model, PfOrVf
from test_model_engines import Zip
from test_model_power import D0, D3HOT, power
from test_model_versions import MigRegs, put_mig_regs

STOP, FLUSH, PAUSE = 0x8, 0x9, 0xE
BUSY, STATUS = 0x2000, 0x1E00
SLOW = ",request-latency=1000,engine-slots=2"


def busy(f: PfOrVf) -> bool:
    """Whether a command is in progress; one that has ended must not have failed."""
    w0 = f.read(0x300, 2)
    assert w0 & BUSY or not w0 & STATUS
    return bool(w0 & BUSY)


def done(f: PfOrVf) -> int:
    """Number of completed requests."""
    return f.events()["requests-completed"]


@pytest.mark.parametrize("command, requests", [(STOP, 3), (FLUSH, 5)])
def test_a_stop_is_busy_until_the_rings_are_empty(start, command, requests):
    """STOP_QP must wait for its queue's requests, but not for those of other queues."""
    vf = start(SLOW)
    vf.model.set("engine-slots", 1)
    for queue in (0, 1, 0, 1, 0):
        vf.submit(queue)
    vf.model.step(1)
    vf.mailbox(command)
    for count in range(5):
        assert done(vf) == count and busy(vf)
        vf.model.step(1000)
        if not busy(vf):
            break
    assert len(vf.reap(0)) == 3 and done(vf) == (5 if requests == 5 else done(vf)) and not vf.guest_errors()
    vf.model.step(10_000)
    assert done(vf) == 5
    vf.doorbell(0, 0, 4)
    assert vf.guest_errors() == {"doorbell-of-stopped-queue"}


def test_a_queue_takes_no_doorbell_while_it_is_stopped(start):
    """A queue must take no doorbell while STOP_QP is in progress."""
    vf = start(SLOW)
    vf.submit(0)
    vf.model.step(1)
    vf.mailbox(STOP)
    vf.submit(0)
    assert vf.guest_errors() == {"doorbell-of-stopped-queue"} and busy(vf)
    vf.model.step(10_000)
    assert done(vf) == 1 and not busy(vf)


def test_a_pause_is_busy_until_the_engine_is_empty(start):
    """PAUSE must wait for the engine, and no request may be fetched meanwhile."""
    vf = start(SLOW)
    for _ in range(5):
        vf.submit(0)
    vf.model.step(1)
    vf.mailbox(PAUSE)
    vf.model.step(998)
    assert busy(vf) and done(vf) == 0
    vf.model.step(1)
    assert not busy(vf) and done(vf) == 2
    vf.model.step(10_000)
    assert done(vf) == 2 and not vf.guest_errors()


def test_a_pause_ends_despite_a_resume_doorbell(start):
    """A resume doorbell during PAUSE, which no driver rings, must not prolong it."""
    vf = start(SLOW)
    for _ in range(9):
        vf.submit(0)
    vf.model.step(1)
    vf.mailbox(PAUSE)
    vf.kick(0)
    vf.model.step(999)
    assert not busy(vf)
    for _ in range(5):
        vf.model.step(1000)
    assert done(vf) == 9


@pytest.mark.parametrize("command", [STOP, FLUSH, PAUSE])
def test_a_bus_that_closes_ends_it(start, command):
    """Closing the bus must end the command and discard the engine's requests, as hisi_qm_stop() of
    Linux expects."""
    vf = start(SLOW)
    pf = PfOrVf(vf.model, 0)
    pf.write(0x1040F8, 4)
    for _ in range(3):
        vf.submit(0)
    vf.model.step(1)
    vf.mailbox(command)
    assert busy(vf)
    assert not vf.model.set("abnormal-error", 4)
    vf.model.run_due()
    assert not busy(vf) and done(vf) == 0


@pytest.mark.parametrize("command", [STOP, FLUSH, PAUSE])
def test_it_waits_for_d0(start, command):
    """In D3hot the command must wait for D0."""
    vf = start(SLOW + ",hw-version=v4,no-soft-reset=on")
    put_mig_regs(vf, 1)
    mig_regs = MigRegs(vf)
    vf.submit(0)
    vf.model.step(1)
    power(vf, D3HOT)
    mig_regs.mailbox(command)
    vf.model.step(10_000)
    assert mig_regs.read(0x300, 2) & BUSY and done(vf) == 0
    power(vf, D0)
    vf.model.run_due()
    assert not busy(vf) and done(vf) == 1


@pytest.mark.parametrize("command", [STOP, FLUSH, PAUSE])
def test_a_reset_ends_it(start, command):
    """A VF reset must end the command."""
    vf = start(SLOW)
    vf.submit(0)
    vf.model.step(1)
    vf.mailbox(command)
    vf.model.reset(1)
    vf.model.step(10_000)
    assert vf.read(0x300) == 0 and done(vf) == 0
    vf.start()
    vf.submit(0)
    vf.model.step(1)
    vf.model.step(1000)
    assert vf.reap(0) == [(0, 0)]


def long_requests(vf: Zip, count: int) -> None:
    """Prepare requests of ten milliseconds or more each; the caller rings the doorbell."""
    size = 1 << 20
    vf.model.put(vf.data + 0x100000, bytes(range(256)) * (size // 256))
    sqe = bytearray(128)
    struct.pack_into("<I", sqe, 16, size)
    struct.pack_into("<III", sqe, 28, 3 << 28, 0, 1)
    struct.pack_into("<I", sqe, 56, 2 * size)
    struct.pack_into("<QQ", sqe, 72, vf.data + 0x100000, vf.data + 0x300000)
    vf.model.put(vf.sq(0), bytes(sqe) * count)


@pytest.mark.parametrize("command", [STOP, FLUSH, PAUSE])
def test_no_store_does_the_work_of_the_engine(start, command):
    """A doorbell for 15 requests and the command, sent at once, must not be processed within the
    store: the next access is answered before all are completed."""
    vf = start(kind=Zip)
    long_requests(vf, 15)
    commands = [f"writeq {vf.bar + 0x1000:#x} {15 << 32:#x}", f"writeq {vf.bar + 0x300:#x} {command | 1 << 13:#x}",
                f"writeq {vf.bar + 0x308:#x} 0"]
    vf.model.batch(commands)
    assert busy(vf) or (command == PAUSE and done(vf) < 15)
    while busy(vf):
        vf.model.run_due()
    assert done(vf) < 15 if command == PAUSE else done(vf) == 15


def test_a_full_ring_does_not_keep_the_main_loop(start):
    """QEMU's monitor must be answered between one request and the next."""
    vf = start(kind=Zip)
    long_requests(vf, 15)
    vf.doorbell(0, 0, 15)
    seen = {done(vf)}
    while max(seen) < 15:
        seen.add(done(vf))
    assert len(seen) > 3


def test_many_busy_vfs_do_not_keep_the_main_loop(outer, tmp_path):
    """With short requests in all rings of many VFs, QEMU's monitor must be answered before all are
    completed, as with those of one VF."""
    count, size = 24, 15000
    data = random.Random(1).randbytes(size)
    with Model(outer, tmp_path, f",vfs={count},queues={4 * (count + 1)}", Zip.DEVICE) as model:
        model.bring_up(count)
        vfs = [Zip(model, number) for number in range(1, count + 1)]
        sqe = bytearray(128)
        struct.pack_into("<I", sqe, 16, size)
        struct.pack_into("<III", sqe, 28, 3 << 28, 0, 1)
        struct.pack_into("<I", sqe, 56, 2 * size)
        for vf in vfs:
            vf.start()
            model.put(vf.data + 0x8000, data)
            struct.pack_into("<QQ", sqe, 72, vf.data + 0x8000, vf.data + 0x10000)
            model.put(vf.sq(0), bytes(sqe) * 15)
        model.batch([f"writeq {vf.bar + 0x1000:#x} {15 << 32:#x}" for vf in vfs])
        # the VFs have their turns in the order of their numbers
        seen = [done(vf) for vf in reversed(vfs)]
        assert sum(seen) < 15 * count
        for vf in vfs:
            vf.wait_completed(15)
            assert not vf.guest_errors()


#: data of long requests, and where and how large the result of each is
DATA, RESULTS, SIZE, MANY = 0x1000000, 0x2000000, 0x500000, 8


def noise(vf: Zip, count: int = MANY, first: int = 0) -> bytes:
    """Submit requests of a hundred milliseconds or more each; the results begin with number `first`."""
    data = random.Random(1).randbytes(4 << 20)
    vf.model.put(vf.data + DATA, data)
    for number in range(first, first + count):
        sqe = bytearray(128)
        struct.pack_into("<I", sqe, 16, len(data))
        struct.pack_into("<III", sqe, 28, 3 << 28, 0, 1)
        struct.pack_into("<I", sqe, 56, SIZE)
        struct.pack_into("<QQ", sqe, 72, vf.data + DATA, vf.data + RESULTS + number * SIZE)
        sqe[104:112] = b"the tag!"
        vf.submit(0, bytes(sqe))
    return data


def results(vf: Zip) -> list[bool]:
    """Which results were written."""
    return [any(vf.model.memory(vf.data + RESULTS + number * SIZE, 64)) for number in range(MANY)]


def test_a_long_request_does_not_keep_the_main_loop(start):
    """While a request is computed, other accesses must be answered; the next request must wait."""
    vf = start(kind=Zip)
    data = noise(vf, 1)
    vf.submit(0, bytes(16) + struct.pack("<I", 16) + vf.model.memory(vf.sq(0), 128)[20:])
    assert vf.wait_completed(1) > 20
    vf.wait_completed(2)
    assert len(vf.reap(0)) == 2 and vf.produced < 100 and not vf.guest_errors()
    assert zlib.decompress(vf.model.memory(vf.data + RESULTS, vf.produced), -15) == data[:16]


@pytest.mark.parametrize("end", ["reset", "removal"])
def test_a_vf_is_reset_or_removed_during_a_long_request(start, end):
    """After an FLR, or the removal of the VF, the result of the request that is being computed must
    not be written."""
    vf = start(kind=Zip)
    noise(vf)
    vf.wait_completed(1)
    if end == "reset":
        vf.model.reset(1)
    else:
        for control in (8, 9):
            vf.model.write(vf.model.config(0) + 0x208, control, 2)
        vf.model.enable(1)
    written = results(vf)
    ring = vf.model.memory(vf.cq(0), 16 * MANY)
    assert 0 < written.count(True) == sum(ring[at + 14] & 1 for at in range(0, len(ring), 16)) < MANY
    again = Zip(vf.model, 1)
    again.start()
    # begins later, and takes as long
    completed = done(again)
    noise(again, 1, first=MANY)
    again.wait_completed(completed + 1)
    assert again.reap(0) == [(0, 0x0D)] and results(vf) == written and not again.guest_errors()


def test_a_request_that_a_reset_drops_keeps_no_memory(start):
    """The memory of requests that were being computed in a reset must be freed."""
    vf = start(kind=Zip)
    data = noise(vf, 1)
    sqe = vf.model.memory(vf.sq(0), 128)
    vf.wait_completed(1)
    before = vf.model.resident()
    for _ in range(20):
        vf.model.reset(1)
        vf = Zip(vf.model, 1)
        vf.start()
        fetched = vf.events()["requests-fetched"]
        vf.submit(0, sqe)
        while vf.events()["requests-fetched"] == fetched:
            vf.model.run_due()
    vf.wait_completed(done(vf) + 1)
    # a thread may still compute one that began earlier
    wait_until("their memory is free", lambda: vf.model.resident() < before + 5 * len(data))


def test_a_pause_that_holds_a_long_request(start):
    """PAUSE must not wait for it, and it must be computed once more after the restart."""
    vf = start(",pause-inflight=hold", kind=Zip)
    noise(vf)
    vf.wait_completed(1)
    vf.mailbox(PAUSE)
    assert not busy(vf)
    held, before = vf.events()["requests-held-by-pause"], done(vf)
    assert held > 0 and results(vf) == [number < before for number in range(MANY)]
    vf.kick(0)
    vf.wait_completed(MANY)
    assert vf.events()["requests-fetched"] == MANY + held and all(results(vf)) and not vf.guest_errors()
