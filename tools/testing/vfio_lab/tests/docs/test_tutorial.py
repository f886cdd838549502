# SPDX-License-Identifier: GPL-2.0
"""The tutorial "Write a VFIO migration driver": its patches make the sample, and its commands print what it says."""

from __future__ import annotations

import os
import re
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.core import paths
from lab.build import sources

PAGE = paths.ROOT / "Documentation/dev-tools/vfio-lab/tutorial.rst"
BLOCK = re.compile(r"^\.\. code-block:: (\w+)\n   :name: (\S+)\n\n((?:   .*\n|\n)+)", re.M)
MUTANTS = paths.LAB / "tests/mutants/edu"
#: what boots hosts
TRIED = re.compile(r"try-|migrate")


def blocks() -> list[tuple[str, str, str]]:
    """The page's blocks in order: language, name, text."""
    return [(m[1], m[2], textwrap.dedent(m[3]).rstrip() + "\n") for m in BLOCK.finditer(PAGE.read_text(encoding="utf-8"))]


def is_there(line: str, printed: str) -> bool:
    """Whether a line of the page was printed: a result as it is, of anything else the end."""
    return printed == line if re.match("(not )?ok ", line) else printed.endswith(line)


def follow(driver: Path, tried: Callable[[str], bool]) -> dict[str, str]:
    """Follow the page in a directory; returns what the commands print that `tried` selects."""
    said: dict[str, str] = {}
    env, previous = {**os.environ, "DRIVER": str(driver)}, ""
    for language, name, text in blocks():
        if language == "diff":
            subprocess.run(["patch", "-p1", "--batch", "--fuzz=0", "-d", driver], input=text, text=True, check=True, capture_output=True)
        elif language == "sh" and (not TRIED.match(name) or tried(name)):
            # what fails is a part of the tutorial
            done = subprocess.run(["bash", "-c", text], cwd=paths.ROOT, env=env, capture_output=True, text=True, check=False)
            said[name] = done.stdout + done.stderr
        elif language == "none" and previous in said:
            printed = iter(said[previous].splitlines())
            for line in filter(None, map(str.strip, text.splitlines())):
                assert any(is_there(line, other.strip()) for other in printed), f"{name}: no '{line}' in\n{said[previous]}"
        previous = name
    return said


def test_the_steps_make_the_sample(tmp_path):
    """From an empty directory, the page's patches must make the files of the sample."""
    follow(tmp_path, lambda name: False)
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir() if path.suffix != ".orig"} == \
        {path.name: path.read_text(encoding="utf-8") for path in sources.EDU.iterdir()
         if path.suffix in (".c", ".h") or path.name == "Makefile"}


def test_the_table_has_each_bug():
    """The table must have each patch, with its sentence and its test."""
    rows = re.findall(r"^   \* - (\S+\.patch)\n     - (.+)\n     - ``(\w+)``$", PAGE.read_text(encoding="utf-8"), re.M)
    texts = {path.name: path.read_text(encoding="utf-8") for path in MUTANTS.glob("*.patch")}
    assert dict((name, (what, test)) for name, what, test in rows) == \
        {name: (text.split("\n\n")[1], re.findall(r"^Test: (\w+)$", text, re.M)[0]) for name, text in texts.items()}


@pytest.mark.long("boots seven hosts")
def test_the_commands_print_what_the_page_says(tmp_path):
    """Each step must fail and pass the tests that the page says, and the guest must migrate."""
    said = follow(tmp_path, lambda name: True)
    assert len([name for name in said if TRIED.match(name)]) == 6
