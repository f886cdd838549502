# SPDX-License-Identifier: GPL-2.0
"""`make series`: the patches must apply, pass checkpatch, build, and result in this clone; a wrong
base must be rejected with its reason."""

from __future__ import annotations

import dataclasses
import email
import pathlib
import re
import shutil
import subprocess

import pytest

import tap
from lab.core import hardware, paths, versions
from lab.core.errors import LabError
from lab.core.git import NOBODY, git
from lab.core.guide import blocks
from lab.core.run import clean_environment
from lab.build import kernel_tree, kselftest, qemu
from lab.build.kernel import CROSS, kernel, sources, unmet
from lab.scenario import accelerator
from lab.scenario.config import HostConfig
from lab.probe import fuzz
from lab.release import series
from lab.release.series_patches import FIXES, QEMU_HTTU, SMMU
from lab.release.series_steps import DRIVER, KVM, SELFTESTS
from kernels import lasting

pytestmark = pytest.mark.slow("the series as patches")

#: each step contains the cuts of all later ones, so these two cover most
SLICE = ("driver", "migration")


#: bases; kernels of all but the first are built with --long only
BUILT = [versions.BASES[0], *map(lasting, versions.BASES[1:])]


@pytest.fixture(autouse=True)
def somebody(monkeypatch):
    """The author of the patches, on any machine."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "A Developer")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "developer@example.org")


def not_addressed(patches: list[pathlib.Path], to: str = KVM) -> list[str]:
    """Those that have no maintainer in To:, or not the lists in Cc:."""
    heads = {patch.name: email.message_from_string(patch.read_text()) for patch in patches}
    return [name for name, head in heads.items() if "@" not in head.get("To", "")
            or not {to, "linux-kernel@vger.kernel.org"} <= set(re.findall(r"[^\s<>,]+@[^\s<>,]+", head.get("Cc", "")))]


@pytest.mark.parametrize("base", BUILT)
def test_the_series_applies_is_clean_and_leads_here(context, tmp_path, base):
    """series.make() raises if git am, checkpatch or get_maintainer fail, or if the result is not
    the kernel tree with this project's files. No line for out-of-tree builds may be in a patch. Each
    patch must name its maintainers and lists."""
    patches = series.make(sources(base, context), tmp_path / "out", context, builds=False)
    assert len(patches) == len(DRIVER.steps) + 1 and not_addressed(patches) == []
    letter = patches[0].read_text()
    assert "***" not in letter and "\nTests\n=====\n" in letter
    assert "hisi_acc_vfio_pci.c" in patches[3].read_text()
    assert not [p.name for p in patches if "packages.rst" in p.read_text() or "vfio_lab/" in p.read_text()]
    assert not [p.name for p in patches if re.search("DCOMPAT_|KBUILD_EXTMOD", p.read_text())]


@pytest.mark.parametrize("base", BUILT)
def test_the_selftests_of_any_device_are_a_series_of_their_own(context, tmp_path, base):
    """The series must apply, be clean, and build after each patch; no line may be of this driver or its devices."""
    patches = series.make(sources(base, context), tmp_path / "out", context, what=SELFTESTS)
    assert len(patches) == len(SELFTESTS.steps) + 1 and not_addressed(patches) == []
    text = "".join(line for patch in patches[1:] for line in patch.read_text().splitlines(keepends=True) if line.startswith("+"))
    assert re.findall(r".*(?:hisi|acc_|accelerator|vfio_lab).*", text, re.I) == []
    programs = {f"{path.stem}" for path in kselftest.TREE.glob("vfio_pci_migration_*.c")}
    assert len(programs) > 7 and programs <= set(re.findall(r"\bvfio_pci_migration_\w+", text))


@pytest.mark.parametrize("base", BUILT)
@pytest.mark.parametrize("name", [
    s.name if s.name in SLICE else pytest.param(s.name, marks=pytest.mark.long("each step of the series is built"))
    for s in DRIVER.steps if s.builds])
def test_a_step_builds(context, tmp_path, name, base):
    """The driver after each patch must build without warnings, for the kernel that the patch is for."""
    built = kernel(base, context)
    assert built.version == base
    files = dict(zip((s.name for s in DRIVER.steps), DRIVER.states(built.source)))[name]
    series.build_step(files, built, tmp_path / "build", tmp_path / "log")


@pytest.mark.parametrize("base", versions.BASES)
def test_the_configuration_fragment_takes_effect(context, tmp_path, base):
    """The guide's command must enable every option of the kernel/configs fragment."""
    kernel_tree.linked(sources(base, context), tmp_path / "tree")
    name = "hisi_acc_vfio_pci.config"
    # the guide's command, and this machine's cross compiler
    command = blocks("shell")["configure"]
    assert name in command
    subprocess.run([*command.split(), f"CROSS_COMPILE={CROSS}", "-s", f"O={tmp_path}/out"], cwd=tmp_path / "tree", check=True)
    wanted = (paths.ROOT / "kernel/configs" / name).read_text()
    assert "CONFIG_HISI_ACC_VFIO_PCI=m" in wanted
    assert unmet(wanted, (tmp_path / "out/.config").read_text()) == []


