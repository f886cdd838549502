# SPDX-License-Identifier: GPL-2.0
"""Mutation tests of the SMMU's page table walk: the kselftest must detect each mutant.

Each mutant is another outer QEMU, which takes a minute to build, so all run with --long only.
"""

from __future__ import annotations

import pytest

import dirty
from lab.build import qemu

SET_DIRTY = "            updated &= ~PTE_AP_READ_ONLY;"

MUTANTS = {
    # a write to a clean page faults
    "no-dirty-state": ({SET_DIRTY: "            updated |= 0;"}, {}, "dirty_again_when_rewritten"),
    # the write succeeds, but the descriptor in memory stays clean
    "no-update": ({"        if (updated != pte) {": "        if (updated != pte && false) {"}, {}, "first_write"),
    # a descriptor that was changed concurrently counts as updated
    "no-second-walk": ({"                disturb -= disturb > 0;\n                continue;":
                        "                disturb -= disturb > 0;\n                ;"},
                       {"httu-disturb": 1}, "first_write"),
    # the IOTLB caches dirty state, unknown to software
    "cached-without-invalidation": ({"        !(bs->httu_cache_dirty && (cached_entry->entry.perm & IOMMU_WO))) {":
                                     "        !(cached_entry->entry.perm & IOMMU_WO)) {"},
                                    {}, "dirty_again_when_rewritten"),
    # reads make pages dirty
    "dirty-when-read": ({"        if (cfg->hd && PTE_DBM(pte) && (perm & IOMMU_WO)) {":
                         "        if (cfg->hd && PTE_DBM(pte)) {"}, {}, "reads_leave_it_clean"),
    # pages mapped read-only can be written
    "read-only-is-written": ({"        if (cfg->hd && PTE_DBM(pte) && (perm & IOMMU_WO)) {":
                              "        if (cfg->hd && (perm & IOMMU_WO)) {"}, {}, "read_only"),
}


@pytest.mark.long("builds another QEMU")
@pytest.mark.expect(*dirty.PROVOKED, maybe=True)
@pytest.mark.parametrize("name", MUTANTS)
def test_a_walk_without_it_fails(new_session, context, name):
    """The kselftest must fail on each mutant."""
    mutation, properties, test = MUTANTS[name]
    up = dirty.boot(new_session, context, program=qemu.outer(context, mutation))
    for key, value in properties.items():
        up.set(key, value)
    verdict = up.run(up.devices[:1], rounds=1)
    assert test in verdict.failed, f"{name}: {verdict.text}"


def test_a_mutant_that_changes_nothing_is_refused(context):
    """A mutant whose line is not in the source exactly once must be an error."""
    with pytest.raises(qemu.LabError, match="not there exactly once"):
        qemu.outer(context, {"no such line": "x"})
