#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Count stale pages after a migration, for each kind of dirty tracking.

A guest is migrated several times for each row of a table. Only the device writes its
480 result pages, 200 of them each second; the load compares each page before the
device writes it again.

    benchmarks/dirty_tracking.py [--runs N] [--json FILE]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from lab.core import paths  # noqa: E402
from lab.core.errors import LabError  # noqa: E402
from lab.core.progress import Steps  # noqa: E402
from lab.scenario.config import MODEL, HostConfig, MigrationConfig  # noqa: E402
from lab.scenario.migration import Outcome  # noqa: E402
from lab.scenario.session import Session  # noqa: E402

PACED = {**MODEL, "request-latency": "20000"}
#: SMMU, backend and enable-migration
ROWS = (
    ("no HTTU", "container", "auto"),
    ("no HTTU", "iommufd", "auto"),
    ("no HTTU", "container", "on"),
    ("no HTTU", "iommufd", "on"),
    ("HTTU", "iommufd", "auto"),
)
REFUSED = re.compile(r"[^:;]*dirty tracking")


@dataclasses.dataclass
class Row:
    """One row of the table, with the results of its runs."""

    smmu: str
    backend: str
    migration: str
    runs: list[dict[str, object]]

    def said(self) -> str:
        """The row's last column."""
        refused = [run["refused"] for run in self.runs if run["refused"]]
        if len(refused) == len(self.runs):
            return f"refused: \"{str(refused[0]).strip()}\""
        worked = [run for run in self.runs if run["pages"]]
        if not worked:
            return f"not measured: {self.runs[-1]['failures']}"
        stale = [f"{run['stale']} of {run['pages']}" for run in worked]
        downtime = [run["downtime_ms"] for run in worked if run["downtime_ms"] is not None]
        text = f"stale: {', '.join(stale)}; passed: {sum(bool(run['held']) for run in worked)} of {len(worked)}"
        if downtime:
            text += f"; downtime {min(downtime)} to {max(downtime)} ms"     # type: ignore[type-var]
        return text + f"; dirty by devices at each sync: {' '.join(map(str, worked[-1]['syncs']))}"  # type: ignore[call-overload]


def run_of(outcome: Outcome) -> dict[str, object]:
    """The figures of one migration."""
    refused = next((match[0] for c in outcome.failures if (match := REFUSED.search(c))), "")
    return {"refused": refused, "held": outcome.held, "pages": outcome.pages, "stale": outcome.stale,
            "downtime_ms": outcome.downtime_ms, "total_ms": outcome.total_ms, "ram_bytes": outcome.ram_bytes,
            "syncs": [sync.device for sync in outcome.syncs], "failures": outcome.failures[:3]}


def main() -> int:
    """Measure and print; fail if a row with dirty tracking has a stale page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, choices=range(1, 101), default=5, metavar="N", help="migrations for each row (default: 5)")
    parser.add_argument("--json", type=pathlib.Path, default=paths.BUILD / "bench/dirty-tracking.json")
    args = parser.parse_args()
    rows = [Row(*row, []) for row in ROWS]
    for row in rows:
        host = HostConfig(model=PACED, httu=row.smmu == "HTTU")
        migration = MigrationConfig(row.backend, row.migration, slow=False)
        for number in range(args.runs):
            logs = paths.BUILD / f"bench/{row.smmu.replace(' ', '-')}-{row.backend}-{row.migration}-{number}"
            with Session(Steps(), logs) as session:
                row.runs.append(run_of(session.migrate(host, migration=migration)))
        print(f"| {row.smmu} | {row.backend} | {row.migration} | {row.said()} |", flush=True)
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps([dataclasses.asdict(row) for row in rows], indent=2) + "\n", encoding="utf-8")
    print(f"report: {args.json}")
    lost = [row for row in rows if any(not (run["pages"] or run["refused"]) for run in row.runs) or
            (row.backend, row.migration) != ("iommufd", "on") and
            any(run["stale"] or not (run["held"] or run["refused"]) for run in row.runs)]
    return 1 if lost else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as e:
        sys.exit(f"dirty_tracking: {e}")
