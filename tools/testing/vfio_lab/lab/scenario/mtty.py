# SPDX-License-Identifier: GPL-2.0
"""The kernel's sample device with migration support, as modules for a host.

The lab's kernels have neither mtty nor mdev; both are built from the kernel's sources.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from ..core import processors
from ..core.cache import digest
from ..core.context import Context, shared
from ..core.run import run
from ..build.kernel import BUILD_ENV, MAKE, Kernel
from .ssh import Ssh

RECIPE = 1
SOURCES = ("drivers/vfio/mdev/mdev_core.c", "drivers/vfio/mdev/mdev_sysfs.c", "drivers/vfio/mdev/mdev_driver.c",
           "drivers/vfio/mdev/mdev_private.h", "samples/vfio-mdev/mtty.c")
KBUILD = "obj-m := mdev.o mtty.o\nmdev-y := mdev_core.o mdev_sysfs.o mdev_driver.o\n"
MODULES = ("mdev.ko", "mtty.ko")
#: UUIDs of devices
UUID = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1{:03}"


def modules(kernel: Kernel, context: Context | None = None) -> list[Path]:
    """mdev.ko and mtty.ko, in the order they are loaded in, built if not cached."""
    context = context or shared()

    def build(folder: Path) -> None:
        log = context.cache.log(f"mtty-{kernel.version}")
        work = folder / "work"
        work.mkdir()
        with context.steps.step(f"build the sample mtty of kernel {kernel.version}", log):
            for name in SOURCES:
                shutil.copy(kernel.source / name, work)
            (work / "Kbuild").write_text(KBUILD, encoding="utf-8")
            run([*MAKE, f"-j{processors.count()}", "-C", kernel.build, f"M={work}", "modules"], log=log,
                env=BUILD_ENV, failure=f"mtty cannot be built for kernel {kernel.version}.")
            for name in MODULES:
                run(["aarch64-linux-gnu-strip", "--strip-debug", "-o", folder / name, work / name], log=log)
            shutil.rmtree(work)

    folder = context.cache.entry(f"mtty-{kernel.version}", kernel.release,
                                 digest({"recipe": RECIPE, "kernel": kernel.build.parent.name, "kbuild": KBUILD}),
                                 build, context.waiting)
    return [folder / name for name in MODULES]


def files(kernel: Kernel, context: Context | None = None) -> dict[str, Path]:
    """Files to push into a host (HostConfig.push)."""
    return {f"/lab/{path.name}": path for path in modules(kernel, context)}


def create(ssh: Ssh, count: int) -> list[str]:
    """Load the sample and make devices of two ports each; their folders in sysfs."""
    ssh.run("modprobe vfio && modprobe vfio_iommu_type1 && modprobe iommufd && "
            "insmod /lab/mdev.ko && insmod /lab/mtty.ko")
    names = [UUID.format(number) for number in range(count)]
    for name in names:
        ssh.run(f"echo {name} > /sys/class/mdev_bus/mtty/mdev_supported_types/mtty-2/create")
    return [f"/sys/bus/mdev/devices/{name}" for name in names]
