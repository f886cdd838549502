# SPDX-License-Identifier: GPL-2.0
"""Text tables of the results."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import Any

from lab.scenario.timeline import duration

from . import downtime, chance, economy, endurance, fairness, latency, memory, scale
from .rig import IN_TREE, NAMES, TREE


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Lines of text: the first column left-aligned, the others right-aligned."""
    cells = [list(head), *map(list, rows)]
    widths = [max(len(row[n]) for row in cells) for n in range(len(cells[0]))]
    return ["  " + "  ".join(cell.ljust(w) if n == 0 else cell.rjust(w)
                             for n, (cell, w) in enumerate(zip(row, widths))) for row in cells]


def machine(found: dict[str, Any]) -> list[str]:
    """The machine and its load: times of a busy machine are not reliable."""
    return [f"{found['processors']} x {found['processor']}, {found['memory_bytes'] / 2**30:.0f} GiB, Linux "
            f"{found['kernel']}, load {found['load']:.1f} at the start"]


def registers(found: dict[str, list[economy.Arc]], floor: dict[str, int]) -> list[str]:
    """Accesses of each arc by both drivers, and compared with the floor."""
    tree = {(a.way, a.arc): a for a in found[TREE]}
    in_tree = {(a.way, a.arc): a for a in found[IN_TREE]}
    rows = []
    for key, arc in tree.items():
        other = in_tree.get(key)
        if arc.all or (other and other.all):
            rows.append([" ".join(key), *(f"{arc.totals[k]}/{other.totals[k] if other else '-'}"
                                          for k in economy.KINDS)])
    lines = table(["accesses, this/in-tree driver", *economy.KINDS], rows)
    for way, least in floor.items():
        mine = sum(a.all for a in found[TREE] if a.way == way and a.arc in latency.DOWNTIME[way])
        lines.append(f"  {way}, in the downtime: {mine} accesses, {mine / least:.2f} times the floor of {least}")
    return lines


def times(found: latency.Samples, failed: latency.Failures) -> list[str]:
    """Medians of the driver's part of the downtime, with quartiles, and their ratio."""
    rows = []
    for speed in latency.MAILBOX_US:
        for way in latency.DOWNTIME:
            both = [latency.downtimes(found, which, speed, way) for which in (TREE, IN_TREE)]
            rows.append([f"{way}, mailbox {speed} us",
                         *(f"{duration(m)} ({duration(lo)} to {duration(hi)})" for m, lo, hi in map(latency.spread, both)),
                         str(chance.ratio(*both))])
    return table(["driver's part of the downtime", NAMES[TREE], NAMES[IN_TREE], "ratio (95 %)"], rows) + \
        [f"  {NAMES[which]} failed {count} times: {way}, mailbox {speed} us"
         for (which, speed, way), count in sorted(failed.items())]


def growth(found: list[scale.Together]) -> list[str]:
    """VFs saved in parallel, compared with saving them in sequence."""
    rows = [[f"{NAMES[r.driver]}, {r.count}", duration(r.turn_wall), duration(r.turn_cpu), duration(r.wall), duration(r.cpu),
             duration(r.slowest), f"{r.cpu_ratio:.2f}", duration(r.bound), f"{r.wall_ratio:.2f}", str(r.failed)]
            for r in scale.rows(found)]
    lines = table(["VFs", "in sequence", "CPU", "in parallel", "CPU", "slowest", "CPU ratio", "bound", "of bound",
                   "failed"], rows)
    lines.append("  The bound is the time of one VF plus the CPU time of the others in sequence.")
    return lines


def costs(found: list[memory.Cost]) -> list[str]:
    """Slab memory of a VF in each stage."""
    rows = [[NAMES[c.driver], *(f"{sum(c.stages[s].values()):,} ({c.own(s):,})" for s in memory.STAGES),
             f"{c.module:,}", str(c.size)]
            for c in found]
    return table(["bytes for each VF (by driver and VFIO)", "bound", "+ open", "+ migration file", "module, once",
                  "migration data"], rows)


