# SPDX-License-Identifier: GPL-2.0
"""Modules of this driver."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from ..core import paths
from ..core.cache import digest
from ..core.context import Context, shared
from ..core.errors import LabError
from ..core.run import run
from .kernel import Kernel, counter
from .module import make, strip

RECIPE = 1
MODULE = "hisi_acc_vfio_pci.ko"
#: the driver's KUnit tests; built for kernels that have CONFIG_KUNIT
KUNIT_MODULE = "hisi_acc_kunit.ko"
#: further make variables for a kernel's directory of modules
VARIABLES = {"": (), "kunit": ("CONFIG_HISI_ACC_VFIO_PCI_KUNIT_TEST=m",),
             "gcov": ("GCOV_PROFILE=y", "CONFIG_HISI_ACC_VFIO_PCI_KUNIT_TEST=m")}
#: what of this clone the driver is built from, besides its own directory
HEADERS = paths.ROOT / "include"
SOURCES = (".c", ".h", ".S")


def _files(top: Path) -> dict[Path, str]:
    """A directory's sources by their place in the clone, without what a build in it left."""
    return {path.relative_to(paths.ROOT): path.read_text(encoding="utf-8")
            for path in sorted(top.rglob("*"))
            if path.is_file() and not path.name.endswith(".mod.c")
            and (path.suffix in SOURCES or path.name in ("Makefile", "Kbuild", "Kconfig"))}


def sources() -> dict[Path, str]:
    """The driver's own directory and that for builds out of tree, by place in the clone, as
    they are now."""
    return _files(paths.DRIVER) | _files(paths.DKMS)


def module(kernel: Kernel, context: Context | None = None, patches: Sequence[Path] = (), flavour: str = "") -> Path:
    """The driver as a module for this kernel, built if it is not cached, with ``patches`` (-p1,
    relative to the clone's top directory) applied to a copy. A ``flavour`` "kunit" has
    KUNIT_MODULE beside it, "gcov" counts its lines.
    """
    context = context or shared()
    # Read once: the files can change during the build, and the key must match what
    # was built.
    files = sources() | _files(HEADERS)
    texts = {patch.name: patch.read_bytes() for patch in patches}
    if not files:
        raise LabError(f"This clone has no driver in {paths.DRIVER}.")
    title = f"build the driver for kernel {kernel.version}"
    if patches:
        title += f" with {', '.join(patch.name for patch in patches)}"

    def build(folder: Path) -> None:
        log = context.cache.log(f"driver-{kernel.version}")
        work = folder / "work"
        with context.steps.step(title, log) as step:
            for place, text in files.items():
                (work / place).parent.mkdir(parents=True, exist_ok=True)
                (work / place).write_text(text, encoding="utf-8")
            for name, content in texts.items():
                (folder / name).write_bytes(content)
                # A mutation that no longer applies must not be taken for the driver.
                run(["patch", "-p1", "--batch", "--forward", "--fuzz=0", "-d", work,
                     "-i", folder / name],
                    log=log, failure=f"{name} does not apply to the driver.")
            tree = work / paths.DRIVER.relative_to(paths.ROOT)
            for path in (work / paths.DKMS.name).iterdir():
                if path.is_file():
                    shutil.copy(path, tree)
            make(tree, kernel, log, f"The driver cannot be built for kernel {kernel.version}.", VARIABLES[flavour],
                 counter(step, "files"))
            built = tree / MODULE
            if not built.exists():
                raise LabError(f"The driver's build made no {MODULE}.", log)
            strip(built, folder, log)
            if flavour:
                shutil.copy(tree / "tests" / KUNIT_MODULE, folder)
            if flavour != "gcov":
                shutil.rmtree(work)

    inputs = {"recipe": f"{RECIPE} {flavour}" if flavour else RECIPE, "kernel": kernel.key,
              "patches": {name: content.hex() for name, content in texts.items()},
              "files": {str(place): text for place, text in files.items()}}
    kind = f"driver-{kernel.version}{'-patched' if patches else ''}{'-' + flavour if flavour else ''}"
    folder = context.cache.entry(kind, kernel.release, digest(inputs), build, context.waiting)
    return folder / MODULE
