# SPDX-License-Identifier: GPL-2.0
"""The device model must behave as its documentation says (qemu/README.md), with each setting."""

from __future__ import annotations

import struct

import pytest

from registers import CIPHER, KEY, PLAIN, VF_DB_BAR, PfOrVf, refusal


def fine(count: int, first: int = 0) -> list[tuple[int, int]]:
    """So many completions in order, without error."""
    return [((first + i) % PfOrVf.DEPTH, 0) for i in range(count)]


def test_requests_complete_in_order_around_the_rings(start):
    """Requests must complete in order when the rings wrap."""
    vf = start()
    for turn in range(5):
        for _ in range(7):
            vf.submit(1)
        assert vf.reap(1) == fine(7, turn * 7)
        assert vf.model.interrupt(1) == 0
        vf.doorbell(0, 2, vf.read(0x8000) >> 16)
    assert vf.model.memory(vf.result_at(1, 0), 16) == CIPHER
    assert vf.model.memory(vf.sq(1) + 8, 8) == struct.pack("<Q", 0x1122334455667788)
    assert not vf.guest_errors()


def test_physical_function_works_beside_it(start):
    """The PF must complete requests while a VF has queues."""
    pf = PfOrVf(start().model, 0)
    pf.start()
    pf.submit(0)
    assert pf.reap(0) == fine(1)


