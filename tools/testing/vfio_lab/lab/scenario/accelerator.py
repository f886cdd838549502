# SPDX-License-Identifier: GPL-2.0
"""Accelerators in a host: bring the PF up, create VFs and bind them.

It uses what an operator uses: modprobe, sriov_numvfs, driver_override, drivers_probe.
"""

from collections.abc import Iterable

from ..core.errors import LabError
from ..core.hardware import ALL, PF_QUEUES, Engine
from .ssh import Ssh


def bring_up(ssh: Ssh, engine: Engine, count: int, parameters: str = f"pf_q_num={PF_QUEUES}") -> None:
    """Load the stock driver for the PF and enable `count` VFs without a driver."""
    ssh.run(f"modprobe {engine.driver} {parameters}")
    pf = f"/sys/bus/pci/devices/{engine.pf}"
    bound = ssh.out(f"basename $(readlink {pf}/driver || echo none)")
    if bound != engine.driver:
        raise LabError(f"host {ssh.name}: {engine.pf} is bound to {bound}, not to {engine.driver}")
    if count:
        if ssh.run(f"test -e {pf}/sriov_numvfs", check=False).returncode:
            raise LabError(f"host {ssh.name}: {engine.pf} has no SR-IOV")
        ssh.run(f"echo 0 > {pf}/sriov_drivers_autoprobe && echo {count} > {pf}/sriov_numvfs")


def vfs(ssh: Ssh, engine: Engine) -> list[str]:
    """PCI addresses of the engine's enabled VFs, in order."""
    links = ssh.out(f"for i in $(seq 0 63); do l=/sys/bus/pci/devices/{engine.pf}/virtfn$i; "
                    "[ -e $l ] || break; basename $(readlink $l); done")
    return links.split()


def bind(ssh: Ssh, addresses: list[str], driver: str, module: str = "") -> None:
    """Bind VFs, or any PCI devices, to `driver` by driver_override, and verify it. The driver
    is in `module`, if that has another name."""
    ssh.run(f"modprobe {module or driver}")
    if driver not in [engine.driver for engine in ALL.values()]:
        # A kernel has at least one of the two
        ssh.run("modprobe vfio_iommu_type1; modprobe iommufd || test -c /dev/vfio/vfio")
    for address in addresses:
        device = f"/sys/bus/pci/devices/{address}"
        ssh.run(f"echo {driver} > {device}/driver_override && echo {address} > /sys/bus/pci/drivers_probe")
        bound = ssh.out(f"basename $(readlink {device}/driver || echo none)")
        if bound != driver:
            raise LabError(f"host {ssh.name}: {address} is bound to {bound}, not to {driver}")


def set_up(ssh: Ssh, engines: Iterable[Engine], count: int, stock: bool = False) -> dict[str, list[str]]:
    """Bring these accelerators up with `count` VFs each, and bind those to their VFIO driver, or if `stock` is set
    to their own; returns the VFs of each. Devices without VFs are bound themselves."""
    chosen = list(engines)
    models = [engine for engine in chosen if engine.model]
    # All PFs first: loading the variant driver would load their drivers without parameters
    for engine in models:
        bring_up(ssh, engine, count)
    found = {engine.name: vfs(ssh, engine) if engine.model else [engine.pf] for engine in chosen}
    for engine in models:
        if len(found[engine.name]) != count:
            raise LabError(f"host {ssh.name}: {engine.pf} has {len(found[engine.name])} VFs, expected {count}")
    for engine in chosen:
        bind(ssh, found[engine.name], engine.driver if stock else engine.variant)
    return found


def need_iommufd(ssh: Ssh) -> None:
    """Refuse a host whose kernel lacks the IOMMU backend."""
    if ssh.run("test -c /dev/iommu", check=False).returncode:
        raise LabError(f"host {ssh.name}: this kernel has no IOMMUFD; use --backend container")
