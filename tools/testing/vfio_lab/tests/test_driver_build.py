# SPDX-License-Identifier: GPL-2.0
"""The driver builds out of tree for both kernels, and says why where it cannot."""

import pathlib
import subprocess

import pytest

from lab import paths
from lab.kernel import VERSIONS, kernel


def make_module(kdir: pathlib.Path | str, out: pathlib.Path) -> subprocess.CompletedProcess[str]:
    """make module, as a user types it."""
    return subprocess.run(["make", "-s", "module", f"KDIR={kdir}", f"OUT={out}"], cwd=paths.ROOT,
                          capture_output=True, text=True, check=False)


@pytest.mark.parametrize("version", VERSIONS)
def test_it_builds_without_a_warning(context, tmp_path, version):
    done = make_module(kernel(version, context).build, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "warning" not in (done.stdout + done.stderr).lower()
    assert (tmp_path / "hisi_acc_vfio_pci.ko").is_file()


def test_it_leaves_the_sources_as_they_were(context, tmp_path):
    before = sorted(p.name for p in paths.DRIVER.iterdir())
    make_module(kernel("7.2", context).build, tmp_path)
    assert sorted(p.name for p in paths.DRIVER.iterdir()) == before


@pytest.mark.parametrize("missing, words", [
    ("CONFIG_VFIO_PCI_CORE", "VFIO"),
    ("CONFIG_CRYPTO_DEV_HISI_QM", "QM"),
])
def test_a_kernel_without_what_it_needs_is_named(context, tmp_path, missing, words):
    config = (kernel("7.2", context).build / ".config").read_text()
    kdir = tmp_path / "kdir"
    kdir.mkdir()
    for part in kernel("7.2", context).build.iterdir():
        if part.name not in (".config", "include"):
            (kdir / part.name).symlink_to(part)
    (kdir / "include").symlink_to(kernel("7.2", context).build / "include")
    (kdir / ".config").write_text("".join(f"{line}\n" for line in config.splitlines()
                                          if not line.startswith(f"{missing}=")))
    done = make_module(kdir, tmp_path / "out")
    assert done.returncode != 0 and words in done.stderr
    assert not (tmp_path / "out/hisi_acc_vfio_pci.ko").exists()


@pytest.mark.parametrize("kdir", ["", "/nowhere", "/etc"])
def test_what_is_no_kernel_is_refused_in_a_sentence(tmp_path, kdir):
    done = make_module(kdir, tmp_path)
    assert done.returncode != 0
    assert "KDIR" in done.stderr and "Error 127" not in done.stderr