@pytest.mark.parametrize("inflight, finished", [("finish", 4), ("hold", 0)])
def test_pause_saves_and_resumes_what_is_in_the_rings(start, inflight, finished):
    """PAUSE must stop the VF, and the saved state must resume all pending requests after a reset."""
    # reap() rings the CQ doorbell
    vf = start(f",request-latency=1000,pause-inflight={inflight},unpause=kick")
    for _ in range(9):
        vf.submit(0)
        vf.submit(1)
    vf.model.step(1)
    assert not vf.reap(0)

    vf.mailbox(0xE)
    assert bool(vf.read(0x300, 2) & 0x2000) == (inflight == "finish")
    vf.model.step(999)
    assert vf.read(0x300, 2) & 0x3E00 == 0
    done = len(vf.reap(0)) + len(vf.reap(1))
    assert done == finished
    vf.model.step(100_000)
    assert not vf.reap(0) and not vf.reap(1), "the VF works while it is paused"
    assert vf.saved_sqc(0) == (0, 0, 0), "a context was written to memory before the write-back"

    vf.write(0x204, 1)
    assert vf.read(0x208) == 1
    assert vf.saved_sqc(0) == (finished // 2, 9, vf.sq(0))
    state = vf.save()
    vf.model.reset(1)
    assert vf.read(0x60) == 1 and vf.read(0x8004) == 0 and vf.ask(6) >> 45 & 0x3FF == 3
    vf.load(state)
    for queue in range(4):
        vf.kick(queue)
    for _ in range(10):
        vf.model.step(1000)
    assert done + len(vf.reap(0)) + len(vf.reap(1)) == 18
    assert vf.model.memory(vf.result_at(0, 8), 16) == CIPHER
    vf.submit(0)
    vf.model.step(1000)
    assert vf.reap(0) == fine(1, 9)
    assert vf.events()["kicks-of-unused-queues"] == 2


@pytest.mark.parametrize("forgotten", ["write-back", "kick", "event queue"])
def test_a_driver_that_skips_a_step_fails(start, forgotten):
    """A driver that omits a step must lose requests or cause a guest error."""
    vf = start(",request-latency=1000,pause-inflight=hold")
    for _ in range(9):
        vf.submit(0)
    vf.ask(0xE)
    if forgotten != "write-back":
        vf.write(0x204, 1)
    state = vf.save()
    if forgotten == "event queue":
        state |= {"eq": [0] * 7, "aeq": [0] * 7}
    vf.model.reset(1)
    vf.load(state)
    if forgotten != "kick":
        for queue in range(4):
            vf.kick(queue)
    vf.model.interrupt(1)
    for _ in range(10):
        vf.model.step(1000)
    assert vf.model.interrupt(1) is None
    if forgotten == "event queue":
        assert vf.guest_errors() == {"event-queue-unset"}
    else:
        assert not vf.reap(0)
        vf.submit(0)
        assert "doorbell-without-context" in vf.guest_errors()


@pytest.mark.parametrize("options, by_doorbell, by_kick", [
    ("", (0, 0), (8, 0)),
    ("kick-scope=function", (0, 0), (8, 7)),
    ("unpause=kick", (0, 0), (8, 0)),
    ("unpause=kick,context-fetch=doorbell", (0, 0), (8, 0)),
    ("context-fetch=doorbell", (9, 0), (0, 0)),
    ("context-fetch=doorbell,kick-scope=function", (9, 0), (0, 7)),
])
def test_what_ends_a_pause_is_a_choice(start, options, by_doorbell, by_kick):
    """The properties unpause, context-fetch and kick-scope must select which doorbell ends a pause."""
    vf = start(",pause-inflight=hold,request-latency=10" + ("," + options if options else ""))
    for _ in range(7):
        vf.submit(0)
        vf.submit(1)
    vf.submit(0)
    vf.ask(0xE)
    vf.write(0x204, 1)
    vf.submit(0)                        # doorbell of the ninth request, while paused

    def finished() -> tuple[int, int]:
        for _ in range(10):
            vf.model.step(100)
        return len(vf.reap(0)), len(vf.reap(1))

    assert finished() == by_doorbell
    vf.kick(0)
    assert finished() == by_kick


TAG = 0x5A                              # as queues of OP-TEE have it


@pytest.mark.parametrize("scope", ["queue", "function"])
@pytest.mark.parametrize("ring", [TAG, 0])
def test_a_doorbell_has_to_have_the_tag_of_its_queue(start, ring, scope):
    """A doorbell must carry the tag of its queue, also the resume doorbell, whether the context is
    cached or fetched. A wrong tag must not stop the queue."""
    vf = start(f",kick-scope={scope},unpause=kick")
    raw = bytearray(vf.model.memory(vf.buffer, 32))
    struct.pack_into("<HHQIHHHHHHI", raw, 0, 0, 0, vf.sq(0), vf.DEPTH - 1 | 7 << 12, TAG, 0, 0, 0, 0, 1 << 4, 0)
    vf.model.put(vf.buffer, bytes(raw))
    vf.ask(0, vf.buffer, 0)

    def rings(turn: int, priority: int) -> bool:
        vf.doorbell(0, 0, 0 if priority else turn, priority=priority, random=ring)
        vf.model.run_due()
        return vf.events()["requests-completed"] == turn

    vf.model.put(vf.sq(0), bytes(4 * vf.SQE))
    assert rings(1, 0) == (ring == TAG)
    vf.doorbell(0, 0, 1, random=TAG)
    vf.ask(0xE)
    vf.doorbell(0, 0, 2, random=TAG)    # lost
    rings(1, 1)                         # in the cache
    vf.doorbell(0, 0, 2, random=TAG)
    vf.model.run_due()
    assert (vf.events()["requests-completed"] == 2) == (ring == TAG)
    vf.ask(0xE)
    vf.write(0x204, 1)
    rings(2, 1)                         # to be fetched
    vf.doorbell(0, 0, 3, random=TAG)
    vf.model.run_due()
    assert (vf.events()["requests-completed"] == 3) == (ring == TAG)
    assert ("stale-doorbell" in vf.guest_errors()) == (ring == 0)


def test_a_queue_that_its_driver_has_disabled_is_not_fetched(start):
    """A queue that is disabled in its context must not be fetched."""
    vf = start()
    vf.ask(0xE)
    vf.write(0x204, 1)
    vf.model.write(vf.sq_table + 26, 1 << 6 | 1 << 4, 2)
    vf.kick(0)
    vf.kick(1)
    assert vf.events()["contexts-fetched"] == 2 and vf.guest_errors() == {"stale-doorbell"}


def test_capabilities_that_every_device_has(start):
    """The capability registers must have the values of Linux' table; a guest must be able to set
    its page size."""
    vf = start()
    for f in (vf, PfOrVf(vf.model, 0)):
        assert f.read(0x3100) == 0x4F01 and f.read(0x3120) == 0x14
        for size in (0, 1, 2):
            f.write(0x34, size)
            assert f.read(0x34) == size


def test_the_use_of_the_engine(start):
    """V5 must report the engine's busy and total slots."""
    vf = start(",hw-version=v5,queues=16,engine-slots=2,request-latency=100")
    pf = PfOrVf(vf.model, 0)
    assert pf.read(0x1100) == 6 << 16
    for _ in range(3):
        vf.submit(0)
    vf.model.step(1)
    assert {pf.read(offset) for offset in range(0x1100, 0x1120, 4)} == {6 << 16 | 2}


@pytest.mark.parametrize("how", ["none", "never"])
def test_an_event_doorbell_interrupts_again(start, how):
    """An event queue doorbell must raise the interrupt again for unconsumed events, except with
    fault-reraise."""
    vf = start(f",fault-reraise={how},fault-function=1")
    vf.submit(0)
    assert vf.model.interrupt(1) == 0
    vf.submit(1)
    assert (vf.model.interrupt(1) == 0) == (how == "never")
    vf.doorbell(0, 2, 1)
    assert (vf.model.interrupt(1) == 0) == (how == "none")
    vf.doorbell(0, 2, 2)
    assert vf.model.interrupt(1) is None
    vf.write(0xC, 1)
    vf.reap(0)
    vf.submit(0)
    assert vf.model.interrupt(1) is None
    vf.write(0xC, 0)
    assert vf.model.interrupt(1) == 0


def test_a_mailbox_takes_one_store_of_16_bytes_only(start):
    """Only a 16-byte store, which arrives as two of 8 bytes, may start a mailbox command; narrower
    stores must not change the mailbox."""
    vf = start()
    for size in (1, 2, 4):
        for at in range(0, 16, size):
            vf.write(0x300 + at, 5, size)
    vf.write(0x308, 0, 8)
    assert vf.read(0x300) & 0xFF == 1, "the mailbox no longer has the last command, CQC"
    assert vf.ask(5, get=True) == vf.cq_table


@pytest.mark.parametrize("whose", ["own", "foreign"])
def test_whose_command_a_narrow_read_of_a_mailbox_shows_is_a_choice(start, whose):
    """mailbox-narrow-read must select whose command a narrow read returns."""
    vf = start(f",mailbox-narrow-read={whose}")
    other = PfOrVf(vf.model, 2)
    vf.mailbox(4, get=True)
    other.mailbox(6, get=True)
    assert vf.read(0x300) & 0xFF == (4 if whose == "own" else 6)
    assert vf.read(0x300, 8) & 0xFF == 4 and vf.read(0x308, 8) == vf.sq_table >> 32
    assert other.read(0x300) & 0xFF == other.read(0x300, 8) & 0xFF == 6


@pytest.mark.parametrize("masked", [False, True])
def test_the_source_of_an_event_interrupt_is_readable(start, masked):
    """The interrupt source register must be set while events are unread and cleared by their
    doorbell: Linux' drivers before 6.0 and kae_driver take an interrupt without it for an error."""
    vf = start()
    vf.write(0xC, masked)
    assert vf.read(0x8) == 0
    vf.submit(0)
    vf.submit(1)
    vf.model.run_due()
    assert vf.read(0x8) == 1 and vf.read(0x0) == 0
    vf.doorbell(0, 2, 1)
    assert vf.read(0x8) == 1, "one entry is unread"
    vf.doorbell(0, 2, 2)
    assert vf.read(0x8) == 0
    for _ in range(PfOrVf.DEPTH):
        vf.submit(0)                    # fill the completion queue
    vf.model.run_due()
    assert vf.read(0x0) == 1
    vf.doorbell(0, 3, 1)
    assert vf.read(0x0) == 0


def test_the_source_of_an_event_interrupt_is_cleared_by_a_one(start):
    """Writing 1 must clear the interrupt source."""
    vf = start()
    vf.submit(0)
    vf.model.run_due()
    vf.write(0x8, 2)
    assert vf.read(0x8) == 1
    vf.write(0x8, 1)
    assert vf.read(0x8) == 0


def in_memory(vf: PfOrVf, queue: int) -> bool:
    """Whether the SQC of a queue was written to its table since the last call."""
    written = vf.saved_sqc(queue) != (0, 0, 0)
    vf.model.put(vf.sq_table + 32 * queue, bytes(32))
    return written


def test_a_small_cache_writes_back_what_was_not_used_longest(start):
    """A full context cache must write back the least recently used context, and a doorbell must
    fetch it again."""
    vf = start(",context-cache=1,context-fetch=doorbell")
    vf.set_up(2)
    assert [in_memory(vf, queue) for queue in range(3)] == [True, True, False]
    vf.model.set("context-cache", 0)
    vf.model.reset(1)
    vf.start(2)
    vf.model.set("context-cache", 2)
    vf.submit(0)
    vf.set_up(2)                        # evicts queue 1
    assert [in_memory(vf, queue) for queue in range(3)] == [False, True, False]
    assert not vf.guest_errors()


@pytest.mark.parametrize("size", [1, 2, 0])
def test_requests_complete_with_a_cache_of_any_size(start, size):
    """Requests must complete with any size of the context cache."""
    vf = start(f",context-cache={size},context-fetch=doorbell,request-latency=10,engine-slots=8")
    vf.set_up(2)
    for turn in range(3):
        for queue in (0, 1, 2, 0):
            vf.submit(queue)
        vf.model.step(1)
        for _ in range(4):
            vf.model.step(10)
        got = [vf.reap(queue) for queue in range(3)]
        assert got == [fine(2, 2 * turn), fine(1, turn), fine(1, turn)]
        vf.doorbell(0, 2, vf.read(0x8000) >> 16)
    assert not vf.guest_errors() and bool(vf.events()["contexts-written-back"]) == (size > 0)


def test_a_table_that_is_gone_before_a_flush_is_written_to(start):
    """A small cache must write to a table that its driver freed without a write-back."""
    vf = start(",context-cache=1,context-fetch=doorbell")
    vf.submit(0)
    vf.reap(0)
    vf.model.put(vf.sq_table, b"\xa5" * 64)
    vf.set_up(3)
    assert vf.model.memory(vf.sq_table, 64) != b"\xa5" * 64


def test_a_write_back_leaves_event_queues_alone(start):
    """A write-back must not write EQC and AEQC to where they came from: the driver has freed that."""
    vf = start()
    vf.submit(0)
    vf.reap(0)
    vf.model.put(vf.buffer, b"\xa5" * 32)       # the AEQC was read from there, the EQC before it
    vf.write(0x204, 1)
    assert vf.model.memory(vf.buffer, 32) == b"\xa5" * 32
    assert vf.read(0x8004) == vf.eq & 0xFFFFFFFF and vf.read(0x8024) == vf.aeq & 0xFFFFFFFF
    assert not vf.guest_errors()


def test_messages_between_pf_and_vf(start):
    """Messages between PF and VF must raise an interrupt and be readable once."""
    vf = start()
    pf = PfOrVf(vf.model, 0)
    for each in (pf, vf):
        each.write(0x24, 0)
    pf.ask(0xC, 0x5_00000001, queue=1)
    pf.write(0x100134, 1)
    pf.write(0x100130, 1)
    assert vf.model.interrupt(1) == 2
    assert vf.read(0x28) == 1 and pf.read(0x100128, 8) == 2
    assert vf.ask(0xD) == vf.ask(0xD, get=True) == 0x5_00000001
    assert PfOrVf(vf.model, 2).ask(0xD) == 0
    vf.write(0x20, 1)
    assert vf.read(0x28) == 0 and pf.read(0x100128, 8) == 0
    vf.ask(0xC, 9)
    vf.write(0x2C, 1)
    assert pf.read(0x28) == 1 and pf.read(0x100138, 8) == 2 and vf.read(0x2C) == 1
    assert pf.ask(0xD, queue=1) == 9
    pf.write(0x100138, 2, 8)
    assert pf.read(0x28) == 0 and vf.read(0x2C) == 0
    assert not vf.guest_errors() and not pf.guest_errors()


@pytest.mark.parametrize("how", ["set", "keep"])
def test_what_a_reset_does_to_the_mask_of_messages_is_a_choice(start, how):
    """message-mask-reset must select what a VF reset does to the VF's message mask; a PF reset
    masks all messages."""
    vf = start(f",message-mask-reset={how}")
    pf = PfOrVf(vf.model, 0)
    for f in (vf, pf):
        assert f.read(0x24) == 1
        f.write(0x24, 0)
    vf.model.reset(1)
    assert vf.read(0x24) == (how == "set")
    pf.ask(0xC, 1, queue=1)
    pf.write(0x100134, 1)
    pf.write(0x100130, 1)
    assert vf.model.interrupt(1) == (None if how == "set" else 2)
    vf.model.reset(0)
    vf.model.bring_up()
    assert vf.read(0x24) == pf.read(0x24) == 1


def test_scatter_lists(start):
    """Scatter-gather lists of the maximum length must work; an endless or a misplaced list must be
    a guest error."""
    vf = start()
    first, second, target = (vf.data + offset for offset in (0x200, 0x400, 0x600))

    def header(following: int, used: int) -> bytes:
        return struct.pack("<QHHH", following, 4, used, 4).ljust(64, b"\0")

    def entry(address: int, length: int) -> bytes:
        return struct.pack("<QQI", address, 0, length).ljust(32, b"\0")

    text = PLAIN * 3
    vf.model.put(vf.data, KEY)
    for at, part in ((0x5000, text[:5]), (0x5100, text[5:30]), (0x5200, text[30:])):
        vf.model.put(vf.data + at, part)
    vf.model.put(first, header(second, 2) + entry(vf.data + 0x5000, 5)
                 + entry(vf.data + 0x5100, 25))
    vf.model.put(second, header(0, 1) + entry(vf.data + 0x5200, 18))
    vf.model.put(target, header(0, 2) + entry(vf.data + 0x6000, 40)
                 + entry(vf.data + 0x6100, 40))
    vf.submit(0, vf.request(first, target, 48, lists=True))
    assert vf.reap(0) == fine(1)
    assert vf.model.memory(vf.data + 0x6000, 40) + vf.model.memory(vf.data + 0x6100, 16) \
        == CIPHER * 3 + bytes(8)

    for i in range(256):                # the longest list, of one byte each
        at = vf.data + 0x10000 + i * 0x80
        vf.model.put(at, header(at + 0x80 if i < 255 else 0, 1) + entry(vf.data + 0x8000 + i, 1))
    vf.model.put(vf.data + 0x8000, PLAIN * 16)
    vf.model.put(target, header(0, 1) + entry(vf.data + 0x6000, 256))
    vf.submit(0, vf.request(vf.data + 0x10000, target, 256, lists=True))
    assert vf.reap(0) == fine(1, 1) and vf.model.memory(vf.data + 0x6000, 256) == CIPHER * 16
    assert not vf.guest_errors()

    vf.model.put(first, header(first, 0))           # an endless list
    odd = target + 32                               # and a misaligned one
    vf.model.put(odd, header(0, 1) + entry(vf.data + 0x6000, 256))
    for source, destination, count in ((first, target, 1), (vf.data + 0x10000, odd, 2)):
        vf.submit(0, vf.request(source, destination, 48, lists=True))
        ((_, error),) = vf.reap(0)
        assert error and vf.model.property("counters", 1)["guest-errors"]["bad-sgl"] == count
    assert vf.guest_errors() == {"bad-sgl"}


def test_commands_and_write_back_take_the_time_they_are_given(start):
    """mailbox-latency and writeback-latency must delay commands and write-backs; a reset must end a command."""
    vf = start()
    assert not vf.model.set("mailbox-latency", 50) and not vf.model.set("writeback-latency", 50)
    vf.mailbox(4, 0x1234)
    assert vf.read(0x300) & 0x2000
    vf.mailbox(5, 1)
    assert vf.guest_errors() == {"mailbox-busy"}
    vf.model.step(60)
    assert not vf.read(0x300) & 0x2000
    vf.write(0x204, 1)
    assert vf.read(0x208) == 0
    vf.model.step(60)
    assert vf.read(0x208) == 1
    vf.mailbox(4, 0x1234)
    vf.model.reset(1)
    vf.model.step(60)
    assert vf.read(0x300) == 0, "a command was not ended by the reset"


@pytest.mark.parametrize("slots", [1, 3])
def test_the_engine_works_on_so_many_requests_at_once(start, slots):
    """engine-slots must limit the requests in progress."""
    vf = start(f",request-latency=100,engine-slots={slots}")
    for _ in range(6):
        vf.submit(0)
    for done in range(slots, 7, slots):
        vf.model.step(99)
        assert vf.events()["requests-completed"] == done - slots, "completed before the latency"
        vf.model.step(1)
        assert vf.events()["requests-completed"] == done


def test_a_change_of_the_time_is_for_those_at_work_too(start):
    """A change of request-latency must apply to requests in progress."""
    vf = start(",request-latency=60000000")
    vf.submit(0)
    vf.model.step(1000)
    assert not vf.reap(0)
    vf.model.set("request-latency", 500)
    assert vf.reap(0) == fine(1)


def a_number(name: str, low: int, high: int, wrong: int) -> tuple[str, str]:
    """The error message for a number out of range."""
    return f"{name}={wrong}", f"{name} must be from {low} to {high}, not {wrong}"


@pytest.mark.parametrize("option, words", [
    a_number("vfs", 1, 63, 0), a_number("vfs", 1, 63, 64), a_number("queues", 2, 1024, 1025),
    a_number("vf-vectors", 3, 4, 2), a_number("engine-slots", 1, 64, 65),
    a_number("sq-depth", 16, 4096, 8), a_number("cq-depth", 16, 4096, 8192),
    a_number("eq-depth", 16, 32768, 1 << 16), a_number("aeq-depth", 16, 32768, 1),
    a_number("request-latency", 0, 60000000, 60000001), a_number("mailbox-latency", 0, 60000000, 1 << 40),
    a_number("writeback-latency", 0, 60000000, 60000001), a_number("fault-msi-drop", 0, (1 << 32) - 1, 1 << 32),
    a_number("error-reads", 0, (1 << 32) - 1, 1 << 32),
    ("queues=9", "9 queues are too few for a PF with 8 VFs"),
    ("sq-depth=100", "sq-depth must be a power of two, not 100"),
    ("pf-algs=0x1f", "pf-algs has bits that hisi-sec2 does not compute: 0x10 (it knows 0x3800018670cf)"),
    ("vf-algs=0x10", "vf-algs has bits that hisi-sec2 does not compute: 0x10 (it knows 0x3800018670cf)"),
    ("kick-scope=both", "kick-scope must be 'queue' or 'function', not 'both'"),
    ("context-fetch=never", "context-fetch must be 'kick' or 'doorbell', not 'never'"),
    ("unpause=never", "unpause must be 'doorbell' or 'kick', not 'never'"),
    ("pause-inflight=drop", "pause-inflight must be 'finish' or 'hold', not 'drop'"),
    ("fault-reraise=always", "fault-reraise must be 'none' or 'never', not 'always'"),
    ("bus-master-off=stop", "bus-master-off must be 'fail', 'wait' or 'reset', not 'stop'"),
    ("d3-access=zero", "d3-access must be 'all-ones' or 'abort', not 'zero'"),
    ("mailbox-narrow-read=none", "mailbox-narrow-read must be 'own' or 'foreign', not 'none'"),
    ("message-mask-reset=maybe", "message-mask-reset must be 'set' or 'keep', not 'maybe'"),
    a_number("context-cache", 0, 1024, 1025),
    ("mig-regs-reset=maybe", "mig-regs-reset must be 'keep' or 'lost', not 'maybe'"),
    ("bus-reopen=maybe", "bus-reopen must be 'clear' or 'toggle', not 'maybe'"),
    ("no-soft-reset=maybe", "no-soft-reset must be 'off' or 'on', not 'maybe'"),
    ("hw-version=v6", "hw-version must be 'v3', 'v4' or 'v5', not 'v6'"),
    ("isolation=maybe", "isolation must be 'off' or 'on', not 'maybe'"),
    ("vfs=many", "Parameter 'vfs' expects integer"),
    ("speed=1", "Property 'hisi-sec2.speed' not found"),
])
def test_a_wrong_property_is_refused_with_a_sentence(outer, option, words):
    """An invalid property must be rejected with one line."""
    assert refusal(outer, option) == words


def test_the_maximum_number_of_vfs(start):
    """The maximum number of VFs must work."""
    # each has registers, queues and interrupts of its own
    vf = start(",vfs=63,queues=256")
    vf.model.write(vf.model.config(0) + 0x208, 0, 2)    # disable the two VFs
    vf.model.bring_up(63, 4)
    last = PfOrVf(vf.model, 63)
    last.start()
    last.submit(0)
    assert vf.model.interrupt(63) == 0 and last.reap(0) == [(0, 0)]
    assert vf.model.memory(last.result_at(0, 0), 16) == CIPHER
    assert vf.model.property("counters", 62)["events"]["requests-completed"] == 0 and not last.guest_errors()


def test_a_vf_has_no_bit_of_its_own_for_memory_decode(start):
    """Memory Space Enable of a VF must be hard-wired to 0, as SR-IOV specifies; its registers must
    be accessible."""
    vf = start()
    config = vf.model.config(1)
    for size in (1, 2, 4):
        vf.model.write(config + 4, 0xFF, size)
        assert vf.model.read(config + 4, size) & 7 == 4
    assert vf.read(0x3100) != 0xFFFFFFFF
    assert vf.model.read(vf.model.config(0) + 4, 2) & 7 == 6


@pytest.mark.parametrize("isolation", ["off", "on"])
def test_without_vf_mse_no_vf_answers(start, isolation):
    """Without VF MSE, reads of VFs must return all ones, writes be dropped, and pending work
    continue. The drivers clear VF MSE but not VF Enable while they reset the device."""
    vf = start(f",isolation={isolation},queues=16,request-latency=10")
    control = vf.model.config(0) + 0x208
    vf.submit(0)
    vf.model.write(control, 1, 2)
    assert vf.read(0x60) == vf.read(0x3100) == 0xFFFFFFFF and vf.read(0x8000, 8) == 2**64 - 1
    vf.write(0x60, 1)
    vf.doorbell(0, 0, 3)
    if isolation == "on":
        vf.model.write(VF_DB_BAR + 0x1000, 3 << 32, 8)
    assert vf.model.read(vf.model.config(1) + 4) != 0xFFFFFFFF, "configuration space is inaccessible"
    vf.model.step(1)
    vf.model.step(10)
    vf.model.write(control, 9, 2)
    assert vf.read(0x60) == 0 and vf.reap(0) == fine(1) and not vf.guest_errors()
    assert vf.events()["accesses-without-vf-mse"] == (6 if isolation == "on" else 5)


def test_a_file_for_accesses_is_closed_when_the_device_cannot_exist(outer, tmp_path):
    """If device creation fails, the access trace must be closed; sanitizers report it otherwise."""
    assert refusal(outer, f"access-trace={tmp_path}/trace,queues=9") == "9 queues are too few for a PF with 8 VFs"


def test_sizes_are_fixed_once_it_exists(start):
    """Sizes must not change after device creation."""
    model = start().model
    assert model.set("vfs", 3) == "vfs cannot be changed once the device exists"
    assert model.property("vfs") == 8
