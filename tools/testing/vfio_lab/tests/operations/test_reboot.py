# SPDX-License-Identifier: GPL-2.0
"""VFs after a reboot: a host with systemd, the guide's udev rule and driverctl's record on its
disk. The rule must run neither too early nor too late, and the VF must be bound to its driver."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from guide import PF, VF, VF2
from lab.core import hardware, paths
from lab.core.guide import blocks
from lab.core.progress import Steps
from lab.build import rootfs
from lab.scenario import accelerator
from lab.scenario.config import MODEL, HostConfig
from lab.scenario.host import Host
from lab.scenario.migration import ENGINE
from lab.scenario.session import Session

pytestmark = [pytest.mark.long("a host with systemd"),
              # the lab's kernel has not all that systemd would load
              pytest.mark.expect("host: systemd.*Failed to find module ", maybe=True)]

RULES = "/etc/udev/rules.d/70-hisi-acc-vfs.rules"
#: the record of `driverctl set-override`, see test_libvirt.py
REMEMBERED = f"/etc/driverctl.d/pci-{VF}"
SERVICE = f"driverctl@pci-{VF}.service"


@pytest.fixture(scope="module")
def host(context, tmp_path_factory) -> Iterator[Host]:
    """A host that has just booted. Its accelerator has as many queues as hardware has: udev loads the
    stock driver, without parameters."""
    disk = tmp_path_factory.mktemp("disk")
    for name, text in (("rules", blocks("none", "libvirt")["vfs-at-boot"]), ("driver", hardware.VARIANT_DRIVER)):
        (disk / name).write_text(f"{text}\n")
    with Session(Steps(io.StringIO()), paths.BUILD / "check/reboot") as session:
        config = HostConfig(roots=(rootfs.systemd(context),), push={RULES: disk / "rules", REMEMBERED: disk / "driver"},
                            model={**MODEL, "queues": "1024"})
        (host,) = session.boot([session.spec("host", config)])
        host.ssh.run(f"until systemctl show -P ActiveState {SERVICE} | grep -q '^active\\|failed'; do usleep 100000; done",
                     timeout=120)
        yield host


def driver(host: Host, address: str) -> str:
    return host.ssh.out(f"basename $(readlink /sys/bus/pci/devices/{address}/driver || echo none)")


def test_systemd_is_the_first_process(host: Host) -> None:
    """systemd must be PID 1, with no failed unit."""
    assert host.ssh.out("readlink /proc/1/exe") == "/usr/lib/systemd/systemd"
    assert host.ssh.out("systemctl list-units --failed --no-legend --plain") == ""


def test_vfs_exist_and_the_recorded_one_is_bound(host: Host) -> None:
    """Two VFs must exist, and only the recorded one be bound to the variant driver."""
    engine = hardware.ENGINES[ENGINE]
    assert driver(host, PF) == engine.driver
    assert accelerator.vfs(host.ssh, engine) == [VF, VF2]
    assert (driver(host, VF), driver(host, VF2)) == (hardware.VARIANT_DRIVER, "none")
    assert host.ssh.out(f"systemctl is-active {SERVICE}") == "active"
