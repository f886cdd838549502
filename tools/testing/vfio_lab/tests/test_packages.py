# SPDX-License-Identifier: GPL-2.0
"""The packages: lintian is content; DKMS builds from the driver's for both kernels,
modprobe finds the result before the kernel's own, other kernels are passed over; the
lab's runs without the clone."""

from __future__ import annotations

import pathlib
import shutil
import subprocess

import pytest

from lab import deb, kernel_tree
from lab.kernel import kernel
from kernels import EACH

NAME = ("-m", "hisi-acc-vfio-pci", "-v", "0.1")


@pytest.fixture(scope="module")
def unpacked(context, tmp_path_factory) -> pathlib.Path:
    """The package, built and unpacked."""
    folder = tmp_path_factory.mktemp("deb")
    packages = deb.build(folder / "out", context)
    assert len(packages) == 2
    for package in packages:
        subprocess.run(["dpkg-deb", "-x", package, folder / "root"], check=True)
    return folder / "root"


def dkms(root: pathlib.Path, *argv: str | pathlib.Path) -> subprocess.CompletedProcess[str]:
    """DKMS with folders of its own; nothing of this machine's is touched."""
    (root / "dkms").mkdir(exist_ok=True)
    action, *rest = argv
    return subprocess.run(["dkms", action, "--dkmstree", root / "dkms", "--sourcetree", root / "usr/src", *NAME, *rest],
                          capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def added(unpacked) -> pathlib.Path:
    done = dkms(unpacked, "add")
    assert done.returncode == 0, done.stderr
    return unpacked


@pytest.mark.parametrize("version", EACH)
def test_dkms_builds_for_an_arm64_kernel(added, context, tmp_path, version):
    built = kernel(version, context)
    done = dkms(added, "build", "-k", built.release, "-a", "aarch64", "--kernelsourcedir", built.build)
    assert done.returncode == 0, done.stdout + done.stderr
    (module,) = (added / "dkms").glob(f"*/*/{built.release}/aarch64/module/hisi_acc_vfio_pci.ko*")
    # where DKMS installs it, beside the kernel's own of the same name
    shutil.copytree(built.modules / "lib", tmp_path / "lib", symlinks=True)
    updates = tmp_path / "lib/modules" / built.release / "updates/dkms"
    updates.mkdir(parents=True)
    shutil.copy(module, updates)
    subprocess.run(["/sbin/depmod", "-b", tmp_path, built.release], check=True)
    found = subprocess.run(["/sbin/modinfo", "-b", tmp_path, "-k", built.release, "-n", "hisi_acc_vfio_pci"],
                           capture_output=True, text=True, check=True)
    assert "/updates/dkms/" in found.stdout


@pytest.mark.parametrize("machine, config", [("x86_64", "CONFIG_VFIO_PCI_CORE=m\n"),
                                             ("aarch64", "# CONFIG_CRYPTO_DEV_HISI_QM is not set\n")])
def test_dkms_passes_over_a_kernel_that_lacks_what_it_needs(added, tmp_path, machine, config):
    (tmp_path / "Makefile").write_text("")
    (tmp_path / ".config").write_text(config)
    done = dkms(added, "build", "-k", "1.2.3", "-a", machine, "--kernelsourcedir", tmp_path)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "BUILD_EXCLUSIVE directive which does not match this kernel" in " ".join(said.split())
    # in one sentence, what DKMS does not tell
    (why,) = [line for line in said.splitlines() if line.startswith("hisi_acc_vfio_pci: not built for kernel 1.2.3")]
    assert "configured without CONFIG_CRYPTO_DEV_HISI_QM" in why
    # as a kernel's installation does, which has to go on
    done = subprocess.run(["dkms", "autoinstall", "--dkmstree", added / "dkms", "--sourcetree", added / "usr/src",
                           "-k", "1.2.3", "-a", machine, "--kernelsourcedir", tmp_path],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "configured without CONFIG_CRYPTO_DEV_HISI_QM" in done.stderr, done.stderr


def test_the_labs_package_runs_without_the_clone(unpacked, tmp_path):
    done = subprocess.run([unpacked / "usr/bin/vlab", "run", "--engines", "gpu", "--", "true"], cwd=tmp_path,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "unknown engine 'gpu'" in done.stderr
    shown = subprocess.run([unpacked / "usr/bin/vlab", "status"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    made = subprocess.run([unpacked / "usr/bin/vlab", "deb"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert made.returncode and "Packages are made from a clone" in made.stderr
    # what its pages and patches are made of, without git
    lab = unpacked / "usr/share/vfio-migration-lab/tools/testing/vfio_lab"
    there = subprocess.run(["python3", "-B", "-c", "from lab import kernel_tree; print(*kernel_tree.ours())"], cwd=lab,
                           capture_output=True, text=True, check=True)
    assert set(there.stdout.split()) == set(kernel_tree.ours())
    completion = (unpacked / "usr/share/bash-completion/completions/vlab").read_text()
    assert "complete -o default -F _vlab vlab" in completion
    assert list(unpacked.rglob("hisi_acc_migration_test.c")) and not list(unpacked.rglob("__pycache__"))
