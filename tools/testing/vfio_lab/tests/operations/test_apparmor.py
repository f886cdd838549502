# SPDX-License-Identifier: GPL-2.0
"""libvirt's QEMUs confined by the AppArmor profiles of Debian's packages, enforced: a domain with a VF must
start, migrate, and end, and nothing may be denied; what an admin has to allow stands in the guide."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest

from lab.build import rootfs
from lab.core import hardware, versions
from lab.core.errors import LabError
from lab.core.guide import blocks
from lab.scenario import accelerator
from lab.scenario.config import GuestConfig, HostConfig
from lab.scenario.host import Host
from lab.scenario.libvirt import DAEMON, KEY, PROGRAM, Domain, domain, libvirt_up
from lab.scenario.migration import ENGINE

pytestmark = pytest.mark.long("builds a kernel with AppArmor")

FRAGMENT = pathlib.Path(__file__).resolve().parents[1] / "support/server.config"
VFS = 3
XML = blocks("xml", "libvirt")
DO = {name: text.strip() for name, text in blocks("sh", "libvirt").items()}
LINES = blocks("none", "libvirt")["apparmor"].splitlines()
LOCAL = "/etc/apparmor.d/local/abstractions/libvirt-qemu"
PROFILES = "usr.lib.libvirt.virt-aa-helper", "usr.sbin.libvirtd"


def confined(host: Host, release: versions.Release) -> None:
    """Load the packages' profiles and start libvirt, which makes one for each domain."""
    ssh = host.ssh
    accelerator.bring_up(ssh, hardware.ENGINES[ENGINE], VFS)
    ssh.run("mount -t securityfs none /sys/kernel/security; grep -q apparmor /sys/kernel/security/lsm")
    ssh.run(" && ".join(f"apparmor_parser --replace /etc/apparmor.d/{name}" for name in PROFILES), timeout=300)
    libvirt_up(host, release)
    assert "<model>apparmor</model>" in ssh.out("virsh capabilities")


def allow(host: Host, lines: list[str]) -> None:
    """Have profiles that are made from now on allow more."""
    host.ssh.run(f"mkdir -p $(dirname {LOCAL}); cat > {LOCAL}", stdin="".join(f"{line}\n" for line in lines))


def denied(host: Host) -> list[str]:
    """What AppArmor has denied."""
    return host.ssh.out("dmesg | grep 'apparmor=\"DENIED\"' || true").splitlines()


@pytest.fixture(params=versions.LIBVIRTS, ids=lambda release: f"libvirt-{release.name}")
def release(request) -> versions.Release:
    """Each libvirt."""
    return request.param


@pytest.fixture
def pair(new_session, release) -> Iterator[tuple[Host, Host]]:
    """Two hosts with libvirt and AppArmor, which is the security module of their kernel."""
    session = new_session()
    config = HostConfig(vfs=VFS, fragments=(FRAGMENT,), append="lsm=apparmor",
                        roots=(rootfs.libvirt(release, session.context), rootfs.apparmor(release, session.context)),
                        push={DAEMON: PROGRAM, KEY: session.key()})
    source, destination = session.boot(session.pair(config, config, GuestConfig()))
    yield source, destination


@pytest.mark.parametrize("backend", ["iommufd", "by-container"])
def test_a_confined_guest_migrates(pair, release, backend):
    """QEMU must run under a profile of its own that is enforced; by each backend the guest must migrate there
    and back, and AppArmor must have denied nothing."""
    for host in pair:
        confined(host, release)
        allow(host, LINES)
    more = XML["by-iommufd" if backend == "iommufd" and "iommufd" in release.lacks else backend]
    with Domain(pair, domain(XML["managed"], more)) as guest:
        guest.start()
        for _ in pair:
            profile = guest.host.ssh.out("cat /proc/$(cat /run/libvirt/qemu/guest.pid)/attr/current")
            assert profile.startswith("libvirt-") and profile.endswith("(enforce)"), profile
            guest.migrate(DO["libvirt-migrate"] if backend == "iommufd" else f"{DO['downtime']}; {DO['libvirt-migrate']}")
        guest.ends_well()
    assert [line for host in pair for line in denied(host)] == []


def test_what_has_to_be_allowed(pair, release):
    """Where QEMU opens the devices of iommufd, a domain must be refused without any one of the guide's lines, and
    the next one start with all of them; where libvirt opens them, it must start without."""
    host, opens = pair[0], "iommufd" in release.lacks
    confined(host, release)
    xml = domain(XML["managed"], XML["by-iommufd" if opens else "iommufd"])
    before = 0
    for missing in LINES if opens else ():
        allow(host, [line for line in LINES if line != missing])
        with Domain(pair[:1], xml) as guest, pytest.raises(LabError, match="/dev/iommu|/vfio-dev: "):
            guest.start()
        assert len(denied(host)) > before, missing
        before = len(denied(host))
    if opens:
        allow(host, LINES)
    with Domain(pair[:1], xml) as guest:
        guest.start()
        guest.ends_well()
    assert len(denied(host)) == before