def turns(found: list[fairness.Turns]) -> list[str]:
    """Longest waits of the PF's driver and of the VFs' users, by both drivers."""
    by = {(t.driver, t.what, t.count): t for t in found}

    def waits(t: fairness.Turns | None) -> list[str]:
        if t is None:
            return ["-", "-"]
        served = "" if t.taken == fairness.TURNS else f" ({t.taken} of {fairness.TURNS})"
        return [f"{t.longest_ms}{served}", "hung" if t.users_longest_ms is None else
                f"{t.users_longest_ms}" + (f" ({t.failed} of {t.operations} failed)" if t.failed else "")]

    rows = [[f"{what}, {count}", *(text for which in (TREE, IN_TREE) for text in waits(by.get((which, what, count))))]
            for what in fairness.KINDS for count in fairness.COUNTS]
    return table(["longest wait in ms, by operation and VFs", *(f"{who}, {NAMES[which]}" for which in (TREE, IN_TREE)
                                                               for who in ("PF's driver", "VF's user"))], rows)


def _ms(values: list[float]) -> str:
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{middle:.1f} ({low:.1f} to {high:.1f})"


def downtimes(found: list[downtime.Downtime]) -> list[str]:
    """Downtime: median, minimum and maximum, and the driver's share."""
    rows, refused = [], []
    for which, vfs in downtime.CASES:
        some = downtime.of(found, which, vfs)
        if some:
            shares = [f"{statistics.median(b.share_ms(name) for b in some):.2f}" if some[0].share_ms("save") else "-"
                      for name in downtime.SHARES]
            rows.append([f"{NAMES[which]}, {vfs} VFs" if vfs else "no VF", str(len(some)),
                         _ms([b.downtime_ms for b in some]), _ms([b.stopped_ms for b in some]), *shares,
                         str(some[0].device_bytes)])
        refused += [f"  {NAMES[which]}, {vfs} VFs: {b.refused}" for b in found
                    if b.refused and (b.driver, b.vfs) == (which, vfs)]
    lines = table(["milliseconds", "runs", "downtime (QEMU)", "stopped to resumed", *downtime.SHARES, "bytes"], rows)
    both = [downtime.of(found, which, 1) for which in (TREE, IN_TREE)]
    if all(both):
        ratios = [chance.ratio(*([getattr(b, name) for b in some] for some in both)) for name in ("downtime_ms", "stopped_ms")]
        lines.append(f"  one VF, ratio of this to the in-tree driver (95 %): downtime {ratios[0]}, "
                     f"stopped to resumed {ratios[1]}")
    return lines + refused


#: figures of the long run, and their units
SLOPES = {"downtime_ms": "ms", "total_ms": "ms", "free": "bytes", "slab": "bytes", "percpu": "bytes",
          "stacks": "bytes", "files": "files"}


def long(found: endurance.Long) -> list[str]:
    """Many migrations of one guest: slopes, and whether they are significant."""
    rows = []
    for name, unit in SLOPES.items():
        values = [getattr(m, name) for m in found.migrations[endurance.WARM_UP:]] or [0]
        line = found.slope(name)
        rows.append([f"{name.removesuffix('_ms')}, {unit}", f"{statistics.median(values):,.0f}", f"{line.each:+,.3f}",
                     f"{line.error:,.3f}", "none" if line.flat else "RISES" if line.each > 0 else "FALLS"])
    lines = table([f"{len(found.migrations)} of {found.wanted} migrations", "median", "each migration", "standard error",
                   "slope"], rows)
    lines.append(f"  {found.verified} requests verified; open references and migration files: " +
                 "; ".join(f"{name} {seen['references']} and {seen['migration-files']}"
                           for name, seen in found.left_open.items()))
    return lines + [f"  - {c}" for c in found.failures]
