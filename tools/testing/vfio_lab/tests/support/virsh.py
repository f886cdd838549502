# SPDX-License-Identifier: GPL-2.0
"""libvirt domains in the lab's hosts, with the lab's guest in them."""

from __future__ import annotations

import subprocess
import threading

from guide import blocks
from lab.core import paths
from lab.core.errors import LabError
from lab.core.versions import Release
from lab.scenario.guest import MEMORY_MIB
from lab.scenario.host import Host
from lab.scenario.load import LoadRecord

NAME = "guest"
CONSOLE = "/run/guest.console"
REPORT = "/run/report"
#: pushed into a host with libvirt
DAEMON = "/lab/libvirt"
PROGRAM = paths.LAB / "programs/host/libvirt"
#: SSH key and options by which virsh reaches the other host
KEY = "/lab/key"


def domain(devices: str, more: str = "", load: str = "24,4096", driver: str = "hisi_sec2") -> str:
    """A domain's XML: the lab's guest with these devices; `more` is added to it."""
    return f"""
<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{NAME}</name>
  <memory unit='MiB'>{MEMORY_MIB}</memory>
  <vcpu>2</vcpu>
  <os>
    <type arch='aarch64' machine='virt'>hvm</type>
    <kernel>/lab/Image</kernel>
    <initrd>/lab/guest.cpio</initrd>
    <cmdline>console=ttyAMA0 rdinit=/init panic=-1 quiet lab.driver={driver} lab.load={load}</cmdline>
  </os>
  <features><gic version='3'/></features>
  <cpu mode='host-passthrough'/>
  <on_crash>destroy</on_crash>
  <devices>
    <serial type='file'><source path='{CONSOLE}'/></serial>
    <channel type='pipe'><source path='{REPORT}'/><target type='virtio' name='report'/></channel>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    {devices}
  </devices>
  {more}
</domain>"""


def libvirt_up(host: Host, release: Release) -> None:
    """Start libvirt's daemon in a host, configured as the guide says for this release: if the
    daemon does not open devices for QEMU, QEMU's user gets access."""
    files = blocks("none", "libvirt")
    if "iommufd" in release.lacks:
        host.ssh.run("mkdir -p /etc/udev/rules.d; cat > /etc/udev/rules.d/70-iommufd.rules", stdin=files["iommufd-rules"])
        host.ssh.run("cat >> /etc/libvirt/qemu.conf", stdin=files["qemu.conf"])
    else:
        host.ssh.run("xargs -n 1 modprobe", stdin=files["modules-load"])
    host.ssh.run(DAEMON, timeout=120)


class Domain:
    """One domain, on either host; a context manager that ends it."""

    def __init__(self, hosts: tuple[Host, ...], xml: str) -> None:
        self.record = LoadRecord(max(h.timeout_scale for h in hosts))
        self.host = hosts[0]
        self._hosts = hosts
        self._readers: list[subprocess.Popen[bytes]] = []
        self.host.ssh.run("cat > /run/guest.xml", stdin=xml)

    def expect(self, host: Host) -> None:
        """Prepare a host to receive the guest's load reports, before the guest gets there."""
        host.ssh.run(f"rm -f {CONSOLE} {REPORT}.in {REPORT}.out; mkfifo {REPORT}.in {REPORT}.out")
        # Open for writing, too: writers come and go
        reader = host.ssh.popen(f"exec cat <> {REPORT}.out", stdout=subprocess.PIPE)
        threading.Thread(target=self.record.follow, args=(host.name, reader.stdout), daemon=True).start()
        self._readers.append(reader)

    def __enter__(self) -> Domain:
        return self

    def __exit__(self, *_: object) -> None:
        for host in self._hosts:
            if host.alive():
                host.ssh.run(f"virsh destroy {NAME}", check=False, timeout=120)
                log = host.ssh.run(f"cat {CONSOLE} /var/log/libvirt/qemu/{NAME}.log", check=False).stdout
                host.console.with_name(f"domain-on-{host.name}.log").write_text(log, encoding="utf-8")
        for reader in self._readers:
            reader.kill()
            reader.wait()

    def start(self) -> None:
        """virsh create, which validates the XML, and wait until the guest's load makes progress."""
        self.expect(self.host)
        self.host.ssh.run("virsh create --validate /run/guest.xml", timeout=180)
        self.record.wait("the guest's driver is ready", lambda: self.record.ready, 120, self._alive)
        self.goes_on()

    def _alive(self) -> bool:
        return all(host.alive() for host in self._hosts)

    def goes_on(self) -> None:
        """Wait until each lane of the load makes progress on the current host."""
        self.record.wait("a report from here", lambda: self.record.last is not None and
                         self.record.last.host == self.host.name, 60, self._alive)
        self.record.wait_progress("the load goes on", 20, 60, self._alive)

    def migrate(self, command: str) -> str:
        """Run a migration command on the current host; returns virsh's output. The load must
        continue on the other host."""
        there = next(host for host in self._hosts if host is not self.host)
        self.expect(there)
        done = self.host.ssh.run(f"DESTINATION={there.name}; {command} 2>&1", timeout=240)
        self.host = there
        self.goes_on()
        return done.stdout

    def opened(self) -> list[str]:
        """Files of VFIO and iommufd that QEMU has open."""
        names = self.host.ssh.out("for fd in /proc/$(cat /run/libvirt/qemu/" + NAME + ".pid)/fd/*; do readlink $fd; done")
        return sorted(name for name in names.splitlines() if name.startswith(("/dev/iommu", "/dev/vfio/")))

    def ends_well(self) -> None:
        """The load must end with every request accounted for."""
        self.host.ssh.run(f"echo stop > {REPORT}.in")
        self.record.wait("the load ends", lambda: self.record.exit_status is not None, 60, self._alive)
        assert self.record.failures() == []


def said(host: Host, command: str, timeout: float = 180) -> str:
    """Output of a command that must fail."""
    done = host.ssh.run(command, timeout=timeout, check=False)
    if not done.returncode:
        raise LabError(f"host {host.name}: '{command}' was not refused")
    return done.stdout + done.stderr
