# SPDX-License-Identifier: GPL-2.0
"""How often our driver touches the device in the part of a migration that a
guest waits for, by the device's own trace."""

from __future__ import annotations

import dataclasses
import io
import pathlib

import pytest

import steps
from lab import accelerator, paths
from lab.progress import Steps
from lab.session import MODEL, Choice, Session
from steps import State

SEC = accelerator.ENGINES["sec"]
MAILBOX, SQ_DOORBELL, EVENT_DOORBELL = 0x300, 0x1000, 0x2000
QUEUES = 8                              # of each virtual function
QUIET = {"pf-algs": "0", "vf-algs": "0"}        # the physical function has no work of its own


@dataclasses.dataclass(frozen=True)
class Access:
    """One access; 16 bytes are one, though the device gets them in halves."""

    function: int
    write: bool
    size: int
    offset: int


def read_trace(path: pathlib.Path) -> list[Access]:
    """The accesses in a trace, in order."""
    found: list[Access] = []
    for line in path.read_text().splitlines():
        _, function, _, kind, size, offset, _ = line.split()
        access = Access(int(function), kind == "W", int(size), int(offset, 16))
        if access.offset == MAILBOX + 8 and found and found[-1] == dataclasses.replace(
                access, offset=MAILBOX):
            found[-1] = dataclasses.replace(access, size=16, offset=MAILBOX)
        else:
            found.append(access)
    return found


def count(accesses: list[Access], function: int, write: bool, *offsets: int) -> int:
    """Accesses to a function, at these offsets or anywhere."""
    return sum(a.function == function and a.write == write and
               (not offsets or a.offset in offsets) for a in accesses)


def totals(accesses: list[Access]) -> dict[str, int]:
    """Accesses by kind; whoever they were for."""
    assert {a.function for a in accesses} <= {0, 1}, "another function was touched"
    return {"pf reads": count(accesses, 0, False), "pf writes": count(accesses, 0, True),
            "reads": count(accesses, 1, False), "writes": count(accesses, 1, True),
            "mailboxes": count(accesses, 1, True, MAILBOX),
            "doorbells": count(accesses, 1, True, SQ_DOORBELL, EVENT_DOORBELL)}


@pytest.fixture(scope="module")
def migrated(context, tmp_path_factory) -> dict[str, dict[str, int]]:
    """Accesses of a save, and of a load of the same image into the function
    after a reset."""
    trace = tmp_path_factory.mktemp("trace") / "trace"
    program = steps.program(context)
    with Session(Steps(io.StringIO()), paths.ROOT / "build/check/access-budget") as session:
        (host,) = session.boot([session.spec("host", Choice(
            push={steps.REMOTE: program},
            model={**MODEL, **QUIET, "queues": str(accelerator.PF_QUEUES + 2 * QUEUES)}), guest=False)])
        accelerator.bring_up(host.ssh, SEC, 2)
        addresses = accelerator.functions(host.ssh, SEC)
        accelerator.bind(host.ssh, addresses, accelerator.VARIANT_DRIVER)

        def run(vf: steps.Function, *states: State) -> dict[str, int]:
            host.set_model("sec", "access-trace", str(trace))
            for state in states:
                assert vf.go(state) == ("", state)
            host.set_model("sec", "access-trace", "")
            return totals(read_trace(trace))

        with steps.Function(host, addresses[0]) as vf:
            vf.guest_up()
            save = run(vf, State.STOP, State.STOP_COPY)
            assert vf.read_image() == steps.IMAGE
            assert vf.reset() == ("", State.RUNNING)
            assert vf.go(State.RESUMING) == ("", State.RESUMING)
            assert vf.write_image() == steps.IMAGE
            return {"save": save, "load": run(vf, State.STOP, State.RUNNING)}


def test_what_saving_does_to_the_device(migrated):
    save = migrated["save"]
    assert save["pf reads"] <= 2 and save["pf writes"] == 0
    assert save["mailboxes"] <= 3 and save["doorbells"] <= 2
    assert save["writes"] <= save["mailboxes"] + save["doorbells"] + 1, "more than a write-back"


def test_how_often_saving_reads(migrated):
    assert migrated["save"]["reads"] <= 27


def test_what_loading_does_to_the_device(migrated):
    load = migrated["load"]
    assert load["pf reads"] <= 4 and load["pf writes"] == 0
    assert load["mailboxes"] <= 4 and load["reads"] <= 12
    assert load["doorbells"] <= QUEUES + 2
    assert load["writes"] <= load["mailboxes"] + load["doorbells"] + 27
