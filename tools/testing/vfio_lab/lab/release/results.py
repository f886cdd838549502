# SPDX-License-Identifier: GPL-2.0
"""Results of a run of all tests: kept for each test, so that a run that was interrupted
continues."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import pathlib
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping

from ..core import paths
from ..core.errors import LabError
from ..core.git import git

#: the last results of every test, see results_page.py
PAGE = paths.ROOT / "Documentation/dev-tools/vfio-lab/results.rst"
#: outcomes after which a test does not run again on the same tree
FINAL = ("passed", "skipped")


@dataclasses.dataclass(frozen=True)
class Result:
    """Result of a test: passed, failed or skipped; `why` has the reason for a skip, or
    the first line of what failed."""

    test: str
    outcome: str
    seconds: float
    date: str
    tree: str
    why: str = ""


def tree() -> str:
    """A digest of all files that git has here or would add, or outside of a clone of all but builds; without
    the page of results, which would change it."""
    try:
        listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=paths.ROOT,
                                capture_output=True, check=True).stdout
        files = {paths.ROOT / name for name in listed.decode().split("\0")}
    except (OSError, subprocess.CalledProcessError):
        files = {path for path in paths.ROOT.rglob("*") if not path.is_relative_to(paths.BUILD)}
    whole = hashlib.sha256()
    for file in sorted(path for path in files - {PAGE} if path.is_file() and not path.is_symlink()):
        whole.update(f"{file.relative_to(paths.ROOT)} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return whole.hexdigest()[:12]


def commit() -> str:
    """The commit of the clone, with "-dirty" if files differ from it; outside of a clone the tree()."""
    try:
        return git(paths.ROOT, "describe", "--always", "--dirty", "--exclude=*").strip()
    except LabError:
        return tree()


def read(file: pathlib.Path) -> dict[str, Result]:
    """The last result of each test.  An incomplete last line is ignored."""
    found = {}
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        try:
            result = Result(**json.loads(line))
        except (ValueError, TypeError):
            continue
        found[result.test] = result
    return found


def append(file: pathlib.Path, test: str, outcome: str, seconds: float, of: str, why: str = "") -> None:
    """Keep a test's result."""
    result = Result(test, outcome, round(seconds, 1), datetime.date.today().isoformat(), of, why)
    with open(file, "a", encoding="utf-8") as log:
        log.write(json.dumps(dataclasses.asdict(result)) + "\n")


def done(results: Iterable[Result], of: str) -> set[str]:
    """The tests that need not run again on this tree."""
    return {result.test for result in results if result.outcome in FINAL and result.tree == of}


def summary(results: Mapping[str, Result], of: str) -> str:
    """The closing line: counts of this tree's results, and the time of all of them."""
    here = [result for result in results.values() if result.tree == of]
    counts = Counter(result.outcome for result in here)
    minutes = round(sum(result.seconds for result in here) / 60)
    return (f"All tests: {counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped; "
            f"{minutes // 60} h {minutes % 60} min of tests on tree {of}")

