# SPDX-License-Identifier: GPL-2.0
"""The lab's own kernel modules: the part of the guest's load that has to run in
the kernel, and a rival for a physical function's registers."""

from __future__ import annotations

import shutil
from pathlib import Path

from . import paths, processors
from .cache import digest
from .context import Context, shared
from .kernel import BUILD_ENV, MAKE, Kernel
from .run import run

RECIPE = 1


def _module(sources: Path, name: str, kernel: Kernel, context: Context | None) -> Path:
    """The module `name` of the folder for this kernel, built if it is not cached."""
    context = context or shared()
    module = f"{name}.ko"
    files = {path.name: path.read_bytes() for path in sorted(sources.iterdir())
             if path.suffix in (".c", ".h") or path.name == "Kbuild"}

    def build(folder: Path) -> None:
        log = context.cache.log(f"load-{kernel.version}")
        work = folder / "work"
        work.mkdir()
        with context.steps.step(f"build {name} for kernel {kernel.version}", log):
            for file, content in files.items():
                (work / file).write_bytes(content)
            run([*MAKE, f"-j{processors.count()}", "-C", kernel.build, f"M={work}", "modules"], log=log,
                env=BUILD_ENV, failure=f"{name} cannot be built for kernel {kernel.version}.")
            run(["aarch64-linux-gnu-strip", "--strip-debug", "-o", folder / module, work / module], log=log)
            shutil.rmtree(work)

    inputs = {"recipe": RECIPE, "kernel": kernel.build.parent.name,
              "files": {file: content.hex() for file, content in files.items()}}
    return context.cache.entry(f"load-{kernel.version}", kernel.release, digest(inputs), build,
                               context.waiting) / module


def load_module(kernel: Kernel, context: Context | None = None) -> Path:
    """accel_load.ko for this kernel."""
    return _module(paths.LAB / "guest/kernel", "accel_load", kernel, context)


def rival_module(kernel: Kernel, context: Context | None = None) -> Path:
    """qm_rival.ko for this kernel: what else may use a physical function."""
    return _module(paths.LAB / "host/kernel", "qm_rival", kernel, context)
