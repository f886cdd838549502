# SPDX-License-Identifier: GPL-2.0
"""Dirty pages of each dirty-bitmap sync of a migration, from QEMU's trace."""

from __future__ import annotations

import dataclasses
import re

from ..core.versions import VMMS, Vmm

#: trace events of the releases for dirty pages that an IOMMU backend reports
_DEVICE = tuple({vmm.dirty_trace for vmm in VMMS})


def events(vmm: Vmm) -> tuple[str, ...]:
    """The trace events that read() needs, for this release of QEMU."""
    return "migration_bitmap_sync_start", vmm.dirty_trace, "migration_bitmap_sync_end"



@dataclasses.dataclass(frozen=True)
class Sync:
    """One sync: pages that the IOMMU backend reported as written by devices, and pages that
    are left to send."""

    device: int
    left: int


def read(trace: str) -> list[Sync]:
    """The syncs in a trace, in order."""
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
