# SPDX-License-Identifier: GPL-2.0
"""Each guest error must be counted by a name of its own, be logged once, and do no harm. All names
are here or in the test of the mode that they belong to."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable

import pytest

from lab.core import paths
from registers import RAM, PfOrVf

PAUSE, STOP_QUEUE, SQC_TABLE, SEND = 0xE, 0x8, 0x4, 0xC
AEQE_CQ_OVERFLOW, AEQE_EQ_OVERFLOW = 0 << 17 | 1 << 16, 1 << 17 | 1 << 16


def after(*steps: Callable[[PfOrVf], object]) -> Callable[[PfOrVf], None]:
    """Run several actions in turn, on a VF just started."""
    def all_of_it(f: PfOrVf) -> None:
        f.model.reset(1)
        f.start()
        for step in steps:
            step(f)

    return all_of_it


def slow(f: PfOrVf) -> None:
    """Requests with a latency, which stay in their ring at a pause."""
    assert not f.model.set("request-latency", 1000) and not f.model.set("pause-inflight", "hold")


def resumed_by_kick(f: PfOrVf) -> None:
    """A device that only the resume doorbell ends a pause of."""
    assert not f.model.set("unpause", "kick")


def with_pasid(f: PfOrVf, command: int) -> None:
    """Set an SQC or CQC whose addresses need a PASID."""
    f.model.put(f.buffer, struct.pack(
        "<HHQIHHHHII", 0, 0, f.sq(0), f.DEPTH - 1 | (4 if command else 7) << 12, 0, 0, 0, 1 if command else 1 << 7, 0, 0))
    f.mailbox(command, f.buffer, 0)


@pytest.mark.parametrize("name, error", [
    ("doorbell-without-context", lambda f: f.doorbell(2, 0, 1)),
    ("doorbell-out-of-range", lambda f: f.doorbell(0, 0, 16)),
    ("doorbell-out-of-range", lambda f: f.doorbell(9, 0, 1)),
    ("stale-doorbell", lambda f: f.doorbell(0, 0, 1, random=5)),
    # the tail goes back over a request, the head of the CQ ahead of all completions
    ("stale-doorbell", after(slow, lambda f: f.submit(0), lambda f: f.submit(0), lambda f: f.doorbell(0, 0, 1))),
    ("stale-doorbell", lambda f: f.doorbell(0, 1, 3)),
    ("doorbell-command", lambda f: f.doorbell(0, 9, 1)),
    ("kick-with-index", lambda f: f.doorbell(0, 0, 1, priority=1)),
    ("undefined-register", lambda f: f.write(0x2900, 1)),
    ("register-width", lambda f: f.write(0x10, 1, 1)),
    ("mailbox-width", lambda f: [f.write(0x300 + 4 * i, 4 if i == 0 else 0) for i in range(4)]),
    ("mailbox-width", lambda f: [f.write(0x300 + i, 4 if i == 0 else 0, 1) for i in range(16)]),
    ("mailbox-width", lambda f: f.write(0x308, 0, 8)),
    ("doorbell-width", lambda f: (f.write(0x1000, 0), f.write(0x1004, 1))),
    ("doorbell-width", lambda f: (f.write(0x2000, 2 << 12), f.write(0x2004, 0))),
    ("bad-context", lambda f: with_pasid(f, 0)),
    ("bad-context", lambda f: with_pasid(f, 1)),
    ("mailbox-width", lambda f: (f.write(0x300, 4, 8), f.write(0x304, 0), f.write(0x308, 0, 8))),
    ("mailbox-opcode", lambda f: f.mailbox(0x7)),
    ("mailbox-queue", lambda f: f.mailbox(0, f.buffer, 77)),
    ("bad-context", lambda f: f.mailbox(0, RAM, 0)),
    ("bad-request", lambda f: f.submit(0, f.request(f.data, f.data, 17))),
    ("bad-request", lambda f: f.submit(0, f.request(f.data, f.data, 16, mode=9))),
    ("dma-fault", lambda f: f.submit(0, f.request(1 << 52, f.data))),
    ("doorbell-of-stopped-queue", after(lambda f: f.ask(STOP_QUEUE), lambda f: f.doorbell(0, 0, 1))),
    ("doorbell-while-paused", after(resumed_by_kick, lambda f: f.ask(PAUSE), lambda f: f.doorbell(0, 0, 1))),
    ("doorbell-while-paused", after(resumed_by_kick, lambda f: f.ask(PAUSE), lambda f: f.doorbell(0, 1, 0, priority=1))),
    ("mailbox-while-paused", after(slow, lambda f: f.submit(0), lambda f: f.ask(PAUSE), lambda f: f.ask(STOP_QUEUE))),
    ("write-back-while-busy", after(slow, lambda f: f.submit(0), lambda f: f.write(0x204, 1))),
    ("write-back-without-table", after(lambda f: f.ask(SQC_TABLE, 0), lambda f: f.write(0x204, 1))),
    ("kick-without-table", after(lambda f: f.model.reset(1), lambda f: f.kick(0))),
    ("event-queue-unset", after(lambda f: f.model.reset(1), lambda f: f.doorbell(0, 2, 0))),
    ("mailbox-busy", after(lambda f: f.model.set("mailbox-latency", 1000), lambda f: f.mailbox(4, f.sq_table),
                           lambda f: f.mailbox(5, f.cq_table), lambda f: f.model.step(1000),
                           lambda f: f.model.set("mailbox-latency", 0))),
])
def test_a_guest_error_is_counted_by_name_and_logged_once(start, name, error):
    """Each guest error must be counted by its name and logged once."""
    vf = start()
    for _ in range(3):
        error(vf)
        vf.model.run_due()
    assert vf.guest_errors() == {name}
    logged_once(vf)


def logged_once(vf: PfOrVf) -> None:
    """One line of the log has it."""
    lines = [line for line in vf.model.log.read_text().splitlines() if "hisi-sec2" in line]
    assert len(lines) == 1, lines


@pytest.mark.parametrize("name, error", [
    ("message-destination", lambda pf: pf.ask(SEND, 1, queue=9)),
    ("message-destination", lambda pf: (pf.write(0x100134, 3), pf.write(0x100130, 1))),
    ("message-destination", lambda pf: pf.write(0x2C, 1)),
    ("vft-function", lambda pf: (pf.write(0x10005C, 0), pf.write(0x100060, 9), pf.write(0x100054, 1))),
    ("vft-function", lambda pf: (pf.write(0x10005C, 3), pf.write(0x100054, 1))),
    ("undefined-register", lambda pf: pf.read(0x100400)),
])
def test_a_guest_error_of_the_pf(start, name, error):
    """A guest error of the PF must be counted for the PF."""
    vf = start()
    pf = PfOrVf(vf.model, 0)
    for _ in range(3):
        error(pf)
    assert pf.guest_errors() == {name} and not vf.guest_errors()
    logged_once(vf)


def test_a_completion_queue_that_runs_full_stops_its_queue(start):
    """A full completion queue must stop its queue, without loss of entries."""
    vf = start()
    vf.write(0x4, 0)
    for _ in range(PfOrVf.DEPTH):
        vf.submit(0)
        vf.model.run_due()
    # one entry stays free; the last request had no other
    assert vf.events()["cqes"] == PfOrVf.DEPTH - 1 and vf.guest_errors() == {"cq-overrun"}
    assert vf.model.interrupt(1) == 1 and vf.events()["aeqes"] == 1
    assert struct.unpack("<I", vf.model.memory(vf.aeq, 4)) == (AEQE_CQ_OVERFLOW,)
    vf.doorbell(0, 0, vf.tail[0] + 1)
    assert vf.guest_errors() == {"cq-overrun", "doorbell-of-stopped-queue"}
    vf.submit(1)                        # the other queue works
    assert vf.reap(1) == [(0, 0)]


def test_an_event_queue_overflow_is_reported(start):
    """A full event queue must raise an abnormal event."""
    vf = start()
    for _ in range(PfOrVf.DEPTH):
        vf.submit(0)
        assert len(vf.reap(0)) == 1     # which arms the queue, and posts one more event
    assert vf.events()["eqes"] == PfOrVf.DEPTH - 1 and vf.guest_errors() == {"eq-overrun"}
    assert vf.model.interrupt(1) == 1
    assert struct.unpack("<I", vf.model.memory(vf.aeq, 4)) == (AEQE_EQ_OVERFLOW,)


def test_each_name_is_in_a_test(start):
    """Each name of a guest error must be in a test."""
    names = start().model.property("counters", 1)["guest-errors"]
    text = "".join(path.read_text(encoding="utf-8") for path in (paths.LAB / "tests/model").glob("test_model*.py"))
    assert [name for name in names if json.dumps(name) not in text] == []
