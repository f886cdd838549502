# SPDX-License-Identifier: GPL-2.0
"""A user's own kernel: a source tree, a directory that it was built in, an Image with its modules."""

from __future__ import annotations

import gzip
import os
import pathlib
import re
import shutil
import subprocess
import textwrap

import pytest

from lab.core import paths, versions
from lab.core.cache import Cache
from lab.core.context import Context
from lab.core.errors import LabError
from lab.core.git import environment, git
from lab.core.hardware import ENGINES
from lab.build import kernel, kernel_tree, own_kernel
from lab.cli import arguments, main as cli
from lab.cli.arguments import driver_of
from lab.cli.hosts import needed, unbuilt

VLAB = pathlib.Path(__file__).resolve().parents[2] / "vlab"
# The in-tree driver, a line of how it loads a VF, and a typing error in it: the device gets the queues' contexts
# from a wrong address
DRIVER = "drivers/vfio/pci/hisilicon/hisi_acc_vfio_pci.c"
LOADED = ("qm->sqc_dma = vf_data->sqc_dma;", "qm->sqc_dma = vf_data->cqc_dma;")
BREAKS = "vfio/hisilicon: a change that breaks it"


@pytest.fixture(scope="module")
def built() -> kernel.Kernel:
    """The default series' kernel, whose Image is a user's."""
    return kernel.kernel(versions.DEFAULT)


def changed(tree: pathlib.Path, place: str, old: str, new: str) -> pathlib.Path:
    """The default series' sources by links, with a file in which a text is another."""
    source = kernel.sources(versions.DEFAULT)
    kernel_tree.link_around(source, tree, {pathlib.Path(place)})
    text = (source / place).read_text(encoding="utf-8")
    assert text.count(old) == 1
    (tree / place).write_text(text.replace(old, new), encoding="utf-8")
    return tree


def remove_builds() -> None:
    """Remove what was built of directories named "tree", as changed() is given them."""
    Cache().clean(lambda entry: entry.kind not in ("kernel-tree-tree", "bisect-tree"))


def run(tree: pathlib.Path, *options: str) -> subprocess.CompletedProcess[str]:
    """`vlab run` on a source tree; what it built is removed."""
    try:
        return subprocess.run([VLAB, "run", "--kernel", tree, *options, "--", "true"], capture_output=True, text=True, check=False)
    finally:
        remove_builds()


@pytest.mark.parametrize("files, words", [
    (("Kconfig", "arch/arm64/Kconfig", ".config"), "is configured in place.*mrproper.*git worktree"),
    (("Kconfig", "arch/arm64/Kconfig", "include/config/auto.conf"), "is configured in place"),
    ((".config", "vmlinux"), "has no arch/arm64/boot/Image: build its Image and modules for arm64 first"),
    (("Kconfig", "Makefile"), "is neither a kernel's source tree, nor a directory that one was built in"),
])
def test_what_is_no_kernel_is_rejected(tmp_path, files, words):
    """A directory without a kernel that can be built or booted must be rejected, with what to do."""
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(LabError, match=words):
        own_kernel.form(tmp_path)


@pytest.mark.parametrize("files, form", [
    (("Kconfig", "arch/arm64/Kconfig"), "tree"), ((".config", "arch/arm64/boot/Image"), "build"),
    (("Kconfig", "arch/arm64/Kconfig", ".config", "arch/arm64/boot/Image"), "build")])
def test_a_kernels_form_is_found(tmp_path, files, form):
    """A source tree that was built in place must be taken for what was built."""
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert own_kernel.form(tmp_path) == form


@pytest.mark.slow("configures or builds a kernel")
@pytest.mark.parametrize("line, by_default", [
    (("run", "--", "true"), "tree"), (("run", "--kernel", "{path}", "--", "true"), "in-tree"),
    (("run", "--kernel", "{path}", "--driver", "checkout", "--", "true"), "tree"),
    (("run", "--driver", "checkout", "--", "true"), "tree"), (("run", "--driver", "in-tree", "--", "true"), "in-tree"),
    (("run", "--kernel", "{path}", "--driver", "stock", "--", "true"), "stock")])
def test_the_driver_is_that_of_the_tree_under_test(built, line, by_default):
    """With a user's own kernel, --driver tree must be what stands there; checkout is always this one's,
    and of the kernels by number, tree is, too."""
    args = cli.parsed([word.format(path=built.image) for word in line])
    assert driver_of(args.driver, args.kernel) == by_default
    # A module of this checkout for a kernel by number is a part to build
    assert (f"driver-{versions.DEFAULT}" in needed(args)) == (by_default == "tree" and "--kernel" not in line)


