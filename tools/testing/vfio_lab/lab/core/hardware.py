# SPDX-License-Identifier: GPL-2.0
"""The accelerators that a host has: names of their drivers, and PCI addresses."""

from __future__ import annotations

import dataclasses

VARIANT_DRIVER = "hisi_acc_vfio_pci"
#: how the names of the stock drivers' algorithms begin in /proc/crypto
ALGORITHMS = ("hisi_", "hisi-", "hpre-")


@dataclasses.dataclass(frozen=True)
class Engine:
    """One kind of accelerator: QEMU's device type, the stock driver's name, and
    the place on the host's root bus.  A PF and its 63 VFs
    take 64 consecutive places of the bus."""

    name: str
    device: str
    driver: str
    slot: int

    @property
    def pf(self) -> str:
        """PCI address of the PF."""
        return f"0000:00:{self.slot:02x}.0"

    def vf(self, number: int) -> str:
        """PCI address of a VF, from 0 on."""
        place = 8 * self.slot + 1 + number
        return f"0000:00:{place // 8:02x}.{place % 8}"


ENGINES = {e.name: e for e in (
    Engine("sec", "hisi-sec2", "hisi_sec2", 0x08),
    Engine("zip", "hisi-zip", "hisi_zip", 0x10),
    Engine("hpre", "hisi-hpre", "hisi_hpre", 0x18),
)}


def engine(address: str) -> Engine:
    """The accelerator that a PF or VF at this PCI address belongs to."""
    slot = int(address[8:10], 16)
    return next(e for e in ENGINES.values() if e.slot <= slot < e.slot + 8)


# Queue pairs that the PF keeps for itself: few, they cost memory,
# but two for each algorithm while all of them are tested
PF_QUEUES = 40
