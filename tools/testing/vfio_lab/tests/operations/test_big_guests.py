# SPDX-License-Identifier: GPL-2.0
"""Guests of more memory, backed by pages of 4 KiB, by transparent huge pages and by huge pages of 2 MiB:
what a sync of dirty pages finds, how long the kernel takes for it, and the downtime."""

from __future__ import annotations

import pathlib
import re

import pytest

from lab.core import versions
from lab.scenario.config import GuestConfig, HostConfig
from lab.scenario.host import Host

pytestmark = pytest.mark.long("builds a kernel with larger pages")

FRAGMENT = pathlib.Path(__file__).resolve().parents[1] / "support/server.config"
#: of 4 KiB in one of 2 MiB
SMALL_PAGES = 512
#: beside its guest, in MiB
HOST_MIB = 2048
TRACING = "/sys/kernel/tracing"
#: what reads, and clears, the dirty bits of the SMMU in the kernel
ROUTINE = "iommufd_hwpt_get_dirty_bitmap"


def time_syncs(host: Host) -> None:
    """Have the kernel trace how long it takes for the SMMU's dirty bits."""
    host.ssh.run(f"cd {TRACING}; echo 'p:lab/began {ROUTINE}' >> kprobe_events; echo 'r:lab/ended {ROUTINE}' >> kprobe_events; "
                 "echo 1 > events/lab/enable")


def sync_ms(host: Host) -> list[float]:
    """The times of all calls since time_syncs(), in milliseconds."""
    stamps = [(name, float(at)) for at, name in re.findall(r" (\d+\.\d+): (began|ended): ", host.ssh.out(f"cat {TRACING}/trace"))]
    assert [name for name, _ in stamps] == ["began", "ended"] * (len(stamps) // 2), stamps
    return [(end - start) * 1e3 for (_, start), (_, end) in zip(stamps[::2], stamps[1::2])]


@pytest.mark.parametrize("vmm", versions.VMM)
@pytest.mark.parametrize("pages", ["4k", "transparent", "2m"])
@pytest.mark.parametrize("size", [1024, 3072])
def test_a_big_guest_migrates(new_session, size, pages, vmm):
    """The guest must migrate with all its requests and no page lost. With pages of 2 MiB a sync reports
    these: the table in the guide is made of what this prints."""
    memory = f"-m {size}"
    if pages == "2m":
        memory += f" -object memory-backend-memfd,id=ram,size={size}M,hugetlb=on,hugetlbsize=2M -machine memory-backend=ram"
    config = HostConfig(fragments=(FRAGMENT,), vmm=vmm, memory=size + HOST_MIB,
                        append=f"hugepages={size // 2}" if pages == "2m" else "")
    with new_session().scenario(config, guest=GuestConfig(extra=memory)) as scenario:
        scenario.set_up()
        for host in (scenario.source, scenario.destination):
            host.ssh.run(f"echo {'always' if pages == 'transparent' else 'never'} > /sys/kernel/mm/transparent_hugepage/enabled")
        scenario.start_guest()
        backed = scenario.source.ssh.out("grep -h 'AnonHugePages\\|HugePages_Free' /proc/meminfo")
        time_syncs(scenario.source)
        scenario.migrate()
        scenario.go_on()
        scenario.inspect()
        outcome, took = scenario.outcome, sync_ms(scenario.source)
        assert outcome.failures == [] and outcome.pages and not outcome.stale
        assert took, "no sync was timed"
        amounts = {name: int(amount) for name, amount in re.findall(r"(\w+): +(\d+)", backed)}
        # nearly all of the guest, or the host has other pages
        assert (amounts["AnonHugePages"] > size << 9) == (pages == "transparent")
        assert pages != "2m" or amounts["HugePages_Free"] < size // 4
        # the first sync is of memory that the guest wrote before
        later = [sync.device for sync in outcome.syncs[1:]]
        print(f"{size // 1024} GiB, {pages}, QEMU {vmm}: syncs {[sync.device for sync in outcome.syncs]}; "
              f"{len(took)} calls, {sum(took) / len(outcome.syncs):.2f} ms a sync; downtime {outcome.downtime_ms} ms, "
              f"total {outcome.total_ms} ms, {outcome.ram_bytes >> 20} MiB sent; {' '.join(backed.split())}")
        if pages == "2m":
            assert any(later) and all(found % SMALL_PAGES == 0 for found in later)
