# SPDX-License-Identifier: GPL-2.0
"""The kernel's tree with this clone laid over it, where the driver is built as
its makers would build it: in tree, for any architecture, by any compiler."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..core import paths, processors, versions
from ..core.cache import digest
from ..core.context import Context
from ..core.errors import LabError
from ..core.run import run
from . import driver, kernel_tree
from .kernel import BUILD_ENV, CROSS, sources, unmet

#: the driver's place in a tree
FOLDER = paths.DRIVER.relative_to(paths.ROOT)
#: the tests of the driver can be built without the driver: one line to change
DESCENT = ("obj-$(CONFIG_HISI_ACC_VFIO_PCI) += hisilicon/", "obj-y += hisilicon/")

#: what the driver depends on, for any machine
NEEDS = """
CONFIG_64BIT=y
CONFIG_EXPERT=y
CONFIG_MODULES=y
CONFIG_PCI=y
CONFIG_PCI_MSI=y
CONFIG_PCI_IOV=y
CONFIG_ACPI=y
CONFIG_IOMMU_SUPPORT=y
CONFIG_CRYPTO=y
CONFIG_CRYPTO_HW=y
CONFIG_DEBUG_FS=y
CONFIG_FTRACE=y
CONFIG_ENABLE_DEFAULT_TRACERS=y
CONFIG_VFIO={v}
CONFIG_VFIO_GROUP=y
CONFIG_VFIO_DEBUGFS=y
CONFIG_CRYPTO_DEV_HISI_SEC2={v}
CONFIG_CRYPTO_DEV_HISI_ZIP={v}
CONFIG_CRYPTO_DEV_HISI_HPRE={v}
CONFIG_HISI_ACC_VFIO_PCI={v}
CONFIG_KUNIT=m
CONFIG_HISI_ACC_VFIO_PCI_KUNIT_TEST=m
"""


@dataclass(frozen=True)
class Target:
    """A way to build the driver in tree: arguments for make, and a configuration."""

    name: str
    make: tuple[str, ...]
    config: str


_ARM64 = ("ARCH=arm64", f"CROSS_COMPILE={CROSS}")
_EFI = "CONFIG_EFI=y\n"
TARGETS = {target.name: target for target in (
    Target("arm64-module", _ARM64, NEEDS.format(v="m") + _EFI),
    Target("arm64-built-in", _ARM64, NEEDS.format(v="y") + _EFI),
    Target("arm64-clang", (*_ARM64, "CC=clang-19", "HOSTCC=gcc"), NEEDS.format(v="m") + _EFI),
    Target("amd64", ("ARCH=x86_64",), NEEDS.format(v="m") + "CONFIG_COMPILE_TEST=y\n"),
)}


def _replace(file: Path, text: str) -> None:
    """Change a file of the tree, and no build that it is in if it is so already."""
    if file.read_text(encoding="utf-8") != text:
        # A file of its own: the tree shares the others with the unpacked sources.
        file.unlink()
        file.write_text(text, encoding="utf-8")


def _lay_over(source: Path, tree: Path) -> None:
    """Bring the tree's copy of this clone's files up to date."""
    for folder in (FOLDER, paths.DKMS.name):
        shutil.rmtree(tree / folder, ignore_errors=True)
    for place, text in driver.sources().items():
        (tree / place).parent.mkdir(parents=True, exist_ok=True)
        (tree / place).write_text(text, encoding="utf-8")
    shutil.copy(paths.DRIVER / "tests/.kunitconfig", tree / FOLDER / "tests")
    # its test is built with the driver's
    (tree / FOLDER / "dkms").symlink_to(os.path.relpath(tree / paths.DKMS.name, tree / FOLDER))
    with open(tree / FOLDER / "Makefile", "a", encoding="utf-8") as makefile:
        makefile.write("obj-$(CONFIG_HISI_ACC_VFIO_PCI_KUNIT_TEST) += dkms/tests/\n")
    for place, text in kernel_tree.hooked(source, kernel_tree.QM_HOOK).items():
        _replace(tree / place, text)
    text = (source / FOLDER.parent / "Makefile").read_text(encoding="utf-8")
    if DESCENT[0] not in text:
        raise LabError(f"{source.name}: {FOLDER.parent}/Makefile no longer names {FOLDER.name}.")
    _replace(tree / FOLDER.parent / "Makefile", text.replace(*DESCENT))


@contextmanager
def overlay(context: Context, series: str = versions.DEFAULT) -> Iterator[Path]:
    """The tree of a series with this clone's driver in it, which alone is compiled."""
    source = sources(series, context)

    def prepare(folder: Path) -> None:
        with context.steps.step(f"lay this clone over the sources of kernel {series}"):
            # Hard links: the tree is only read, but for what _lay_over() replaces.
            shutil.copytree(source, folder / "tree", symlinks=True, copy_function=os.link)
            (folder / "build").mkdir()

    with context.cache.tree(f"overlay-{series}", "1", digest({"recipe": 1, "source": source.name}),
                            prepare, context.waiting) as folder:
        _lay_over(source, folder / "tree")
        yield folder / "tree"


def build(tree: Path, target: Target, context: Context, *arguments: str, goal: str = "") -> str:
    """Build the driver's directory in an overlay(), all of it or one `goal`; returns the output.

    Raises LabError when a configuration cannot be had or the build fails.
    """
    out = tree.parent / "build" / target.name
    log = context.cache.log(f"static-{target.name}")
    make: Sequence[str | Path] = ("make", "-s", *target.make, "-C", tree, f"O={out}")
    with context.steps.step(f"build the driver in tree: {target.name}", log):
        _prepare(out, make, target, log)
        shutil.rmtree(out / FOLDER, ignore_errors=True)
        said: list[str] = []
        run([*make, "KBUILD_MODPOST_WARN=1", *arguments, f"{FOLDER}/{goal}"], log=log, env=BUILD_ENV,
            on_line=said.append, failure=f"The driver cannot be built in tree: {target.name}.")
    return "\n".join(said)


def _prepare(out: Path, make: Sequence[str | Path], target: Target, log: Path) -> None:
    """Configure a build directory, unless it is configured; fails if an option does not take effect."""
    fragment = out / "fragment"
    if fragment.exists() and fragment.read_text(encoding="utf-8") == target.config:
        return
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    (out / "wanted").write_text(target.config, encoding="utf-8")
    run([*make, f"KCONFIG_ALLCONFIG={out}/wanted", "allnoconfig"], log=log, env=BUILD_ENV,
        failure=f"{target.name} cannot be configured.")
    missed = unmet(target.config, (out / ".config").read_text(encoding="utf-8"))
    if missed:
        raise LabError(f"{target.name} did not take these lines: {', '.join(missed)}.", log)
    run([*make, f"-j{processors.count()}", "modules_prepare"], log=log, env=BUILD_ENV,
        failure=f"{target.name} cannot be prepared.")
    (out / "wanted").rename(fragment)
