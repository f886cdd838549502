# SPDX-License-Identifier: GPL-2.0
"""Plots of what was measured, as SVG and PNG, by Debian's matplotlib."""

from __future__ import annotations

import pathlib
import statistics

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

from . import latency, scale  # noqa: E402
from .rig import MAINLINE, OURS  # noqa: E402

COLOURS = {OURS: "tab:blue", MAINLINE: "tab:orange"}


def _save(figure: pyplot.Figure, folder: pathlib.Path, name: str) -> None:
    figure.tight_layout()
    for suffix in ("svg", "png"):
        figure.savefig(folder / f"{name}.{suffix}", dpi=120)
    pyplot.close(figure)


def times(found: latency.Samples, version: str, folder: pathlib.Path) -> None:
    """What a guest waits for against the device's mailbox: median and quartiles."""
    figure, axes = pyplot.subplots(1, len(latency.DOWNTIME), figsize=(11, 4), sharey=True)
    for place, way in zip(axes, latency.DOWNTIME):
        for which in (OURS, MAINLINE):
            values = [latency.spread(latency.downtimes(found, which, speed, way)) for speed in latency.MAILBOX_US]
            middle = [v[0] * 1e6 for v in values]
            place.errorbar(range(len(values)), middle, marker="o", capsize=3, color=COLOURS[which],
                           label=f"{which}, {version}",
                           yerr=[[m - v[1] * 1e6 for m, v in zip(middle, values)],
                                 [v[2] * 1e6 - m for m, v in zip(middle, values)]])
        place.set_xticks(range(len(latency.MAILBOX_US)), [str(us) for us in latency.MAILBOX_US])
        place.set_title(way)
        place.set_xlabel("device's mailbox, microseconds")
        place.set_yscale("log")
    axes[0].set_ylabel("what a guest waits for, microseconds")
    axes[0].legend()
    _save(figure, folder, f"latency-{version}")


def growth(found: list[scale.Together], version: str, folder: pathlib.Path) -> None:
    """Time for all functions, one after another and at once, against their number."""
    figure, place = pyplot.subplots(figsize=(7, 4.5))
    for which in (OURS, MAINLINE):
        for side, style in ((False, "--"), (True, "-")):
            counts = sorted({t.count for t in found if t.driver == which})
            walls = [statistics.median(t.wall for t in found
                                       if (t.driver, t.parallel, t.count) == (which, side, count)) * 1e3
                     for count in counts]
            place.plot(counts, walls, style, marker="o", color=COLOURS[which],
                       label=f"{which}, {'at once' if side else 'one after another'}")
    place.set_xscale("log", base=2)
    place.set_yscale("log")
    place.set_xlabel("functions that are saved")
    place.set_ylabel("milliseconds for all")
    place.set_title(f"Linux {version}, mailbox of {scale.MAILBOX_US} us")
    place.legend()
    _save(figure, folder, f"scale-{version}")
