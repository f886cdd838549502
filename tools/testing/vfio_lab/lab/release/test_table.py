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
SOMETIMES = "fails at random"
#: by what is before a name in a list
HOW = {"": "fails", "?": SOMETIMES, "!": "hangs", "-": "not run"}
LICENCE = """\
.. SPDX-License-Identifier: GPL-2.0
.. Made by lab/release/test_table.py from the tests and the lists beside them

"""
HEAD = LICENCE + """\
=====================================
Tests of the driver and its interface
=====================================

What each test verifies, or would catch, in its own words. Other drivers are run
as well: the last column has the failures that are expected of them, from the
lists beside the tests, which give the reasons and are compared with each run.
This driver is expected to pass all of them.
"""
LAB_HEAD = LICENCE + """\
===============
Tests in Python
===============

Files of tools/testing/vfio_lab/tests, by folder. They boot hosts and guests, and
run drivers, kernels, QEMU and tools. ``vlab check -- FILE`` runs one of them.
"""


@dataclass(frozen=True)
class Test:
    """One test: what it verifies, in a sentence of its author's."""

    name: str
    verifies: str


def _sentence(comment: str) -> str:
    text = re.sub(r"\s*\n\s*\*?\s*", " ", comment).strip(" /*")
    text = re.sub(r"^((?:[RD]\d+(?:, )?)+): ?", r"(\1) ", text)
    text = re.sub(r"^Catches ", "Would catch: ", text).rstrip(".;")
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


def lab() -> dict[str, list[Test]]:
    """The files of tests in Python, by folder: what each is about."""
    found: dict[str, list[Test]] = {}
    for file in sorted([*TESTS.glob("*/test_*.py"), *TESTS.glob("*/long_*.py")]):
        words = (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").split("\n\n")[0]
        found.setdefault(file.parent.name, []).append(Test(file.name, _sentence(words)))
    return found


def failed(listed: Path) -> dict[str, str]:
    """A list of what a driver fails: test, and how: fails, fails at random, hangs, or - for not run."""
    return {name: HOW[how] for how, name in re.findall(r"^([!?-]?)(\w+):", listed.read_text(), re.M)}


def _table(title: str, tests: list[Test], others: dict[str, dict[str, str]] | None = None) -> str:
    """A section; with others, a column of what is expected of them."""
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    for test in tests:
        row = [f"``{test.name}``", test.verifies]
        if others:
            row.append("; ".join(f"{driver}: {listed[test.name]}" for driver, listed in others.items() if test.name in listed))
        out.writerow(row)
    columns = ["test" if others is not None else "file", "what it verifies", *(["expected of others"] if others else [])]
    rows = "".join(f"   {line}\n" for line in text.getvalue().splitlines())
    names = ", ".join(f'"{name}"' for name in columns)
    return f"\n{title}\n{'=' * len(title)}\n\n.. csv-table::\n   :header: {names}\n\n{rows}"


def pages() -> dict[Path, str]:
    """The pages."""
    in_tree, mtty = (failed(SELFTESTS / f"vfio_pci_migration_tests.{name}") for name in ("hisi_acc_mainline", "mtty"))
    own = {f"in-tree driver of Linux {driver}": failed(SELFTESTS / f"hisi_acc_migration_tests.linux-{driver}")
           for driver in versions.OWN_DRIVERS}
    drivers = (HEAD
               + _table("Any driver: the vfio_pci_migration tests", generic(), {next(iter(own)): in_tree, "mtty": mtty})
               + _table("These devices: the hisi_acc_migration tests", special(), own)
               + _table("Without a device: KUnit", kunit(), {}))
    return {FOLDER / "tests.rst": drivers,
            FOLDER / "lab-tests.rst": LAB_HEAD + "".join(_table(f"{folder}/", files) for folder, files in lab().items())}


def write() -> list[Path]:
    """Update the pages; which they are."""
    for page, words in pages().items():
        page.write_text(words, encoding="utf-8")
    return list(pages())
