# SPDX-License-Identifier: GPL-2.0
"""The driver builds out of tree for both kernels, and says why where it cannot."""

import pathlib
import subprocess

import pytest

from lab import paths, versions
from lab.kernel import kernel
from kernels import EACH


def make_module(kdir: pathlib.Path | str, out: pathlib.Path) -> subprocess.CompletedProcess[str]:
    """make module, as a user types it."""
    return subprocess.run(["make", "-s", "module", f"KDIR={kdir}", f"OUT={out}"], cwd=paths.ROOT,
                          capture_output=True, text=True, check=False)


@pytest.mark.parametrize("version", EACH)
def test_it_builds_without_a_warning(context, tmp_path, version):
    done = make_module(kernel(version, context).build, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "warning" not in (done.stdout + done.stderr).lower()
    assert (tmp_path / "hisi_acc_vfio_pci.ko").is_file()


def test_it_leaves_the_sources_as_they_were(context, tmp_path):
    before = sorted(p.name for p in paths.DRIVER.iterdir())
    make_module(kernel(versions.DEFAULT, context).build, tmp_path)
    assert sorted(p.name for p in paths.DRIVER.iterdir()) == before


@pytest.mark.parametrize("missing", ["VFIO_PCI_CORE", "CRYPTO_DEV_HISI_QM", "CRYPTO_DEV_HISI_SEC2",
                                     "CRYPTO_DEV_HISI_HPRE", "CRYPTO_DEV_HISI_ZIP", "PCI_IOV"])
def test_a_kernel_without_what_it_needs_is_told_so(context, tmp_path, missing):
    built = kernel(versions.DEFAULT, context).build
    kdir = tmp_path / "kdir"
    (kdir / "include/config").mkdir(parents=True)
    for name in ("Makefile", "Module.symvers"):
        (kdir / name).symlink_to(built / name)
    config = (built / "include/config/auto.conf").read_text().splitlines(keepends=True)
    (kdir / "include/config/auto.conf").write_text("".join(
        line for line in config if not line.startswith(f"CONFIG_{missing}=")))
    done = make_module(kdir, tmp_path / "out")
    assert done.returncode != 0 and f"built without CONFIG_{missing}\n" in done.stderr
    assert not (tmp_path / "out/hisi_acc_vfio_pci.ko").exists()


@pytest.mark.parametrize("kdir, words", [
    ("", "KDIR is not set"),
    ("/nowhere", "there is no folder /nowhere"),
    ("/etc", "neither a kernel's source nor a kernel's build folder"),
])
def test_what_is_no_kernel_is_refused_in_a_sentence(tmp_path, kdir, words):
    done = make_module(kdir, tmp_path)
    assert done.returncode != 0 and words in done.stderr


@pytest.mark.parametrize("mutant", sorted((paths.LAB / "tests/mutants").rglob("*.patch")), ids=lambda p: p.stem)
def test_a_mutant_is_one_of_this_driver(mutant):
    """Would catch: a driver that changed while its mutants, most of which only make
    mutants builds, did not."""
    done = subprocess.run(["git", "apply", "--check", mutant], cwd=paths.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
