# SPDX-License-Identifier: GPL-2.0
"""Each libvirt release of Debian 13 must choose this driver by itself, migrate a guest under load
there and back, with one VF and with three, of one accelerator and of three, and report why a
migration is refused.

XML, rules and commands are those of the guide's page.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import pathlib
import re
import subprocess
from collections.abc import Callable, Iterator

import pytest

from lab.core import hardware, paths, versions
from lab.core.cache import Cache
from lab.core.context import Context
from lab.core.errors import LabError
from lab.core.guide import blocks, messages
from lab.core.progress import Steps
from lab.build import rootfs
from lab.scenario import accelerator
from lab.scenario.config import GuestConfig, HostConfig, default_load
from lab.scenario.host import Host
from lab.scenario.libvirt import DAEMON, KEY, PROGRAM, Domain, domain, libvirt_up, said
from lab.scenario.migration import ENGINE
from lab.scenario.session import Session

pytestmark = pytest.mark.slow("hosts with libvirt")

VFS = 3
STOCK, VARIANT = hardware.ENGINES[ENGINE].driver, hardware.VARIANT_DRIVER
PF = hardware.ENGINES[ENGINE].pf
VF = hardware.ENGINES[ENGINE].vf(0)
NODE = "pci_" + re.sub(r"\W", "_", VF)
#: commands of the guide
DO = {name: text.strip() for name, text in blocks("sh", "libvirt").items()}
XML = blocks("xml", "libvirt")
migrates = pytest.mark.long("libvirt guests migrate between two hosts: ten minutes for each release")


@dataclasses.dataclass(frozen=True)
class Stack:
    """The releases in the hosts of a test."""

    libvirt: versions.Release
    vmm: versions.Vmm = versions.VMMS[0]

    def __str__(self) -> str:
        return f"libvirt-{self.libvirt.name}" + ("" if self.vmm == versions.VMMS[0] else f"-qemu-{self.vmm.name}")

    @property
    def native(self) -> bool:
        """Whether a domain's XML has an element for VFs by iommufd."""
        return "iommufd" not in self.libvirt.lacks

    def config(self, session: Session, engines: tuple[str, ...], httu: bool = True) -> HostConfig:
        """A host with libvirt and an SSH key for the other one."""
        return HostConfig(vfs=VFS, engines=engines, httu=httu, vmm=self.vmm.name,
                          roots=(rootfs.libvirt(self.libvirt, session.context),),
                          push={DAEMON: PROGRAM, KEY: session.key()})

    def by_iommufd(self, count: int = 1) -> str:
        """The XML that assigns so many VFs of a domain by iommufd."""
        return XML["iommufd"] if self.native else overrides(XML["by-iommufd"], count)


NEWEST = pytest.param(Stack(versions.LIBVIRTS[-1], versions.VMMS[-1]), marks=migrates)


@pytest.fixture(scope="module", params=[*map(Stack, versions.LIBVIRTS), NEWEST], ids=str)
def stack(request, context) -> Stack:
    """Each libvirt with the default QEMU, and the newest of both."""
    chosen = request.param
    for name, release, there in (("libvirt", chosen.libvirt, rootfs.has_libvirt), ("QEMU", chosen.vmm, rootfs.has_vmm)):
        if not there(release, context):
            pytest.skip(f"this machine's mirror has no {name} {release.name} ({release.suite})")
    return chosen


def prepared(host: Host, stack: Stack, engines: tuple[str, ...]) -> None:
    """VFs without a driver, and the daemon of the requested libvirt release."""
    for name in engines:
        accelerator.bring_up(host.ssh, hardware.ENGINES[name], VFS)
    libvirt_up(host, stack.libvirt)
    assert f"daemon: {stack.libvirt.name}." in host.ssh.out("virsh version --daemon")


@contextlib.contextmanager
def pair(stack: Stack, engines: tuple[str, ...], httu: bool = True) -> Iterator[tuple[Host, Host]]:
    """A source and a destination, with libvirt and VFs."""
    logs = paths.BUILD / f"check/{stack}{'' if httu else '-without-httu'}"
    with Session(Steps(io.StringIO()), logs) as session:
        config = stack.config(session, engines, httu)
        booted = session.boot(session.pair(config, config, GuestConfig()))
        for host in booted:
            prepared(host, stack, engines)
        yield booted[0], booted[1]


@pytest.fixture(scope="module")
def hosts(stack) -> Iterator[tuple[Host, Host]]:
    """A source and a destination with all accelerators."""
    with pair(stack, tuple(hardware.ENGINES)) as booted:
        yield booted


