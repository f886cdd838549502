# SPDX-License-Identifier: GPL-2.0
"""Runs the benchmarks and keeps what they found."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any

from lab import machine
from lab.kernel import VERSIONS
from lab.progress import Steps
from lab.session import Session

from . import economy, floor, latency, memory, report, rig, scale

MANY = 63


def bench(what: tuple[str, ...], rounds: int, folder: pathlib.Path, steps: Steps) -> None:
    """Measure `what` on each kernel, and print each table when it is there.
    report.json and plots go to `folder`."""
    kept: dict[str, Any] = {}
    for version in VERSIONS:
        kept[version] = {}
        _tell([f"Linux {version}"])
        _small(version, what, rounds, folder, steps, kept[version])
        if "scale" in what or "memory" in what:
            _large(version, what, rounds, folder, steps, kept[version])
        (folder / "report.json").write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


def _tell(lines: list[str]) -> None:
    print("", *lines, sep="\n", flush=True)


def _plots(session: Session) -> Any:
    lacking = machine.missing(("python3-matplotlib",))
    if lacking:
        machine.install(lacking, session.context)
    from . import plots
    return plots


def _small(version: str, what: tuple[str, ...], rounds: int, folder: pathlib.Path, steps: Steps,
           kept: dict[str, Any]) -> None:
    """What needs two functions."""
    if "registers" not in what and "latency" not in what:
        return
    with Session(steps, folder) as session:
        bed = rig.boot(session, version, 2)
        if "registers" in what:
            with steps.step("register accesses of each arc"):
                found = {}
                for which in (rig.OURS, rig.MAINLINE):
                    bed.use(which)
                    found[which] = economy.measure(bed)
            kept["registers"] = {which: [dataclasses.asdict(a) for a in arcs] for which, arcs in found.items()}
            kept["floor"] = floor.ITEMS
            _tell(report.registers(found, floor.TOTALS))
        if "latency" in what:
            with steps.step(f"{rounds} saves and restores by each driver, at {len(latency.MAILBOX_US)} speeds"):
                samples = latency.measure(bed, rounds)
            kept["latency"] = [{"driver": d, "mailbox_us": us, "way": way, "arc": arc,
                                "samples": [dataclasses.asdict(s) for s in some]}
                               for (d, us, way, arc), some in samples.items()]
            _tell(report.times(samples))
            _plots(session).times(samples, version, folder)


def _large(version: str, what: tuple[str, ...], rounds: int, folder: pathlib.Path, steps: Steps,
           kept: dict[str, Any]) -> None:
    """What needs all functions that a physical one can have."""
    with Session(steps, folder) as session:
        bed = rig.boot(session, version, MANY)
        if "scale" in what:
            with steps.step(f"up to {MANY} functions at once"):
                together = scale.measure(bed, max(3, rounds // 4))
            kept["scale"] = [dataclasses.asdict(t) for t in together]
            _tell(report.growth(together))
            _plots(session).growth(together, version, folder)
        if "memory" in what:
            with steps.step(f"memory of {MANY} functions"):
                used = memory.measure(bed)
            kept["memory"] = [dataclasses.asdict(c) for c in used]
            _tell(report.costs(used))
