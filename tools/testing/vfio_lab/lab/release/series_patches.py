# SPDX-License-Identifier: GPL-2.0
"""Series of patches for what a tree has already: each is a file, as git format-patch writes it, but without author and
statistics; or a plain patch, with its subject and description in a file of its own."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core import paths, scratch
from ..core.context import Context
from ..core.errors import LabError
from ..core.git import NOBODY
from ..build import module, qemu
from ..build.kernel import Kernel
from .series_cuts import Files
from .series_projects import LINUX, QEMU, Project
from .series_repository import Repository, as_it_was
from .series_steps import KVM, MESSAGES, Series, Step


def make_without_warnings(tree: Path, built: Kernel, log: Path, variables: Sequence[str] = (),
                          goals: Sequence[str] = ("modules",)) -> None:
    """Build a directory as it is at a step; warnings of W=1 are errors."""
    warned: list[str] = []
    module.make(tree, built, log, "A step of the series cannot be built.", (*variables, "W=1"),
                lambda line: warned.append(line) if "warning:" in line else None, goals)
    if warned:
        raise LabError(f"A step of the series builds with a warning: {warned[0]}", log)


@dataclass(frozen=True)
class PatchSeries(Series):
    """Patches that are files: `patches` has the file of each step.  In the directory `folder`, which they change,
    `goals` are built after each step."""

    patches: tuple[Path, ...] = ()
    folder: str = ""
    goals: tuple[str, ...] = ("modules",)

    def message(self, name: str) -> str:
        """The description of a patch, or the cover letter."""
        for step, patch in zip(self.steps, self.patches, strict=True):
            if step.name == name:
                return _parts(self.name, patch)[1]
        return super().message(name)

    def states(self, base: Path) -> list[Files]:
        """The files that the series touches, as they are after each patch, applied by git am."""
        places = {place for patch in self.patches
                  for place in re.findall(r"^(?:---|\+\+\+) [ab]/(\S+)$", patch.read_text(encoding="utf-8"), re.M)}
        found = []
        with scratch.folder("patches-") as work:
            repo = Repository(work / "tree", NOBODY)
            repo.put(as_it_was(base, places), places)
            repo.commit("Tree\n")
            for patch in self.patches:
                mail, (subject, text) = work / patch.name, _parts(self.name, patch)
                mail.write_text("From: {} <{}>\n".format(*NOBODY) + f"Subject: [PATCH] {subject}\n\n{text}---\n"
                                + "".join(re.split(r"(?m)^(?=--- a/)", patch.read_text(encoding="utf-8"))[1:]), encoding="utf-8")
                try:
                    repo.git("am", "-q", mail)
                except LabError as e:
                    raise LabError(f"{patch.name} does not apply to {base.name}: it may have this change already.") from e
                found.append(repo.files("HEAD"))
        return found

    def sources(self, base: Path, files: Files) -> Files:
        """All files of the directory to build, with `files` in place of those of the tree."""
        present = {str(path.relative_to(base)): path for path in (base / self.folder).iterdir() if path.is_file()}
        return {place.rsplit("/", 1)[1]: files[place] if place in files else present[place].read_text(encoding="utf-8")
                for place in present}

    def build(self, built: Kernel | None, files: Files, work: Path, log: Path, context: Context) -> None:
        """Build the directory with these files for a kernel of the lab, whose sources have the others; of QEMU, the files."""
        if not built:
            qemu.compile_files(files, work, log, context)
            return
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        for name, text in self.sources(built.source, files).items():
            (work / name).write_text(text, encoding="utf-8")
        make_without_warnings(work, built, log, goals=self.goals)

    def built_module(self, built: Kernel, context: Context) -> Path:
        """The module of the directory, with all patches, for a kernel; built if it is not cached."""
        files = {name: text.encode() for name, text in self.sources(built.source, self.files(built.source)).items()}
        (name,) = re.findall(rb"^obj-\S+ \+= (\S+)\.o$", files["Makefile"], re.M)
        return module.build(self.name, name.decode(), files, built, context) / f"{name.decode()}.ko"


def _parts(series: str, patch: Path) -> tuple[str, str]:
    """Subject and description of a patch."""
    message = MESSAGES / series / f"{patch.stem}.txt"
    head, _, body = (message if message.is_file() else patch).read_text(encoding="utf-8").partition("\n\n")
    subject = re.search(r"^Subject: \[PATCH\] (.*)$", head, re.M)
    if not subject:
        raise LabError(f"{patch.name} has no line Subject: [PATCH].")
    return subject[1], body.partition("\n---\n")[0].rstrip() + "\n"


def of_files(name: str, folder: str = "", patches: Sequence[Path] = (), to: str = KVM, goals: tuple[str, ...] = ("modules",),
             project: Project = LINUX) -> PatchSeries:
    """A series of these patches, by default those in vfio_lab/series/`name`, in order."""
    patches = tuple(patches or sorted((MESSAGES / name).glob("*.patch")))
    steps = tuple(Step(patch.stem, _parts(name, patch)[0], lambda files, base: None, True) for patch in patches)
    series = PatchSeries(name, steps, lambda base: series.states(base)[-1], to=to, patches=patches, folder=folder, goals=goals,
                         project=project)
    return series


#: of the in-tree driver
FIXES = of_files("fixes", "drivers/vfio/pci/hisilicon")
#: of the SMMU's page tables
SMMU = of_files("smmu", "drivers/iommu", [paths.LAB / "upstream/iommu-dirty-sync.patch"], "iommu@lists.linux.dev", ("io-pgtable-arm.o",))
#: of QEMU's SMMU
QEMU_HTTU = of_files("qemu-httu", patches=[paths.MODEL / "smmu-httu.patch"], to="qemu-arm@nongnu.org", project=QEMU)
