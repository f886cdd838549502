# SPDX-License-Identifier: GPL-2.0
"""What was measured, for a person: tables with ratios and targets."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import Any

from lab.scenario.timeline import duration

from . import downtime, chance, economy, endurance, latency, memory, scale
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


def times(found: latency.Samples, failed: latency.Failures) -> list[str]:
    """Medians of the part that a guest waits for, with quartiles, and the ratio."""
    rows = []
    for speed in latency.MAILBOX_US:
        for way in latency.DOWNTIME:
            both = [latency.downtimes(found, which, speed, way) for which in (OURS, MAINLINE)]
            rows.append([f"{way}, mailbox {speed} us",
                         *(f"{duration(m)} ({duration(lo)} to {duration(hi)})" for m, lo, hi in map(latency.spread, both)),
                         str(chance.ratio(*both))])
    return table(["what a guest waits for", "ours", "mainline", "ratio (95 %)"], rows) + \
        [f"  {which} gave up {count} times: {way}, mailbox {speed} us"
         for (which, speed, way), count in sorted(failed.items())]


def growth(found: list[scale.Together]) -> list[str]:
    """Functions saving at once, against the same one after another."""
    rows = [[f"{r.driver}, {r.count}", duration(r.turn_wall), duration(r.turn_cpu), duration(r.wall), duration(r.cpu),
             duration(r.slowest), f"{r.cpu_ratio:.2f}", duration(r.bound), f"{r.wall_ratio:.2f}", str(r.failed)]
            for r in scale.rows(found)]
    lines = table(["functions", "in turn", "cpu", "at once", "cpu", "slowest", "cpu ratio", "wall's bound", "of it",
                   "failed"], rows)
    lines.append("  The bound is one function alone, and the processor time of the others one after another.")
    return lines


def costs(found: list[memory.Cost]) -> list[str]:
    """Slab memory of a function, stage by stage."""
    rows = [[c.driver, *(f"{sum(c.stages[s].values()):,} ({c.own(s):,})" for s in memory.STAGES), f"{c.module:,}", str(c.image)]
            for c in found]
    return table(["bytes for each function (by driver and VFIO)", "bound", "+ open", "+ data file", "module, once",
                  "on the wire"], rows)


def _ms(values: list[float]) -> str:
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{middle:.1f} ({low:.1f} to {high:.1f})"


def downtimes(found: list[downtime.Downtime]) -> list[str]:
    """The whole VM: medians with the least and the most, and the driver's share."""
    rows, refused = [], []
    for which, functions in downtime.CASES:
        some = downtime.of(found, which, functions)
        if some:
            shares = [f"{statistics.median(b.share_ms(name) for b in some):.2f}" if some[0].share_ms("save") else "-"
                      for name in downtime.SHARES]
            rows.append([f"{which}, {functions} functions" if functions else "no function", str(len(some)),
                         _ms([b.downtime_ms for b in some]), _ms([b.dark_ms for b in some]), *shares,
                         str(some[0].device_bytes)])
        refused += [f"  {which}, {functions} functions: {b.refused}" for b in found
                    if b.refused and (b.driver, b.functions) == (which, functions)]
    lines = table(["milliseconds", "runs", "downtime (QEMU)", "stopped to resumed", *downtime.SHARES, "bytes"], rows)
    both = [downtime.of(found, which, 1) for which in (OURS, MAINLINE)]
    if all(both):
        ratios = [chance.ratio(*([getattr(b, name) for b in some] for some in both)) for name in ("downtime_ms", "dark_ms")]
        lines.append(f"  one function, ours against mainline (95 %): downtime {ratios[0]}, stopped to resumed {ratios[1]}")
    return lines + refused


#: figures of the long run, and their unit
SLOPES = {"downtime_ms": "ms", "total_ms": "ms", "free": "bytes", "slab": "bytes", "percpu": "bytes",
          "stacks": "bytes", "files": "files"}


def long(found: endurance.Long) -> list[str]:
    """Many moves of one guest: what grew, and whether chance explains it."""
    rows = []
    for name, unit in SLOPES.items():
        values = [getattr(m, name) for m in found.moves[endurance.WARM_UP:]] or [0]
        line = found.slope(name)
        rows.append([f"{name.removesuffix('_ms')}, {unit}", f"{statistics.median(values):,.0f}", f"{line.each:+,.3f}",
                     f"{line.error:,.3f}", "none" if line.flat else "RISES" if line.each > 0 else "FALLS"])
    lines = table([f"{len(found.moves)} of {found.wanted} migrations", "median", "each move", "standard error", "slope"],
                  rows)
    lines.append(f"  {found.verified} requests verified; references and data files left open: " +
                 "; ".join(f"{name} {seen['references']} and {seen['datafiles']}"
                           for name, seen in found.left_open.items()))
    return lines + [f"  - {c}" for c in found.complaints]
