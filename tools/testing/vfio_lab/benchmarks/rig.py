# SPDX-License-Identifier: GPL-2.0
"""A host on which both drivers take turns, and the program that times them."""

from __future__ import annotations

import dataclasses
import subprocess
from typing import TypeVar

from lab.core import hardware
from lab.core.context import Context
from lab.build import driver, kernel, kselftest
from lab.scenario import accelerator
from lab.scenario.host import Host
from lab.scenario.session import MODEL, Choice, Session

OURS, MAINLINE = "ours", "mainline"
Case = TypeVar("Case")
PROGRAM = "/lab/bench"
MODULE = "/lab/ours.ko"
SEC = hardware.ENGINES["sec"]

#: queue pairs of each virtual function, unless a benchmark wants others
QUEUES = 8
# The physical function has no work of its own, so all that is counted is the driver's
QUIET = {"pf-algs": "0", "vf-algs": "0"}


def in_turn(cases: tuple[Case, ...], number: int) -> tuple[Case, ...]:
    """The cases in their order, in each second turn from the last to the first: what
    ran just before makes a difference to what comes after it."""
    return cases[::-1] if number % 2 else cases


def program(context: Context):
    """The benchmark's program for a host, built if it is not cached."""
    return kselftest.program("acc_migration_bench", context)


@dataclasses.dataclass
class Rig:
    """A booted host with virtual functions; use() binds them to one of both drivers."""

    host: Host
    version: str
    functions: list[str]
    driver: str = ""

    @property
    def ssh(self):
        """The way into the host."""
        return self.host.ssh

    def use(self, which: str) -> None:
        """Bind all functions to `which`: ours or mainline's.  The other module is
        unloaded first, if it is loaded."""
        if which == self.driver:
            return
        self.unload()
        # What insmod does not look for itself
        load = (f"modprobe -a $(modinfo -F depends {MODULE} | tr , ' ') && insmod {MODULE}" if which == OURS else
                f"modprobe {hardware.VARIANT_DRIVER}")
        self.ssh.run(f"modprobe vfio_iommu_type1 && {load}")
        self.bind()
        self.driver = which

    def bind(self) -> None:
        """Bind all functions to the module that is loaded."""
        self.ssh.run("for f in " + " ".join(self.functions) + f"; do d=/sys/bus/pci/devices/$f; "
                     f"echo {hardware.VARIANT_DRIVER} > $d/driver_override; echo $f > /sys/bus/pci/drivers_probe; "
                     "[ -e $d/driver ] || exit 1; done")

    def bind_anew(self) -> None:
        """Have the driver forget all that it knows of the functions; it stays loaded."""
        self.unbind()
        self.bind()

    def unbind(self) -> None:
        """Take from the driver those functions that it has."""
        folder = f"/sys/bus/pci/drivers/{hardware.VARIANT_DRIVER}"
        self.ssh.run(f"for f in {' '.join(self.functions)}; do "
                     f"[ ! -e {folder}/$f ] || echo $f > {folder}/unbind || exit 1; done")

    def unload(self) -> None:
        """Take the functions from the driver and the driver from the kernel."""
        self.unbind()
        self.ssh.run(f"[ ! -e /sys/bus/pci/drivers/{hardware.VARIANT_DRIVER} ] || rmmod {hardware.VARIANT_DRIVER}")
        self.driver = ""

    def run(self, arguments: str, timeout: float = 300) -> list[list[str]]:
        """Run the program; the words of each line it prints."""
        return [line.split() for line in self.ssh.out(f"{PROGRAM} {arguments}", timeout).splitlines()]

    def popen(self, arguments: str) -> subprocess.Popen[bytes]:
        """Start the program, to talk with it."""
        return self.ssh.popen(f"{PROGRAM} {arguments} 2>&1", stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def model(self, **properties: int) -> None:
        """Change the device: mailbox_latency=20 and so on."""
        for name, value in properties.items():
            self.host.set_model("sec", name.replace("_", "-"), value)


def boot(session: Session, version: str, vfs: int, queues: int = QUEUES) -> Rig:
    """Boot a host of this kernel with both drivers at hand, neither loaded."""
    context = session.context
    ours = driver.module(OURS, kernel.kernel(version, context), context)
    choice = Choice(kernel=version, driver=MAINLINE, vfs=vfs,
                    push={PROGRAM: program(context), MODULE: ours},
                    model={**MODEL, **QUIET, "queues": str(hardware.PF_QUEUES + vfs * queues)})
    (host,) = session.boot([session.spec(f"bench-{version}", choice, guest=False)])
    accelerator.bring_up(host.ssh, SEC, vfs)
    return Rig(host, version, accelerator.functions(host.ssh, SEC))
