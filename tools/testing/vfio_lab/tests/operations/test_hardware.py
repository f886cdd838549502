# SPDX-License-Identifier: GPL-2.0
"""The page for owners of real hardware: its package is installed by dpkg, and its commands are run from
its text."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest

from guide import VF, VF2, Monitor
from lab.core import hardware, paths
from lab.core.guide import blocks
from lab.core.progress import Steps
from lab.build import installed
from lab.release import deb
from lab.scenario import accelerator
from lab.scenario.config import GuestConfig, HostConfig
from lab.scenario.host import Host
from lab.scenario.session import Session
import tap

pytestmark = pytest.mark.long("a system with dpkg, and minutes of tests")

RESULTS = "/var/tmp/results"
PACKAGES = "/lab/packages"
REPORT = "hisi-acc-report"
#: of the host, which is private
NAME = "kunpeng17.example"


@pytest.fixture(scope="module")
def host(context, tmp_path_factory) -> Iterator[Host]:
    """A host with dpkg and the package, and with two bound VFs."""
    built = deb.build(tmp_path_factory.mktemp("deb") / "out", context)
    with Session(Steps(io.StringIO()), paths.BUILD / "check/hardware") as session:
        config = HostConfig(roots=(installed.system(context),), push={f"{PACKAGES}/{file.name}": file for file in built})
        (host,) = session.boot([session.spec("host", config, GuestConfig())])
        accelerator.bring_up(host.ssh, config.engine("sec"), config.vfs)
        accelerator.bind(host.ssh, [VF, VF2], hardware.VARIANT_DRIVER)
        accelerator.need_iommufd(host.ssh)
        host.ssh.run(f"mkdir -p {RESULTS}")
        yield host


@pytest.fixture(scope="module")
def page() -> dict[str, str]:
    """The page's shell blocks; a test removes those that it runs."""
    return blocks("sh", "hardware")


def do(host: Host, text: str, seconds: float = 120) -> str:
    """Run commands of the page, in the directory of the packages."""
    return host.ssh.run(f"set -e; cd {PACKAGES}; RESULTS={RESULTS} VF={VF} VF2={VF2}\n{text}", timeout=seconds).stdout


def test_the_package_is_installed(host, page):
    """dpkg must install the package, with programs that run without a library of the system."""
    assert "Setting up hisi-acc-vfio-tests" in do(host, page.pop("tests-install"))


def test_the_host_is_checked(host, page):
    """The package's hisi-acc-check must report that the VFs can migrate."""
    said = do(host, page.pop("hardware-check"))
    assert said.rstrip().endswith("ok: can migrate with QEMU's defaults"), said


@pytest.mark.expect(".", maybe=True)        # test_probe.py has what it provokes
def test_the_hardware_is_probed(host, page):
    """hisi-acc-probe must write its profile."""
    do(host, page.pop("hardware-probe"), 600)
    assert json.loads(host.ssh.out(f"cat {RESULTS}/profile.json"))


@pytest.mark.expect(tap.PROVOKED)
def test_the_driver_is_tested(host, page):
    """The kselftests must run from the package's directory, and this driver pass them."""
    do(host, page.pop("hardware-tests"), 1500)
    said = host.ssh.out(f"cat {RESULTS}/kselftest.tap")
    assert said.count("\nok 1 selftests: vfio: ") > len(tap.PROGRAMS) and "not ok" not in said, said


def test_a_guest_migrates_from_vf_to_vf(host, page):
    """A guest must migrate between both VFs of this host."""
    with Monitor(host, page.pop("same-host-source")) as here:
        here.guest_ready()
        host.ssh.run("mv /run/report /run/report.source")
        with Monitor(host, page.pop("same-host-destination")) as there:
            there.listens()
            *orders, question = blocks("none", "hardware")["same-host-migrate"].splitlines()
            for line in orders:
                here.type(line)
            here.until("Migration status: completed", again=question)
            there.until("VM status: running", again="info status")
            assert host.counters("sec", 2)["events"]["kicks"] > 0


def test_the_results_are_packed(host, page):
    """The archive must have what the page says, and neither the host's name nor its addresses; it must not be
    written over."""
    host.ssh.run(f"hostname {NAME}")
    do(host, page.pop("hardware-report"))
    host.ssh.run(f"cd {RESULTS}; tar -xzf report.tar.gz")
    found = set(host.ssh.out(f"cd {RESULTS}/{REPORT}; find . -type f").split())
    assert {"./kernel", "./dmesg", "./check.json", f"./devices/{VF}", "./files/profile.json", "./files/probe.tap",
            "./files/kselftest.tap"} <= found
    assert "hisi_sec2" in host.ssh.out(f"cat {RESULTS}/{REPORT}/dmesg")
    assert json.loads(host.ssh.out(f"cat {RESULTS}/{REPORT}/check.json"))
    assert not host.ssh.out(f"grep -rE '{NAME}|10.0.2.15' {RESULTS}/{REPORT} || true")
    again = host.ssh.run(f"cd {RESULTS}; hisi-acc-report -o report.tar.gz 2>&1", check=False)
    assert again.returncode == 2 and "report.tar.gz exists" in again.stdout


@pytest.mark.parametrize("arguments, words", [("-x", "unknown option -x"), ("-o", "-o needs a file's name"), ("absent", "no such file: absent")])
def test_wrong_arguments(host, arguments, words):
    """Wrong arguments must be named, and nothing be written."""
    said = host.ssh.run(f"mkdir -p /tmp/empty; cd /tmp/empty; {REPORT} {arguments} 2>&1", check=False)
    assert said.returncode == 2 and words in said.stdout
    assert host.ssh.out("ls -A /tmp/empty") == ""


def test_no_command_of_the_page_is_left(page):
    """The tests above must run each command of the page."""
    assert not page
