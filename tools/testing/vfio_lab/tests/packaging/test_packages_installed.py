# SPDX-License-Identifier: GPL-2.0
"""The driver's package on a running arm64 system: installed, upgraded and removed by the commands of
the guide's page. The driver's module must replace the in-tree one, and removal must leave nothing
behind.

The tests depend on each other's order.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from debs import DRIVER, FIRST, SECOND, as_newer, field
from guide import VF, VF2
from lab.core import hardware, paths
from lab.core.guide import blocks
from lab.core.progress import Steps
from lab.core.versions import CHECKED, LTS
from lab.build import installed
from lab.build.kernel import kernel
from lab.scenario import accelerator
from lab.scenario.config import HostConfig
from lab.scenario.host import Host
from lab.scenario.migration import ENGINE
from lab.scenario.session import Session
from lab.release import deb

pytestmark = pytest.mark.long("an emulated compiler takes minutes")

MODULE = "hisi_acc_vfio_pci"
#: under emulation the compiler takes one to five minutes for the module
BUILD_SECONDS = 1500
#: commands of the guide
DO = blocks("sh", "packages")


@pytest.fixture(scope="module")
def packages(context, tmp_path_factory) -> dict[str, Path]:
    """The driver's package and its next version, by their paths in the host, and its autopkgtest."""
    folder = tmp_path_factory.mktemp("deb")
    (package,) = [package for package in deb.build(folder / "out", context) if field(package, "Package") == DRIVER]
    newer = as_newer(package, folder / package.stem)
    return {f"/lab/first/{package.name}": package, f"/lab/second/{newer.name}": newer, "/lab/check": paths.ROOT / "debian/tests/check"}


@pytest.fixture(scope="module")
def host(context, packages) -> Iterator[Host]:
    """A host with the in-tree driver, dpkg, DKMS and the kernel's headers. A second kernel is
    stored in /lab."""
    with Session(Steps(io.StringIO()), paths.BUILD / "check/packages") as session:
        kernels = [kernel(version, context) for version in CHECKED]
        roots = (installed.system(context), *(installed.headers(k, context) for k in kernels))
        config = HostConfig(driver="in-tree", roots=roots, push=packages)
        (host,) = session.boot([session.spec("host", config)])
        host.ssh.run(f"mv /lib/modules/{kernels[1].release} /lab")
        yield host


def found(host: Host, release: str = "$(uname -r)") -> str:
    """The module that modprobe would load under a kernel."""
    return host.ssh.out(f"modinfo -k {release} -n {MODULE}")


def do(host: Host, command: str, timeout: float = BUILD_SECONDS) -> str:
    """Run a command that must succeed; returns its output."""
    done = host.ssh.run(f"exec 2>&1; set -e; {command}", timeout=timeout, check=False)
    assert done.returncode == 0, done.stdout + host.ssh.run("cat /var/lib/dkms/*/*/build/make.log", check=False).stdout
    return done.stdout


def built_for(host: Host) -> dict[str, str]:
    """For each kernel, the package version that DKMS installed for it."""
    rows = (line.split(",") for line in host.ssh.out("dkms status").splitlines() if line.endswith(": installed"))
    return {release.strip(): name.rpartition("/")[2] for name, release, _ in rows}


def not_built(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("hisi_acc_vfio_pci: not built")]


@pytest.mark.parametrize("option", ["CONFIG_CRYPTO_DEV_HISI_QM", "CONFIG_VFIO_PCI_CORE"])
def test_a_kernel_that_lacks_what_it_needs_is_passed_over_with_a_sentence(host, option):
    """On a kernel without a required option, the package must install and print one line with the reason."""
    config = "/lib/modules/$(uname -r)/build/include/config/auto.conf"
    host.ssh.run(f"sed -i.kept '/^{option}=/d' {config}")
    said = do(host, f"cd /lab/first; {DO['package-install']}", timeout=120)
    sentence = blocks("none", "packages")["not-built"]
    sentence = re.sub(r"\d+\.\d+\.\d+", host.ssh.out("uname -r"), sentence)
    assert not_built(said) == [sentence.replace("CONFIG_CRYPTO_DEV_HISI_QM", option)], said
    assert "/kernel/" in found(host) and not built_for(host)
    do(host, f"{DO['package-remove']}; mv {config}.kept {config}", timeout=120)


