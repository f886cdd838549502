# SPDX-License-Identifier: GPL-2.0
"""The files of this clone that belong into a kernel tree, and the resulting tree.

Most of them are whole files. A few files are the kernel's, with lines added;
what the driver replaces is removed.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

from ..core import paths
from ..core.errors import LabError
from ..core.files import listed

DRIVER = "drivers/vfio/pci/hisilicon"
SELFTESTS = "tools/testing/selftests/vfio"
CHECK = "tools/hisi-acc-check"
GUIDE = "Documentation/admin-guide/hisi-acc-vfio-pci"
#: directories of this clone whose files have the same place in a kernel's tree
PLACES = ("Documentation", "drivers", "kernel", CHECK, SELFTESTS)
#: the indexes that get a page of this clone, and the entry before it
INDEX = {
    "Documentation/driver-api/index.rst": ("vfio", "hisi-acc-vfio-pci/index"),
    "Documentation/admin-guide/index.rst": ("gpio/index", "hisi-acc-vfio-pci/index"),
    "Documentation/dev-tools/index.rst": ("testing-overview", "vfio-lab/index"),
}
#: the patches of the kernel's own files
QM_HOOK = "drivers/crypto/hisilicon/hook.patch"
QM_PATCH = paths.ROOT / QM_HOOK
HOOKS = (QM_HOOK, f"{SELFTESTS}/hook.patch")
#: documentation of the in-tree driver, which this driver replaces
REPLACED_ABI = "Documentation/ABI/testing/debugfs-hisi-migration"
KERNELS_SECTION = "VFIO HISILICON PCI DRIVER"
DRIVER_SECTION = "HISILICON ACCELERATOR VFIO MIGRATION DRIVER"
#: of the lab, which stays where it is, programs that only it runs, and packages of what
#: is not in the kernel
LAB_ONLY = ("Documentation/dev-tools/", f"{GUIDE}/compatibility.rst", f"{GUIDE}/fleet.", f"{GUIDE}/hardware.rst",
            f"{GUIDE}/packages.rst", f"{SELFTESTS}/vfio_iommu_dirty", f"{SELFTESTS}/edu_migration")
#: lines that lead there
LAB_LINES = {f"{SELFTESTS}/migration.mk": "include edu_migration.mk\ninclude vfio_iommu_dirty.mk\n",
             f"{GUIDE}/index.rst": "   compatibility\n   packages\n   hardware\n   fleet\n"}
LAB_SECTION = "VFIO MIGRATION LAB"


def driver_files(lab: bool = True) -> dict[str, str]:
    """Files of this clone that are whole files of a kernel's tree, with or without
    what concerns the lab: place and text."""
    names = [n for n in listed(*PLACES) if n not in HOOKS]
    files = {n: (paths.ROOT / n).read_text(encoding="utf-8") for n in names
             if lab or not n.startswith(LAB_ONLY)}
    if not lab:
        for place, line in LAB_LINES.items():
            files[place] = files[place].replace(line, "")
    return files


def replaced(base: Path) -> list[str]:
    """Files of the kernel that are removed."""
    theirs = [str(p.relative_to(base)) for p in sorted((base / DRIVER).glob("*")) if p.is_file()]
    abi = [REPLACED_ABI] if (base / REPLACED_ABI).is_file() else []
    return [n for n in theirs if not (paths.ROOT / n).is_file()] + abi


def with_index(place: str, text: str) -> str:
    """A kernel's index page with the page of this clone in it."""
    behind, page = INDEX[place]
    line = re.search(rf"^( +){re.escape(behind)}\n", text, re.M)
    if not line:
        raise LabError(f"{place} of that kernel has no page {behind} to put {page} behind.")
    return text[:line.end()] + f"{line[1]}{page}\n" + text[line.end():]


def _section(title: str, text: str) -> re.Match[str] | None:
    return re.search(rf"^{re.escape(title)}\n(?:[A-Z]:.*\n)+", text, re.M)


def _our_section(title: str) -> str:
    found = _section(title, (paths.ROOT / "MAINTAINERS").read_text(encoding="utf-8"))
    if not found:
        raise LabError(f"MAINTAINERS of this clone has no entry {title}.")
    return found[0]


def _with_files(section: str, files: list[str]) -> str:
    """An entry with more files, in order."""
    lines = section.splitlines(keepends=True)
    return "".join([line for line in lines if not line.startswith("F:")] +
                   sorted({line for line in lines if line.startswith("F:")} | set(files)))


def with_maintainers(text: str, lab: bool = True) -> str:
    """A kernel's MAINTAINERS: the driver's entry stays its maintainers', and gets
    the project's files; the lab gets an entry of its own, in its place of the alphabet."""
    theirs = _section(KERNELS_SECTION, text)
    if not theirs:
        raise LabError(f"MAINTAINERS of that kernel has no entry {KERNELS_SECTION}.")
    files = re.findall(r"^F:.*\n", _our_section(DRIVER_SECTION), re.M)
    text = text[:theirs.start()] + _with_files(theirs[0], files) + text[theirs.end():]
    if not lab:
        return text
    titles = list(re.finditer(r"(?<=\n\n)([A-Z0-9].*)\n[A-Z]:", text))
    # Not all of the list is in order: the last place between two that are
    later = [b for a, b in zip(titles, titles[1:]) if a[1] < LAB_SECTION < b[1]][-1]
    return text[:later.start()] + _our_section(LAB_SECTION) + "\n" + text[later.start():]


def hooked(base: Path, patch: str) -> dict[str, str]:
    """The kernel's own files that `patch` changes, patched."""
    hook = paths.ROOT / patch
    names = re.findall(r"^--- a/(\S+)$", hook.read_text(encoding="utf-8"), re.M)
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        for name in names:
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes((base / name).read_bytes())
        done = subprocess.run(["patch", "-p1", "--quiet", "--fuzz=0", "-d", tree, "-i", hook],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            raise LabError(f"{patch} does not apply to that kernel.")
        return {name: (tree / name).read_text(encoding="utf-8") for name in names}


def changed(base: Path, lab: bool = True) -> dict[str, str]:
    """Every file that differs from the kernel's tree at `base` with this clone's files in it,
    but those of replaced()."""
    files = driver_files(lab)
    for place in INDEX:
        if lab or not place.startswith(LAB_ONLY):
            files[place] = with_index(place, (base / place).read_text(encoding="utf-8"))
    for patch in HOOKS:
        files |= hooked(base, patch)
    files["MAINTAINERS"] = with_maintainers((base / "MAINTAINERS").read_text(encoding="utf-8"), lab)
    return files


def link_around(base: Path, tree: Path, places: set[Path]) -> None:
    """Make `tree` look like `base` by links, with real directories on the way to `places`, which
    are left out."""
    folders = {parent for place in places for parent in place.parents}
    for folder in sorted(folders):
        (tree / folder).mkdir(parents=True, exist_ok=True)
        for name in sorted((base / folder).iterdir()) if (base / folder).is_dir() else ():
            here = folder / name.name
            if here not in folders and here not in places:
                (tree / here).symlink_to(name)


def linked(base: Path, folder: Path) -> None:
    """Make a directory of the kernel's tree at `base`, by links, with this clone's files in it."""
    files = changed(base)
    link_around(base, folder, {Path(n) for n in (*files, *replaced(base))})
    for place, text in files.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(text, encoding="utf-8")
