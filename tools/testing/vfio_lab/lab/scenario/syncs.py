# SPDX-License-Identifier: GPL-2.0
"""How many dirty pages a migration finds, each time that QEMU looks: read from
its trace."""

from __future__ import annotations

import dataclasses
import re

from ..core.versions import VMMS, Vmm

#: how the releases call what an IOMMU backend reports
_DEVICE = tuple({vmm.dirty_trace for vmm in VMMS})


def events(vmm: Vmm) -> tuple[str, ...]:
    """The trace events that read() reads, of an inner QEMU of this release."""
    return "migration_bitmap_sync_start", vmm.dirty_trace, "migration_bitmap_sync_end"



@dataclasses.dataclass(frozen=True)
class Sync:
    """One look: pages that the IOMMU, or the want of one that tracks, gave as
    written by devices, and pages that are left to be sent in all."""

    device: int
    left: int


def read(trace: str) -> list[Sync]:
    """The looks of a guest's last migration, in order."""
    found: list[Sync] = []
    device = 0
    for line in trace.splitlines():
        if "migration_bitmap_sync_start" in line:
            device = 0
            continue
        pages = re.search(r"\bdirty_pages[= ](\d+)", line)
        if pages and any(event in line for event in _DEVICE):
            device += int(pages[1])
        elif pages and "migration_bitmap_sync_end" in line:
            found.append(Sync(device, int(pages[1])))
    return found
