# SPDX-License-Identifier: GPL-2.0
"""The Debian packages: lintian reports nothing; DKMS builds from the driver's for each kernel,
modprobe prefers the result to the in-tree driver, other kernels are skipped; the lab's runs without
the clone."""

from __future__ import annotations

import gzip
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from guide import blocks
from lab.core import paths
from lab.build import kernel_tree
from lab.build.kernel import kernel
from lab.release import deb
from kernels import EACH

pytestmark = pytest.mark.slow("builds the packages")

NAME = ("-m", "hisi-acc-vfio-pci", "-v", "0.1")


@pytest.fixture(scope="module")
def unpacked(context, tmp_path_factory) -> pathlib.Path:
    """The package, built and unpacked."""
    folder = tmp_path_factory.mktemp("deb")
    packages = deb.build(folder / "out", context)
    assert len(packages) == 3
    for package in packages:
        subprocess.run(["dpkg-deb", "-x", package, folder / "root"], check=True)
    # Debian's DKMS, not installed: that would build modules of other packages whenever this machine
    # gets a kernel
    shutil.copy(context.package("dkms") / "usr/sbin/dkms", folder / "root/usr/bin")
    return folder / "root"


def dkms(root: pathlib.Path, *argv: str | pathlib.Path) -> subprocess.CompletedProcess[str]:
    """DKMS with directories of its own; this machine's are not touched. Some commands need root, or
    fakeroot."""
    (root / "dkms").mkdir(exist_ok=True)
    action, *rest = argv
    rights = () if os.geteuid() == 0 else ("unshare", "--map-root-user")
    return subprocess.run([*rights, "bash", root / "usr/bin/dkms", action, "--dkmstree", root / "dkms", "--sourcetree",
                           root / "usr/src", *rest], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def added(unpacked) -> pathlib.Path:
    done = dkms(unpacked, "add", *NAME)
    assert done.returncode == 0, done.stderr
    return unpacked


@pytest.mark.parametrize("version", EACH)
def test_dkms_builds_for_an_arm64_kernel(added, context, tmp_path, version):
    """DKMS must build the module for each kernel, and modprobe must find it first."""
    built = kernel(version, context)
    done = dkms(added, "build", *NAME, "-k", built.release, "-a", "aarch64", "--kernelsourcedir", built.build)
    assert done.returncode == 0, done.stdout + done.stderr
    (module,) = (added / "dkms").glob(f"*/*/{built.release}/aarch64/module/hisi_acc_vfio_pci.ko*")
    # where DKMS installs it, beside the in-tree driver of the same name
    shutil.copytree(built.modules / "lib", tmp_path / "lib", symlinks=True)
    updates = tmp_path / "lib/modules" / built.release / "updates/dkms"
    updates.mkdir(parents=True)
    shutil.copy(module, updates)
    subprocess.run(["/sbin/depmod", "-b", tmp_path, built.release], check=True)
    found = subprocess.run(["/sbin/modinfo", "-b", tmp_path, "-k", built.release, "-n", "hisi_acc_vfio_pci"],
                           capture_output=True, text=True, check=True)
    assert "/updates/dkms/" in found.stdout


def is_static(program: pathlib.Path) -> None:
    """The program must be for arm64 and for any release of the C library."""
    said = subprocess.run(["aarch64-linux-gnu-readelf", "--file-header", "--program-headers", program],
                          capture_output=True, text=True, check=True).stdout
    assert "AArch64" in said and "program interpreter" not in said


def test_the_tests_package_has_what_a_server_needs(unpacked):
    """The tests' package must have all kselftests with what runs them, hisi-acc-check and hisi-acc-probe."""
    where = unpacked / "usr/lib/hisi-acc-vfio-tests"
    listed = [line.partition(":")[2] for line in (where / "kselftest-list.txt").read_text().splitlines()]
    assert {"vfio_pci_migration_states_test", "hisi_acc_migration_data_test", "acc_migration_bench"} <= set(listed)
    assert (unpacked / "usr/sbin/hisi-acc-probe").resolve() == where / "vfio/hisi-acc-probe"
    for program in (where / "hisi-acc-check", where / "vfio/hisi-acc-probe", *(where / "vfio" / name for name in listed)):
        is_static(program)


def test_the_drivers_package_has_the_check(unpacked):
    """The driver's package must have hisi-acc-check and its page."""
    is_static(unpacked / "usr/sbin/hisi-acc-check")
    page = gzip.decompress((unpacked / "usr/share/man/man8/hisi-acc-check.8.gz").read_bytes())
    assert page == (paths.ROOT / "tools/hisi-acc-check/hisi-acc-check.8").read_bytes()


NOT_BUILT = "hisi_acc_vfio_pci: not built for kernel"


def passed_over(root: pathlib.Path, release: str, machine: str, sources: pathlib.Path) -> str:
    """The line that says why DKMS skips a kernel; the kernel's installation must succeed."""
    where = ("-k", release, "-a", machine, "--kernelsourcedir", sources)
    done = dkms(root, "build", *NAME, *where)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "BUILD_EXCLUSIVE directive which does not match this kernel" in " ".join(said.split())
    # the reason, which DKMS does not print
    (why,) = [line for line in said.splitlines() if line.startswith(NOT_BUILT)]
    # as during a kernel's installation, which must succeed
    done = dkms(root, "autoinstall", *where)
    assert done.returncode == 0 and why in done.stderr, done.stderr
    return why


@pytest.mark.parametrize("machine, config", [("x86_64", "CONFIG_VFIO_PCI_CORE=m\n"),
                                             ("aarch64", "# CONFIG_CRYPTO_DEV_HISI_QM is not set\n")])
def test_dkms_passes_over_a_kernel_that_lacks_what_it_needs(added, tmp_path, machine, config):
    """A kernel without a required option must be skipped, with the option's name."""
    (tmp_path / "Makefile").write_text("")
    (tmp_path / ".config").write_text(config)
    why = passed_over(added, "9.8.7", machine, tmp_path)
    assert "kernel 9.8.7, which was configured without CONFIG_CRYPTO_DEV_HISI_QM" in why


def settings() -> dict[str, str]:
    """What dkms.conf sets."""
    text = (paths.ROOT / "debian/hisi-acc-vfio-pci-dkms.dkms").read_text(encoding="utf-8")
    return dict(re.findall(r'^(\w+)="(.*)"$', text, re.M))


@pytest.mark.parametrize("release", ["6.1.0-57-arm64", "6.5.13", "5.10.0-216.0.0.115.oe2203sp4.aarch64"])
def test_dkms_passes_over_a_kernel_that_is_too_old(added, tmp_path, release):
    """A kernel that is too old for dkms/Kbuild must be skipped although it has all options, so that
    its installation does not fail."""
    (tmp_path / "Makefile").write_text("")
    (tmp_path / ".config").write_text("".join(f"{name}=m\n" for name in settings()["BUILD_EXCLUSIVE_CONFIG"].split()))
    told = re.sub(r"(?<=kernel )\S+(?=,)", release, blocks("none", "packages")["too-old"])
    assert passed_over(added, release, "aarch64", tmp_path) == told


def test_the_oldest_kernel_of_dkms_is_that_of_kbuild():
    """DKMS must skip exactly the kernels older than the newest interface that the driver requires."""
    kbuild = (paths.DKMS / "Kbuild").read_text(encoding="utf-8")
    series = [tuple(map(int, found.split("."))) for found in re.findall(r"call needs,.*,([\d.]+)\)$", kbuild, re.M)]
    oldest = max(series)
    assert blocks("none", "packages")["too-old"].endswith(f" older than Linux {'.'.join(map(str, oldest))}")
    taken = re.compile(settings()["BUILD_EXCLUSIVE_KERNEL"])
    for major, minor in [*((6, minor) for minor in range(30)), *((major, 0) for major in (2, 3, 4, 5, 7, 8, 9, 10, 11, 60))]:
        for rest in (".0-45-generic", ".12", "-rc1", ""):
            assert bool(taken.search(f"{major}.{minor}{rest}")) == ((major, minor) >= oldest), (major, minor, rest)


def test_the_labs_package_runs_without_the_clone(unpacked, tmp_path):
    """The lab's package must run without the clone and have all files that it needs."""
    said = subprocess.run([unpacked / "usr/bin/vlab", "--version"], capture_output=True, text=True, check=True).stdout
    changes = (paths.ROOT / "debian/changelog").read_text(encoding="utf-8")
    assert f"({said.splitlines()[0].removeprefix('vlab ')})" in changes.splitlines()[0]
    done = subprocess.run([unpacked / "usr/bin/vlab", "run", "--engines", "gpu", "--", "true"], cwd=tmp_path,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "unknown engine 'gpu'" in done.stderr
    shown = subprocess.run([unpacked / "usr/bin/vlab", "status"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    made = subprocess.run([unpacked / "usr/bin/vlab", "deb"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert made.returncode and "Packages are made from a clone" in made.stderr
    # files for its pages and patches, found without git
    lab = unpacked / "usr/share/vfio-migration-lab/tools/testing/vfio_lab"
    there = subprocess.run(["python3", "-B", "-c", "from lab.build import kernel_tree; print(*kernel_tree.driver_files())"], cwd=lab,
                           capture_output=True, text=True, check=True)
    assert set(there.stdout.split()) == set(kernel_tree.driver_files())
    completion = (unpacked / "usr/share/bash-completion/completions/vlab").read_text()
    assert "complete -o default -F _vlab vlab" in completion
    assert list(unpacked.rglob("hisi_acc_migration_states_test.c")) and not list(unpacked.rglob("__pycache__"))
