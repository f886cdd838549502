# SPDX-License-Identifier: GPL-2.0
"""What in a kernel's log fails a run, and what does not."""

import pytest

from lab.splats import splats

RULE = "[   91.0] " + "=" * 66


@pytest.mark.parametrize("line", [
    "[    9.1] BUG: KASAN: slab-out-of-bounds in data_write+0x1c/0x40 [hisi_acc_vfio_pci]",
    "[    9.1] BUG: sleeping function called from invalid context at kernel/locking/mutex.c:591",
    "[    9.1] WARNING: possible circular locking dependency detected",
    "[    9.1] WARNING: suspicious RCU usage",
    "[    9.1] UBSAN: array-index-out-of-bounds in drivers/vfio/pci/hisilicon/qm.c:1:2",
    "[    9.1] INFO: trying to register non-static key.",
    "[    9.1] INFO: task hisi_acc_migrat:99 blocked for more than 60 seconds.",
    "[    9.1] ODEBUG: free active (active state 0) object: 00000000 type: timer_list",
    "[    9.1] kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
    "[    9.1] refcount_t: underflow; use-after-free.",
    "[    9.1] Unable to handle kernel NULL pointer dereference at virtual address 8",
    "[    9.1] rcu: INFO: rcu_preempt self-detected stall on CPU",
    "[    9.1] arm-smmu-v3 9050000.smmuv3: event 0x10 received:",
    "[    9.1] hisi_sec2 0000:00:08.0: sec_me_ooo_error found",
    "[    9.1] # hisi_acc_stream: pass:10 fail:1 skip:0 total:11",
])
def test_a_splat_is_seen(line):
    assert splats(["quiet before", line, "quiet after"]) == [line.partition("] ")[2]]


@pytest.mark.parametrize("line", [
    "[    0.0] kmemleak: Kernel memory leak detector initialized (mem pool available: 39000)",
    "[    0.0] Linux version 7.2.12-debug",
    "[    9.1] # hisi_acc_stream: pass:11 fail:0 skip:0 total:11",
    "[    9.1] hisi_acc_vfio_pci 0000:00:08.1: image refused (-22): magic is 0x0, 0x1 here",
])
def test_the_usual_is_not(line):
    assert splats([line]) == []


def race(module: str) -> list[str]:
    """A report of a data race in a module."""
    return [RULE, "[   91.0] BUG: KCSAN: data-race in one / two",
            f"[   91.0]  one+0x10/0x20{module}", "[   91.0] value changed: 0x0 -> 0x1", RULE]


def test_only_races_in_our_module_count():
    assert splats(race("")) == [] and splats(race(" [hisi_qm]")) == []
    assert splats(race(" [hisi_acc_vfio_pci]")) == ["BUG: KCSAN: data-race in one / two"]


def test_a_foreign_race_hides_nothing_beside_it():
    log = [*race(""), "[   92.0] BUG: KASAN: use-after-free in x", *race("")]
    assert splats(log) == ["BUG: KASAN: use-after-free in x"]


def test_a_race_that_was_cut_off_hides_little():
    log = [*race("")[:2], *["[   92.0] usual"] * 300, "[   93.0] WARNING: at x"]
    assert splats(log) == ["WARNING: at x"]
