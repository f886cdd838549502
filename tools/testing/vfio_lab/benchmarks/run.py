# SPDX-License-Identifier: GPL-2.0
"""Run the benchmarks and write their results."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import platform
from typing import Any

from lab.core.progress import Steps
from lab.core.versions import CHECKED
from lab.build.kernel import GUEST
from lab.scenario.config import HostConfig
from lab.scenario.session import Session

from . import ON_ONE_HOST, downtime, economy, endurance, fairness, floor, latency, memory, report, rig, scale

MANY = 63


@dataclasses.dataclass
class Bench:
    """One run: the chosen benchmarks, the target directory, and the results so far."""

    what: tuple[str, ...]
    rounds: int
    runs: int
    migrations: int
    folder: pathlib.Path
    steps: Steps
    kept: dict[str, Any] = dataclasses.field(default_factory=dict)

    def run(self) -> None:
        """Run the chosen benchmarks and print each table when it is complete; report.json
        and plots go to the directory."""
        self.kept["machine"] = _machine()
        _show(report.machine(self.kept["machine"]))
        for version in CHECKED if set(self.what) & set(ON_ONE_HOST) else ():
            _show([f"Linux {version}"])
            found = self.kept.setdefault(version, {})
            self._small(version, found)
            self._large(version, found)
        if "fairness" in self.what:
            self._tenants()
        if "downtime" in self.what:
            self._whole()
        if "endurance" in self.what:
            self._long()

    def _keep(self, found: dict[str, Any], name: str, figures: Any) -> None:
        """Write the results so far, so that a later failure does not lose them."""
        found[name] = figures
        scratch = self.folder / "report.new"
        scratch.write_text(json.dumps(self.kept, indent=2) + "\n", encoding="utf-8")
        scratch.replace(self.folder / "report.json")

    @staticmethod
    def _plots() -> Any:
        from . import plots     # needs Debian's matplotlib, unlike the rest
        return plots

    def _small(self, version: str, found: dict[str, Any]) -> None:
        """Benchmarks with two VFs."""
        if not {"registers", "latency"} & set(self.what):
            return
        with Session(self.steps, self.folder) as session:
            bed = rig.boot(session, version, 2)
            if "registers" in self.what:
                with self.steps.step("register accesses of each arc"):
                    arcs = {}
                    for which in (rig.TREE, rig.IN_TREE):
                        bed.use(which)
                        arcs[which] = economy.measure(bed)
                self._keep(found, "floor", floor.ITEMS)
                self._keep(found, "registers", {which: [dataclasses.asdict(a) for a in some]
                                                for which, some in arcs.items()})
                _show(report.registers(arcs, floor.TOTALS))
            if "latency" in self.what:
                with self.steps.step(f"{self.rounds} saves and restores by each driver, "
                                     f"at {len(latency.MAILBOX_US)} mailbox latencies"):
                    samples, failed = latency.measure(bed, self.rounds)
                self._keep(found, "latency_failures", [{"driver": d, "mailbox_us": us, "way": way, "times": count}
                                                       for (d, us, way), count in failed.items()])
                self._keep(found, "latency", [{"driver": d, "mailbox_us": us, "way": way, "arc": arc,
                                               "samples": [dataclasses.asdict(s) for s in some]}
                                              for (d, us, way, arc), some in samples.items()])
                _show(report.times(samples, failed))
                self._plots().times(samples, version, self.folder)

    def _large(self, version: str, found: dict[str, Any]) -> None:
        """Benchmarks with all VFs of a PF."""
        if not {"scale", "memory"} & set(self.what):
            return
        with Session(self.steps, self.folder) as session:
            bed = rig.boot(session, version, MANY)
            if "scale" in self.what:
                with self.steps.step(f"up to {MANY} VFs in parallel"):
                    together = scale.measure(bed, self.rounds)
                self._keep(found, "scale", [dataclasses.asdict(t) for t in together])
                _show(report.growth(together))
                self._plots().growth(together, version, self.folder)
            if "memory" in self.what:
                with self.steps.step(f"memory of {MANY} VFs"):
                    used = memory.measure(bed)
                self._keep(found, "memory", [dataclasses.asdict(c) for c in used])
                _show(report.costs(used))

    def _tenants(self) -> None:
        """Waits of the PF's driver beside busy VFs."""
        with self.steps.step(f"turns of the PF's driver beside up to {MANY} busy VFs"), \
                open(self.folder / "fairness.log", "w", encoding="utf-8") as log:
            found = fairness.measure(lambda: Session(Steps(log), self.folder), CHECKED[0], lambda so_far: self._keep(
                self.kept, "fairness", [dataclasses.asdict(t) for t in so_far]))
            _show(report.turns(found))

    def _whole(self) -> None:
        """Downtime of an idle guest, with and without VFs."""
        with self.steps.step(f"{self.runs} migrations of guests with no VF, one and three") as step, \
                open(self.folder / "downtime.log", "w", encoding="utf-8") as log, \
                Session(Steps(log), self.folder) as session:
            found = downtime.measure(session, self.runs, step.watch, lambda so_far: self._keep(
                self.kept, "downtime", [dataclasses.asdict(b) for b in so_far]))
            _show(report.downtimes(found))
            self._plots().timeline(found, self.folder)

    def _long(self) -> None:
        """Repeated migrations of one guest under load."""
        with self.steps.step(f"{self.migrations} migrations of one guest under load") as step, \
                open(self.folder / "endurance.log", "w", encoding="utf-8") as log, \
                Session(Steps(log), self.folder) as session:
            _show(report.long(endurance.measure(session, HostConfig(), self.migrations, step.watch, self._keep_migrations)))

    def _keep_migrations(self, far: endurance.Long) -> None:
        slopes = {name: dataclasses.asdict(far.slope(name)) for name in endurance.FIGURES}
        self._keep(self.kept, "endurance", {**dataclasses.asdict(far), "guest_kernel": GUEST, "slopes": slopes})


def _machine() -> dict[str, Any]:
    """The machine and its load."""
    model = [line.partition(":")[2].strip() for line in open("/proc/cpuinfo", encoding="utf-8")
             if line.startswith("model name")]
    return {"processor": model[0] if model else platform.machine(), "processors": os.cpu_count(),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "kernel": platform.release(), "load": os.getloadavg()[0]}


def _show(lines: list[str]) -> None:
    print("", *lines, sep="\n", flush=True)
