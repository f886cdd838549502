# SPDX-License-Identifier: GPL-2.0
"""`make series BASE=TREE WHAT=NAME`: the driver, the selftests of any device, or patches of what the kernel or QEMU has,
for a tree of it.

The patches are made in a small repository of the files that they touch, so the tree
is not modified.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from email.utils import formataddr, parseaddr
from pathlib import Path

from ..core import scratch
from ..core.context import Context
from ..core.errors import LabError
from ..core.git import NOBODY, environment, git, identity
from ..core.run import clean_environment, run
from ..build import kernel_tree, kselftest
from ..build.kernel import Kernel, kernel
from .series_cuts import Files
from .series_patches import FIXES, QEMU_HTTU, SMMU, PatchSeries, make_without_warnings
from .series_projects import LINUX
from .series_repository import Repository, as_it_was
from .series_steps import DRIVER, QM_HEADER, SELFTESTS, Series

#: all series, by their names
ALL = {series.name: series for series in (DRIVER, SELFTESTS, FIXES, SMMU, QEMU_HTTU)}
#: MAINTAINERS is updated by the last patch, not by each patch that adds files
IGNORED = "FILE_PATH_CHANGES"
#: the first commit of the kernel in git, Linux-2.6.12-rc2
FIRST_COMMIT = "1da177e4c3f41524e886b7f1b8a0c1fc7321cac2"


def check_base(base: Path, what: Series = DRIVER) -> str:
    """The release of a tree.  Fails if it is not a tree of the series' project, not of a supported release, or has local
    changes."""
    release = what.project.release(base)
    if (base / ".git").exists():
        changes = git(base, "status", "--porcelain", "--untracked-files=no")
        if changes:
            raise LabError(f"{base} has local changes, the first in {changes.splitlines()[0][3:]}: commit or stash them.")
    elif any((base / place).exists() for place in (f"{kernel_tree.DRIVER}/migrate.c", f"{kernel_tree.SELFTESTS}/migration.mk")):
        raise LabError(f"{base} has local changes: the series is in it already.")
    return release


def check_unchanged(base: Path, what: Series, release: str, places: set[str], work: Path, context: Context) -> None:
    """Fail if files that the patches touch differ from the same release in the lab, for a
    tree without git."""
    if (base / ".git").exists():
        return
    work.mkdir()
    pristine, number = what.project.pristine(release, places, work, context), what.project.place
    if (base / number).read_bytes() == (pristine / number).read_bytes():
        then, now = as_it_was(pristine, places), as_it_was(base, places)
        changed = sorted(p for p in places if then.get(p) != now.get(p))
        if changed:
            raise LabError(f"{base} has local changes, the first in {changed[0]}: use an unmodified tree.")


def _cover(what: Series, patch: Path) -> None:
    subject, _, text = what.message("cover").partition("\n\n")
    letter = patch.read_text(encoding="utf-8")
    patch.write_text(letter.replace("*** SUBJECT HERE ***", subject).replace("*** BLURB HERE ***", text.strip()),
                     encoding="utf-8")


def build_step(files: Files, built: Kernel, work: Path, log: Path) -> None:
    """Build the driver as it is at a step, for a kernel of the lab."""
    shutil.rmtree(work, ignore_errors=True)
    for place, text in files.items():
        if place.startswith((kernel_tree.DRIVER, QM_HEADER)):
            (work / place).parent.mkdir(parents=True, exist_ok=True)
            (work / place).write_text(text, encoding="utf-8")
    flags = f"KCFLAGS=-include {work / QM_HEADER}"
    # The lab's kernels have no KUnit, whose headers then declare no static stubs
    if any(place.startswith(f"{kernel_tree.DRIVER}/tests/") for place in files):
        flags += " -DCONFIG_KUNIT=1"
    make_without_warnings(work / kernel_tree.DRIVER, built, log, (
        "CONFIG_HISI_ACC_VFIO_PCI=m", "CONFIG_HISI_ACC_VFIO_PCI_KUNIT_TEST=m", "KBUILD_MODPOST_WARN=1", flags))


def recipients(base: Path, patch: Path) -> tuple[list[str], list[str]]:
    """Addresses that get_maintainer.pl of a tree names for a patch: maintainers, and others."""
    done = subprocess.run([base / "scripts/get_maintainer.pl", "--no-git", "--no-git-fallback", patch], cwd=base,
                          capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"get_maintainer.pl fails for {patch.name}: {done.stderr.strip()[-200:]}")
    found: tuple[list[str], list[str]] = [], []
    for address, role in re.findall(r"^(.*?\S+@\S+) \((.*)\)$", done.stdout, re.M):
        found[not role.startswith(("maintainer", "supporter"))].append(formataddr(parseaddr(address)))
    return found


def _in_header(patch: Path, to: Iterable[str], cc: Iterable[str]) -> None:
    """Add To: and Cc: to the header of a patch."""
    head, _, body = patch.read_text(encoding="utf-8").partition("\n\n")
    for name, addresses in (("To", to), ("Cc", cc)):
        if addresses := list(addresses):
            head += f"\n{name}: " + ",\n\t".join(addresses)
    patch.write_text(f"{head}\n\n{body}", encoding="utf-8")


def address(base: Path, what: Series, patches: list[Path]) -> None:
    """Add To: maintainers, and Cc: reviewers and lists to each patch, and all of them to the cover letter, which comes first.
    A patch that has no maintainer goes to those of the others."""
    found = {patch: recipients(base, patch) for patch in patches[1:]}
    to, cc = (list(dict.fromkeys(one for both in found.values() for one in both[number])) for number in (0, 1))
    if what.to not in cc:
        raise LabError(f"get_maintainer.pl does not list {what.to} for any of the patches.")
    for patch, (maintainers, others) in found.items():
        _in_header(patch, maintainers or to, dict.fromkeys((*others, what.to)))
    _in_header(patches[0], to, [one for one in cc if one not in to])


def name_base(base: Path, letter: Path, context: Context) -> None:
    """Add base-commit: to the cover letter, as git format-patch --base does. A tree without git has none."""
    if not (base / ".git").exists():
        context.steps.note(f"{base.name} is not in git: the cover letter has no base-commit")
        return
    text, signature, version = letter.read_text(encoding="utf-8").rpartition("\n-- \n")
    letter.write_text(f"{text}\nbase-commit: {git(base, 'rev-parse', 'HEAD').strip()}{signature}{version}", encoding="utf-8")


def has_history(base: Path) -> bool:
    """Whether a tree is in git, with all commits of the kernel."""
    return (base / ".git").exists() and not subprocess.run(
        ["git", "-C", base, "cat-file", "-e", FIRST_COMMIT], env={**clean_environment(), **environment()},
        stderr=subprocess.DEVNULL, check=False).returncode


def check_patches(base: Path, what: Series, patches: list[Path], scratch: Path, log: Path) -> None:
    """Run checkpatch --strict on each patch, with `scratch` for its temporary files.  The commits that it names are looked
    up if the tree has the kernel's history."""
    history = what.project is LINUX and has_history(base)
    for step, patch in zip(what.steps, patches, strict=True):
        ignored = ",".join(filter(None, (IGNORED, step.but, "" if history else "UNKNOWN_COMMIT_ID")))
        run([base / "scripts/checkpatch.pl", "--strict", "--quiet", f"--root={base}",
             *([f"--ignore={ignored}"] if what.project.ignores else []), patch],
            cwd=scratch, log=log, env={"GIT_DIR": str(base / ".git"), **environment()} if history else None,
            failure=f"checkpatch reports problems in {patch.name}.")


