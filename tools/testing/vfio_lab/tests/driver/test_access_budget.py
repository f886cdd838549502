# SPDX-License-Identifier: GPL-2.0
"""Number of device accesses in a migration, by this driver and by the in-tree driver in the same
boot, from the device's trace.

The table is written to build/check/accesses-KERNEL.md.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

import bench as lab_bench
from bench import QUEUES, VARIANT, Bench
from lab.core import paths
from lab.core.progress import Steps
from lab.scenario.session import Session
from lab.probe import accesses
from kernels import EACH
from steps import DATA_SIZE, State

Counts = dict[str, int]
SAVE, RESTORE = ("before", "downtime"), ("write", "load")
IN_TREE = "$(find /lib/modules -path '*/kernel/*' -name 'hisi-acc-vfio-pci.ko*' | head -n 1)"
#: accesses of Linux 6.12's driver in a restore, whatever the kernel runs; it rings each queue's
#: doorbell
RESTORE_OF_6_12 = {"pf reads": 3, "pf writes": 0, "reads": 18, "writes": 27, "mailboxes": 4}


def measure(bench: Bench, trace: Path) -> dict[str, Counts]:
    """Accesses of each step of a save, and of a load into the same VF."""
    steps: dict[str, Counts] = {}

    def step(name: str, act) -> None:
        with bench.traced(trace):
            act()
        steps[name] = accesses.totals(accesses.read(trace))

    with bench.open() as vf:
        def go(state: State) -> None:
            assert vf.go(state) == ("", state)

        def write() -> None:
            assert vf.write_migration_data() == DATA_SIZE

        vf.guest_up()
        step("before", lambda: go(State.PRE_COPY))
        step("downtime", lambda: go(State.STOP_COPY))
        data = bytearray()
        while len(data) < DATA_SIZE:
            assert vf.read_migration_data() > 0
            data += vf.migration_data()
        assert vf.reset() == ("", State.RUNNING)
        vf.load_migration_data(bytes(data))
        go(State.RESUMING)
        step("write", write)
        step("load", lambda: go(State.RUNNING))
    return steps


def added(steps: dict[str, Counts], names: tuple[str, ...]) -> Counts:
    """The sum of several steps."""
    return {kind: sum(steps[name][kind] for name in names) for kind in steps[names[0]]}


def table(found: dict[str, dict[str, Counts]]) -> str:
    """A Markdown table: a row for each step of each driver."""
    kinds = list(next(iter(found.values()))["before"])
    lines = [f"| driver | step | {' | '.join(kinds)} |", "|---" * (2 + len(kinds)) + "|"]
    for driver, steps in found.items():
        rows = {**steps, "save, all of it": added(steps, SAVE), "restore, all of it": added(steps, RESTORE)}
        lines += [f"| {driver} | {name} | {' | '.join(str(counts[k]) for k in kinds)} |"
                  for name, counts in rows.items()]
    return "\n".join([*lines, ""])


@pytest.fixture(scope="module", params=EACH)
def found(request, context, tmp_path_factory) -> Iterator[dict[str, dict[str, Counts]]]:
    """Accesses of both drivers on one host."""
    trace = tmp_path_factory.mktemp("trace") / "trace"
    with Session(Steps(io.StringIO()), paths.BUILD / f"check/access-budget-{request.param}") as session, \
            lab_bench.bench(session, context, request.param, "tree") as bench:
        bench.bring_up()
        counts = {"tree": measure(bench, trace)}
        bench.unbind()
        bench.host.ssh.run(f"rmmod {VARIANT} && insmod {IN_TREE}")
        bench.bind()
        counts["in-tree"] = measure(bench, trace)
        (paths.BUILD / f"check/accesses-{request.param}.md").write_text(table(counts))
        print(table(counts))
        yield counts


def test_before_the_downtime(found):
    """Checking whether a running VF can be saved must take two reads of the PF and three of the VF,
    of registers that only change when they are written."""
    before = found["tree"]["before"]
    assert before["pf reads"] <= 2 and before["pf writes"] == 0
    assert before["reads"] <= 3 and before["writes"] == 0, "more accesses to a running guest's VF"


def test_what_saving_does_in_the_downtime(found):
    """In the downtime, saving must not access the device more often than this."""
    save = found["tree"]["downtime"]
    assert save["pf reads"] <= 2 and save["pf writes"] == 0
    assert save["reads"] <= 27
    assert save["mailboxes"] <= 3 and save["doorbells"] <= 2
    assert save["writes"] <= save["mailboxes"] + save["doorbells"] + 1, "accesses other than a write-back"


def test_what_restoring_does(found):
    """A restore must access the device no more often than Linux 6.12's driver, except for the
    doorbells of the event queues, and less often in total."""
    ours, theirs = (added(found[driver], RESTORE) for driver in ("tree", "in-tree"))
    plain = ours["writes"] - ours["mailboxes"] - ours["doorbells"]
    assert plain <= RESTORE_OF_6_12["writes"]
    assert all(ours[kind] <= RESTORE_OF_6_12[kind] for kind in ("pf reads", "pf writes", "reads", "mailboxes"))
    assert ours["doorbells"] <= QUEUES + 2
    assert sum(ours[k] for k in ("pf reads", "pf writes", "reads", "writes")) < \
        sum(theirs[k] for k in ("pf reads", "pf writes", "reads", "writes"))
