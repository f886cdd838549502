# SPDX-License-Identifier: GPL-2.0
"""The devices that a host has: names of their drivers, and PCI addresses."""

from __future__ import annotations

import dataclasses

VARIANT_DRIVER = "hisi_acc_vfio_pci"
#: how the names of the stock drivers' algorithms begin in /proc/crypto
ALGORITHMS = ("hisi_", "hisi-", "hpre-")
#: harmless messages of the stock drivers, as regular expressions
USUAL = (
    # on a wrong tag, which the kernel's self-tests of AEADs use
    r"hisi_sec2 \S+ flag\[3\], icv\[2\]",
    # before it falls back to another accelerator or software
    r"hisi_\w+ \S+ All \d+ queues of QM are busy!",
    # while Host.unexpected() waits for the end of a reset
    r"hisi_\w+ \S+ dev resetting, read alg qos failed!")
#: the same in a guest's console, where warnings count, too
USUAL_IN_A_GUEST = (
    # the guest lacks a module that this one needs; nothing uses it
    r"lz4: Unknown symbol ",
    # memory space enable of a VF is hardwired to 0; in a guest it is emulated, initially 0
    r"hisi_\w+ \S+ enabling device \(0000 -> 0002\)",
    # the guest has a vIOMMU
    r"hisi_\w+ \S+ SMMU Opened, the iommu type = \d+$")


@dataclasses.dataclass(frozen=True)
class Engine:
    """One kind of device: QEMU's device type, the stock driver's name, and
    the place on the host's root bus, or on the bus of its own behind a root port
    at that place.  A PF and its 63 VFs take 64 consecutive places of the bus.  `variant` is its
    VFIO driver, built from `sources` in this clone unless it is the one under test, `arcs` that driver's
    tracepoint for arcs, if it has one (scenario/arcs.py); `lanes` is what the load of a guest needs
    for it, if that is fixed.  Without `model` it is no device of the lab's: one function without VFs,
    properties and counters, see Device."""

    name: str
    device: str
    driver: str
    slot: int
    bus: int = 0
    variant: str = VARIANT_DRIVER
    arcs: str = "hisi_acc_vfio_pci/hisi_acc_vf_arc"
    sources: str = ""
    lanes: int = 0
    model: bool = True

    @property
    def pf(self) -> str:
        """PCI address of the PF."""
        return f"0000:{self.bus:02x}:{self.slot:02x}.0"

    def vf(self, number: int) -> str:
        """PCI address of a VF, from 0 on; of the device, if it has none."""
        if not self.model:
            return self.pf
        place = 8 * self.slot + 1 + number
        return f"0000:{self.bus:02x}:{place // 8:02x}.{place % 8}"


ENGINES = {e.name: e for e in (
    Engine("sec", "hisi-sec2", "hisi_sec2", 0x08),
    Engine("zip", "hisi-zip", "hisi_zip", 0x10),
    Engine("hpre", "hisi-hpre", "hisi_hpre", 0x18),
)}

#: QEMU's own devices: one of them is alone in a host, where the first root port has bus 1.  The guest's memory is
#: beyond what edu reaches by default
OTHERS = {e.name: e for e in (
    Engine("edu", "edu,dma_mask=0xffffffffffff", "edu_load", 0, bus=1, variant="edu_vfio_pci", arcs="",
           sources="samples/edu_vfio_pci", lanes=6, model=False),
)}
#: all that a guest can have
ALL = ENGINES | OTHERS

#: the accelerators, each behind a root port: a host has one for each of them, so that buses have these numbers
BEHIND_PORTS = {e.name: dataclasses.replace(e, slot=0, bus=bus) for bus, e in enumerate(ENGINES.values(), 1)}


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


#: names of the two hosts of a migration
PAIR = ("source", "destination")

# Queue pairs that the PF keeps for itself: few, they cost memory,
# but two for each algorithm while all of them are tested
PF_QUEUES = 40