def _build(what: Series, steps: list[Files], built: Kernel | None, work: Path, log: Path, context: Context) -> None:
    """Build what each patch changes, as it is after it."""
    for number, (patch, files) in enumerate(zip(what.steps, steps)):
        if patch.builds:
            with context.steps.step(f"build after: {patch.subject}", log):
                if isinstance(what, PatchSeries):
                    what.build(built, files, work / "build", log, context)
                    continue
                assert built
                if what is SELFTESTS:
                    kselftest.check_files(files, built, work / str(number), log, context)
                else:
                    build_step(files, built, work / "build", log)


def make(base: Path, target: Path, context: Context, builds: bool = True, what: Series = DRIVER) -> list[Path]:
    """Write a series into `target` and check it; returns the patches, the cover
    letter first."""
    release = check_base(base, what)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    log = target / "series.log"
    steps = what.states(base)
    places = {p for files in steps for p in files} | set(what.replaced(base))
    who = identity()
    if not who:
        context.steps.note(f"git has no user.name and user.email: the patches are signed off by {NOBODY[0]} "
                           f"and must not be sent")
    with scratch.folder("series-") as work:
        check_unchanged(base, what, release, places, work / "pristine", context)
        repo = Repository(work / "tree", who or NOBODY)
        with context.steps.step(f"patches for {base.name}", log) as step:
            repo.put(as_it_was(base, places), places)
            repo.commit("Tree\n")
            repo.git("tag", "base")
            for patch, files in zip(what.steps, steps):
                repo.put(files, places)
                repo.commit(f"{patch.subject}\n\n{what.message(patch.name)}")
            repo.git("format-patch", "-q", "--no-renames", "--cover-letter", "-o", target, "base..series")
            patches = sorted(target.glob("*.patch"))
            _cover(what, patches[0])
            step.progress("get_maintainer")
            address(base, what, patches)
            name_base(base, patches[0], context)
            step.progress("git am")
            repo.git("checkout", "-q", "-b", "again", "base")
            repo.git("am", "-q", *patches[1:])
            overlaid = {**as_it_was(base, places), **what.files(base)}
            for gone in what.replaced(base):
                del overlaid[gone]
            if repo.files("again") != overlaid:
                raise LabError("Applying the series does not give the tree that it was made from.")
            step.progress("checkpatch")
            check_patches(base, what, patches[1:], work, log)
        if builds:
            _build(what, steps, kernel(release, context) if what.project is LINUX else None, work, log, context)
    return patches
