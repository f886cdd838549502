# SPDX-License-Identifier: GPL-2.0
"""Seconds that each test file takes. Workers get the longest first, or one of them is still at work
on a long file when all others have ended.

A run of all tests writes build/check/durations.txt; durations.txt beside this file is a copy, for
clones in which none was run yet."""

from __future__ import annotations

import random
import re
from collections import Counter
from pathlib import Path

import pytest

from lab.core import paths

KEPT = paths.BUILD / "check/durations.txt"
SHIPPED = Path(__file__).with_suffix(".txt")

_spent: Counter[str] = Counter()


def file_of(nodeid: str) -> str:
    """The file of a test, as in the tables."""
    return nodeid.partition("::")[0]


def known() -> dict[str, float]:
    """Seconds of each file in the last run of all tests here, or elsewhere."""
    for table in (KEPT, SHIPPED):
        try:
            text = table.read_text(encoding="utf-8")
        except OSError:
            continue
        return {name: float(seconds) for seconds, name in re.findall(r"^([\d.]+) (\S+)$", text, re.M)}
    return {}


def sort(items: list[pytest.Item]) -> None:
    """Order tests by the seconds of their files; those of a file stay together, in their order."""
    seconds = known()
    items.sort(key=lambda item: (-seconds.get(file_of(item.nodeid), 0), file_of(item.nodeid)))


def shuffle(items: list[pytest.Item], seed: int) -> None:
    """Start files in a random order, and the tests of each file; the same for the same seed."""
    random.Random(seed).shuffle(items)
    files = list(dict.fromkeys(file_of(item.nodeid) for item in items))
    items.sort(key=lambda item: files.index(file_of(item.nodeid)))


def add(report: pytest.TestReport) -> None:
    """Count a phase of a test."""
    _spent[file_of(report.nodeid)] += report.duration


def keep() -> None:
    """Write the table of this run."""
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    KEPT.write_text("# SPDX-License-Identifier: GPL-2.0\n" + "".join(
        f"{seconds:.1f} {name}\n" for name, seconds in _spent.most_common()), encoding="utf-8")