@pytest.mark.slow("configures or builds a kernel")
def test_more_options_are_for_kernels_that_are_built(built, tmp_path, capsys):
    """With --config a kernel by number must be built for the command, and its driver: only the sources are a
    part. Not one that is built already; and if one end is a source tree, only that."""
    line = ["run", "--config", "/etc/hostname", "--dry-run"]
    args = cli.parsed([*line, "--", "true"])
    names = needed(args)
    assert f"linux-source-{versions.DEFAULT}" in names
    assert not {f"kernel-{versions.DEFAULT}", f"driver-{versions.DEFAULT}"} & set(names)
    assert unbuilt(args) and f"the kernel of {versions.DEFAULT}" in capsys.readouterr().out
    assert arguments.host_config(args, "tree").fragments == (pathlib.Path("/etc/hostname"),)
    args = cli.parsed([*line, "--kernel", str(built.image), "--", "true"])
    with pytest.raises(SystemExit):
        arguments.refuse(args)
    assert "--config is for kernels that are built here" in capsys.readouterr().err
    (tmp_path / "arch/arm64").mkdir(parents=True)
    for name in "Kconfig", "arch/arm64/Kconfig":
        (tmp_path / name).touch()
    args = cli.parsed(["migrate", "--config", "/etc/hostname", "--kernel", str(tmp_path), "--to-kernel", versions.DEFAULT])
    assert arguments.host_config(args, "tree").fragments
    assert not arguments.host_config(args, "tree", versions.DEFAULT).fragments
    assert f"kernel-{versions.DEFAULT}" in needed(args)


@pytest.mark.parametrize("series", versions.CHECKED)
def test_the_labs_kernels_have_what_hosts_need(series):
    """What a user's kernel must have must be in the lab's own."""
    config = (kernel.kernel(series).build / ".config").read_text()
    assert own_kernel.lacking(config, ENGINES.values(), in_tree=True) == []
    for name, value in re.findall(r"^(CONFIG_\w+)=([ym])$", config, re.M):
        if name in ("CONFIG_VIRTIO_NET", "CONFIG_CRYPTO_DEV_HISI_ZIP", "CONFIG_HISI_ACC_VFIO_PCI"):
            without = config.replace(f"\n{name}={value}\n", "\n")
            assert own_kernel.lacking(without, ENGINES.values(), in_tree=True) == [f"{name}={'y' if 'NET' in name else 'm'}"]
    assert own_kernel.lacking(config.replace("CONFIG_VIRTIO_NET=y", "CONFIG_VIRTIO_NET=m"), ()) == ["CONFIG_VIRTIO_NET=y"]


@pytest.mark.parametrize("series, taken", [("1.0", versions.LTS), (versions.LTS, versions.LTS), ("999.0", versions.DEFAULT)])
def test_a_tree_is_configured_as_the_next_newer_series(series, taken):
    """A series between those that the lab knows must be configured as the next newer one."""
    assert kernel.known(series).name == taken


@pytest.mark.slow("configures or builds a kernel")
def test_an_image_has_its_modules_beside_it(built, tmp_path):
    """An Image, compressed or not, must be found with its modules, and rejected without."""
    context = Context()
    assert own_kernel.kernel(built.image, context).release == built.release
    packed = tmp_path / "boot/Image.gz"
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress(built.image.read_bytes(), 1))
    with pytest.raises(LabError, match=f"no modules of {built.release} beside .*make modules_install"):
        own_kernel.kernel(packed, context)
    (tmp_path / "lib").symlink_to(built.modules / "lib")
    assert own_kernel.kernel(packed, context).modules == tmp_path
    with pytest.raises(LabError, match="are for a source tree"):
        own_kernel.kernel(packed, context, fragments=(tmp_path,))
    with pytest.raises(LabError, match="is not an arm64 Image"):
        own_kernel.kernel(VLAB, context)


@pytest.mark.slow("configures or builds a kernel")
def test_an_option_that_a_tree_lacks_is_named(tmp_path):
    """A tree without an option that the lab needs must be rejected before it is compiled, by the
    option's name, and so must a fragment that has no effect."""
    tree = changed(tmp_path / "tree", "drivers/net/Kconfig", "config VIRTIO_NET\n", "config GONE\n")
    done = run(tree)
    assert done.returncode == 1 and f"{tree} lacks what the lab needs: CONFIG_VIRTIO_NET=y." in done.stderr
    fragment = tmp_path / "more.config"
    fragment.write_text("CONFIG_KASN=y\n# CONFIG_AIO is not set\n")
    done = run(tree, "--config", str(fragment))
    assert done.returncode == 1 and f"does not accept these lines of {fragment}: CONFIG_KASN=y;" in done.stderr
    fragment.write_text("KASAN=y\n")
    done = run(tree, "--config", str(fragment))
    assert done.returncode == 1 and f"{fragment} has no line CONFIG_NAME=VALUE." in done.stderr


@pytest.mark.slow("configures or builds a kernel")
def test_a_compilers_error_is_shown_as_it_is(tmp_path):
    """What the compiler says of a tree must be on standard error, line by line, and nothing else of
    its steps."""
    tree = changed(tmp_path / "tree", "kernel/bounds.c", "int main(void)\n{\n", "int main(void)\n{\n\tbroken;\n")
    done = run(tree)
    assert done.returncode == 1 and f"The kernel of {tree} cannot be built." in done.stderr
    said = done.stderr.splitlines()
    (at,) = [number for number, line in enumerate(said) if re.match(r"\S*kernel/bounds\.c:\d+:\d+: error: .broken. undeclared", line)]
    assert re.match(r" +\d+ \| +broken;$", said[at + 1])
    assert not [line for line in said if re.match("  (CC|HOSTCC) ", line)]


