# SPDX-License-Identifier: GPL-2.0
"""The kernel's sample device with migration support, mtty, as modules for a host.

The lab's kernels have neither mtty nor mdev; both are built from the kernel's sources.
"""

from __future__ import annotations

from pathlib import Path

from ..core.context import Context, shared
from . import module
from .kernel import Kernel

SOURCES = ("drivers/vfio/mdev/mdev_core.c", "drivers/vfio/mdev/mdev_sysfs.c", "drivers/vfio/mdev/mdev_driver.c",
           "drivers/vfio/mdev/mdev_private.h", "samples/vfio-mdev/mtty.c")
KBUILD = b"obj-m := mdev.o mtty.o\nmdev-y := mdev_core.o mdev_sysfs.o mdev_driver.o\n"
#: in the order in which they are loaded
MODULES = ("mdev", "mtty")


def files(kernel: Kernel, context: Context | None = None) -> dict[str, Path]:
    """Modules to push into a host (HostConfig.push), built if they are not cached."""
    sources = {Path(place).name: (kernel.source / place).read_bytes() for place in SOURCES}
    built = module.build("mtty", "mtty", {**sources, "Kbuild": KBUILD}, kernel, context or shared(), MODULES)
    return {f"/lab/{name}.ko": built / f"{name}.ko" for name in MODULES}
