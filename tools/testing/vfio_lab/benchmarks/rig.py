# SPDX-License-Identifier: GPL-2.0
"""A host that has both drivers, and the program that measures them."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from lab.core import hardware
from lab.core.context import Context
from lab.build import driver, kernel, kselftest
from lab.scenario import accelerator
from lab.scenario.config import MODEL, HostConfig
from lab.scenario.host import Host
from lab.scenario.session import Session

TREE, IN_TREE = "tree", "in-tree"
#: the drivers' names in tables and plots
NAMES = {TREE: "this driver", IN_TREE: "in-tree driver"}
Case = TypeVar("Case")
PROGRAM = "/lab/bench"
MODULE = "/lab/tree.ko"
SEC = hardware.ENGINES["sec"]

#: default number of queue pairs of each VF
QUEUES = 8
# Without algorithms the PF is idle, so that only the variant driver's accesses count
QUIET = {"pf-algs": "0", "vf-algs": "0"}


def in_turn(cases: tuple[Case, ...], number: int) -> tuple[Case, ...]:
    """The cases in order, reversed in every second turn, because a case influences the
    one after it."""
    return cases[::-1] if number % 2 else cases


def program(context: Context):
    """The benchmark's program for a host, built if it is not cached."""
    return kselftest.program("acc_migration_bench", context)


@dataclasses.dataclass
class Rig:
    """A booted host with VFs; use() binds them to one of the drivers."""

    host: Host
    version: str
    vfs: list[str]
    driver: str = ""

    @property
    def ssh(self):
        """SSH to the host."""
        return self.host.ssh

    def use(self, which: str) -> None:
        """Bind all VFs to the driver `which`; first unload the other one if it is loaded."""
        if which == self.driver:
            return
        self.unload()
        if which == TREE:
            # insmod does not load dependencies; modprobe in bind() finds a driver of this name loaded
            self.ssh.run(f"modprobe -a $(modinfo -F depends {MODULE} | tr , ' ') && insmod {MODULE}")
        self.bind()
        self.driver = which
        self.host.spec.config = dataclasses.replace(self.host.spec.config, driver=which)

    def bind(self) -> None:
        """Bind all VFs to the loaded driver, or to the in-tree driver, which is loaded if none is."""
        accelerator.bind(self.ssh, self.vfs, hardware.VARIANT_DRIVER)

    def bind_anew(self) -> None:
        """Unbind and bind all VFs, which clears what the driver cached."""
        self.unbind()
        self.bind()

    def unbind(self) -> None:
        """Unbind the VFs that are bound."""
        folder = f"/sys/bus/pci/drivers/{hardware.VARIANT_DRIVER}"
        self.ssh.run(f"for f in {' '.join(self.vfs)}; do "
                     f"[ ! -e {folder}/$f ] || echo $f > {folder}/unbind || exit 1; done")

    def unload(self) -> None:
        """Unbind the VFs and unload the driver."""
        self.unbind()
        self.ssh.run(f"[ ! -e /sys/bus/pci/drivers/{hardware.VARIANT_DRIVER} ] || rmmod {hardware.VARIANT_DRIVER}")
        self.driver = ""

    def run(self, arguments: str, timeout: float = 300) -> list[list[str]]:
        """Run the program; return its output as lists of words."""
        return [line.split() for line in self.ssh.out(f"{PROGRAM} {arguments}", timeout).splitlines()]

    def popen(self, arguments: str) -> subprocess.Popen[bytes]:
        """Start the program with its input and output as pipes."""
        return self.ssh.popen(f"{PROGRAM} {arguments} 2>&1", stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def model(self, **properties: int) -> None:
        """Set properties of the device model, e.g. mailbox_latency=20."""
        for name, value in properties.items():
            self.host.set_model("sec", name.replace("_", "-"), value)


def boot(session: Session, version: str, vfs: int, queues: int = QUEUES, push: Mapping[str, Path] | None = None) -> Rig:
    """Boot a host of this kernel that has both drivers, neither loaded, and the files `push`."""
    context = session.context
    tree = driver.module(kernel.kernel(version, context), context)
    config = HostConfig(kernel=version, driver=IN_TREE, vfs=vfs,
                        push={PROGRAM: program(context), MODULE: tree, **(push or {})},
                        model={**MODEL, **QUIET, "queues": str(hardware.PF_QUEUES + vfs * queues)})
    (host,) = session.boot([session.spec(f"bench-{version}", config)])
    accelerator.bring_up(host.ssh, SEC, vfs)
    return Rig(host, version, accelerator.vfs(host.ssh, SEC))
