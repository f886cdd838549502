# SPDX-License-Identifier: GPL-2.0
"""Accelerators in a host: physical function up, virtual functions made and bound.

All of it is what an operator types: modprobe, sriov_numvfs, driver_override,
drivers_probe.
"""

import dataclasses

from .errors import LabError
from .ssh import Ssh

VARIANT_DRIVER = "hisi_acc_vfio_pci"
#: how the names of the stock drivers' algorithms begin in /proc/crypto
ALGORITHMS = ("hisi_", "hisi-", "hpre-")


@dataclasses.dataclass(frozen=True)
class Engine:
    """One kind of accelerator: QEMU's device type, the stock driver's name, and
    the place on the host's root bus.  A function and its 63 virtual functions
    take 64 consecutive places of the bus."""

    name: str
    device: str
    driver: str
    slot: int

    @property
    def pf(self) -> str:
        """PCI address of the physical function."""
        return f"0000:00:{self.slot:02x}.0"


ENGINES = {e.name: e for e in (
    Engine("sec", "hisi-sec2", "hisi_sec2", 0x08),
    Engine("zip", "hisi-zip", "hisi_zip", 0x10),
    Engine("hpre", "hisi-hpre", "hisi_hpre", 0x18),
)}

# Queue pairs that the physical function keeps for itself: few, they cost memory,
# but two for each algorithm while all of them are tested
PF_QUEUES = 40


def bring_up(ssh: Ssh, engine: Engine, vfs: int, parameters: str = f"pf_q_num={PF_QUEUES}") -> None:
    """Load the stock driver for the physical function and enable `vfs` virtual
    functions, bound to nothing yet."""
    ssh.run(f"modprobe {engine.driver} {parameters}")
    pf = f"/sys/bus/pci/devices/{engine.pf}"
    bound = ssh.out(f"basename $(readlink {pf}/driver || echo none)")
    if bound != engine.driver:
        raise LabError(f"host {ssh.name}: {engine.pf} is bound to {bound}, not to {engine.driver}")
    if vfs:
        if ssh.run(f"test -e {pf}/sriov_numvfs", check=False).returncode:
            raise LabError(f"host {ssh.name}: {engine.pf} has no SR-IOV")
        ssh.run(f"echo 0 > {pf}/sriov_drivers_autoprobe && echo {vfs} > {pf}/sriov_numvfs")


def functions(ssh: Ssh, engine: Engine) -> list[str]:
    """PCI addresses of the engine's enabled virtual functions, in order."""
    links = ssh.out(f"for i in $(seq 0 63); do l=/sys/bus/pci/devices/{engine.pf}/virtfn$i; "
                    "[ -e $l ] || break; basename $(readlink $l); done")
    return links.split()


def bind(ssh: Ssh, addresses: list[str], driver: str) -> None:
    """Bind functions to `driver` by driver_override, and check that they are."""
    ssh.run(f"modprobe {driver}")
    if driver == VARIANT_DRIVER:
        # A kernel has at least one of them
        ssh.run("modprobe vfio_iommu_type1; modprobe iommufd || test -c /dev/vfio/vfio")
    for address in addresses:
        device = f"/sys/bus/pci/devices/{address}"
        ssh.run(f"echo {driver} > {device}/driver_override && echo {address} > /sys/bus/pci/drivers_probe")
        bound = ssh.out(f"basename $(readlink {device}/driver || echo none)")
        if bound != driver:
            raise LabError(f"host {ssh.name}: {address} is bound to {bound}, not to {driver}")


def need_iommufd(ssh: Ssh) -> None:
    """Refuse a host without what a guest's QEMU reaches the IOMMU by."""
    if ssh.run("test -c /dev/iommu", check=False).returncode:
        raise LabError(f"host {ssh.name}: this kernel has no IOMMUFD; take --backend legacy")
