# SPDX-License-Identifier: GPL-2.0
"""Licences, maintainers, `make` and Kconfig."""

import re
import subprocess

import pytest

from lab.core import files, paths, versions
from lab.build.kernel import kernel

TEXT_FREE_OF_SPDX = {"COPYING", "MAINTAINERS", "debian/changelog", "debian/copyright", "debian/source/format",
                     "debian/vfio-migration-lab.manpages"}


def test_each_file_names_its_licence():
    """Each file must have an SPDX licence identifier."""
    missing = [name for name in files.listed() if name not in TEXT_FREE_OF_SPDX and
               "SPDX-License-Identifier: " not in (paths.ROOT / name).read_text()[:400]]
    assert missing == []


def test_no_file_names_a_host_or_a_path_of_one_machine():
    """No file may have a host name or a path of a developer's machine."""
    pattern = re.compile(r"deb\.debian" r"\.org|/ro" r"ot/\.|/home/[a-z]+/|https?://[a-z0-9.-]*(mirror|registry)(?!\.example)")
    found = [name for name in files.listed() if pattern.search((paths.ROOT / name).read_text())]
    assert found == []


@pytest.mark.parametrize("file, section", [
    ("drivers/vfio/pci/hisilicon/main.c", "HISILICON ACCELERATOR VFIO MIGRATION DRIVER"),
    ("tools/testing/vfio_lab/vlab", "VFIO MIGRATION LAB"),
])
def test_the_kernels_get_maintainer_finds_us(context, file, section):
    """get_maintainer.pl must find the entries in MAINTAINERS."""
    script = kernel(versions.DEFAULT, context).source / "scripts/get_maintainer.pl"
    done = subprocess.run([script, "--no-tree", f"--mpath={paths.ROOT}/MAINTAINERS", "--no-git", "--no-git-fallback",
                           "--subsystem", "-f", file], cwd=paths.ROOT, capture_output=True, text=True, check=True)
    assert section in done.stdout


def test_make_without_a_target_explains_itself():
    """make without a target must list the targets."""
    done = subprocess.run(["make"], cwd=paths.ROOT, capture_output=True, text=True, check=True)
    assert "make demo" in done.stdout and "make check" in done.stdout


def test_kconfig_leads_to_the_driver():
    """The driver's Kconfig must be included."""
    sourced = re.findall(r'source "(.+)"', (paths.ROOT / "Kconfig").read_text())
    assert "drivers/vfio/pci/hisilicon/Kconfig" in sourced
    assert "config HISI_ACC_VFIO_PCI" in (paths.ROOT / sourced[0]).read_text()
