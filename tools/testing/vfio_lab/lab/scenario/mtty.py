# SPDX-License-Identifier: GPL-2.0
"""Devices of the kernel's sample driver mtty in a host; see build/mtty_modules.py."""

from __future__ import annotations

from .ssh import Ssh

#: UUIDs of devices
UUID = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1{:03}"


def create(ssh: Ssh, count: int) -> list[str]:
    """Load the sample and make devices of two ports each; their directories in sysfs."""
    ssh.run("modprobe vfio && modprobe vfio_iommu_type1 && modprobe iommufd && "
            "insmod /lab/mdev.ko && insmod /lab/mtty.ko")
    names = [UUID.format(number) for number in range(count)]
    for name in names:
        ssh.run(f"echo {name} > /sys/class/mdev_bus/mtty/mdev_supported_types/mtty-2/create")
    return [f"/sys/bus/mdev/devices/{name}" for name in names]
