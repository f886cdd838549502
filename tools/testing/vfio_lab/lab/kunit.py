# SPDX-License-Identifier: GPL-2.0
"""The driver's KUnit tests, run by the kernel's own kunit.py as a program of this
machine (User Mode Linux)."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from .context import Context
from .errors import LabError
from .kernel import BUILD_ENV
from .overlay import FOLDER, overlay
from .run import run


#: all that there are, in the order in which they run
SUITES = ("hisi_acc_stream", "hisi_acc_data_file", "hisi_acc_qm", "hisi_acc_pf", "hisi_acc_migrate")


def kunit(context: Context, patches: Sequence[Path] = ()) -> str:
    """Build and run them; what KTAP says.

    The tree is the one that the driver is built in, so only what changed since
    the last time is built again.  ``patches`` bend the driver for this run.
    Raises LabError when they cannot be built.
    """
    log = context.cache.log("kunit")
    said: list[str] = []
    with overlay(context) as tree, context.steps.step("KUnit, in User Mode Linux", log):
        for patch in patches:
            run(["patch", "-p1", "--batch", "--forward", "--fuzz=0", "-d", tree, "-i", patch.resolve()], log=log,
                failure=f"{patch.name} does not apply to the driver.")
        build = tree.parent / "build/um"
        run([sys.executable, "-B", tree / "tools/testing/kunit/kunit.py", "run", f"--kunitconfig={tree / FOLDER}",
             f"--build_dir={build}", f"--jobs={os.cpu_count() or 1}", "--raw_output=kunit"],
            log=log, cwd=tree, env=BUILD_ENV, on_line=said.append, check=False)
    text = "\n".join(said)
    if "KTAP version" not in text:
        raise LabError("The KUnit tests cannot be built.", log)
    return text


def failures(text: str) -> list[str]:
    """The lines of KTAP that say that something did not hold."""
    return re.findall(r"^(?:\[[ \d.]+\])?\s*not ok .*$", text, re.M)


def suites(text: str) -> list[str]:
    """The names of the suites that passed; the text may be a kernel's log."""
    return re.findall(r"^(?:\[[ \d.]+\] *)?ok \d+ (hisi_acc_\S+)", text, re.M)
