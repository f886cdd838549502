# SPDX-License-Identifier: GPL-2.0
"""The page with the last results of every test.  Each row is a file of tests, all of which were run on one
tree; a run replaces the rows of the files that it ran whole, and leaves the others as they were."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping

from .results import Result

TABLE = re.compile(r"^\.\. csv-table:: (\w+)\n(?:   :.*\n)*\n((?:   .*\n)*)", re.MULTILINE)
NOT_RUN = "not run"

PAGE = """\
.. SPDX-License-Identifier: GPL-2.0

==========================
Last results of every test
==========================

Made by ``make check-all``, also with what takes long, or by parts of it, such as ``vlab check
--all -- test_probe.py``. A row is a file of tests, all of which ran on the commit that the row
names; it remains until they have run again.

{counts}

"""


@dataclasses.dataclass(frozen=True)
class Row:
    """Counts of a file's tests, the minutes that they took, and when and on what they ran."""

    file: str
    passed: int
    failed: int
    skipped: int
    minutes: float
    date: str
    commit: str


@dataclasses.dataclass
class Page:
    """What is on the page: rows by file, versions of the kernels and QEMUs by commit, and each
    test that has not passed, with its outcome and the reason."""

    rows: dict[str, Row] = dataclasses.field(default_factory=dict)
    versions: dict[str, str] = dataclasses.field(default_factory=dict)
    others: dict[str, tuple[str, str]] = dataclasses.field(default_factory=dict)

    def replace(self, results: Mapping[str, Result], whole: Mapping[str, set[str]], commit: str, versions: str) -> None:
        """Replace the rows of the files of `whole`, all tests of which have results.

        ``whole`` has the names of all tests that a file has; files of which some have no result
        keep their row."""
        for file, names in whole.items():
            some = [results[name] for name in names if name in results]
            if len(some) < len(names):
                continue
            counts = Counter(result.outcome for result in some)
            self.rows[file] = Row(file, counts["passed"], counts["failed"], counts["skipped"],
                                  round(sum(result.seconds for result in some) / 60, 1), max(result.date for result in some), commit)
            self.versions[commit] = versions
            self.others = {name: other for name, other in self.others.items() if name.partition("::")[0] != file}
            # an assertion's words are not reStructuredText; the file of results has them
            self.others |= {result.test: (result.outcome, result.why if result.outcome == "skipped" else "")
                            for result in some if result.outcome != "passed"}

    def text(self, files: Iterable[str]) -> str:
        """The page.  ``files`` has all files of tests that there are now."""
        files = sorted(files)
        rows = [self.rows[name] for name in files if name in self.rows]
        minutes = round(sum(row.minutes for row in rows))
        counts = (f"Of {len(files)} files {len(rows)} have a row: {sum(row.passed for row in rows)} tests passed, "
                  f"{sum(row.failed for row in rows)} failed, {sum(row.skipped for row in rows)} were skipped; they took "
                  f"{minutes // 60} h {minutes % 60} min, one after another.")
        used = {row.commit for row in rows}
        return PAGE.format(counts=textwrap.fill(counts, 88)) + "\n".join((
            table("Files", [field.name for field in dataclasses.fields(Row)],
                  [dataclasses.astuple(self.rows[name]) if name in self.rows else (name, "", "", "", "", NOT_RUN, "") for name in files]),
            table("Versions", ["commit", "versions"], [(commit, text) for commit, text in self.versions.items() if commit in used]),
            table("Others", ["test", "result", "reason"],
                  [(name, *other) for name, other in sorted(self.others.items()) if name.partition("::")[0] in {row.file for row in rows}])))


def table(title: str, header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table that read() can read again."""
    lines = io.StringIO()
    csv.writer(lines, lineterminator="\n").writerows(rows)
    body = "".join(f"   {line}\n" for line in lines.getvalue().splitlines())
    return f".. csv-table:: {title}\n   :header: {', '.join(header)}\n\n{body}" if body else ""


def read(text: str) -> Page:
    """What a page says; that of an empty text is empty."""
    found = {title: list(csv.reader(line[3:] for line in body.splitlines())) for title, body in TABLE.findall(text)}
    page = Page()
    for file, passed, failed, skipped, minutes, date, commit in found.get("Files", ()):
        if date != NOT_RUN:
            page.rows[file] = Row(file, int(passed), int(failed), int(skipped), float(minutes), date, commit)
    page.versions = {commit: versions for commit, versions in found.get("Versions", ())}
    page.others = {test: (outcome, why) for test, outcome, why in found.get("Others", ())}
    return page
