# SPDX-License-Identifier: GPL-2.0
"""Kernel memory of a VF that is bound, open, and has a migration file, in bytes of slab;
and the size of its migration data."""

from __future__ import annotations

import dataclasses

from lab.core.errors import LabError
from lab.core.hardware import VARIANT_DRIVER
from lab.probe import kmem

from .rig import IN_TREE, TREE, Rig

#: number of VFs over which one-time allocations are averaged
VFS = 8
STAGES = ("bound", "open", "saved")


@dataclasses.dataclass(frozen=True)
class Cost:
    """Bytes of slab for each VF, added in each stage, by the allocating module. `size` is
    the size of the migration data, `module` that of the driver's code and data."""

    driver: str
    stages: dict[str, kmem.InUse]
    size: int
    module: int

    def own(self, stage: str) -> int:
        """Allocations of the driver and of VFIO, which allocates the driver's object."""
        return sum(n for module, n in self.stages[stage].items() if module == VARIANT_DRIVER or module.startswith("vfio"))


def _each(now: kmem.InUse, before: kmem.InUse) -> kmem.InUse:
    """Increase for each VF, in bytes."""
    return {module: (now.get(module, 0) - before.get(module, 0)) // VFS for module in now | before}


def _bound(rig: Rig, vfs: list[str]) -> kmem.InUse:
    """Bind the VFs from one shell, whose allocations are traced."""
    shell = rig.ssh
    for vf in vfs:
        shell.run(f"echo {vf} > /sys/bus/pci/devices/{vf}/driver/unbind")
    with kmem.traced(shell, "0"):
        shell.run("for e in " + " ".join(kmem.TAKEN) + f"; do echo common_pid == $$ > {kmem.TRACING}/events/kmem/$e/filter; "
                  "done; for f in " + " ".join(vfs) + "; do echo $f > /sys/bus/pci/drivers_probe; done")
        return kmem.in_use(shell)


def _held(rig: Rig, vfs: list[str]) -> tuple[list[kmem.InUse], int]:
    """Open the VFs, then save them, in one program; the memory in use after each."""
    process = rig.popen(f"hold {' '.join(vfs)}")
    assert process.stdin and process.stdout

    def stage(name: str) -> int:
        said = process.stdout.readline().decode().split()
        if said[:1] != [name]:
            raise LabError(f"the program that opens {len(vfs)} VFs: got '{' '.join(said)}', expected '{name}'")
        return int(said[1])

    def go_on() -> None:
        process.stdin.write(b"\n")
        process.stdin.flush()

    found = []
    with kmem.traced(rig.ssh, str(stage("closed"))):
        go_on()
        stage("open")
        found.append(kmem.in_use(rig.ssh))
        go_on()
        size = stage("saved")
        found.append(kmem.in_use(rig.ssh))
        go_on()
        process.stdin.close()
        process.wait(60)
    return found, size


def measure(rig: Rig) -> list[Cost]:
    """Measure both drivers, on some VFs of the host."""
    found = []
    some = rig.vfs[1:1 + VFS]           # the first VF allocates shared data
    for which in (TREE, IN_TREE):
        rig.use(which)
        _held(rig, some)                    # fill caches
        bound = _bound(rig, some)
        (opened, saved), size = _held(rig, some)
        found.append(Cost(which, dict(zip(STAGES, (_each(bound, {}), _each(opened, {}), _each(saved, opened)))), size,
                          int(rig.ssh.out(f"awk '$1 == \"{VARIANT_DRIVER}\" {{ print $2 }}' /proc/modules"))))
    return found