def test_the_driver_is_installed_and_found_first(host):
    """After the installation modprobe must find this driver, and VFs must use it after a reload."""
    def features() -> str:
        return host.ssh.out(f"cat /sys/kernel/debug/vfio/{VF}/migration/features")

    release = host.ssh.out("uname -r")
    accelerator.bring_up(host.ssh, hardware.ENGINES[ENGINE], 2)
    accelerator.bind(host.ssh, [VF, VF2], MODULE)
    assert "/kernel/" in found(host) and "p2p" not in features()
    said = do(host, f"cd /lab/first; {DO['package-install']}")
    assert built_for(host) == {release: FIRST} and not not_built(said)
    assert f"/lib/modules/{release}/updates/dkms/{MODULE}.ko" in said.splitlines()[-1]
    assert "modprobe takes updates/dkms/" in host.ssh.run("hisi-acc-check", check=False).stdout
    again = blocks("sh")
    do(host, f"VF={VF} VF2={VF2}; {again['unload']}\n{again['reload']}", timeout=120)
    assert "p2p" in features()


def test_the_packages_autopkgtest_passes(host):
    """debian/tests/check, which needs no device, must pass with the package installed."""
    assert do(host, "AUTOPKGTEST_TMP=$(mktemp -d) sh /lab/check", timeout=120) == ""


def test_a_new_kernel_gets_its_module(host, context):
    """The hooks of a kernel's installation must build the module for it."""
    later = kernel(LTS, context).release
    host.ssh.run(f"mv /lab/{later} /lib/modules")
    assert "/kernel/" in found(host, later)
    do(host, f"run-parts --arg={later} /etc/kernel/postinst.d")
    assert built_for(host) == {host.ssh.out("uname -r"): FIRST, later: FIRST}
    assert "/updates/dkms/" in found(host, later)
    assert host.ssh.out(f"modinfo -k {later} -F vermagic {MODULE}").startswith(f"{later} ")


def test_the_new_kernel_comes_up_with_it(host, context, new_session, tmp_path):
    """The module must load on the later kernel and bind a VF. It is copied to another host, as a
    host's root file system is in memory."""
    place = found(host, kernel(LTS, context).release)
    module = tmp_path / "module"
    module.write_bytes(base64.b64decode(host.ssh.out(f"base64 {place}")))
    session = new_session()
    config = HostConfig(kernel=LTS, driver="in-tree", push={f"/usr{place}": module})
    (upgraded,) = session.boot([session.spec("upgraded", config)])
    upgraded.ssh.run("depmod")
    accelerator.bring_up(upgraded.ssh, hardware.ENGINES[ENGINE], 1)
    accelerator.bind(upgraded.ssh, [VF], MODULE)
    # built out of tree
    assert "O" in upgraded.ssh.out(f"cat /sys/module/{MODULE}/taint")


def test_a_newer_package_takes_its_place(host):
    """An upgrade must replace the older module for each kernel."""
    kernels = built_for(host)
    do(host, f"cd /lab/second; {DO['package-install']}")
    assert built_for(host) == dict.fromkeys(kernels, SECOND)
    assert all("/updates/dkms/" in found(host, release) for release in kernels)
    assert host.ssh.out("ls /usr/src | grep -c hisi-acc") == "1"


def test_without_the_package_all_is_as_it_was(host):
    """Removal must leave no module, source or DKMS state."""
    kernels = built_for(host)
    do(host, DO["package-remove"], timeout=120)
    assert not host.ssh.out("dkms status")
    assert all("/kernel/" in found(host, release) for release in kernels)
    left = "/usr/sbin/hisi-acc* /usr/src/hisi-acc* /var/lib/dkms/hisi-acc* /lib/modules/*/updates/dkms/*"
    assert host.ssh.run(f"ls -d {left}", check=False).stdout == ""
