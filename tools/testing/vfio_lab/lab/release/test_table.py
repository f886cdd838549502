# SPDX-License-Identifier: GPL-2.0
"""The table of all tests for the documentation, made from the tests themselves and
the lists beside them of what other drivers fail.

``vlab generate tests`` writes the pages.
"""

from __future__ import annotations

import ast
import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from ..core import paths, versions

FOLDER = paths.ROOT / "Documentation/dev-tools/vfio-lab"
SELFTESTS = paths.ROOT / "tools/testing/selftests/vfio"
TESTS = paths.LAB / "tests"
PASSES, SOMETIMES, NOT_RUN = "passes", "fails at random", "-"
#: by what is before a name in a list
HOW = {"": "fails", "?": SOMETIMES, "!": "hangs", "-": NOT_RUN}
LICENCE = """\
.. SPDX-License-Identifier: GPL-2.0
.. Made by lab/release/test_table.py from the tests and the lists beside them

"""
HEAD = LICENCE + """\
=========
The tests
=========

What each test would catch, in its own words, and what it says of which driver. Of
the others the lists beside the tests tell, with reasons; the check compares them
with a run on the kernel's own driver and on the kernel's sample mtty. Those in Python are on
a page of their own, lab-tests.rst.
"""
LAB_HEAD = LICENCE + """\
===================
The tests in Python
===================

What each would catch, in its own words. They run drivers, kernels, QEMU and tools.
"""


@dataclass(frozen=True)
class Test:
    """One test: what it catches, in a sentence of its author's."""

    name: str
    catches: str


def _sentence(comment: str) -> str:
    text = re.sub(r"\s*\n\s*\*?\s*", " ", comment).strip(" /*")
    text = re.sub(r"^((?:[RD]\d+(?:, )?)+): ?", r"(\1) ", text)
    text = re.sub(r"\b(?:Would catch: |Catches |would catch: )", "", text, count=1).rstrip(".;")
    return text[:1].upper() + text[1:]


def generic() -> list[Test]:
    """The checks of the vfio_pci_migration tests."""
    found = []
    for file in sorted(SELFTESTS.glob("vfio_pci_migration_*_test.c")):
        found += [Test(name, _sentence(comment)) for comment, name in
                  re.findall(r"/\*((?:(?!\*/).)*)\*/\nTEST_F(?:_TIMEOUT)?\(\w+, (\w+)", file.read_text(), re.S)]
    return found


def special() -> list[Test]:
    """The tests of the hisi_acc_migration tests."""
    found = []
    for file in sorted(SELFTESTS.glob("hisi_acc_migration_*.c")):
        found += [Test(name, _sentence(comment)) for comment, name in
                  re.findall(r"/\*((?:(?!\*/).)*)\*/\nTEST\((\w+)\)", file.read_text(), re.S)]
    return found


def kunit() -> list[Test]:
    """The KUnit cases, by suite."""
    found = []
    for file in sorted([*(paths.DRIVER / "tests").glob("*_test.c"), *(paths.DKMS / "tests").glob("*_test.c")]):
        text = file.read_text()
        for function in re.findall(r"KUNIT_CASE(?:_PARAM)?\((\w+)", text):
            comment = re.search(rf"/\*((?:(?!\*/).)*)\*/\nstatic void {function}\(", text, re.S)
            found.append(Test(f"{file.stem.removesuffix('_test')}.{function}", _sentence(comment[1]) if comment else ""))
    return found


def lab() -> list[Test]:
    """The tests in Python, by file; one without words of its own has its file's."""
    found = []
    for file in sorted(TESTS.rglob("*.py"), key=lambda path: path.name):
        tree = ast.parse(file.read_text())
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                words = ast.get_docstring(node) or node.name.removeprefix("test_").replace("_", " ")
                found.append(Test(f"{file.stem}: {node.name.removeprefix('test_')}", _sentence(words.split("\n\n")[0])))
    return found


def failed(listed: Path) -> dict[str, str]:
    """A list of what a driver fails: test, and how: fails, fails at random, hangs, or - for not run."""
    return {name: HOW[how] for how, name in re.findall(r"^([!?-]?)(\w+):", listed.read_text(), re.M)}


def _table(title: str, tests: list[Test], columns: dict[str, dict[str, str] | None]) -> str:
    """A section; a column's tests pass unless listed, None says it is not run there."""
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    for test in tests:
        out.writerow([f"``{test.name}``", test.catches,
                      *(NOT_RUN if bad is None else bad.get(test.name, PASSES) for bad in columns.values())])
    names = ", ".join(f'"{name}"' for name in columns)
    rows = "".join(f"   {line}\n" for line in text.getvalue().splitlines())
    return (f"\n{title}\n{'=' * len(title)}\n\n.. csv-table::\n   :header: \"test\", \"catches\", {names}\n\n{rows}")


def pages() -> dict[Path, str]:
    """The pages."""
    mainline, mtty = (failed(SELFTESTS / f"vfio_pci_migration_tests.{name}") for name in ("hisi_acc_mainline", "mtty"))
    own = {f"Linux {driver}'s": failed(SELFTESTS / f"hisi_acc_migration_tests.linux-{driver}")
           for driver in versions.OWN_DRIVERS}
    drivers = (HEAD
               + _table("Any driver: the vfio_pci_migration tests", generic(),
                        {"ours": {}, next(iter(own)): mainline, "mtty": mtty})
               + _table("These devices: the hisi_acc_migration tests", special(),
                        {"ours": {}, **own})
               + _table("Without a device: KUnit", kunit(), {"ours": {}}))
    return {FOLDER / "tests.rst": drivers, FOLDER / "lab-tests.rst": LAB_HEAD + _table("The lab", lab(), {"ours": {}})}


def write() -> list[Path]:
    """Update the pages; which they are."""
    for page, words in pages().items():
        page.write_text(words, encoding="utf-8")
    return list(pages())
