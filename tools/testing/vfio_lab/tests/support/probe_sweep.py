# SPDX-License-Identifier: GPL-2.0
"""Results of hisi-acc-probe under all settings of the model: which were set, and what it reported.

A sweep of an accelerator and a hardware version leaves a file; the page has a column for each file."""

from __future__ import annotations

import datetime
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from defects import simple_table
from lab.core import paths
from lab.scenario import report
from probe import ALL

FOLDER = paths.BUILD / "check/probe"
PAGE = paths.ROOT / "Documentation/dev-tools/vfio-lab/probe.rst"

HEAD = """\
.. SPDX-License-Identifier: GPL-2.0

==============================================
hisi-acc-probe under all settings of the model
==============================================

Made by ``vlab check -- --long operations/test_probe.py -k each_setting``. The model
was set to each value of each choice alone, and to a set of settings in which each
two values of each two choices occur together; hisi-acc-probe ran with two VFs and
without ``--risky`` under each. A cell has the number of runs with this value in
which it was reported, and "of" how many, if that was not all. A dash: in none, as it
needs ``--risky``, or a VF cannot see it. With a context cache the model reads a
context at any doorbell: then ``doorbell`` is reported, and is right. The test fails for
anything else that is reported and was not set, also for what the model's README
decides.

"""


def keep(engine: str, hw_version: str, runs: Sequence[tuple[Mapping[str, Any], Mapping[str, str | None]]], seconds: float,
         release: str) -> None:
    """Keep what a sweep found: for each run what was set and what was reported; and renew the page."""
    told: Counter[str] = Counter()
    done: Counter[str] = Counter()
    for setting, values in runs:
        for name, value in setting.items():
            done[f"{name}: {value}"] += 1
            told[f"{name}: {value}"] += values[name] == str(value)
    report.replace(FOLDER / f"{engine}-{hw_version}.json", json.dumps({
        "date": datetime.date.today().isoformat(), "kernel": release, "runs": len(runs), "seconds": round(seconds),
        "told": told, "done": done}))
    report.replace(PAGE, page())


def _cell(found: Mapping[str, Any], key: str) -> str:
    told, done = found["told"].get(key, 0), found["done"].get(key, 0)
    return "-" if not told else str(told) if told == done else f"{told} of {done}"


def page() -> str:
    """The page with all sweeps that are kept."""
    found = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(FOLDER.glob("*.json"))}
    titles = [name.replace("-", " ").upper() for name in found]
    rows = [["choice", *titles], *([key, *(_cell(one, key) for one in found.values())] for key in (
        f"{name}: {value}" for name, values in ALL.items() for value in values))]
    times = [["sweep", "runs", "minutes", "date", "kernel"], *(
        [title, str(one["runs"]), f"{one['seconds'] / 60:.0f}", one["date"], one["kernel"]]
        for title, one in zip(titles, found.values(), strict=True))]
    return f"{HEAD}{simple_table(rows)}\n{simple_table(times)}"
