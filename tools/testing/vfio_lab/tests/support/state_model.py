# SPDX-License-Identifier: GPL-2.0
"""A model of the driver's state machine, explored exhaustively: the driver's table, read from
migrate.c, below the VFIO core's paths, read from vfio_main.c.

Each action of the table is modelled by its name, with all its possible failures; migrate_test.c
verifies that there are no other actions.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator

STATES = ("ERROR", "STOP", "RUNNING", "STOP_COPY", "RESUMING", "RUNNING_P2P", "PRE_COPY", "PRE_COPY_P2P")
RUNS = {"RUNNING", "PRE_COPY"}
SENDS = {"PRE_COPY", "PRE_COPY_P2P", "STOP_COPY"}


@dataclasses.dataclass(frozen=True)
class Arc:
    """One entry of the driver's table."""

    action: str
    undo: str
    needs: str


@dataclasses.dataclass(frozen=True)
class Vf:
    """The driver's data of a VF, and the VF itself: `stopped` is the device's state, `paused` the driver's."""

    state: str = "RUNNING"
    stopped: bool = False
    paused: bool = False
    half_loaded: bool = False
    lost: bool = False
    data: str = ""

    def but(self, **changes: object) -> Vf:
        """A copy with changes."""
        return dataclasses.replace(self, **changes)


class Wrong(Exception):
    """A violated invariant; the text has the path to it."""


def arcs(text: str) -> dict[tuple[str, str], Arc]:
    """The table in migrate.c."""
    table = text[text.index("\narcs["):]
    table = table[:table.index("\n};")]
    found = re.findall(r"\[STATE\((\w+)\)\]\[STATE\((\w+)\)\] = \{\s*\.action = (\w+),(?:\s*\.undo = (\w+),)?"
                       r"(?:\s*\.needs = (\w+),)?\s*\}", table)
    listed = {(start, end): Arc(action, undo, needs) for start, end, action, undo, needs in found}
    if len(listed) != len(found) or len(found) != table.count("STATE(") // 2:
        raise Wrong("an arc is there twice, or cannot be read")
    return listed


def core(text: str) -> Callable[[str, str], str]:
    """The result of vfio_mig_get_next_state() with STOP_COPY, P2P and PRE_COPY."""
    table = text[text.index("vfio_from_fsm_table[VFIO_DEVICE_NUM_STATES]"):]
    table = table[:table.index("\n\t};")]
    steps: dict[tuple[str, str], str] = {}
    for start, rows in re.findall(r"\n\t\t\[VFIO_DEVICE_STATE_(\w+)\] = \{(.*?)\n\t\t\}", table, re.S):
        for target, step in re.findall(r"\[VFIO_DEVICE_STATE_(\w+)\] = VFIO_DEVICE_STATE_(\w+)", rows):
            steps[start, target] = step
    if len(steps) != len(STATES) ** 2:
        raise Wrong(f"the core's table has {len(steps)} entries")
    return lambda start, target: steps[start, target]


# Outcomes of each action: an error ("" is none) and the VF afterwards

Outcomes = Iterator[tuple[str, Vf]]


def _stop(f: Vf) -> Outcomes:
    yield "", f.but(stopped=True, paused=True)
    yield "refused", f
    yield "stuck after PAUSE", f.but(stopped=True, paused=True)


def _restart(f: Vf) -> Outcomes:
    yield "", f.but(stopped=False, paused=False, lost=False)
    if f.lost:
        return
    yield "gone", f


def _noop(f: Vf) -> Outcomes:
    yield "", f


def _start_saving(f: Vf) -> Outcomes:
    if f.data:
        raise Wrong("a second migration file beside the first")
    yield "", f.but(data="match")
    yield "no memory", f


def _save(f: Vf) -> Outcomes:
    if not f.stopped:
        raise Wrong("a running VF is saved")
    if not f.data:
        yield "no memory", f
    # what read() returns then
    yield "", f.but(data="error")
    if not f.lost:
        yield "", f.but(data="whole")


def _start_resuming(f: Vf) -> Outcomes:
    if f.data:
        raise Wrong("a second migration file beside the first")
    yield "", f.but(data="incoming")
    yield "no memory", f


