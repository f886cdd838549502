# SPDX-License-Identifier: GPL-2.0
"""A small fleet: hosts with libvirt, guests under load, and a rolling upgrade of the driver, host by host, in which one
host dies.

Each guest has a VF of the same address on every host.  A host is drained, gets this driver as a package, and its
guests come back.  Where a guest may go is a matter of QEMU's releases, see versions.refusal().
"""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import re
import threading
import time
from collections.abc import Sequence

from ..core import hardware, versions
from ..core.errors import LabError
from ..core.guide import blocks
from ..core.progress import Steps
from ..build import kernel, module_package, rootfs
from . import accelerator
from .config import MODEL, GuestConfig, HostConfig
from .host import Host
from .libvirt import DAEMON, KEY, PROGRAM, Domain, domain, libvirt_up
from .link import Switch
from .session import Session


@dataclasses.dataclass(frozen=True)
class Member:
    """A host of the fleet: its driver, its QEMU, and how many guests it has at first."""

    name: str
    driver: str
    vmm: versions.Vmm
    guests: int


OLD, NEW = versions.VMMS[0], versions.VMMS[-1]
MEMBERS = (Member("host1", "in-tree", OLD, 2), Member("host2", "in-tree", NEW, 2),
           Member("host3", "tree", OLD, 1), Member("host4", "tree", NEW, 1))
#: the host that dies while a guest is on its way to it
MORTAL = "host4"
GUESTS = sum(member.guests for member in MEMBERS)
KERNEL = versions.DEFAULT
ENGINE = hardware.ENGINES["sec"]
LIBVIRT = versions.LIBVIRTS[-1]
#: of a host, in MiB: its root, and half of the guests
MEMORY = 3072
#: lanes and longest request of each guest, and microseconds that a request takes: few, as six guests share the machine
LOAD, LATENCY = "4,1024", 200_000
PACKAGE = "/lab/hisi-acc-vfio-pci-modules.deb"
#: commands of the guide
MIGRATE = blocks("sh", "libvirt")["libvirt-migrate"]
ABORT, UPGRADE = (blocks("sh", "fleet")[name] for name in ("abort", "upgrade-by-package"))


@dataclasses.dataclass
class Stay:
    """A guest on a host, in seconds since the fleet's start, with what brought it there and what ended it."""

    guest: str
    host: str
    start: float
    came: str
    end: float = 0.0
    went: str = ""


@dataclasses.dataclass(frozen=True)
class Move:
    """A migration, whether it was completed, and its downtime in milliseconds, if libvirt has it: by the source's
    clock alone, as those of the hosts differ."""

    guest: str
    source: str
    destination: str
    start: float
    end: float
    completed: bool
    downtime_ms: int | None = None


@dataclasses.dataclass
class Story:
    """What happened, in seconds since the fleet's start.  `upgrades` has when a host's package was installed, from and
    to, `deaths` when a host died; `verified` counts requests by guest, each compared with the result of software."""

    stays: list[Stay] = dataclasses.field(default_factory=list)
    moves: list[Move] = dataclasses.field(default_factory=list)
    upgrades: dict[str, tuple[float, float]] = dataclasses.field(default_factory=dict)
    deaths: dict[str, float] = dataclasses.field(default_factory=dict)
    lost: list[str] = dataclasses.field(default_factory=list)
    verified: dict[str, int] = dataclasses.field(default_factory=dict)
    failures: list[str] = dataclasses.field(default_factory=list)
    seconds: float = 0.0


def boot(session: Session) -> list[Host]:
    """Boot the fleet's hosts, at one switch."""
    if not rootfs.has_libvirt(LIBVIRT, session.context):
        raise LabError(f"This machine's mirror has no libvirt {LIBVIRT.name}, which a fleet needs.")
    switch = Switch([member.name for member in MEMBERS], session.folder)
    session.callback(switch.close)
    package = module_package.build(kernel.kernel(KERNEL, session.context), session.folder, session.context)
    with session.context.steps.step("build the hosts' initramfs"):
        specs = [session.spec(member.name, config(member, package, session), GuestConfig(), switch.ports) for member in MEMBERS]
    return session.boot(specs)


