# SPDX-License-Identifier: GPL-2.0
"""Which lines of the driver ran in a host, by the kernel's gcov: for modules built
with GCOV_PROFILE on a kernel with CONFIG_GCOV_KERNEL."""

from __future__ import annotations

import base64
import json
import os
import shutil
from pathlib import Path

from ..core.errors import LabError
from ..core.run import output
from ..build.kernel import CROSS
from ..scenario.host import Host

ROOT = "/sys/kernel/debug/gcov"
#: the hits of each line that is code, by file and number
Lines = dict[str, dict[int, int]]


def _collect(host: Host, folder: Path) -> list[Path]:
    """Fetch the host's counts of the driver's objects."""
    found = []
    names = host.ssh.out(f"find {ROOT} -name '*.gcda' | grep /hisilicon/ || true").splitlines()
    for name in names:
        # Such a file has no size: it is made while it is read
        text = host.ssh.out(f"base64 {name}")
        path = folder / Path(name).name
        path.write_bytes(base64.b64decode(text))
        found.append(path)
    if not found:
        raise LabError(f"host {host.name}: no counts of the driver; was it built with GCOV_PROFILE?")
    return found


def lines(host: Host, built: Path, scratch: Path) -> Lines:
    """The lines of the driver and how often each ran; ``built`` is the directory that
    driver.module(flavour="gcov") left its objects in."""
    total: Lines = {}
    scratch.mkdir(exist_ok=True)
    for note in built.rglob("*.gcno"):
        shutil.copy(note, scratch)
    for count in _collect(host, scratch):
        counted = json.loads(output([f"{CROSS}gcov", "--json-format", "--stdout", "-o", scratch, count], cwd=scratch))
        for file in counted["files"]:
            path = Path(os.path.normpath(file["file"]))
            if path.parent.name not in ("hisilicon", "", ".") or path.stem.endswith(("_test", "fake_device")):
                continue
            hits = total.setdefault(path.name, {})
            for line in file["lines"]:
                hits[line["line_number"]] = hits.get(line["line_number"], 0) + line["count"]
    return total


def add(total: Lines, more: Lines) -> None:
    """Count what ran elsewhere, too."""
    for name, hits in more.items():
        into = total.setdefault(name, {})
        for line, count in hits.items():
            into[line] = into.get(line, 0) + count


def share(counted: Lines) -> float:
    """Which part of the lines ran, in percent."""
    all_lines = [hits for file in counted.values() for hits in file.values()]
    return 100 * sum(map(bool, all_lines)) / max(len(all_lines), 1)


def report(counted: Lines, sources: Path) -> str:
    """A table of files, then each line that never ran."""
    table, missed = [], []
    for name in sorted(counted):
        hits = counted[name]
        table.append(f"{name:<16} {sum(map(bool, hits.values())):4} of {len(hits):4} lines")
        text = (sources / name).read_text(encoding="utf-8").splitlines() if (sources / name).is_file() else []
        missed += [f"{name}:{number}: {text[number - 1].strip() if number <= len(text) else ''}"
                   for number in sorted(hits) if not hits[number]]
    return "\n".join([*table, f"{share(counted):.1f} % of all", "", *missed]) + "\n"
