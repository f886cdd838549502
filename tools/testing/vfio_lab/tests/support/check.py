# SPDX-License-Identifier: GPL-2.0
"""hisi-acc-check: compiled for this machine with sanitizers or for hosts, run, its report; and copies of a
server's files for it to look at."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.core import hardware, paths
from lab.core.context import Context
from lab.build import cross
from lab.scenario.host import Host

SOURCES = paths.ROOT / "tools/hisi-acc-check"
#: in a host
REMOTE = "/usr/sbin/hisi-acc-check"
CAN, CANNOT, WRONG_USE, CANNOT_TELL = range(4)
STATUS = {"ok": CAN, "no": CANNOT, "unknown": CANNOT_TELL}
SANITIZED = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-Werror")
SEC_PF, SEC_VF = "0xa255", "0xa256"


def for_hosts(context: Context) -> Path:
    """The program for hosts."""
    first = SOURCES / "hisi-acc-check.c"
    return cross.static_program([first, *sorted(set(SOURCES.glob("*.c")) - {first})], context)


def for_this_machine(folder: Path) -> Path:
    """The program for this machine, which ends at the first memory error."""
    subprocess.run(["make", "-s", "-C", SOURCES, f"CFLAGS={' '.join(SANITIZED)}", f"TARGET={folder}/hisi-acc-check"], check=True)
    return folder / "hisi-acc-check"


@dataclass(frozen=True)
class Report:
    """What --json prints, and the exit status."""

    exit: int
    json: dict[str, Any]

    def check(self, name: str, vf: str = "") -> dict[str, Any]:
        """A line of the host's report, or of a VF's."""
        part = next(v for v in self.json["vfs"] if v["address"] == vf) if vf else self.json["host"]
        (found,) = [check for check in part["checks"] if check["check"] == name]
        return found

    def noes(self, vf: str = "") -> set[str]:
        """Names of the lines of the host, or of a VF, from which "no" follows."""
        part = next(v for v in self.json["vfs"] if v["address"] == vf) if vf else self.json["host"]
        return {check["check"] for check in part["checks"] if check["status"] == "no" and check["counts"]}

    def move(self, vf: str) -> dict[str, Any]:
        """The VF of the other host that a VF can be migrated to."""
        (found,) = [move for move in self.json["peer"]["moves"] if move["from"] == vf]
        return found


def as_report(done: subprocess.CompletedProcess[str]) -> Report:
    """The report that a run has printed; its exit status must be that of the result."""
    report = Report(done.returncode, json.loads(done.stdout))
    assert done.stderr == "" and report.exit == STATUS[report.json["result"]], done
    return report


def on_host(host: Host, *arguments: str, before: str = "") -> Report:
    """The report of a host."""
    return as_report(host.ssh.run(f"{before} {REMOTE} --json {' '.join(arguments)}", timeout=120, check=False))


def run(program: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the program on this machine."""
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False, env={**os.environ, "PATH": ""})


#: MIDR_EL1 of a Kunpeng 920
PROCESSOR = "0x00000000481fd010"


