# SPDX-License-Identifier: GPL-2.0
"""Which messages of a kernel's or QEMU's log fail a run."""

import pathlib

import pytest

from lab.scenario.config import HostConfig
from lab.scenario.splats import guest_splats, is_splat, qemu_splats, splats

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
    "[    9.1] arm-smmu-v3 9050000.smmuv3: event: F_TRANSLATION client: 0000:00:09.0 sid: 0x48",
    "[    9.1] hisi_sec2 0000:00:08.0: sec_me_ooo_error found",
    "[    9.1] edu_vfio_pci 0000:01:00.0: the device failed to stop",
    "[    9.1] # hisi_acc_vf_data: pass:10 fail:1 skip:0 total:11",
])
def test_a_splat_is_seen(line):
    """Each kind of kernel error must be reported."""
    assert splats(["quiet before", line, "quiet after"]) == [line.partition("] ")[2]]


@pytest.mark.parametrize("line", [
    "[    0.0] kmemleak: Kernel memory leak detector initialized (mem pool available: 39000)",
    "[    0.0] Linux version 7.2.12-debug",
    "[    9.1] # hisi_acc_vf_data: pass:11 fail:0 skip:0 total:11",
    "[    9.1] hisi_acc_vfio_pci 0000:00:08.1: migration data rejected: magic: got 0x0, expected 0x1",
])
def test_the_usual_is_not(line):
    """Usual messages must not be reported."""
    assert splats([line]) == []


@pytest.mark.parametrize("level", range(8))
def test_all_at_level_err_or_worse_is_seen(level):
    """Messages of level KERN_ERR or worse must be reported, from the kernel and from programs that
    write to its log."""
    for facility in (0, 8):
        said = splats([f"<{facility + level}>[    9.1] pcieport 0000:00:01.0: AER: Uncorrectable error message received"])
        assert said == (["pcieport 0000:00:01.0: AER: Uncorrectable error message received"] if level <= 3 else [])


def test_a_stock_drivers_usual_messages_are_not():
    """A stock driver's known messages must be ignored for their engine, and reported for others."""
    usual = "<3>[    9.1] hisi_sec2 0000:00:08.0: flag[3], icv[2]"
    assert splats([usual]) == [] and splats([usual.replace("flag[3]", "flag[1]")]) != []


def test_a_message_is_reported_once():
    """A message must be reported once, although both console and log have it; the same at another
    time must be reported."""
    reported: set[str] = set()
    line = "<3>[    9.1] vfio-pci 0000:00:08.1: reset recovery - restoring BARs"
    assert len(splats([line, "[    9.1] WARNING: at x"], reported)) == 2
    assert splats([line, "<4>[    9.1] WARNING: at x"], reported) == []
    assert len(splats([line.replace("9.1", "9.2")], reported)) == 1


def test_all_warnings_of_a_guests_kernel_are_seen():
    """All messages of a guest's kernel must be reported, from a console without levels and with
    programs' output between."""
    assert guest_splats(["judge: dm-crypt ok", "[    5.2] hisi_sec2 0000:00:02.0: flag[3], icv[2]", "",
                         "[    4.9] hisi_sec2 0000:00:02.0: enabling device (0000 -> 0002)",
                         "[   21.2] reboot: Power down", "[    9.1] accel_load: loading out-of-tree module taints kernel."]) == []
    assert guest_splats(["[    9.1] hisi_sec2 0000:00:02.0: send sec request failed!", "WARNING: cut off"]) == [
        "hisi_sec2 0000:00:02.0: send sec request failed!", "WARNING: cut off"]


def test_of_qemu_all_but_a_few_warnings_is_seen():
    """All messages of QEMU must be reported, except a few that a test cannot avoid."""
    usual = "qemu-system-aarch64: warning: IOMMU_IOAS_MAP failed: Bad address, PCI BAR?"
    assert qemu_splats([usual, "", "qemu-system-aarch64: terminating"]) == ["qemu-system-aarch64: terminating"]


@pytest.mark.parametrize("line", [
    "Getting RAM address failed",
    "qemu_loadvm_section_part_end: Failed to read section ID: -5",
    "qemu_loadvm_section_start_full: Failed to read instance/version ID: -5",
    "Unable to read ID string for section 43",
    "check_section_footer: Read section footer failed: -5",
    "Failed to load virtio_pci/modern_queue_state:avail",
    "error while loading state section id 2(ram)",
    "error while loading state for instance 0x0 of device '0000:00:02.0/virtio-rng'",
    "load of migration failed: Input/output error",
    "Unexpected end-of-file before all data were read",
    # the source, when it is cancelled between the stop of the guest and the end
    "Switchover is interrupted",
    # the source, when the destination dies
    "Cannot uncork TLS output: Error in the push function."])
def test_a_destination_may_report_the_end_of_the_migration(line):
    """What QEMU reports when its source cancels or dies must not count: the test checks how the
    migration ends.  A stream was cut at 40 places to find these."""
    assert qemu_splats([f"qemu-system-aarch64: {line}"]) == []


def test_a_drivers_warnings_are_no_splat():
    """Only kernel errors are splats, not a driver's messages: scenarios of defects.py depend on the
    difference."""
    assert is_splat("WARNING: at x") and not is_splat("hisi_acc_vfio_pci 0000:00:08.1: failed to match ACC_DEV_MAGIC")


def race(module: str, functions: str = "one / two") -> list[str]:
    """A report of a data race in a module."""
    return [RULE, f"[   91.0] BUG: KCSAN: data-race in {functions}",
            f"[   91.0]  one+0x10/0x20{module}", "[   91.0] value changed: 0x0 -> 0x1", RULE]


def test_only_races_in_this_module_count():
    """Data races in other modules must be ignored."""
    assert splats(race("")) == [] and splats(race(" [hisi_qm]")) == []
    assert splats(race(" [hisi_acc_vfio_pci]")) == ["BUG: KCSAN: data-race in one / two"]


def test_races_in_each_tested_module_count():
    """Data races must count in every module that a host tests: the drivers of its devices, and modules that are not
    the kernel's own."""
    one = HostConfig(engines=("edu",), modules=(pathlib.Path("any-driver.ko"),), push={"/lab/mtty.ko": pathlib.Path("/x")})
    assert one.tested == {"edu_vfio_pci", "any_driver", "mtty"}
    for module in one.tested:
        assert splats(race(f" [{module}]"), tested=one.tested) == ["BUG: KCSAN: data-race in one / two"]
    assert splats(race(" [hisi_qm]"), tested=one.tested) == []


def test_the_timers_race_does_not_count():
    """The known data race of the kernel's timers must be ignored below a function of this module, and
    no other that involves a timer."""
    assert splats(race(" [hisi_acc_vfio_pci]", "hrtimer_wakeup / schedule_hrtimeout_range_clock")) == []
    other = "hrtimer_wakeup / hisi_acc_migf_read [hisi_acc_vfio_pci]"
    assert splats(race(" [hisi_acc_vfio_pci]", other)) == [f"BUG: KCSAN: data-race in {other}"]


def test_a_foreign_race_hides_nothing_beside_it():
    """An ignored data race must not hide other errors."""
    log = [*race(""), "[   92.0] BUG: KASAN: use-after-free in x", *race("")]
    assert splats(log) == ["BUG: KASAN: use-after-free in x"]


def test_a_race_that_was_cut_off_hides_little():
    """A truncated report of a data race must not hide later errors."""
    log = [*race("")[:2], *["[   92.0] usual"] * 300, "[   93.0] WARNING: at x"]
    assert splats(log) == ["WARNING: at x"]