def _load(f: Vf) -> Outcomes:
    yield "data rejected", f
    yield "broke halfway", f.but(half_loaded=True)
    yield "", f.but(stopped=True, paused=True, half_loaded=False, lost=False, data="")


def _end_session(f: Vf) -> Outcomes:
    yield "", f.but(data="")


def _undo_stop(f: Vf) -> Outcomes:
    if not f.paused:
        yield "", f
        return
    yield "", f.but(stopped=False, paused=False)
    yield "stuck", f


def _load_undo(f: Vf) -> Outcomes:
    yield ("broken" if f.half_loaded else ""), f


ACTIONS: dict[str, Callable[[Vf], Outcomes]] = {
    "hisi_acc_arc_stop": _stop, "hisi_acc_arc_restart": _restart, "hisi_acc_arc_noop": _noop,
    "hisi_acc_arc_start_saving": _start_saving, "hisi_acc_arc_save": _save,
    "hisi_acc_arc_start_resuming": _start_resuming, "hisi_acc_arc_load": _load,
    "hisi_acc_arc_end_session": _end_session, "hisi_acc_qm_undo_stop": _undo_stop,
    "hisi_acc_arc_load_undo": _load_undo,
}


def _action(name: str) -> Callable[[Vf], Outcomes]:
    if name not in ACTIONS:
        raise Wrong(f"the model does not know what {name}() does")
    return ACTIONS[name]


def _walk_arc(f: Vf, arc: Arc, end: str) -> Outcomes:
    """Like hisi_acc_walk_arc() of migrate.c."""
    if arc.needs and arc.action != "hisi_acc_arc_save":
        yield "EBUSY", f
    for error, after in _action(arc.action)(f):
        if not error:
            yield "", after.but(state=end)
            continue
        undone = list(_action(arc.undo)(after)) if arc.undo else [("", after)]
        for undo_error, left in undone:
            if undo_error:
                left = left.but(state="ERROR", data="")
            yield error, left


def _check(f: Vf, came: str) -> None:
    if f.state == "ERROR":
        if f.data:
            raise Wrong(f"{came}: a migration file in ERROR")
        return
    if f.stopped == (f.state in RUNS):
        raise Wrong(f"{came}: the VF is {'stopped' if f.stopped else 'running'} in {f.state}")
    if f.stopped != f.paused:
        raise Wrong(f"{came}: the driver is wrong about the VF in {f.state}")
    if f.half_loaded:
        raise Wrong(f"{came}: half of the data in {f.state}")
    want = {"match", "whole", "error"} if f.state in SENDS else {"incoming"} if f.state == "RESUMING" else {""}
    if f.data not in want:
        raise Wrong(f"{came}: migration file '{f.data}' in {f.state}")
    if f.state == "STOP_COPY" and f.data == "match":
        raise Wrong(f"{came}: the end of the data is missing")


def explore(table: dict[tuple[str, str], Arc], step: Callable[[str, str], str]) -> tuple[int, int]:
    """Explore all paths from RUNNING; returns the number of VF states and arcs. Raises Wrong."""
    start = Vf()
    seen, todo, walked = {start}, [start], set()
    while todo:
        f = todo.pop()
        following = [("reset", Vf())]
        if f.stopped and not f.lost:
            following.append(("the device resets itself", f.but(lost=True)))
        for target in STATES:
            if f.state == "ERROR" or target == f.state:
                continue
            end = step(f.state, target)
            if end == "ERROR":
                continue
            arc = table.get((f.state, end))
            if arc is None:
                raise Wrong(f"no action for {f.state} -> {end}")
            walked.add((f.state, end))
            for error, after in _walk_arc(f, arc, end):
                came = f"{f.state} -> {end}{', ' + error if error else ''}"
                if error and after.state not in (f.state, "ERROR"):
                    raise Wrong(f"{came}: a failure that leads to {after.state}")
                following.append((came, after))
        for came, after in following:
            _check(after, came)
            if after not in seen:
                seen.add(after)
                todo.append(after)
    unused = set(table) - walked
    if unused:
        raise Wrong(f"no path has {sorted(unused)}")
    return len(seen), len(walked)
