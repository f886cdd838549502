# SPDX-License-Identifier: GPL-2.0
"""A bitmap of dirty pages that is read after a VF was paused must include all its writes: nothing
may be written later, whatever was in progress."""

from __future__ import annotations

import pytest

from lab.build import qemu
from registers import Model, PfOrVf

PAUSE = 0xE
#: where the test's VF has tables, rings and data
SPAN = 0x50000

# A wrong pause: requests already in the engine complete later
LATE = {"    f->pausing = true;": ""}


def landed_late(vf: PfOrVf) -> list[str]:
    """What a VF writes after PAUSE has completed, by its counter and in memory. Requests,
    completions, events and a write-back are in progress."""
    for _ in range(9):
        vf.submit(0)
        vf.submit(1)
    for step in (1, 1000, 500):         # four completed, four more in the engine
        vf.model.step(step)
    vf.mailbox(PAUSE)
    while vf.read(0x300, 2) & 1 << 13:
        vf.model.step(10)
    written, memory = vf.events()["dma-bytes-written"], vf.model.memory(vf.sq_table, SPAN)
    assert written and vf.events()["requests-completed"] < 18
    found = []
    for _ in range(10):
        vf.model.step(100_000)
        vf.model.run_due()
    if vf.events()["dma-bytes-written"] != written:
        found.append("counted")
    if vf.model.memory(vf.sq_table, SPAN) != memory:
        found.append("in memory")
    # the write-back that a driver requests next must be complete when the command is
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
    """After PAUSE, memory and counters must not change."""
    vf = start(",request-latency=1000")
    for option in options.split(","):
        name, _, value = option.partition("=")
        vf.model.set(name, int(value) if value.isdigit() else value)
    assert landed_late(vf) == []


@pytest.mark.long("builds another QEMU")
def test_a_model_that_completes_requests_after_the_pause_fails(context, tmp_path):
    """A device model that completes requests after PAUSE must fail the test above."""
    with Model(qemu.outer(context, LATE), tmp_path, ",request-latency=1000") as machine:
        machine.bring_up()
        vf = PfOrVf(machine, 1)
        vf.start()
        assert "in memory" in landed_late(vf)