@pytest.fixture
def hosts_without_httu(stack) -> Iterator[tuple[Host, Host]]:
    """A source and a destination whose SMMUs do not track dirty pages."""
    with pair(stack, (ENGINE,), httu=False) as booted:
        yield booted


@pytest.fixture
def one_host(pytestconfig, request, new_session, stack) -> Iterator[Host]:
    """The source, or without --long a host of its own."""
    if pytestconfig.getoption("--long"):
        yield request.getfixturevalue("hosts")[0]
        return
    session = new_session()
    config = stack.config(session, (ENGINE,))
    (host,) = session.boot([session.spec("host", config)])
    prepared(host, stack, config.engines)
    yield host


def driver(host: Host, address: str = VF) -> str:
    """The driver that a VF is bound to."""
    return host.ssh.out(f"basename $(readlink /sys/bus/pci/devices/{address}/driver || echo none)")


def of_all(text: str, count: int = VFS) -> str:
    """A fragment of a domain's XML, repeated for so many VFs."""
    return "".join(text.replace("function='0x1'", f"function='0x{n}'") for n in range(1, count + 1))


def of_engines(text: str) -> str:
    """A fragment of a domain's XML, repeated for the first VF of each accelerator."""
    return "".join(text.replace("slot='0x08'", f"slot='{engine.slot:#04x}'")
                   for engine in hardware.ENGINES.values())


def overrides(text: str, count: int = VFS) -> str:
    """The fragment for QEMU's command line, for so many VFs."""
    head, device, tail = text.partition("  <qemu:device")
    device, end, tail = (device + tail).partition("</qemu:device>\n")
    return head + "".join((device + end).replace("hostdev0", f"hostdev{n}") for n in range(count)) + tail


def test_a_vf_is_detached_and_reattached(one_host):
    """libvirt must find this driver by its alias, and reattach the VF to the driver that the PF's
    settings give."""
    ssh = one_host.ssh
    listed = ssh.out(f"NODE={NODE}; {DO['nodedev-list']}")
    assert listed.count("pci_0000_00_08_") >= VFS + 1 and "<capability type='phys_function'>" in listed
    # decides what reattach binds the VF to
    for autoprobe, home in ((0, "none"), (1, STOCK)):
        ssh.run(f"echo {autoprobe} > /sys/bus/pci/devices/{PF}/sriov_drivers_autoprobe; "
                f"echo {VF} > /sys/bus/pci/drivers_probe")
        assert driver(one_host) == home
        ssh.run(f"NODE={NODE}; {DO['nodedev-detach']}")
        assert driver(one_host) == VARIANT
        ssh.run(f"NODE={NODE}; {DO['nodedev-reattach']}")
        assert driver(one_host) == home
    ssh.run(f"echo 0 > /sys/bus/pci/devices/{PF}/sriov_drivers_autoprobe; "
            f"echo {VF} > /sys/bus/pci/devices/{VF}/driver/unbind")


@migrates
@pytest.mark.parametrize("which", ["managed", "named"])
def test_a_domain_gets_this_driver(hosts, which):
    """A domain must get this driver by its alias and by its name; afterwards the VF must have no driver."""
    with Domain(hosts[:1], domain(XML[which])) as guest:
        guest.start()
        assert driver(hosts[0]) == VARIANT
        guest.ends_well()
    assert driver(hosts[0]) == "none"


@migrates
def test_an_unknown_driver_is_refused(hosts):
    """libvirt must not replace a driver that is named but missing."""
    with Domain(hosts[:1], domain(XML["named"].replace(VARIANT, "nobodys_vfio_pci"))) as guest:
        guest.expect(hosts[0])
        assert "nobodys_vfio_pci" in said(hosts[0], "virsh create /run/guest.xml")
    assert driver(hosts[0]) == "none"


def groups(host: Host, *vfs: int) -> list[str]:
    """Files that QEMU opens for VFs by the container backend."""
    return sorted(["/dev/vfio/vfio"] + [
        "/dev/vfio/" + host.ssh.out(f"basename $(readlink /sys/bus/pci/devices/{PF[:-1]}{vf}/iommu_group)") for vf in vfs])


def devices(host: Host, *vfs: int) -> list[str]:
    """Files that QEMU, or libvirt for it, opens for VFs by iommufd."""
    return sorted(["/dev/iommu"] + [
        f"/dev/vfio/devices/{host.ssh.out(f'ls /sys/bus/pci/devices/{PF[:-1]}{vf}/vfio-dev')}" for vf in vfs])


