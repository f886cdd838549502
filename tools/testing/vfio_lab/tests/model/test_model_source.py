# SPDX-License-Identifier: GPL-2.0
"""The device model's sources, checked by QEMU's checkpatch.pl, and their order. The build verifies
that they compile without warnings."""

from __future__ import annotations

import graphlib
import re
import subprocess

from lab.core import paths
from lab.build import qemu

#: QEMU prefers another licence; this project has the kernel's
KNOWN = "Saw acceptable license 'GPL-2.0-only"
#: the definition of a function or a constant that other files see
DEFINITION = re.compile(r"^(?!static\b|extern\b)\w[^;={}()]*?\b(hisi_\w+)(?:\([^;{]*\)\n\{| = )", re.M)
#: what engines may include of the device's
FOR_ENGINES = {"hisi_acc_engine.h", "hisi_acc_stats.h"}


def sources(*suffixes: str) -> dict[str, str]:
    """The model's files without comments, by name."""
    return {path.name: re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.S)
            for path in sorted(paths.MODEL.iterdir()) if path.suffix in suffixes}


def includes(text: str) -> set[str]:
    """The model's headers that a file includes."""
    return set(re.findall(r'^#include "(hisi_\w+\.h)"', text, re.M))


def test_checkpatch_reports_nothing(context):
    """QEMU's checkpatch.pl must report nothing."""
    files = sorted(path.name for path in paths.MODEL.iterdir() if path.suffix in (".c", ".h"))
    done = subprocess.run(["perl", qemu.checkpatch(context), "--no-tree", "--no-summary", "--terse", "-f", *files],
                          cwd=paths.MODEL, capture_output=True, text=True, check=False)
    said = [line for line in done.stdout.splitlines() if ("WARNING" in line or "ERROR" in line) and KNOWN not in line]
    assert said == []
    assert done.stdout.count(KNOWN) == len(files), done.stdout + done.stderr


def test_calls_between_files_have_no_circle():
    """No two files may use functions of each other, directly or through others."""
    files = sources(".c")
    home = {name: file for file, text in files.items() for name in DEFINITION.findall(text)}
    declared = {name for text in sources(".h").values() for name in re.findall(r"\b(hisi_\w+)(?=\(|;)", text)}
    assert declared <= home.keys() | {"hisi_acc_half", "hisi_acc_distance"}, "the scan misses definitions"
    graphlib.TopologicalSorter({file: {home[name] for name in re.findall(r"\bhisi_\w+", text) if name in home} - {file}
                                for file, text in files.items()}).prepare()


def test_includes_have_no_circle():
    """No header may include itself; engines must not include the device's data."""
    files = sources(".c", ".h")
    graphlib.TopologicalSorter({file: includes(text) for file, text in files.items()}).prepare()
    assert {file: header for file, text in files.items() for header in includes(text) - FOR_ENGINES
            if not file.startswith("hisi_acc_") and header.startswith("hisi_acc")} == {}
