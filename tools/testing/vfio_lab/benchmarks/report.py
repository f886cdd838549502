# SPDX-License-Identifier: GPL-2.0
"""What was measured, for a person: tables with ratios and targets."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import Any

from lab.timeline import duration

from . import economy, endurance, latency, memory, scale
from .rig import MAINLINE, OURS


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Lines of text: the first column to the left, the others to the right."""
    cells = [list(head), *map(list, rows)]
    widths = [max(len(row[n]) for row in cells) for n in range(len(cells[0]))]
    return ["  " + "  ".join(cell.ljust(w) if n == 0 else cell.rjust(w)
                             for n, (cell, w) in enumerate(zip(row, widths))) for row in cells]


def machine(found: dict[str, Any]) -> list[str]:
    """Where it ran: times of a busy machine mean little."""
    return [f"{found['processors']} x {found['processor']}, {found['memory_bytes'] / 2**30:.0f} GiB, Linux "
            f"{found['kernel']}, load {found['load']:.1f} at the start"]


def registers(found: dict[str, list[economy.Arc]], floor: dict[str, int]) -> list[str]:
    """Accesses of each arc: ours, mainline's; and beside the floor."""
    ours = {(a.way, a.arc): a for a in found[OURS]}
    theirs = {(a.way, a.arc): a for a in found[MAINLINE]}
    rows = []
    for key, arc in ours.items():
        other = theirs.get(key)
        if arc.all or (other and other.all):
            rows.append([" ".join(key), *(f"{arc.totals[k]}/{other.totals[k] if other else '-'}"
                                          for k in economy.KINDS)])
    lines = table(["accesses, ours/mainline", *economy.KINDS], rows)
    for way, least in floor.items():
        mine = sum(a.all for a in found[OURS] if a.way == way and a.arc in latency.DOWNTIME[way])
        lines.append(f"  {way}, what a guest waits for: {mine} accesses, the image's own content asks for {least}: "
                     f"{mine / least:.2f}")
    return lines


def times(found: latency.Samples) -> list[str]:
    """Medians of the part that a guest waits for, with quartiles, and the ratio."""
    rows = []
    for speed in latency.MAILBOX_US:
        for way in latency.DOWNTIME:
            both = [latency.spread(latency.downtimes(found, which, speed, way)) for which in (OURS, MAINLINE)]
            rows.append([f"{way}, mailbox {speed} us",
                         *(f"{duration(m)} ({duration(lo)} to {duration(hi)})" for m, lo, hi in both),
                         f"{both[0][0] / both[1][0]:.2f}"])
    return table(["what a guest waits for", "ours", "mainline", "ratio"], rows)


def growth(found: list[scale.Together]) -> list[str]:
    """Functions saving at once, against the same one after another."""
    rows = []
    for which in (OURS, MAINLINE):
        for count in sorted({t.count for t in found}):
            some = {side: [t for t in found if t.driver == which and t.count == count and t.parallel == side]
                    for side in (False, True)}
            if not all(some.values()):
                continue
            mid = {(side, name): statistics.median(getattr(t, name) for t in ts)
                   for side, ts in some.items() for name in ("wall", "cpu", "slowest")}
            rows.append([f"{which}, {count}", duration(mid[False, "wall"]), duration(mid[True, "wall"]),
                         duration(mid[True, "slowest"]), f"{mid[True, 'cpu'] / mid[False, 'cpu']:.2f}"])
    return table(["functions", "in turn", "at once", "slowest of them", "cpu, at once/in turn"], rows)


def costs(found: list[memory.Cost]) -> list[str]:
    """Slab memory of a function."""
    return table(["bytes of slab, each function", "bound", "open", "open and saved"],
                 [[c.driver, str(c.bound), str(c.opened), str(c.saved)] for c in found])


#: figures of the long run, and their unit
SLOPES = {"blackout_ms": "ms", "total_ms": "ms", "free": "bytes", "slab": "bytes", "percpu": "bytes",
          "stacks": "bytes", "files": "files"}


def long(found: endurance.Long) -> list[str]:
    """Many moves of one guest: what grew, and whether chance explains it."""
    rows = []
    for name, unit in SLOPES.items():
        values = [getattr(m, name) for m in found.moves[endurance.WARM_UP:]] or [0]
        line = found.slope(name)
        rows.append([f"{name.removesuffix('_ms')}, {unit}", f"{statistics.median(values):,.0f}", f"{line.each:+,.3f}",
                     f"{line.error:,.3f}", "none" if line.flat else "THERE IS ONE"])
    lines = table([f"{len(found.moves)} of {found.wanted} migrations", "median", "each move", "standard error", "slope"],
                  rows)
    lines.append(f"  {found.verified} requests verified; references and data files left open: " +
                 "; ".join(f"{name} {seen['references']} and {seen['datafiles']}"
                           for name, seen in found.left_open.items()))
    return lines + [f"  - {c}" for c in found.complaints]
