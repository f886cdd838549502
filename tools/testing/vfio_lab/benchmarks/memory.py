# SPDX-License-Identifier: GPL-2.0
"""Memory: what a virtual function costs the kernel bound, open, and with a data
file, in exact bytes of slab; and how many bytes of it go over the wire."""

from __future__ import annotations

import dataclasses

from lab.core.errors import LabError
from lab.core.hardware import VARIANT_DRIVER
from lab.probe import kmem

from .rig import MAINLINE, OURS, Rig

#: so many functions share what comes to be once
FUNCTIONS = 8
STAGES = ("bound", "open", "saved")


@dataclasses.dataclass(frozen=True)
class Cost:
    """Bytes of slab for each function, in each stage on top of the one before, by
    the module whose code asked for them. `image` is the size of an image, `module`
    that of the driver's code and data, once."""

    driver: str
    stages: dict[str, kmem.InUse]
    image: int
    module: int

    def own(self, stage: str) -> int:
        """What the driver and VFIO asked for: VFIO allocates the driver's object."""
        return sum(n for module, n in self.stages[stage].items() if module == VARIANT_DRIVER or module.startswith("vfio"))


def _each(now: kmem.InUse, before: kmem.InUse) -> kmem.InUse:
    """Bytes more for each function."""
    return {module: (now.get(module, 0) - before.get(module, 0)) // FUNCTIONS for module in now | before}


def _bound(rig: Rig, functions: list[str]) -> kmem.InUse:
    """Bind them, all by one shell, whose allocations are looked at."""
    shell = rig.ssh
    for f in functions:
        shell.run(f"echo {f} > /sys/bus/pci/devices/{f}/driver/unbind")
    with kmem.traced(shell, "0"):
        shell.run("for e in " + " ".join(kmem.TAKEN) + f"; do echo common_pid == $$ > {kmem.TRACING}/events/kmem/$e/filter; "
                  "done; for f in " + " ".join(functions) + "; do echo $f > /sys/bus/pci/drivers_probe; done")
        return kmem.in_use(shell)


def _held(rig: Rig, functions: list[str]) -> tuple[list[kmem.InUse], int]:
    """One program opens them, then saves them: what is in use after each."""
    process = rig.popen(f"hold {' '.join(functions)}")
    assert process.stdin and process.stdout

    def stage(name: str) -> int:
        said = process.stdout.readline().decode().split()
        if said[:1] != [name]:
            raise LabError(f"the program that holds {len(functions)} functions said '{' '.join(said)}', not '{name}'")
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
        image = stage("saved")
        found.append(kmem.in_use(rig.ssh))
        go_on()
        process.stdin.close()
        process.wait(60)
    return found, image


def measure(rig: Rig) -> list[Cost]:
    """Both drivers, on some functions of the host."""
    found = []
    some = rig.functions[1:1 + FUNCTIONS]   # the first brings what all of a device share
    for which in (OURS, MAINLINE):
        rig.use(which)
        _held(rig, some)                    # caches that appear once
        bound = _bound(rig, some)
        (opened, saved), image = _held(rig, some)
        found.append(Cost(which, dict(zip(STAGES, (_each(bound, {}), _each(opened, {}), _each(saved, opened)))), image,
                          int(rig.ssh.out(f"awk '$1 == \"{VARIANT_DRIVER}\" {{ print $2 }}' /proc/modules"))))
    return found