@pytest.mark.parametrize("base", BUILT)
def test_the_fixes_of_the_in_tree_driver_are_a_series(context, tmp_path, base):
    """The fixes must apply to the in-tree driver, be clean and build after each patch. Each must be for stable kernels and
    name the commit that it fixes, and the cover letter the tests of each row."""
    patches = series.make(sources(base, context), tmp_path / "out", context, what=FIXES)
    assert len(patches) == len(FIXES.steps) + 1 and not_addressed(patches) == []
    texts = [patch.read_text() for patch in patches]
    for text in texts[1:]:
        assert len(re.findall(r"^(?:Fixes: [0-9a-f]{12} \(\".+\"\)|Cc: stable@vger\.kernel\.org)$", text, re.M)) == 2
        assert set(re.findall(r"^\+\+\+ b/(.*/)", text, re.M)) == {"drivers/vfio/pci/hisilicon/"}
    assert "***" not in texts[0] and [n for n in re.findall(r"^  (\d)  ", texts[0], re.M)] == [str(n + 1) for n in range(len(FIXES.steps))]


@pytest.mark.parametrize("base", BUILT)
def test_the_fix_of_the_iommu_is_a_series(context, tmp_path, base):
    """The patch for SMMUs must apply, be clean and build; it goes to the IOMMU's list."""
    patches = series.make(sources(base, context), tmp_path / "out", context, what=SMMU)
    assert len(patches) == 2 and not_addressed(patches, SMMU.to) == []
    assert "drivers/iommu/io-pgtable-arm.c" in patches[1].read_text()


@pytest.fixture
def qemu_tree(context, tmp_path) -> pathlib.Path:
    """QEMU's tree as it is released, but only what the patch changes and what its scripts need."""
    (tmp_path / "qemu").mkdir()
    places = re.findall(r"^--- a/(\S+)", QEMU_HTTU.patches[0].read_text(), re.M)
    tree = qemu.unpacked({"COPYING", "MAINTAINERS", "Makefile", "README.rst", "VERSION", "scripts/*", *places}, tmp_path / "qemu", context)
    for name in ("docs", "linux-user", "system"):
        (tree / name).mkdir(exist_ok=True)
    return tree


@pytest.mark.parametrize("builds", [False, pytest.param(True, marks=pytest.mark.long("configures QEMU"))])
def test_the_patch_of_qemus_smmu_is_a_series(context, tmp_path, qemu_tree, builds):
    """The patch must apply to QEMU, be clean, be compiled without a warning, and go to QEMU's lists."""
    letter, patch = series.make(qemu_tree, tmp_path / "out", context, builds=builds, what=QEMU_HTTU)
    head = email.message_from_string(patch.read_text())
    assert "@" in head["To"] and {"qemu-arm@nongnu.org", "qemu-devel@nongnu.org"} <= set(re.findall(r"\S+@[\w.]+", head["Cc"]))
    assert "***" not in letter.read_text() and "+    if (s->httu) {" in patch.read_text()