@migrates
@pytest.mark.parametrize("count", [1, VFS])
def test_a_guest_migrates_there_and_back_by_iommufd(hosts, stack, count):
    """The load must continue on the destination and back on the source; each must release its VFs
    when the guest has left."""
    load = default_load(HostConfig(vfs=VFS), GuestConfig(vfs=count))
    vfs = range(1, count + 1)
    with Domain(hosts, domain(of_all(XML["managed"], count), stack.by_iommufd(count), load)) as guest:
        guest.start()
        for here, there in (hosts, hosts[::-1]):
            assert guest.opened() == devices(here, *vfs)
            assert "100" in guest.migrate(DO["libvirt-migrate"])
            assert {driver(here, f"{PF[:-1]}{vf}") for vf in vfs} == {"none"}
            assert {driver(there, f"{PF[:-1]}{vf}") for vf in vfs} == {VARIANT}
        guest.ends_well()


@migrates
def test_one_vf_of_a_domain_uses_the_container(hosts, stack):
    """A VF's own setting must override the domain's; a QEMU that cannot have both backends ends with
    an error."""
    if not stack.native:
        pytest.skip(f"libvirt {stack.libvirt.name}: {stack.libvirt.lacks['iommufd']}")
    with Domain(hosts[:1], domain(XML["managed"].replace("function='0x1'", "function='0x2'") + XML["not-by-iommufd"],
                                  XML["iommufd"])) as guest:
        if not stack.vmm.has("both-backends"):
            with pytest.raises(LabError, match=stack.vmm.lacks["both-backends"]):
                guest.start()
            return
        guest.start()
        assert guest.opened() == sorted(groups(hosts[0], 1) + devices(hosts[0], 2))
        guest.ends_well()


@migrates
def test_a_guest_with_three_accelerators_migrates_there_and_back(hosts, stack):
    """With VFs of SEC, ZIP and HPRE at once, each VF must migrate and complete requests on the destination."""
    stock = "+".join(engine.driver for engine in hardware.ENGINES.values())
    first = [engine.pf[:-1] + "1" for engine in hardware.ENGINES.values()]
    xml = domain(of_engines(XML["managed"]), stack.by_iommufd(len(first)), driver=stock)
    with Domain(hosts, xml) as guest:
        guest.start()
        for there in reversed(hosts):
            done = {(there.name, e): there.counters(e, 1)["events"]["requests-completed"] for e in hardware.ENGINES}
            assert "100" in guest.migrate(DO["libvirt-migrate"])
            assert [driver(there, address) for address in first] == [VARIANT] * len(first)
            assert {e for e in hardware.ENGINES
                    if there.counters(e, 1)["events"]["requests-completed"] > done[there.name, e]} == set(hardware.ENGINES)
        guest.ends_well()


@pytest.fixture
def defined(hosts) -> Iterator[Callable[[], None]]:
    """Makes the running domain one that libvirt keeps, until the test ends: managedsave has a file for
    such domains only."""
    yield lambda: hosts[0].ssh.run("virsh dumpxml --inactive guest | virsh define /dev/stdin")
    hosts[0].ssh.run("virsh destroy guest; virsh undefine --managed-save guest", check=False)


@migrates
@pytest.mark.parametrize("keep, commands", [(False, DO["save"]), (True, DO["managedsave"])], ids=["save", "managedsave"])
def test_a_guest_is_saved_and_restored(hosts, stack, defined, keep, commands):
    """A guest under load that was saved to a file, twice, must continue with every request; while it
    is a file, its VF must be free. With managedsave, libvirt chooses the file."""
    host = hosts[0]
    host.ssh.run("mkdir -p /var/tmp")
    with Domain(hosts[:1], domain(XML["managed"], stack.by_iommufd())) as guest:
        guest.start()
        if keep:
            defined()
        save, restore = commands.splitlines()
        for _ in range(2):
            host.ssh.run(save, timeout=240)
            assert driver(host) == "none"
            guest.expect(host)
            host.ssh.run(restore, timeout=240)
            guest.goes_on()
        guest.ends_well()


