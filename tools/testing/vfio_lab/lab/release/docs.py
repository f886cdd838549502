# SPDX-License-Identifier: GPL-2.0
"""`make docs`: the documentation, built by the kernel's documentation tools.

They run on a tree that is the kernel's, by links, except for this clone's files. Of
Documentation/ABI only the project's files are there: the kernel's own have warnings of
their own.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from ..core import machine, scratch, versions
from ..core.context import Context
from ..core.errors import LabError
from ..core.run import run
from ..build import kernel_tree
from ..build.kernel import sources

#: the directories, each built by itself
PAGES = ("driver-api/hisi-acc-vfio-pci", "admin-guide/hisi-acc-vfio-pci", "dev-tools/vfio-lab")
ABI = "Documentation/ABI"
TROUBLE = re.compile(r"WARNING|ERROR|warning:|error:|Warning:|Error:")


def tree(base: Path, folder: Path) -> None:
    """Put the kernel's tree at `base` with this clone's files in it into `folder`."""
    kernel_tree.linked(base, folder)
    abi = {n: text for n, text in kernel_tree.driver_files().items() if n.startswith(ABI)}
    shutil.rmtree(folder / ABI)
    for place, text in abi.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(text, encoding="utf-8")


def build(target: Path, context: Context) -> Path:
    """Build the pages as HTML into `target`; LabError on a warning.  Returns the first
    page."""
    machine.prepare(context, machine.DOCS)
    base = sources(versions.DEFAULT, context)
    log = target / "build.log"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    with scratch.folder("docs-") as work, \
            context.steps.step("build the documentation", log) as step:
        tree(base, work)
        for page in PAGES:
            step.progress(page)
            run(["make", "-C", work, "htmldocs", f"SPHINXDIRS={page}", f"BUILDDIR={work}/out"], log=log,
                env={"PYTHONDONTWRITEBYTECODE": "1"}, failure=f"{page} cannot be built.")
            shutil.copytree(work / "out" / page, target / page)
        run([work / "tools/docs/get_abi.py", "--dir", work / ABI, "validate"], log=log,
            env={"PYTHONDONTWRITEBYTECODE": "1"}, failure="The kernel's tools do not accept the files in Documentation/ABI.")
        said = [line.replace(f"{work}/", "") for line in log.read_text(encoding="utf-8").splitlines()
                if TROUBLE.search(line)]
        if said:
            raise LabError(f"The documentation has {len(said)} warnings, the first: {said[0]}", log)
    return target / PAGES[0] / "index.html"
