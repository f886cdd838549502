# SPDX-License-Identifier: GPL-2.0
"""A bitmap of dirty pages that is read after a function was paused has all that
it wrote: nothing lands later, whatever it was in the middle of."""

from __future__ import annotations

import pytest

from lab.build import qemu
from registers import Function, Model

PAUSE = 0xE
#: where the test's function has tables, rings and data
SPAN = 0x50000

# A pause that leaves what the engine has taken to itself, to be finished some time
LATE = {"    f->pausing = true;": ""}


def landed_late(vf: Function) -> list[str]:
    """What a function writes after PAUSE is done: counted by it, and in memory.
    Requests, completions, events and a write-back are under way."""
    for _ in range(9):
        vf.submit(0)
        vf.submit(1)
    for step in (1, 1000, 500):         # four done, four more in the engine
        vf.model.step(step)
    vf.mailbox(PAUSE)
    while vf.read(0x300, 2) & 1 << 13:
        vf.model.step(10)
    written, memory = vf.events()["dma-bytes-written"], vf.model.memory(vf.sq_table, SPAN)
    assert written and vf.events()["requests-completed"] < 18
    found = []
    for _ in range(10):
        vf.model.step(100_000)
        vf.model.settle()
    if vf.events()["dma-bytes-written"] != written:
        found.append("counted")
    if vf.model.memory(vf.sq_table, SPAN) != memory:
        found.append("in memory")
    # the write-back, which a driver asks for next, is done when it says so
    vf.write(0x204, 1)
    while not vf.read(0x208):
        vf.model.step(10)
    written = vf.events()["dma-bytes-written"]
    vf.model.step(100_000)
    if vf.events()["dma-bytes-written"] != written:
        found.append("after the write-back")
    return found


@pytest.mark.parametrize("options", ["pause-inflight=finish", "pause-inflight=hold", "mailbox-latency=500",
                                     "pause-inflight=hold,writeback-latency=500,mailbox-latency=500"])
def test_nothing_lands_after_the_pause(start, options):
    vf = start(",request-latency=1000")
    for option in options.split(","):
        name, _, value = option.partition("=")
        vf.model.set(name, int(value) if value.isdigit() else value)
    assert landed_late(vf) == []


@pytest.mark.long("builds another QEMU")
def test_a_model_that_finishes_requests_after_the_pause_is_caught(context, tmp_path):
    with Model(qemu.outer(context, LATE), tmp_path, ",request-latency=1000") as machine:
        machine.bring_up()
        function = Function(machine, 1)
        function.start()
        assert "in memory" in landed_late(function)
