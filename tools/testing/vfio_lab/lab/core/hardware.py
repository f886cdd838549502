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
    the place on the host's root bus, or on the bus of its own behind a root port
    at that place.  A PF and its 63 VFs take 64 consecutive places of the bus."""

    name: str
    device: str
    driver: str
    slot: int
    bus: int = 0

    @property
    def pf(self) -> str:
        """PCI address of the PF."""
        return f"0000:{self.bus:02x}:{self.slot:02x}.0"

    def vf(self, number: int) -> str:
        """PCI address of a VF, from 0 on."""
        place = 8 * self.slot + 1 + number
        return f"0000:{self.bus:02x}:{place // 8:02x}.{place % 8}"


ENGINES = {e.name: e for e in (
    Engine("sec", "hisi-sec2", "hisi_sec2", 0x08),
    Engine("zip", "hisi-zip", "hisi_zip", 0x10),
    Engine("hpre", "hisi-hpre", "hisi_hpre", 0x18),
)}

#: the same, each behind a root port: a host has one for each of them, so that buses have these numbers
BEHIND_PORTS = {e.name: dataclasses.replace(e, slot=0, bus=bus) for bus, e in enumerate(ENGINES.values(), 1)}


def engine(address: str) -> Engine:
    """The accelerator that a PF or VF at this PCI address belongs to."""
    bus, slot = int(address[5:7], 16), int(address[8:10], 16)
    return next(e for e in (BEHIND_PORTS if bus else ENGINES).values() if e.bus == bus and e.slot <= slot < e.slot + 8)


#: place on the root bus of the first root port for another device, and how many fit before the accelerators
FIRST_PORT, MOST_DEVICES = 3, 5


@dataclasses.dataclass(frozen=True)
class Device:
    """Any other PCI device of QEMU, alone behind a root port of its own, so that a reset of its bus
    resets it: the type and its properties as in QEMU's option -device, and its number from 0 on."""

    text: str
    number: int = 0

    @property
    def name(self) -> str:
        """Its type."""
        return self.text.partition(",")[0]

    @property
    def address(self) -> str:
        """Its PCI address in a host whose accelerators are not behind ports."""
        return f"0000:{self.number + 1:02x}:00.0"

    def arguments(self) -> list[str]:
        """For QEMU."""
        port = f"port-device{self.number}"
        return ["-device", f"pcie-root-port,id={port},addr={FIRST_PORT + self.number:x}.0,chassis={FIRST_PORT + self.number}",
                "-device", f"{self.name},id=device{self.number},bus={port},addr=0.0{self.text[len(self.name):]}"]


#: addresses of two hosts in the network between them, by the end of it that each has
LAN = {"server": "10.0.9.1", "client": "10.0.9.2"}

# Queue pairs that the PF keeps for itself: few, they cost memory,
# but two for each algorithm while all of them are tested
PF_QUEUES = 40