def image(host: Host, file: str) -> None:
    """Create an empty qcow2 file by QEMU's monitor: the host has no qemu-img."""
    with host.ssh.popen("exec qemu-system-aarch64 -M none -nodefaults -display none -qmp stdio", stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE) as qemu:
        for awaited, command, arguments in (
                ("return", "qmp_capabilities", {}),
                ("concluded", "blockdev-create", {"job-id": "file", "options": {"driver": "file", "filename": file, "size": 0}}),
                ("return", "blockdev-add", {"driver": "file", "filename": file, "node-name": "file"}),
                ("concluded", "blockdev-create", {"job-id": "image", "options": {"driver": "qcow2", "file": "file", "size": 1 << 30}}),
                ("return", "quit", {})):
            qemu.stdin.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
            qemu.stdin.flush()
            while awaited not in (line := qemu.stdout.readline().decode()):
                assert line and "error" not in line, line
    host.ssh.run(f"chown libvirt-qemu:kvm {file}")


@pytest.fixture
def disk(hosts) -> Iterator[str]:
    """The XML of a qcow2 disk."""
    file = "/var/lib/libvirt/images/disk.qcow2"
    image(hosts[0], file)
    yield (f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{file}'/>"
           "<target dev='vda' bus='virtio'/></disk>")
    hosts[0].ssh.run(f"rm {file}")


@migrates
@pytest.mark.parametrize("inside, commands", [(False, DO["snapshot"]), (True, DO["internal-snapshot"])], ids=["external", "internal"])
def test_a_guest_reverts_to_a_snapshot(hosts, stack, disk, inside, commands):
    """A guest under load must continue after a snapshot, and each time that it reverts to it, with no result that
    differs from that of software. The command of an internal one must be refused to a domain without a disk."""
    host = hosts[0]
    create, revert = commands.splitlines()
    host.ssh.run("mkdir -p /var/tmp")
    if inside:
        with Domain(hosts[:1], domain(XML["managed"], stack.by_iommufd())) as guest:
            guest.start()
            assert "require all disks to be selected for snapshot" in said(host, create)
            guest.ends_well()
    with Domain(hosts[:1], domain((disk if inside else "") + XML["managed"], stack.by_iommufd())) as guest:
        guest.start()
        host.ssh.run(create, timeout=240)
        guest.goes_on()
        for _ in range(2):
            host.ssh.run(revert, timeout=240)
            guest.goes_on()
        assert host.ssh.out("virsh domstate guest --reason") == "running (from snapshot)"
        # requests are numbered again from the snapshot on: reports are not in order
        report = guest.record.last
        assert (report.mismatched, report.failed, report.stale) == (0, 0, 0)


def there_and_back_by_group(hosts: tuple[Host, Host]) -> None:
    """One VF by the container backend; the load continues on the destination and back on the source."""
    with Domain(hosts, domain(XML["managed"], XML["by-container"])) as guest:
        guest.start()
        for here in hosts:
            assert guest.opened() == groups(here, 1)
            assert "100" in guest.migrate(f"{DO['downtime']}; {DO['libvirt-migrate']}")
        guest.ends_well()


@migrates
def test_a_guest_migrates_there_and_back_by_container(hosts):
    """With the container backend the load must continue, with all memory sent in the downtime."""
    there_and_back_by_group(hosts)


MIGRATE = f"DESTINATION=destination; {DO['libvirt-migrate']}"


def refusal(guest: Domain, hosts: tuple[Host, Host]) -> str:
    """Try to migrate a guest; returns virsh's output. The guest must continue on the source."""
    guest.expect(hosts[1])
    words = said(hosts[0], f"{MIGRATE} 2>&1")
    guest.goes_on()
    return words


@migrates
def test_without_enable_migration_a_guest_does_not_migrate(hosts):
    """libvirt's default, the container backend without enable-migration, must refuse to migrate."""
    with Domain(hosts, domain(XML["managed"])) as guest:
        guest.start()
        assert message("VFIO device doesn't support") in refusal(guest, hosts)
        guest.ends_well()


@migrates
def test_without_httu_a_guest_migrates_by_container_only(hosts_without_httu, stack):
    """Without HTTU nothing tracks the VF's writes: QEMU must refuse to migrate by iommufd, and must
    migrate with the container backend."""
    words = re.escape(message("VFIO device doesn't support"))
    if stack.native:
        words = words.replace(re.escape(VF), "hostdev0" if stack.vmm.has("device-ids") else r"VFIO_FD\d+")
    with Domain(hosts_without_httu, domain(XML["managed"], stack.by_iommufd())) as guest:
        guest.start()
        assert re.search(words, refusal(guest, hosts_without_httu))
        guest.ends_well()
    there_and_back_by_group(hosts_without_httu)


def message(beginning: str) -> str:
    """A message of the guide's list, by some of its words."""
    (found,) = [m for m in messages("libvirt") if beginning in m]
    return found


