# SPDX-License-Identifier: GPL-2.0
"""Modules that are built outside of a kernel's tree, for a kernel of the lab."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ..core import processors
from ..core.cache import digest
from ..core.context import Context
from ..core.errors import LabError
from ..core.run import output, run
from .kernel import BUILD_ENV, CROSS, MAKE, Kernel

RECIPE = 1


def make(tree: Path, kernel: Kernel, log: Path, failure: str, variables: Sequence[str] = (),
         on_line: Callable[[str], None] | None = None, goals: Sequence[str] = ("modules",)) -> None:
    """Build all modules of a directory, or other `goals`, in place, with `variables` of make."""
    if not (kernel.build / "Makefile").is_file():
        raise LabError(f"Modules cannot be built for kernel {kernel.version}: there is no {kernel.build}; name its build "
                       "folder, or leave what needs a module: --driver checkout, --guest.")
    run([*MAKE, f"-j{processors.count()}", "-C", kernel.build, f"M={tree}", *variables, *goals], log=log,
        env=BUILD_ENV, on_line=on_line, failure=failure)


def check(module: Path, kernel: Kernel) -> None:
    """Raise LabError if a module was built for another kernel."""
    magic = output(["/sbin/modinfo", "-F", "vermagic", module]).partition(" ")[0].strip()
    if magic != kernel.release:
        raise LabError(f"{module} was built for {magic or 'no kernel'}, and the host runs {kernel.release}.")


def strip(module: Path, folder: Path, log: Path) -> None:
    """Copy a module to a directory without what is for debuggers only."""
    run([f"{CROSS}strip", "--strip-debug", "-o", folder / module.name, module], log=log)


def build(kind: str, name: str, files: Mapping[str, bytes], kernel: Kernel, context: Context,
          modules: Sequence[str] = ()) -> Path:
    """A directory with the modules of these files, by default the one of this `name`, for this kernel;
    built if it is not cached as this `kind`."""
    def entry(folder: Path) -> None:
        log = context.cache.log(f"{kind}-{kernel.version}")
        work = folder / "work"
        work.mkdir()
        with context.steps.step(f"build {name} for kernel {kernel.version}", log):
            for file, content in files.items():
                (work / file).write_bytes(content)
            make(work, kernel, log, f"{name} cannot be built for kernel {kernel.version}.")
            for module in modules or (name,):
                strip(work / f"{module}.ko", folder, log)
            shutil.rmtree(work)

    inputs = {"recipe": RECIPE, "kernel": kernel.key,
              "files": {file: content.hex() for file, content in files.items()}}
    return context.cache.entry(f"{kind}-{kernel.version}", kernel.release, digest(inputs), entry, context.waiting)