@pytest.mark.slow("configures or builds a kernel")
def test_a_bisection_leaves_out_what_cannot_be_built(tmp_path):
    """Commits that cannot be built must be skipped, and named if no other is left; the user's tree must
    be as before."""
    tree = changed(tmp_path / "tree", "drivers/net/Kconfig", "config VIRTIO_NET\n", "config GONE\n")
    who = ("A Developer", "developer@example.org")
    git(tree, "init", "--quiet")
    git(tree, "add", "--all", "--force")
    for subject in ("one", "two", "three"):
        git(tree, "commit", "--quiet", "--allow-empty", "-m", subject, who=who)
    try:
        done = subprocess.run([VLAB, "bisect", "--kernel", tree, "HEAD~2", "HEAD", "--", "run", "--", "true"], capture_output=True,
                              text=True, check=False)
    finally:
        remove_builds()
    assert done.returncode == 1 and "CONFIG_VIRTIO_NET=y" in done.stderr and " two: skip" in done.stderr, done.stderr
    assert "vlab: git cannot go on: There are only 'skip'ped commits left to test" in done.stderr
    assert git(tree, "status", "--porcelain") == "" and git(tree, "rev-parse", "--abbrev-ref", "HEAD").strip() != "HEAD"


@pytest.fixture
def tree() -> pathlib.Path:
    """A git tree of the default series in build/, with tags: on "good" the driver migrates guests, from
    some commit before "bad" on it does not. Commits are the same in each run, and so nothing but what
    differs is compiled by the next."""
    folder = paths.BUILD / "kernel-tree"
    source = kernel.sources(versions.DEFAULT)
    dates = {f"GIT_{who}_DATE": "2026-01-01T00:00:00Z" for who in ("AUTHOR", "COMMITTER")}

    def commit(subject: str, *extra: str) -> None:
        subprocess.run(["git", "-C", folder, "-c", "user.name=A Developer", "-c", "user.email=developer@example.org", "commit",
                        "--quiet", "--all", "-m", subject, *extra], check=True, env={**os.environ, **environment(), **dates})

    if not (folder / ".git").exists():
        shutil.copytree(source, folder, symlinks=True, dirs_exist_ok=True)
        git(folder, "init", "--quiet")
        git(folder, "add", "--all", "--force")
        commit("Linux")
        git(folder, "tag", "base")
    git(folder, "checkout", "--quiet", "--force", "--detach", "base")
    driver = folder / DRIVER
    for number in range(1, 6):
        text = driver.read_text()
        assert text.count(LOADED[0]) == 1 or number > 4
        driver.write_text(text.replace(*LOADED) if number == 4 else f"{text}/* change {number} */\n")
        commit(BREAKS if number == 4 else f"vfio/hisilicon: change {number}")
        if number == 2:
            git(folder, "tag", "--force", "good")
    git(folder, "tag", "--force", "bad")
    return folder


@pytest.mark.long("builds a kernel's tree, half an hour at first, and migrates on three of its commits")
def test_a_tree_is_built_and_bisected(tree):
    """A patch of the driver in a kernel's tree must be found by the commands of the page about own
    kernels, and leave the tree as it was; on a commit before it, a guest must migrate."""
    page = (paths.ROOT / "Documentation/dev-tools/vfio-lab/kernels.rst").read_text()
    commands = {m[1]: textwrap.dedent(m[2]) for m in re.finditer(r"^\.\. code-block:: sh\n   :name: (\w+)\n\n((?:   .*\n|\n)+)", page, re.M)}

    def shell(name: str, linux: pathlib.Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["sh", "-ec", commands[name]], capture_output=True, text=True, check=False,
                              env={**os.environ, "LINUX": str(linux), "PATH": f"{VLAB.parent}:{os.environ['PATH']}"})

    before = git(tree, "status", "--porcelain", "--ignored") + git(tree, "rev-parse", "HEAD")
    done = shell("bisect", tree)
    assert done.returncode == 0, done.stderr
    assert re.search(rf"^first bad commit: [0-9a-f]{{40}}\n  {BREAKS}\n", done.stdout, re.M), done.stdout
    assert f"{BREAKS}: bad\n" in done.stderr and "the device counted" in done.stdout
    assert git(tree, "status", "--porcelain", "--ignored") + git(tree, "rev-parse", "HEAD") == before
    # The worktree is a tree, too, and is built already
    (worktree,) = {line.removeprefix("worktree ") for line in git(tree, "worktree", "list", "--porcelain").splitlines()
                   if line.startswith("worktree ") and "/bisect-" in line}
    git(pathlib.Path(worktree), "checkout", "--quiet", "--detach", "good")
    done = shell("migrate", pathlib.Path(worktree))
    assert done.returncode == 0 and "\nPASS in" in done.stdout, done.stdout + done.stderr
    done = shell("run", pathlib.Path(worktree))
    assert done.returncode == 0 and done.stdout.startswith(versions.DEFAULT), done.stdout + done.stderr
