# SPDX-License-Identifier: GPL-2.0
"""The walk of the SMMU with a part of it bent: the kselftest has to see each.
Every mutant is another outer QEMU, a minute's work, so only --long has them."""

from __future__ import annotations

import pytest

import dirty
from lab.build import qemu

SET_DIRTY = "            updated &= ~PTE_AP_READ_ONLY;"

MUTANTS = {
    # a write to a clean page is turned away
    "no-dirty-state": ({SET_DIRTY: "            updated |= 0;"}, {}, "dirty_again_when_rewritten"),
    # it is let pass, but the descriptor in memory stays clean
    "no-update": ({"        if (updated != pte) {": "        if (updated != pte && false) {"}, {}, "first_write"),
    # a descriptor that was changed meanwhile is taken for updated
    "no-second-walk": ({"                disturb -= disturb > 0;\n                continue;":
                        "                disturb -= disturb > 0;\n                ;"},
                       {"httu-disturb": 1}, "first_write"),
    # the IOTLB remembers dirty pages, and software does not know
    "cached-without-invalidation": ({"        !(bs->httu_cache_dirty && (cached_entry->entry.perm & IOMMU_WO))) {":
                                     "        !(cached_entry->entry.perm & IOMMU_WO)) {"},
                                    {}, "dirty_again_when_rewritten"),
    # reads make pages dirty
    "dirty-when-read": ({"        if (cfg->hd && PTE_DBM(pte) && (perm & IOMMU_WO)) {":
                         "        if (cfg->hd && PTE_DBM(pte)) {"}, {}, "reads_leave_it_clean"),
    # what is mapped for reading only is written
    "read-only-is-written": ({"        if (cfg->hd && PTE_DBM(pte) && (perm & IOMMU_WO)) {":
                              "        if (cfg->hd && (perm & IOMMU_WO)) {"}, {}, "read_only"),
}


@pytest.mark.long("builds another QEMU")
@pytest.mark.expect(*dirty.PROVOKED, maybe=True)
@pytest.mark.parametrize("name", MUTANTS)
def test_a_walk_without_it_is_caught(new_session, context, name):
    bend, properties, test = MUTANTS[name]
    up = dirty.boot(new_session, context, program=qemu.outer(context, bend))
    for key, value in properties.items():
        up.set(key, value)
    verdict = up.run(up.functions[:1], rounds=1)
    assert test in verdict.failed, f"{name}: {verdict.text}"


def test_a_mutant_that_bends_nothing_is_refused(context):
    with pytest.raises(qemu.LabError, match="not there exactly once"):
        qemu.outer(context, {"no such line": "x"})