class Copy:
    """A copy of a server's files: one SEC with a PF and VFs, everything as it should be."""

    def __init__(self, root: Path, vfs: int = 1) -> None:
        self.root = root
        self.release = "7.3.4"
        self.pf, self.vfs = hardware.ENGINES["sec"].pf, [hardware.ENGINES["sec"].vf(n) for n in range(vfs)]
        self.write("proc/sys/kernel/osrelease", self.release)
        self.write("proc/sys/kernel/arch", "aarch64")
        self.page_size(4)
        self.write("sys/devices/system/cpu/cpu0/regs/identification/midr_el1", PROCESSOR)
        self.write("proc/kallsyms", "0000000000000000 t hisi_acc_vf_data_decode\t[hisi_acc_vfio_pci]\n")
        self.write(f"lib/modules/{self.release}/modules.dep", "updates/dkms/hisi_acc_vfio_pci.ko: kernel/vfio.ko\n"
                   "kernel/drivers/iommu/iommufd/iommufd.ko:\n")
        self.write("sys/module/hisi_acc_vfio_pci/refcnt", "0")
        self.write("dev/iommu", "")
        self.options()
        self.program("usr/bin/qemu-system-aarch64")
        self.device(self.pf, SEC_PF, "hisi_sec2")
        self.write(f"{self.place(self.pf)}/sriov_totalvfs", "63")
        for number, vf in enumerate(self.vfs):
            self.device(vf, SEC_VF, "hisi_acc_vfio_pci")
            self.link(f"{self.place(vf)}/physfn", f"../{self.pf}")
            self.link(f"{self.place(vf)}/iommu", "../../virtual/iommu/smmu3.0x9050000")
            self.link(f"{self.place(vf)}/iommu_group", f"../../../kernel/iommu_groups/{number}")
            self.write(f"sys/kernel/iommu_groups/{number}/type", "DMA")
            self.write(f"sys/kernel/iommu_groups/{number}/devices/{vf}", "")
            self.write(f"{self.place(vf)}/vfio-dev/vfio{number}/dev", f"511:{number}")
            self.write(f"sys/kernel/debug/vfio/{vf}/migration/features", "stop-copy\np2p\npre-copy")

    def place(self, address: str) -> str:
        """The directory of a device."""
        return f"sys/bus/pci/devices/{address}"

    def write(self, place: str, text: str) -> None:
        """Write a file."""
        (self.root / place).parent.mkdir(parents=True, exist_ok=True)
        (self.root / place).write_text(text + "\n" * (not text.endswith("\n")), encoding="utf-8")

    def remove(self, place: str) -> None:
        """Remove a file or link."""
        (self.root / place).unlink()

    def link(self, place: str, target: str) -> None:
        """Make a link, or change it."""
        (self.root / place).parent.mkdir(parents=True, exist_ok=True)
        (self.root / place).unlink(missing_ok=True)
        (self.root / place).symlink_to(target)

    def program(self, place: str) -> None:
        """A program, which must not be run."""
        self.write(place, "#!/bin/false")
        (self.root / place).chmod(0o755)

    def device(self, address: str, device: str, driver: str) -> None:
        """A PF or VF."""
        for name, text in (("vendor", "0x19e5"), ("device", device), ("revision", "0x30")):
            self.write(f"{self.place(address)}/{name}", text)
        self.bar(address, 64)
        self.bind(address, driver)

    def bar(self, address: str, kib: int) -> None:
        """The size of BAR2."""
        none = f"{0:#018x} {0:#018x} {0:#018x}\n"
        self.write(f"{self.place(address)}/resource", none * 2 + f"{1 << 32:#018x} {(1 << 32) + kib * 1024 - 1:#018x} {0:#018x}\n")

    def bind(self, address: str, driver: str) -> None:
        """Bind a device; an empty name unbinds it."""
        self.link(f"{self.place(address)}/driver", f"../../../bus/pci/drivers/{driver or 'none'}")
        if not driver:
            self.remove(f"{self.place(address)}/driver")

    def page_size(self, kib: int) -> None:
        """Of the kernel."""
        self.write("proc/self/smaps", f"00400000-00452000 r-xp 00000000 00:00 0 /bin/cp\nKernelPageSize:        {kib} kB\n")

    def options(self, *lacks: str) -> None:
        """The kernel's configuration: the fragment's options without some."""
        fragment = (paths.ROOT / "kernel/configs/hisi_acc_vfio_pci.config").read_text(encoding="utf-8")
        self.write(f"boot/config-{self.release}", "".join(
            line for line in fragment.splitlines(keepends=True) if line.partition("=")[0] not in lacks))

    def report(self, program: Path, *arguments: Sequence[str] | str | Path) -> Report:
        """The report of it."""
        return as_report(run(program, "--json", "--root", self.root, *arguments))
