# SPDX-License-Identifier: GPL-2.0
"""A host with three kinds of devices that access memory on demand, and the kselftest that compares
their writes with the SMMU's bitmap."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

from lab.core import hardware, paths
from lab.core.context import Context
from lab.build import cross
from lab.scenario import accelerator
from lab.scenario.config import HostConfig
from lab.scenario.host import Host
from lab.scenario.session import Session

#: messages that each run causes: a device writes to memory mapped read-only, which the SMMU reports
#: and the device counts; and it has no event queue
PROVOKED = (r"sec \d: the device counted \d+ times: dma-fault", r"sec \d: the device counted \d+ times: event-queue-unset",
            r"arm-smmu-v3 \S+ (event 0x13 received|event: F_PERMISSION|\t0x|unpriv data write)")
SELFTESTS = paths.ROOT / "tools/testing/selftests/vfio"
REMOTE = "/lab/vfio_iommu_dirty_test"
EDU, DISK = "0000:00:03.0", "0000:00:04.0"
#: QEMU's own devices beside the accelerator; the disk's I/O runs in a thread of its own
DEVICES = ("-device", "edu,addr=3.0,dma_mask=0xffffffffffff",
           "-object", "iothread,id=disk-thread", "-blockdev", "null-co,node-name=disk,size=1048576,read-zeroes=on",
           "-device", "virtio-blk-pci,drive=disk,iothread=disk-thread,iommu_platform=on,disable-legacy=on,addr=4.0,"
                      "romfile=")


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Results of the kselftest."""

    status: int
    failed: tuple[str, ...]
    text: str


class DirtyHost:
    """A host for the kselftest."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.devices = [*accelerator.vfs(host.ssh, hardware.ENGINES["sec"])[:2], DISK, EDU]

    def run(self, devices: list[str], rounds: int = 8, seed: int = 1) -> Verdict:
        """Run the test on these devices."""
        done = self.host.ssh.run(f"{REMOTE} -r {rounds} -s {seed} {' '.join(devices)}",
                                 timeout=60 + 30 * rounds, check=False)
        text = done.stdout + done.stderr
        return Verdict(done.returncode, tuple(re.findall(r"^not ok \d+ (\w+)", text, re.M)), text)

    def _smmu(self) -> str:
        assert self.host.qmp
        for child in self.host.qmp.cmd("qom-list", path="/machine/unattached"):
            if child["type"] == "child<arm-smmuv3>":
                return f"/machine/unattached/{child['name']}"
        raise AssertionError("the machine has no SMMU")

    def get(self, name: str) -> int:
        """Get a property of the SMMU."""
        assert self.host.qmp
        return self.host.qmp.cmd("qom-get", path=self._smmu(), property=name)

    def set(self, name: str, value: int | bool) -> None:
        """Set a property of the SMMU."""
        assert self.host.qmp
        self.host.qmp.cmd("qom-set", path=self._smmu(), property=name, value=value)


def boot(new_session: Callable[[], Session], context: Context, config: HostConfig = HostConfig(),
         extra: tuple[str, ...] = (), program: Path | None = None) -> DirtyHost:
    """Boot such a host, with another outer QEMU if `program` names one."""
    test = cross.static_program([*sorted(SELFTESTS.glob("vfio_iommu_dirty_*.c")), SELFTESTS / "vfio_open.c"], context)
    session = new_session()
    # The PF's driver would reset the accelerator for the writes that are refused on purpose
    spec = session.spec("host", dataclasses.replace(config, push={**config.push, REMOTE: test},
                                                    model={**config.model, "ras": "off"}))
    spec.extra += DEVICES + extra
    (host,) = session.boot([spec], program)
    accelerator.set_up(host.ssh, [hardware.ENGINES["sec"]], config.vfs)
    host.ssh.run(f"modprobe vfio_pci && echo {DISK} > /sys/bus/pci/devices/{DISK}/driver/unbind")
    accelerator.bind(host.ssh, [EDU, DISK], "vfio-pci")
    return DirtyHost(host)
