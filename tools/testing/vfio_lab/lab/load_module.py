# SPDX-License-Identifier: GPL-2.0
"""The guest's load that has to run in the kernel, as a module."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from . import paths
from .cache import digest
from .context import Context, shared
from .kernel import BUILD_ENV, MAKE, Kernel
from .run import run

RECIPE = 1
SOURCES = paths.LAB / "guest/kernel"
MODULE = "accel_load.ko"


def load_module(kernel: Kernel, context: Context | None = None) -> Path:
    """accel_load.ko for this kernel, built if it is not cached."""
    context = context or shared()
    files = {path.name: path.read_bytes() for path in sorted(SOURCES.iterdir())
             if path.suffix in (".c", ".h") or path.name == "Kbuild"}

    def build(folder: Path) -> None:
        log = context.cache.log(f"load-{kernel.version}")
        work = folder / "work"
        work.mkdir()
        with context.steps.step(f"build the guest's load for kernel {kernel.version}", log):
            for name, content in files.items():
                (work / name).write_bytes(content)
            run([*MAKE, f"-j{os.cpu_count() or 1}", "-C", kernel.build, f"M={work}", "modules"], log=log,
                env=BUILD_ENV, failure=f"The guest's load cannot be built for kernel {kernel.version}.")
            run(["aarch64-linux-gnu-strip", "--strip-debug", "-o", folder / MODULE, work / MODULE], log=log)
            shutil.rmtree(work)

    inputs = {"recipe": RECIPE, "kernel": kernel.build.parent.name,
              "files": {name: content.hex() for name, content in files.items()}}
    return context.cache.entry(f"load-{kernel.version}", kernel.release, digest(inputs), build,
                               context.waiting) / MODULE
