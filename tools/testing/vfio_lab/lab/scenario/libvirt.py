# SPDX-License-Identifier: GPL-2.0
"""libvirt domains in the lab's hosts, with the lab's guest in them."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Sequence

from ..core import paths
from ..core.errors import LabError
from ..core.guide import blocks
from ..core.versions import Release
from .guest import MEMORY_MIB
from .host import Host
from .load import LoadRecord

#: the domain of the guide's commands
NAME = "guest"
#: pushed into a host with libvirt
DAEMON = "/lab/libvirt"
PROGRAM = paths.LAB / "programs/host/libvirt"
#: SSH key and options by which virsh reaches the other host
KEY = "/lab/key"


def domain(devices: str, more: str = "", load: str = "24,4096", driver: str = "hisi_sec2", name: str = NAME,
           machine: str = "virt", append: str = "") -> str:
    """A domain's XML: the lab's guest with these devices; `more` is added to it, `append` to its kernel's command line."""
    return f"""
<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{name}</name>
  <memory unit='MiB'>{MEMORY_MIB}</memory>
  <vcpu>2</vcpu>
  <os>
    <type arch='aarch64' machine='{machine}'>hvm</type>
    <kernel>/lab/Image</kernel>
    <initrd>/lab/guest.cpio</initrd>
    <cmdline>console=ttyAMA0 rdinit=/init panic=-1 quiet lab.driver={driver} lab.load={load}{append}</cmdline>
  </os>
  <features><gic version='3'/></features>
  <cpu mode='host-passthrough'/>
  <on_crash>destroy</on_crash>
  <devices>
    <serial type='file'><source path='/run/{name}.console'/></serial>
    <channel type='pipe'><source path='/run/{name}.report'/><target type='virtio' name='report'/></channel>
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
    """One domain, on one of these hosts, at first on the first; a context manager that ends it. `name` is that of its XML."""

    def __init__(self, hosts: Sequence[Host], xml: str, name: str = NAME) -> None:
        self.name = name
        self._console, self._report, self._xml = (f"/run/{name}.{what}" for what in ("console", "report", "xml"))
        self.record = LoadRecord(max(h.timeout_scale for h in hosts))
        self.host = hosts[0]
        self._hosts = hosts
        #: the hosts that it was started on, or was to arrive at
        self._been: dict[Host, None] = {}
        self._readers: list[subprocess.Popen[bytes]] = []
        self.host.ssh.run(f"cat > {self._xml}", stdin=xml)

    def expect(self, host: Host) -> None:
        """Prepare a host to receive the guest's load reports, before the guest gets there."""
        host.ssh.run(f"rm -f {self._console} {self._report}.in {self._report}.out; mkfifo {self._report}.in {self._report}.out")
        self._been[host] = None
        # Open for writing, too: writers come and go
        reader = host.ssh.popen(f"exec cat <> {self._report}.out", stdout=subprocess.PIPE)
        threading.Thread(target=self.record.follow, args=(host.name, reader.stdout), daemon=True).start()
        self._readers.append(reader)

    def __enter__(self) -> Domain:
        return self

    def __exit__(self, *_: object) -> None:
        for host in self._been:
            if host.alive():
                host.ssh.run(f"virsh destroy {self.name}", check=False, timeout=120)
                log = host.ssh.run(f"cat {self._console} /var/log/libvirt/qemu/{self.name}.log", check=False).stdout
                host.console.with_name(f"{self.name}-on-{host.name}.log").write_text(log, encoding="utf-8")
        for reader in self._readers:
            reader.kill()
            reader.wait()

    def start(self) -> None:
        """virsh create, which validates the XML, and wait until the guest's load makes progress."""
        self.expect(self.host)
        self.host.ssh.run(f"virsh create --validate {self._xml}", timeout=180)
        self.record.wait("the guest's driver is ready", lambda: self.record.ready, 120, self._alive)
        self.goes_on()

    def _alive(self) -> bool:
        return self.host.alive()

    def goes_on(self) -> None:
        """Wait until each lane of the load makes progress on the current host."""
        self.record.wait("a report from here", lambda: self.record.last is not None and
                         self.record.last.host == self.host.name, 60, self._alive)
        self.record.wait_progress("the load goes on", 20, 60, self._alive)

    def migrate(self, command: str, there: Host | None = None) -> str:
        """Run a migration command on the current host; returns virsh's output. The load must
        continue on the other host, the next one if none is named."""
        there = there or next(host for host in self._hosts if host is not self.host)
        self.expect(there)
        done = self.host.ssh.run(f"DESTINATION={there.name}; {command} 2>&1", timeout=240)
        self.host = there
        self.goes_on()
        return done.stdout

    def opened(self) -> list[str]:
        """Files of VFIO and iommufd that QEMU has open."""
        names = self.host.ssh.out(f"for fd in /proc/$(cat /run/libvirt/qemu/{self.name}.pid)/fd/*; do readlink $fd; done")
        return sorted(name for name in names.splitlines() if name.startswith(("/dev/iommu", "/dev/vfio/")))

    def end(self) -> list[str]:
        """End the load; returns its failed checks, of which lost requests are one."""
        self.host.ssh.run(f"echo stop > {self._report}.in")
        self.record.wait("the load ends", lambda: self.record.exit_status is not None, 60, self._alive)
        return self.record.failures()

    def ends_well(self) -> None:
        """The load must end with every request accounted for."""
        assert self.end() == []


def said(host: Host, command: str, timeout: float = 180) -> str:
    """Output of a command that must fail."""
    done = host.ssh.run(command, timeout=timeout, check=False)
    if not done.returncode:
        raise LabError(f"host {host.name}: '{command}' was not refused")
    return done.stdout + done.stderr
