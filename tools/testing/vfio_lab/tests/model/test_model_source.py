# SPDX-License-Identifier: GPL-2.0
"""The device model's sources, checked by QEMU's checkpatch.pl. The build verifies that they compile
without warnings."""

from __future__ import annotations

import subprocess

from lab.core import paths
from lab.build import qemu

#: QEMU prefers another licence; this project has the kernel's
KNOWN = "Saw acceptable license 'GPL-2.0-only"


def test_checkpatch_has_nothing_to_say(context):
    """QEMU's checkpatch.pl must report nothing."""
    sources = sorted(str(path) for path in paths.MODEL.iterdir() if path.suffix in (".c", ".h"))
    done = subprocess.run(["perl", qemu.checkpatch(context), "--no-tree", "--no-summary", "--terse", "-f", *sources],
                          capture_output=True, text=True, check=False)
    said = [line for line in done.stdout.splitlines() if ("WARNING" in line or "ERROR" in line) and KNOWN not in line]
    assert said == []
    assert done.stdout.count(KNOWN) == len(sources), done.stdout + done.stderr
