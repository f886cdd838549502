# SPDX-License-Identifier: GPL-2.0
"""The patches of each series: name, subject, and the files that each adds."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..core import paths
from ..build import kernel_tree as tree
from . import series_cuts as cuts
from .series_cuts import Files
from .series_projects import LINUX, Project

MESSAGES = paths.LAB / "series"
#: the ABI of debugfs goes with its patch, that of migration data with the documentation
ABI = "Documentation/ABI/testing/debugfs-"
DATA_ABI = "Documentation/ABI/testing/vfio-hisi-acc-migration-data"
CONFIGS = "kernel/configs/"
#: the interface to the driver of the PF
QM_HEADER = "include/linux/hisi_acc_qm.h"
#: VFIO's mailing list
KVM = "kvm@vger.kernel.org"


@dataclass(frozen=True)
class Step:
    """A patch.  `undo` removes its changes from a tree's files; `builds` is set if it
    changes what its series builds; `but` names checkpatch's messages that every file of its kind in
    the kernel causes."""

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
    """Remove all tests except that of migration data, which comes with its patch."""
    folder = f"{tree.DRIVER}/tests/"
    for place in [p for p in files if p.startswith(folder) and not p.endswith(("/vf_data_test.c", "/Makefile"))]:
        del files[place]
    place = f"{folder}Makefile"
    files[place] = cuts.cut(files[place], r"^hisi_acc_kunit-y.*\Z", "hisi_acc_kunit-y := vf_data_test.o\n")


def _debugfs(files: Files, base: Path) -> None:
    _drop(ABI)(files, base)
    old = base / tree.REPLACED_ABI
    if old.is_file():
        files[tree.REPLACED_ABI] = old.read_text(encoding="utf-8")
    cuts.without_debugfs(files)
    cuts.without_objects(files)


def _pre_copy(files: Files, base: Path) -> None:
    cuts.without_pre_copy(files)
    cuts.without_objects(files)


def _migration(files: Files, base: Path) -> None:
    cuts.without_migration(files)
    cuts.without_objects(files)


def _driver(files: Files, base: Path) -> None:
    """Restore the in-tree driver, and keep the code of migration data beside it."""
    tests = cuts.cut(files[f"{tree.DRIVER}/Kconfig"], r"\A.*?(?=^config HISI_ACC_VFIO_PCI_KUNIT_TEST)")
    del files[f"{tree.DRIVER}/main.c"]
    cuts.without_objects(files)
    added_lines = [line for line in files[f"{tree.DRIVER}/Makefile"].splitlines(keepends=True) if "kunit" in line.lower()]
    for name, added in (("Kconfig", "\n" + tests), ("Makefile", "\n" + "".join(added_lines))):
        theirs = (base / tree.DRIVER / name).read_text(encoding="utf-8")
        files[f"{tree.DRIVER}/{name}"] = theirs.rstrip("\n") + "\n" + added
    for place in sorted((base / tree.DRIVER).glob("*.[ch]")):
        files[str(place.relative_to(base))] = place.read_text(encoding="utf-8")


#: tests of any device, and what they need
GENERIC = re.compile(rf"{tree.SELFTESTS}/(config|settings|migration\.mk|libvfio_compat\.h|(migration|vfio_open|vfio_pci_migration)\w*\.[ch])")
#: those of the second patch: what else happens while a device migrates
BESIDE = ("reset_test", "threads_test", "fuzz_test", "fail_nth")


def _generic(base: Path) -> Files:
    """The selftests of migration for any device: no file, and no line, of HiSilicon accelerators."""
    files = {place: text for place, text in tree.changed(base, lab=False).items() if GENERIC.fullmatch(place)}
    place = f"{tree.SELFTESTS}/migration.mk"
    files[place] = cuts.cut(files[place], r"^\ninclude hisi_acc\.mk\n").replace(", see\n# hook.patch", "")
    place = f"{tree.SELFTESTS}/config"
    files[place] = cuts.cut(files[place], r"^# HiSilicon accelerators\n.*\Z")
    place = f"{tree.SELFTESTS}/Makefile"
    files[place] = tree.hooked(base, tree.HOOKS[1])[place]
    return files


def _beside(files: Files, _: Path) -> None:
    place = f"{tree.SELFTESTS}/migration.mk"
    for name in BESIDE:
        del files[f"{tree.SELFTESTS}/vfio_pci_migration_{name}.c"]
        files[place] = cuts.cut(files[place], rf"^MIGRATION_TESTS \+= vfio_pci_migration_{name}\n")
    for name in ("migration_fuzz.c", "migration_fuzz.h", "migration_random.h"):
        del files[f"{tree.SELFTESTS}/{name}"]
    files[place] = cuts.cut(files[place], r" migration_fuzz\.o")


@dataclass(frozen=True)
class Series:
    """Patches that are sent together.  `files` gives those of a tree that they change, as they are in the end,
    `replaced` those that they remove; their messages are in vfio_lab/series/`name`.  `to` is a mailing list that must be among
    what get_maintainer.pl names."""

    name: str
    steps: tuple[Step, ...]
    files: Callable[[Path], Files]
    replaced: Callable[[Path], list[str]] = lambda base: []
    to: str = KVM
    project: Project = LINUX

    def message(self, name: str) -> str:
        """The description of a patch, or the cover letter, without the licence line."""
        return (MESSAGES / self.name / f"{name}.txt").read_text(encoding="utf-8").partition("\n")[2]

    def states(self, base: Path) -> list[Files]:
        """The files that the series touches, as they are after each patch."""
        files = self.files(base)
        found = []
        for step in reversed(self.steps):
            found.insert(0, dict(files))
            step.undo(files, base)
        return found


#: what checkpatch says of tests: userspace programs, mapped registers, a name that is also a function, fixtures
OF_TESTS = "BIT_MACRO,VOLATILE,EMBEDDED_FUNCTION_NAME,COMPLEX_MACRO"

#: in the order of the series
DRIVER = Series("driver", (
    Step("hisi_qm", "crypto: hisilicon/qm - Let VF drivers block PF resets", _drop("drivers/crypto/", QM_HEADER)),
    Step("migration-data", "hisi_acc_vfio_pci: Encode and validate migration data", _drop(f"{tree.DRIVER}/"), True),
    Step("driver", "hisi_acc_vfio_pci: Replace the driver by one that assigns VFs", _driver, True),
    Step("migration", "hisi_acc_vfio_pci: Migrate VFs by STOP_COPY", _migration, True),
    Step("pre-copy", "hisi_acc_vfio_pci: Support PRE_COPY and P2P states", _pre_copy, True),
    Step("debugfs", "hisi_acc_vfio_pci: Add debugfs files and tracepoints", _debugfs, True,
         # the usual form of tracepoints
         "OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT,COMPLEX_MACRO"),
    Step("kunit", "hisi_acc_vfio_pci: Add KUnit tests", _kunit, True),
    Step("documentation", "Documentation: Describe design and use of hisi_acc_vfio_pci",
         _drop("Documentation/driver-api/", "Documentation/admin-guide/", DATA_ABI)),
    Step("configs", "kernel/configs: Add a fragment for HiSilicon accelerator migration", _drop(CONFIGS)),
    Step("selftests", "selftests/vfio: Test migration of HiSilicon accelerator VFs", _drop(f"{tree.SELFTESTS}/"), False,
         OF_TESTS),
    Step("check", "tools: Add hisi-acc-check", _drop(f"{tree.CHECK}/"), False,
         # userspace programs have no such macro
         "PREFER_DEFINED_ATTRIBUTE_MACRO"),
    Step("maintainers", "MAINTAINERS: Add files of hisi_acc_vfio_pci", _drop("MAINTAINERS")),
), lambda base: tree.changed(base, lab=False), tree.replaced)

SELFTESTS = Series("selftests", (
    Step("states", "selftests/vfio: Test migration of any device", _drop(f"{tree.SELFTESTS}/"), True, OF_TESTS),
    Step("beside", "selftests/vfio: Test migration beside resets, threads and failures", _beside, True, OF_TESTS),
), _generic)