def test_what_is_no_tree_of_qemu_gets_a_sentence(context, tmp_path, qemu_tree):
    """A kernel's tree, another release of QEMU, and files that differ from the release must be rejected."""
    with pytest.raises(LabError, match="is not QEMU's source tree"):
        series.check_base(pretended(tmp_path / "linux"), QEMU_HTTU)
    with pytest.raises(LabError, match="is not a kernel's source tree"):
        series.check_base(qemu_tree)
    (qemu_tree / "hw/arm/smmuv3.c").write_text("/* mine */\n" + (qemu_tree / "hw/arm/smmuv3.c").read_text())
    with pytest.raises(LabError, match="has local changes, the first in hw/arm/smmuv3.c"):
        series.make(qemu_tree, tmp_path / "out", context, builds=False, what=QEMU_HTTU)
    (qemu_tree / "VERSION").write_text("99.0.1\n")
    with pytest.raises(LabError, match=rf"is the tree of QEMU 99.0; the series is for {re.escape(versions.OUTER_QEMU)}$"):
        series.check_base(qemu_tree, QEMU_HTTU)


def test_fixes_that_a_tree_has_get_a_sentence(context, tmp_path):
    """Patches for a tree that has them, or has other code in their place, must be rejected with the name of the patch."""
    base = sources(versions.BASES[0], context)
    for place, text in FIXES.states(base)[0].items():
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(text)
    with pytest.raises(LabError, match=f"^0001-bounds.patch does not apply to {tmp_path.name}"):
        FIXES.states(tmp_path)


def test_commits_are_looked_up_in_the_kernels_history(context, tmp_path, monkeypatch):
    """In a tree with the kernel's history, a patch that names a commit that is not there must be rejected."""
    base = sources(versions.BASES[0], context)
    tree = tmp_path / "tree"
    tree.mkdir()
    for entry in base.iterdir():
        (tree / entry.name).symlink_to(entry)
    for words in ("init -q", "commit -q --allow-empty -m base"):
        git(tree, *words.split(), who=NOBODY)
    patch = series.make(base, tmp_path / "out", context, builds=False, what=FIXES)[1]
    alone = dataclasses.replace(FIXES, steps=FIXES.steps[:1])
    series.check_patches(tree, alone, [patch], tmp_path, tmp_path / "log")
    monkeypatch.setattr(series, "FIRST_COMMIT", git(tree, "rev-parse", "HEAD").strip())
    with pytest.raises(LabError, match="checkpatch reports problems"):
        series.check_patches(tree, alone, [patch], tmp_path, tmp_path / "log")
    assert "Unknown commit id" in (tmp_path / "log").read_text()


def command_lines(page: str) -> list[str]:
    """The lines of the code block for kselftests on hardware."""
    (block,) = re.findall(r"^```\n(make headers .*?)^```", page, re.M | re.S)
    return block.splitlines()