@migrates
def test_a_refused_migration_has_its_reason(hosts, stack):
    """One guest, refused by the destination for one reason after another: each must give its message."""
    there = hosts[1].ssh
    made = f"/sys/bus/pci/devices/{PF}/sriov_numvfs"
    with Domain(hosts, domain(XML["managed"], stack.by_iommufd())) as guest:
        guest.start()
        there.run(f"echo 0 > {made}")
        assert message("not found: could not access") in refusal(guest, hosts)
        there.run(f"echo {VFS - 1} > {made}")
        assert message("Operation not supported") in refusal(guest, hosts)
        assert "number of queues: got" in there.out("dmesg | grep rejected")
        there.run(f"echo 0 > {made}; echo {VFS} > {made}; rmmod {VARIANT}; mkdir /run/away; "
                  "for m in $(find /lib/modules/ -name 'hisi*acc*vfio*pci.ko'); do "
                  "echo mv /run/away/${m##*/} $m >> /run/back; mv $m /run/away; done; depmod")
        assert message("nvalid argument") in refusal(guest, hosts)
        if stack.native:
            there.run("rmmod vfio_pci vfio_pci_core vfio_iommu_type1 vfio iommufd")
            assert message("IOMMUFD is not supported") in refusal(guest, hosts)
            there.run("modprobe iommufd")
        there.run("sh /run/back; depmod")
        guest.migrate(DO["libvirt-migrate"])
        guest.ends_well()


@migrates
def test_a_rule_creates_vfs_when_the_driver_loads(hosts):
    """The page's udev rule must create two VFs without a driver."""
    ssh = hosts[1].ssh
    ssh.run(f"echo 0 > /sys/bus/pci/devices/{PF}/sriov_numvfs; echo {PF} > /sys/bus/pci/drivers/{STOCK}/unbind; "
            "cat > /etc/udev/rules.d/70-hisi-acc-vfs.rules; udevadm control --reload",
            stdin=blocks("none", "libvirt")["vfs-at-boot"])
    ssh.run(f"echo {PF} > /sys/bus/pci/drivers/{STOCK}/bind; udevadm settle --timeout=60")
    assert len(accelerator.vfs(ssh, hardware.ENGINES[ENGINE])) == 2
    assert driver(hosts[1]) == "none"


@migrates
def test_driverctl_binds_and_remembers(hosts):
    """A VF that is created again must be bound again, by driverctl's record."""
    ssh = hosts[1].ssh
    ssh.run(f"VF={VF}; {DO['driverctl']}")
    assert driver(hosts[1]) == VARIANT
    # the initial state of test_reboot.py
    assert ssh.out(f"cat /etc/driverctl.d/pci-{VF}") == VARIANT
    made = f"/sys/bus/pci/devices/{PF}/sriov_numvfs"
    ssh.run(f"echo 0 > {made}; echo 2 > {made}")
    assert driver(hosts[1]) == "none"
    ssh.run(f"VF={VF}; {DO['driverctl-boot']}")
    assert driver(hosts[1]) == VARIANT


class NoBackports(Context):
    """A context with an empty cache, and a mirror without backports of libvirt."""

    class apt:
        """The mirror."""

        @staticmethod
        def source_versions(package: str) -> list[str]:
            """Only the default release."""
            return [f"{versions.LIBVIRTS[0].name}.0-3+deb13u3"]


def test_without_backports_the_default_is_taken(tmp_path, monkeypatch):
    """Without backports the default release must be used, and one line must say so."""
    monkeypatch.setattr(rootfs, "archives", lambda name, title, packages, made, context: tmp_path / name / packages[0])
    told = io.StringIO()
    default, newest = versions.LIBVIRTS[0], versions.LIBVIRTS[-1]
    context = NoBackports(Cache(tmp_path / "cache"), Steps(told))
    assert rootfs.libvirt(newest, context) == rootfs.libvirt(default, context)
    assert rootfs.libvirt(newest, context).parent == tmp_path / f"rootfs-libvirt-{default.name}" / rootfs.LIBVIRT_PACKAGES[0]
    assert told.getvalue().count("\n") == 2
    assert f"This machine's mirror has no libvirt {newest.name}; the lab takes {default.name} instead." in told.getvalue()


def test_no_command_of_the_page_is_left():
    """The tests here must use each command line and XML of the page."""
    source = pathlib.Path(__file__).read_text(encoding="utf-8")
    assert DO and [name for name in DO if f"DO['{name}']" not in source and f'DO["{name}"]' not in source] == []
    assert [name for name in XML if f'XML["{name}"]' not in source and f'"{name}"' not in source] == []
