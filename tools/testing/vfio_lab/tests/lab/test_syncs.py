# SPDX-License-Identifier: GPL-2.0
"""Parsing QEMU's trace of dirty-bitmap syncs."""

import json

import pytest

from lab.core import versions
from lab.scenario import report
from lab.scenario.migration import Outcome
from lab.scenario.syncs import Sync, events, read

TRACE = """\
7@1.000001:migration_bitmap_sync_start 
7@1.000002:EVENT iova=0x0 size= 0x4000 bitmap_size=0x8 start=0x0 dirty_pages=3
7@1.000003:EVENT iova=0x8000 size=0x4000 backend_flag=0x0 bitmap_size=0x8 gpa=0x0 dirty_pages=4
7@1.000004:migration_bitmap_sync_end dirty_pages 65536
7@2.000001:migration_bitmap_sync_start 
7@2.000004:migration_bitmap_sync_end dirty_pages 12
"""


@pytest.mark.parametrize("vmm", versions.VMMS, ids=lambda vmm: vmm.name)
def test_each_sync_counts_for_itself(vmm):
    """Pages that an IOMMU backend reports must count for the sync that requested them, by the
    event's name in each QEMU release."""
    (event,) = (event for event in events(vmm) if "bitmap_sync" not in event)
    assert read(TRACE.replace("EVENT", event)) == [Sync(7, 65536), Sync(0, 12)]
    assert read("") == []


def test_the_report_has_them(tmp_path):
    """The report must list the syncs."""
    outcome = Outcome(syncs=[Sync(7, 65536), Sync(0, 12)], pages=480, stale=2, tracking="tracked by the SMMU")
    text = report.text(outcome, 1)
    assert "each of QEMU's 2 dirty-bitmap syncs (written by devices: tracked by the SMMU)" in text
    assert "by devices   7 0\n" in text and "left to send 65536 12\n" in text and "2 of 480 pages that only the device writes were stale" in text
    report.write_json(outcome, 1, tmp_path / "report.json")
    told = json.loads((tmp_path / "report.json").read_text())
    assert told["syncs"] == [{"device": 7, "left": 65536}, {"device": 0, "left": 12}] and told["stale"] == 2