def config(member: Member, package: pathlib.Path, session: Session) -> HostConfig:
    """A member of the fleet: libvirt, dpkg, the package, and the key to the other hosts."""
    return HostConfig(KERNEL, driver=member.driver, vfs=GUESTS, vmm=member.vmm.name, memory=MEMORY, append="cryptomgr.notests",
                      model={**MODEL, "request-latency": str(LATENCY)},
                      roots=(rootfs.libvirt(LIBVIRT, session.context), rootfs.dpkg(session.context)),
                      push={DAEMON: PROGRAM, KEY: session.key(), PACKAGE: package})


class Fleet:
    """The hosts and their guests."""

    def __init__(self, hosts: Sequence[Host], steps: Steps) -> None:
        self.story = Story()
        self._began = time.monotonic()
        self._steps = steps
        self._hosts = {host.name: host for host in hosts}
        # where the mirror has no newer QEMU, all have the older one
        self._vmms = {host.name: host.spec.vmm for host in hosts}
        self._guests: dict[str, Domain] = {}
        self._numbers: dict[str, int] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *_: object) -> None:
        self.story.seconds = self.now()
        for stay in self.story.stays:
            stay.end = stay.end or self.now()
        self._stack.close()

    def now(self) -> float:
        """Seconds since its start."""
        return round(time.monotonic() - self._began, 3)

    def _stay(self, guest: str) -> Stay:
        return next(stay for stay in reversed(self.story.stays) if stay.guest == guest)

    def _on(self, host: str) -> list[str]:
        """The guests that a host has."""
        return [name for name, guest in self._guests.items() if guest.host.name == host and name not in self.story.lost]

    def _living(self) -> list[str]:
        return [name for name in self._hosts if name not in self.story.deaths]

    def set_up(self) -> None:
        """Enable VFs, and start libvirt."""
        for host in self._hosts.values():
            with self._steps.step(f"{host.name}: VFs, libvirt", host.console):
                accelerator.bring_up(host.ssh, ENGINE, GUESTS)
                libvirt_up(host, LIBVIRT)

    def start(self, name: str, number: int, host: str) -> None:
        """Start a guest with a VF of this number on a host."""
        libvirt = blocks("xml", "libvirt")
        devices = libvirt["managed"].replace("function='0x1'", f"function='{number:#x}'")
        xml = domain(devices, libvirt["iommufd"], LOAD, name=name, machine=versions.machine(OLD, NEW),
                     append=" cryptomgr.notests lab.selftests=no")
        others = [self._hosts[other] for other in self._living() if other != host]
        with self._steps.step(f"{host}: {name} starts", self._hosts[host].console):
            guest = self._stack.enter_context(Domain([self._hosts[host], *others], xml, name))
            guest.start()
        self._guests[name], self._numbers[name] = guest, number
        self.story.stays.append(Stay(name, host, self.now(), "started"))

    def fill(self) -> None:
        """Start the guests that hosts have at first."""
        number = 0
        for member in MEMBERS:
            for _ in range(member.guests):
                number += 1
                self.start(f"guest{number}", number, member.name)

    def _may(self, source: str, destination: str) -> bool:
        series = versions.SERIES[KERNEL]
        return versions.refusal(series, self._vmms[source], series, self._vmms[destination]) is None

    def _choose(self, source: str) -> str:
        """Where to migrate a guest: rather to a host from which it can come back, and to one with few guests."""
        found = [name for name in self._living() if name != source and self._may(source, name)]
        if not found:
            raise LabError(f"no host can take the guests of {source}")
        return min(found, key=lambda name: (not self._may(name, source), len(self._on(name)), name))

    def _migrate(self, name: str, there: str) -> None:
        """Migrate a guest.  Raises LabError if it was not; it is where it was, then."""
        guest, start = self._guests[name], self.now()
        here = guest.host
        try:
            guest.migrate(MIGRATE.replace(" guest ", f" {name} "), self._hosts[there])
        except LabError:
            self.story.moves.append(Move(name, here.name, there, start, self.now(), False))
            raise
        said = guest.host.ssh.out(f"virsh domjobinfo --completed {name}")
        downtime = re.search(r"^Downtime w/o network: +(\d+)", said, re.M)
        self.story.moves.append(Move(name, here.name, there, start, self.now(), True, int(downtime[1]) if downtime else None))
        stay = self._stay(name)
        stay.end, stay.went = self.now(), "migrated"
        self.story.stays.append(Stay(name, there, self.now(), "migrated"))

    def _kill(self, name: str, there: str) -> None:
        """When memory of the guest is on its way to a host, cut that host's power, and end the migration as a manager of
        a cluster does that has noticed."""
        here = self._guests[name].host
        under_way = here.ssh.run(f"while virsh domjobinfo {name} > /run/job; do grep -q '^Memory processed: *[1-9]' /run/job && "
                                 "exit; usleep 50000; done; exit 1", timeout=120, check=False)
        if under_way.returncode:
            return          # it has arrived, which the caller reports
        self._hosts[there].cut_power()
        self.story.deaths[there] = self.now()
        for other in self._on(there):
            self.story.lost.append(other)
            stay = self._stay(other)
            stay.end, stay.went = self.now(), "lost"
        said = here.ssh.run(ABORT.replace(" guest", f" {name}"), timeout=120, check=False)
        if said.returncode:
            self.story.failures.append(f"the migration of {name} could not be aborted: {said.stderr.strip()}")

    def _dies_on_the_way(self, name: str, there: str) -> None:
        """The destination of a migration dies: the guest must continue where it is."""
        killer = threading.Thread(target=self._kill, args=(name, there))
        killer.start()
        try:
            self._migrate(name, there)
        except LabError:
            self._guests[name].goes_on()
        else:
            self.story.failures.append(f"{name} had migrated to {there} before that died")
        finally:
            killer.join()

    def drain(self, host: str, mortal: str = "") -> dict[str, str]:
        """Migrate all guests of a host away; where each is.  If the host `mortal` is chosen for the last of them, it dies
        meanwhile, and another is chosen."""
        where = {}
        guests = self._on(host)
        for name in guests:
            there = self._choose(host)
            if there == mortal and name == guests[-1]:
                with self._steps.step(f"{host}: {name} to {there}, which dies", self._hosts[host].console):
                    self._dies_on_the_way(name, there)
                there = self._choose(host)
            with self._steps.step(f"{host}: {name} to {there}", self._hosts[host].console):
                self._migrate(name, there)
            where[name] = there
        return {name: there for name, there in where.items() if name not in self.story.lost}

    def upgrade(self, host: str) -> None:
        """Install this driver's package on a host without guests."""
        start = self.now()
        with self._steps.step(f"{host}: this driver's package", self._hosts[host].console):
            self._hosts[host].ssh.run(UPGRADE.replace("$PACKAGE", PACKAGE), timeout=120)
        self.story.upgrades[host] = (start, self.now())

    def refill(self, host: str, where: dict[str, str]) -> None:
        """Migrate guests back that can come back."""
        for name, there in where.items():
            if self._may(there, host):
                with self._steps.step(f"{there}: {name} back to {host}", self._hosts[host].console):
                    self._migrate(name, host)

    def run(self) -> Story:
        """The rolling upgrade; afterwards, guests that were lost are started again."""
        self.set_up()
        self.fill()
        for member in [one for one in MEMBERS if one.driver == "in-tree"]:
            where = self.drain(member.name, MORTAL)
            self.upgrade(member.name)
            self.refill(member.name, where)
        if MORTAL not in self.story.deaths:
            self.story.failures.append(f"{MORTAL} did not die: no guest was on its way to it")
        for name in self.story.lost:
            self.start(f"{name}-again", self._numbers[name], min(self._living(), key=lambda host: len(self._on(host))))
        self._judge()
        return self.story

    def _judge(self) -> None:
        """End all loads; what was lost, and what hosts have logged."""
        story = self.story
        for name, guest in self._guests.items():
            if name in story.lost:
                last = guest.record.last
                if last and (last.mismatched or last.failed or last.stale):
                    story.failures.append(f"{name}, before its host died: {last}")
            else:
                story.failures += [f"{name}: {line}" for line in guest.end()]
                stay = self._stay(name)
                stay.end, stay.went = self.now(), "ended"
            story.verified[name] = guest.record.last.verified if guest.record.last else 0
        for name in self._living():
            host = self._hosts[name]
            module = host.ssh.out(f"modinfo -n {hardware.VARIANT_DRIVER}; ls -d /sys/kernel/tracing/events/{hardware.VARIANT_DRIVER}")
            if "/updates/" not in module or "events" not in module:
                story.failures.append(f"{name} does not run this driver: {module}")
            story.failures += host.unexpected()
