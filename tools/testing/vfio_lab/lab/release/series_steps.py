# SPDX-License-Identifier: GPL-2.0
"""The steps of the series: what each is called, says, and brings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..build import kernel_tree as tree
from . import series_cuts as cuts
from .series_cuts import Files

#: what debugfs shows comes with it, the image with the pages that tell of it
ABI = "Documentation/ABI/testing/debugfs-"
IMAGE_ABI = "Documentation/ABI/testing/vfio-hisi-acc-migration-data"
CONFIGS = "kernel/configs/"
#: what the driver shares with that of the PF
QM_HEADER = "include/linux/hisi_acc_qm.h"


@dataclass(frozen=True)
class Step:
    """A patch.  `undo` takes what it brings out of a tree's files (None stands for a
    file that is deleted); `builds` tells whether the driver changed; `but` names what
    checkpatch takes for a fault and every file of its kind in the kernel has."""

    name: str
    subject: str
    undo: Callable[[Files, Path], None]
    builds: bool = False
    but: str = ""


def _drop(*places: str) -> Callable[[Files, Path], None]:
    def undo(files: Files, base: Path) -> None:
        for place in [p for p in files if p.startswith(places)]:
            theirs = base / place
            if theirs.is_file():
                files[place] = theirs.read_text(encoding="utf-8")
            else:
                del files[place]
    return undo


def _kunit(files: Files, base: Path) -> None:
    """All tests but that of the image, which came with it."""
    folder = f"{tree.DRIVER}/tests/"
    for place in [p for p in files if p.startswith(folder) and not p.endswith(("/vf_data_test.c", "/Makefile"))]:
        del files[place]
    place = f"{folder}Makefile"
    files[place] = cuts.cut(files[place], r"^hisi_acc_kunit-y.*\Z", "hisi_acc_kunit-y := vf_data_test.o\n")


def _sight(files: Files, base: Path) -> None:
    _drop(ABI)(files, base)
    old = base / tree.REPLACED_ABI
    if old.is_file():
        files[tree.REPLACED_ABI] = old.read_text(encoding="utf-8")
    cuts.without_sight(files)
    cuts.without_objects(files)


def _pre_copy(files: Files, base: Path) -> None:
    cuts.without_pre_copy(files)
    cuts.without_objects(files)


def _migration(files: Files, base: Path) -> None:
    cuts.without_migration(files)
    cuts.without_objects(files)


def _driver(files: Files, base: Path) -> None:
    """Back to the kernel's own driver, with the image's bytes beside it."""
    tests = cuts.cut(files[f"{tree.DRIVER}/Kconfig"], r"\A.*?(?=^config HISI_ACC_VFIO_PCI_KUNIT_TEST)")
    del files[f"{tree.DRIVER}/main.c"]
    cuts.without_objects(files)
    ours = [line for line in files[f"{tree.DRIVER}/Makefile"].splitlines(keepends=True) if "kunit" in line.lower()]
    for name, added in (("Kconfig", "\n" + tests), ("Makefile", "\n" + "".join(ours))):
        theirs = (base / tree.DRIVER / name).read_text(encoding="utf-8")
        files[f"{tree.DRIVER}/{name}"] = theirs.rstrip("\n") + "\n" + added
    for place in sorted((base / tree.DRIVER).glob("*.[ch]")):
        files[str(place.relative_to(base))] = place.read_text(encoding="utf-8")


#: in the order of the series
STEPS = (
    Step("hisi_qm", "crypto: hisilicon/qm - Let other drivers block resets", _drop("drivers/crypto/", QM_HEADER)),
    Step("image", "hisi_acc_vfio_pci: The migration image as bytes", _drop(f"{tree.DRIVER}/"), True),
    Step("driver", "hisi_acc_vfio_pci: Start over: assign functions", _driver, True),
    Step("migration", "hisi_acc_vfio_pci: Stop, save, load and restart functions", _migration, True),
    Step("pre-copy", "hisi_acc_vfio_pci: Pre-copy and P2P states", _pre_copy, True),
    Step("sight", "hisi_acc_vfio_pci: debugfs and tracepoints", _sight, True,
         # the way in which tracepoints are written
         "OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT,COMPLEX_MACRO"),
    Step("kunit", "hisi_acc_vfio_pci: KUnit tests on registers that are memory", _kunit, True),
    Step("documentation", "Documentation: hisi_acc_vfio_pci: State, image, use",
         _drop("Documentation/driver-api/", "Documentation/admin-guide/", IMAGE_ABI)),
    Step("configs", "kernel/configs: Fragment for HiSilicon accelerator migration", _drop(CONFIGS)),
    Step("selftests", "selftests/vfio: Migration of HiSilicon accelerator functions", _drop(f"{tree.SELFTESTS}/"), False,
         # programs of userspace, with mapped registers; a name that is a function's too; fixtures
         "BIT_MACRO,VOLATILE,EMBEDDED_FUNCTION_NAME,COMPLEX_MACRO"),
    Step("maintainers", "MAINTAINERS: Files of hisi_acc_vfio_pci", _drop("MAINTAINERS")),
)


def states(base: Path) -> list[Files]:
    """The files after each step: all that the series touches and that is there."""
    files = tree.changed(base, lab=False)
    found = []
    for step in reversed(STEPS):
        found.insert(0, dict(files))
        step.undo(files, base)
    return found
