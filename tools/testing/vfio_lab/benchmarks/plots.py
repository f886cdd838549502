# SPDX-License-Identifier: GPL-2.0
"""Plots of the results as SVG and PNG, by Debian's matplotlib."""

from __future__ import annotations

import pathlib
import re

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

from lab.scenario.timeline import duration  # noqa: E402

from . import downtime, latency, scale  # noqa: E402
from .rig import IN_TREE, NAMES, TREE  # noqa: E402

LICENCE = "SPDX-License-Identifier: GPL-2.0"
COLOURS = {TREE: "tab:blue", IN_TREE: "tab:orange"}


def _save(figure: pyplot.Figure, folder: pathlib.Path, name: str) -> None:
    figure.tight_layout()
    figure.savefig(folder / f"{name}.png", dpi=120)
    # Text stays text and a group is a line, which keeps the files small
    target = folder / f"{name}.svg"
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(target, metadata={"Date": None})
    pyplot.close(figure)
    text = re.sub(r"\n(?=[LMQCz])", " ", target.read_text(encoding="utf-8"))
    text = re.sub(r" *<metadata>.*?</metadata>\n", "", text, flags=re.DOTALL)
    text = re.sub(r">\n\s*<(?!g |!)", "><", text)
    target.write_text(text.replace("<svg ", f"<!-- {LICENCE} -->\n<svg ", 1), encoding="utf-8")


def times(found: latency.Samples, version: str, folder: pathlib.Path) -> None:
    """Downtime over mailbox latency: median and quartiles."""
    figure, axes = pyplot.subplots(1, len(latency.DOWNTIME), figsize=(11, 4), sharey=True)
    for place, way in zip(axes, latency.DOWNTIME):
        for which in (TREE, IN_TREE):
            values = [latency.spread(latency.downtimes(found, which, speed, way)) for speed in latency.MAILBOX_US]
            middle = [v[0] * 1e6 for v in values]
            place.errorbar(range(len(values)), middle, marker="o", capsize=3, color=COLOURS[which],
                           label=f"{NAMES[which]}, {version}",
                           yerr=[[m - v[1] * 1e6 for m, v in zip(middle, values)],
                                 [v[2] * 1e6 - m for m, v in zip(middle, values)]])
        place.set_xticks(range(len(latency.MAILBOX_US)), [str(us) for us in latency.MAILBOX_US])
        place.set_title(way)
        place.set_xlabel("mailbox latency (us)")
        place.set_yscale("log")
    axes[0].set_ylabel("driver's part of the downtime (us)")
    axes[0].legend()
    _save(figure, folder, f"latency-{version}")


def growth(found: list[scale.Together], version: str, folder: pathlib.Path) -> None:
    """Wall clock and CPU time of saving all VFs, in sequence and in parallel, over their
    number."""
    rows = scale.rows(found)
    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4.5), sharey=True)
    for place, kind in zip(axes, ("wall", "cpu")):
        for which in (TREE, IN_TREE):
            mine = [r for r in rows if r.driver == which]
            for name, style, said in ((f"turn_{kind}", "--", "in sequence"), (kind, "-", "in parallel")):
                place.plot([r.count for r in mine], [getattr(r, name) * 1e3 for r in mine], style, marker="o",
                           color=COLOURS[which], label=f"{NAMES[which]}, {said}")
        place.set_xscale("log", base=2)
        place.set_yscale("log")
        place.set_xticks(scale.COUNTS, [str(c) for c in scale.COUNTS])
        place.set_xlabel("VFs")
        place.grid(alpha=0.3)
    mine = [r for r in rows if r.driver == TREE]
    axes[0].plot([r.count for r in mine], [r.bound * 1e3 for r in mine], ":", color="grey",
                 label="bound: one VF, plus the CPU time of the others")
    axes[0].set_ylabel("time for all VFs (ms)")
    axes[0].set_title(f"wall clock, Linux {version}, mailbox latency {scale.MAILBOX_US} us")
    axes[1].set_title("CPU time")
    axes[0].legend(fontsize="small")
    _save(figure, folder, f"scale-{version}")


def timeline(found: list[downtime.Downtime], folder: pathlib.Path) -> None:
    """Timeline of one downtime."""
    one = downtime.typical(found)
    if not one:
        return
    stopped = [p for p in one.phases if p.name != "pre-copy"]
    start = min(p.start for p in stopped)
    end = max(p.end for p in stopped)
    colours = {"source": "tab:blue", "destination": "tab:green", "both": "tab:grey", "guest": "black"}
    figure, place = pyplot.subplots(figsize=(11, 3.5))
    for row, phase in enumerate(one.phases):
        left = max(phase.start, start - (end - start) / 10)
        place.barh(row, (phase.end - left) * 1e3, left=(left - start) * 1e3, color=colours[phase.where],
                   edgecolor=colours[phase.where], linewidth=1, height=0.6)
        place.annotate(f" {duration(phase.seconds)}", ((phase.end - start) * 1e3, row), va="center")
    place.set_yticks(range(len(one.phases)), [f"{p.name}, {p.where}" for p in one.phases])
    place.invert_yaxis()
    place.set_xlabel("time since the driver began to stop the VF (ms)")
    place.set_xlim(-(end - start) * 1e2, (end - start) * 1.12e3)
    place.set_title(f"downtime of a guest with one VF, {NAMES[one.driver]}, Linux {downtime.VERSION}")
    place.grid(axis="x", alpha=0.3)
    _save(figure, folder, "downtime")