@pytest.mark.expect(tap.PROVOKED, fuzz.PROVOKED)
@pytest.mark.long("builds the selftests in a kernel tree, and runs all in each mode")
@pytest.mark.timeout(3600)
def test_the_kselftests_of_a_patched_tree_pass(boot, context, tmp_path):
    """In a tree with the patches applied, CONTRIBUTING's commands must build, install and run the
    kselftests of migration, and all must pass."""
    build, _, _, run_them = command_lines((paths.ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    tree, target, log = tmp_path / "tree", tmp_path / "kselftest", tmp_path / "log"
    base = sources(versions.DEFAULT, context)
    subprocess.run(["cp", "--recursive", "--link", base, tree], check=True)
    for patch in series.make(base, tmp_path / "out", context, builds=False)[1:]:
        subprocess.run(["patch", "-p1", "--batch", "--forward", "--fuzz=0", "--silent", "-d", tree, "-i", patch], check=True)
    # on this machine with a cross compiler, and without libraries of the host
    subprocess.run(build.replace("/tmp/kselftest", str(target)), shell=True, check=True, cwd=tree, stdout=subprocess.DEVNULL,
                   env={**clean_environment(), "ARCH": "arm64", "CROSS_COMPILE": CROSS, "FORCE_TARGETS": "1",
                        **kselftest.static_variables(tmp_path, kselftest.libuuid(context), log)})
    host = boot(HostConfig(push=kselftest.files(target)))
    vfs = accelerator.vfs(host.ssh, hardware.ENGINES["sec"])
    accelerator.bind(host.ssh, vfs, hardware.VARIANT_DRIVER)
    said = host.ssh.run(f"cd {kselftest.REMOTE} && export VFIO_SELFTESTS_BDF={vfs[0]} "
                        f"VFIO_SELFTESTS_DESTINATION={vfs[1]} && {run_them} 2>&1", timeout=3000, check=False).stdout
    found = {name: verdict for verdict, name in re.findall(r"^((?:not )?ok) \d+ selftests: vfio: (\w+)", said, re.M)}
    assert set(found.values()) == {"ok"}, said
    assert found.keys() == {path.stem for path in kselftest.TREE.glob("*_test.c") if "iommu_dirty" not in path.name} | {
        "vfio_pci_migration_fail_nth", "acc_ops_fuzz", "acc_data_fuzz", "acc_migration_bench"}


def pretended(folder: pathlib.Path, of: str = versions.BASES[0]) -> pathlib.Path:
    """A minimal kernel tree in git."""
    version, level = of.split(".")
    (folder / "scripts").mkdir(parents=True)
    (folder / "Makefile").write_text(f"VERSION = {version}\nPATCHLEVEL = {level}\n")
    for name in ("MAINTAINERS", "scripts/checkpatch.pl"):
        (folder / name).write_text("\n")
    for words in ("init -q", "add -A", "commit -q -m base"):
        git(folder, *words.split(), who=NOBODY)
    return folder


def test_a_wrong_base_gets_a_sentence(tmp_path):
    """A directory that is no kernel tree, a tree of another series, and a tree with changes must be
    rejected."""
    with pytest.raises(LabError, match="is not a kernel's source tree"):
        series.check_base(tmp_path)
    known = " and ".join(versions.BASES)
    for other in (versions.LTS, "99.0"):
        with pytest.raises(LabError, match=rf"is the tree of Linux {other}; the series is for {known}$"):
            series.check_base(pretended(tmp_path / other, other))
    tree = pretended(tmp_path / "changed")
    assert series.check_base(tree) == versions.BASES[0]
    (tree / "MAINTAINERS").write_text("changed\n")
    with pytest.raises(LabError, match="has local changes, the first in MAINTAINERS"):
        series.check_base(tree)


@pytest.mark.parametrize("place", ["drivers/vfio/pci/hisilicon/migrate.c", "tools/testing/selftests/vfio/migration.mk"])
def test_a_tree_that_has_a_series_is_refused(tmp_path, place):
    """A tree without git to which a series was applied must be rejected."""
    tree = pretended(tmp_path / "tree")
    shutil.rmtree(tree / ".git")
    (tree / place).parent.mkdir(parents=True)
    (tree / place).touch()
    with pytest.raises(LabError, match="the series is in it already"):
        series.check_base(tree)


def test_each_base_is_taken(tmp_path):
    """A tree of each series must be accepted."""
    assert len(versions.BASES) > 1 and versions.LTS not in versions.BASES
    assert [series.check_base(pretended(tmp_path / base, base)) for base in versions.BASES] == list(versions.BASES)


def test_the_cover_letter_names_its_base(context, tmp_path):
    """The commit that a series was made for must be in the cover letter as git format-patch --base writes it, if there is one."""
    tree, letter = pretended(tmp_path / "tree"), tmp_path / "letter"
    text = "Subject: s\n\nt\n\n-- \n2.39.5\n\n"
    letter.write_text(text)
    series.name_base(tree, letter, context)
    commit = git(tree, "rev-parse", "HEAD").strip()
    assert letter.read_text() == text.replace("-- ", f"base-commit: {commit}\n-- ")
    shutil.rmtree(tree / ".git")
    letter.write_text(text)
    series.name_base(tree, letter, context)
    assert letter.read_text() == text


@pytest.mark.parametrize("base", versions.BASES)
def test_a_changed_tree_without_git_gets_a_sentence(context, tmp_path, base):
    """A tree without git that has local changes must be rejected: the patches would apply to no other tree."""
    tree = sources(base, context)
    for entry in tree.iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    (tmp_path / "MAINTAINERS").unlink()
    (tmp_path / "MAINTAINERS").write_text((tree / "MAINTAINERS").read_text() + "\nMY CHANGE\n")
    with pytest.raises(LabError, match="has local changes, the first in MAINTAINERS"):
        series.make(tmp_path, tmp_path / "out", context, builds=False)


def test_make_series_without_a_base_is_refused():
    """make series without BASE must fail and name the supported series."""
    done = subprocess.run(["make", "series"], cwd=paths.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode and "BASE is not set" in done.stderr
    assert all(f"linux-{base}" in done.stderr for base in versions.BASES), done.stderr
