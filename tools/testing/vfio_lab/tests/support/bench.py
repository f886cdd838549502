# SPDX-License-Identifier: GPL-2.0
"""A host with two VFs of one accelerator, and operations on them: migration steps, faults of the
device, and a module that takes the PF's locks."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import steps
import tap
from lab.core import hardware, paths, versions
from lab.core.context import Context
from lab.core.errors import LabError
from lab.core.timeouts import MACHINE
from lab.core.progress import Steps
from lab.build import cross, kernel
from lab.build.load_module import looping_vfio, rival_module
from lab.scenario import accelerator
from lab.scenario.config import MODEL, HostConfig
from lab.scenario.host import Host
from lab.scenario.session import Session

SEC = hardware.ENGINES["sec"]
VARIANT = hardware.VARIANT_DRIVER
RIVAL = "/sys/module/qm_rival/parameters"
PF = f"/sys/bus/pci/devices/{SEC.pf}"
QUEUES = 4                              # of each of the two VFs
# The PF's driver runs no self-tests: it has no queues for them
QUIET = {"pf-algs": "0", "vf-algs": "0"}


def config(context: Context, version: str, driver: str, vfs: int = 2, patch: Path | None = None,
           modules: tuple[Path, ...] = (), **model: str) -> HostConfig:
    """What to boot, with programs and modules that the tests use. `patch` is one of the kernel; `modules` take the place of
    the kernel's."""
    built = kernel.kernel(version, context, patch)
    return HostConfig(kernel=version, driver=driver, vfs=vfs, kernel_patch=patch, modules=modules, model={
        **MODEL, **QUIET, "queues": str(hardware.PF_QUEUES + vfs * QUEUES),
        **{name.replace("_", "-"): value for name, value in model.items()}}, push={
        steps.REMOTE: steps.program(context),
        steps.LOOP: cross.vfio_program("vfio_loop", context),
        **tap.files(context),
        "/lab/qm_rival.ko": rival_module(built, context),
        "/lab/vfio.ko": looping_vfio(built, context)})


@dataclasses.dataclass
class Bench:
    """The host; `driver` is `tree` or `in-tree`."""

    host: Host
    kernel: str
    driver: str

    def bring_up(self, vfs: int = 2) -> None:
        """Set up the PF and two or more VFs, and load the variant driver."""
        accelerator.set_up(self.host.ssh, [SEC], vfs)

    @property
    def vfs(self) -> list[str]:
        """PCI addresses of the VFs."""
        return accelerator.vfs(self.host.ssh, SEC)

    def bind(self) -> None:
        """Bind all VFs to the driver under test."""
        accelerator.bind(self.host.ssh, self.vfs, VARIANT)

    def unbind(self, *addresses: str) -> None:
        """Unbind these VFs, by default all."""
        for address in addresses or self.vfs:
            self.host.ssh.run(f"echo {address} > /sys/bus/pci/drivers/{VARIANT}/unbind")

    def enable(self, vfs: int) -> None:
        """sriov_numvfs."""
        self.host.ssh.run(f"echo 0 > {PF}/sriov_numvfs")
        if vfs:
            self.host.ssh.run(f"echo {vfs} > {PF}/sriov_numvfs")

    def open(self, number: int = 0, physical: str = "") -> steps.Vf:
        """Open a VF; a context manager."""
        return steps.Vf(self.host, self.vfs[number], physical)

    def kselftest(self, *names: str, timeout: float = 600) -> str:
        """Run the hisi_acc kselftests, all or some tests; returns their output."""
        return self.host.ssh.run(tap.command(self.vfs, *names), timeout=timeout, check=False).stdout

    def references(self) -> int:
        """The reference count of the driver's module."""
        return int(self.host.ssh.out(f"cat /sys/module/{VARIANT}/refcnt"))

    def count(self, *events: str, vf: int = 1) -> int:
        """Count of events of a VF; 0 is the PF."""
        counts = self.host.counters("sec", vf)["events"]
        return sum(counts[event] for event in events)

    def mailboxes(self, vf: int = 1) -> int:
        """Mailbox commands that a VF has received."""
        counts = self.host.counters("sec", vf)
        return sum(counts["mailbox-set"].values()) + sum(counts["mailbox-get"].values())

    def guest_errors(self) -> dict[str, int]:
        """Guest errors of the PF and all VFs."""
        return {f"{number} {name}": count for number in range(3)
                for name, count in self.host.counters("sec", number)["guest-errors"].items() if count}

    def set(self, **faults: object) -> None:
        """Set properties of the device model."""
        for name, value in faults.items():
            self.host.set_model("sec", name.replace("_", "-"), value)

    @contextlib.contextmanager
    def broken(self, vf: str = "1", **faults: object) -> Iterator[None]:
        """A context manager: faults for one VF, or all; 0 is the PF."""
        try:
            self.set(fault_function=vf, **faults)
            yield
        finally:
            self.sound()

    def sound(self) -> None:
        """Remove all faults."""
        for name, value in steps.SOUND.items():
            self.host.set_model("sec", name, value)

    @contextlib.contextmanager
    def rival(self) -> Iterator[None]:
        """A context manager: the qm_rival module is loaded; see modules/qm_rival/qm_rival.c."""
        self.host.ssh.run("insmod /lab/qm_rival.ko")
        try:
            yield
        except BaseException:
            # a lock that a failed test still holds would block all later tests; the test's own
            # error is the one to report
            with contextlib.suppress(LabError):
                self.host.ssh.run(f"echo 0 > {RIVAL}/hold; rmmod qm_rival", check=False)
            raise
        self.host.ssh.run("rmmod qm_rival")

    def tell(self, parameter: str, value: object, check: bool = True) -> bool:
        """Write a parameter of the qm_rival module; returns whether that succeeded."""
        return not self.host.ssh.run(f"echo '{value}' > {RIVAL}/{parameter}", check=check).returncode

    @contextlib.contextmanager
    def traced(self, path: Path) -> Iterator[None]:
        """A context manager: accesses to the device are written to a file."""
        self.host.set_model("sec", "access-trace", str(path))
        try:
            yield
        finally:
            self.host.set_model("sec", "access-trace", "")


@contextlib.contextmanager
def bench(session: Session, context: Context, version: str, driver: str, name: str = "host",
          vfs: int = 2, patch: Path | None = None, modules: tuple[Path, ...] = (), **model: str) -> Iterator[Bench]:
    """Boot a host for at most so many VFs, without setting them up."""
    (host,) = session.boot([session.spec(name, config(context, version, driver, vfs, patch, modules, **model))])
    try:
        yield Bench(host, version, driver)
    finally:
        host.stop()


@contextlib.contextmanager
def one_host(context: Context, name: str, vfs: int = 2, patch: Path | None = None) -> Iterator[Bench]:
    """A host of the default kernel with this driver, for all tests of a file: each of them leaves
    the VFs bound. Its logs are in build/check under `name`."""
    with Session(Steps(io.StringIO()), paths.BUILD / "check" / name) as session, \
            bench(session, context, versions.DEFAULT, "tree", vfs=vfs, patch=patch) as one:
        one.bring_up(vfs)
        yield one


def wait_until(what: str, test, seconds: float = 30) -> None:
    """Wait until the condition holds."""
    seconds *= MACHINE
    deadline = time.monotonic() + seconds
    while not test():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.02)


def shown(counts: Mapping[str, int]) -> str:
    """Counts in one line."""
    return ", ".join(f"{count} x {name}" for name, count in counts.items())
