# SPDX-License-Identifier: GPL-2.0
"""Unexpected messages in logs of kernels and QEMU."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..core import hardware

# printk's KERN_ERR: messages of this level or worse are unexpected
_ERR = 3

# Reports of the kernel, at any level
_SPLAT = re.compile(
    r"WARNING: |BUG: |Oops|Kernel panic|Call trace|possible circular|INFO: task .* blocked|soft lockup"
    r"|UBSAN: |suspicious RCU|trying to register non-static key|lock held when returning|ODEBUG: "
    r"|Internal error|refcount_t: |Unable to handle kernel|kmemleak: [1-9]\d* new|rcu.*detected .*stall",
    re.I)
# SMMU faults, tests of KUnit that failed, and messages of devices' drivers, where a log has no levels
_DRIVERS = "|".join(sorted({name for engine in hardware.ALL.values() for name in (engine.driver, engine.variant)}))
_TROUBLE = re.compile(rf"arm-smmu-v3 .*\bevent\b|# \w+: pass:\d+ fail:[1-9]|({_DRIVERS}).*(error|fail|timeout)", re.I)

# Harmless messages, each with the reason
_USUAL = re.compile("|".join((
    # printed at each boot
    r"kmemleak: Kernel memory leak detector (initialized|disabled)",
    *hardware.USUAL,
    # last message of any kernel, at level emerg
    r"reboot: (Power down|Restarting system)")))

# Further messages of a guest's console, which has no levels: all up to KERN_WARNING
_USUAL_WARNING = re.compile("|".join((
    # before the command line's "quiet" takes effect
    r"Kernel command line: ",
    *hardware.USUAL_IN_A_GUEST,
    # the guest has a vIOMMU
    r"\S+ \S+ Adding to iommu group \d+$",
    # an emulated CPU is slow
    r"hrtimer: interrupt took ",
    r"pci-host-generic \S+ Memory resource size exceeds max for 32 bits",
    r"\w+: loading out-of-tree module taints kernel",
    # the suppressed message was logged before
    r"\w+: \d+ callbacks suppressed")))

# Warnings of a guest's QEMU that are expected: no peer-to-peer DMA between BARs of two
# VFs; a container without dirty tracking, which the lab uses on purpose; a guest of a
# kernel whose KVM has fewer registers; a failed migration, which the caller checks
_USUAL_OF_QEMU = re.compile("|".join((
    r"warning: VFIO dma-buf not supported in kernel",
    r"warning: IOMMU_IOAS_MAP failed: Bad address, PCI BAR\?",
    r"PCI peer-to-peer transactions on BARs are not supported[.]$",
    r"warning: vfio_container_dma_map\(.*\) = -14 \(Bad address\)",
    r"warning: \S+ VFIO device doesn't support device and IOMMU dirty tracking",
    r"warning: handle_cpreg_missing_in_incoming_stream: .*: skip it$",
    r"failed to save SaveStateEntry with id\(name\)",
    r"Unable to (write to|read from) (socket|command)|Channel error: |Switchover is interrupted$"
    r"|Unexpected end-of-file before all data were read$|Cannot uncork TLS output: ",
    # a stream that ends early: in the memory, in a header, in the state of a device
    r"Getting RAM address failed$|Failed to read (section ID|instance/version ID): |Unable to read ID string for section ",
    r"check_section_footer: Read section footer failed: |Failed to load \S+:\w+$",
    r"error while loading state (section id \d+|for instance )|load of migration failed: ")))

_RULE = re.compile(r"={20,}$")
_RACE = re.compile(r"BUG: KCSAN: ")
# Of the kernel's timers, which usleep_range() starts and waits for
_RACE_BELOW = re.compile(r"data-race in (hrtimer_wakeup / schedule_hrtimeout_range_clock|"
                         r"schedule_hrtimeout_range_clock / hrtimer_wakeup)$")
_TIME = re.compile(r"\[ *\d+\.\d+\](\[ *[CT]\d+\])? ?")


def _level(line: str) -> int | None:
    """The level of a line of a log with levels."""
    found = re.match(r"<(\d+)>", line)
    return int(found[1]) & 7 if found else None


def stamped(line: str) -> str:
    """A line without its level, as another copy of the log may have it."""
    return re.sub(r"^<\d+>", "", line.strip())


def _without_prefix(line: str) -> str:
    """A line without printk's time, and without the caller behind it."""
    return _TIME.sub("", stamped(line), count=1)


def _foreign_race(block: list[str], tested: Iterable[str]) -> bool:
    """Whether this is a report of a data race outside of the tested modules, or of one that is known
    below a function that they call."""
    races = [line for line in block if _RACE.search(line)]
    inside = any(f"[{module}]" in line for line in block for module in tested)
    return bool(races) and (not inside or all(_RACE_BELOW.search(line) for line in races))


def _blocks(lines: Iterable[str]) -> list[list[str]]:
    """Split a log into reports: lines between two rules of "=" belong together."""
    blocks: list[list[str]] = [[]]
    inside = False
    for line in lines:
        if _RULE.search(line):
            inside = not inside
            blocks.append([])
        else:
            # A truncated report must not include what follows it
            if inside and len(blocks[-1]) > 200:
                inside = False
                blocks.append([])
            blocks[-1].append(line)
    return blocks


def is_splat(line: str) -> bool:
    """Whether this is a report of the kernel, not a message of a driver."""
    return _SPLAT.search(line) is not None


def _wrong(line: str) -> bool:
    level = _level(line)
    return bool(is_splat(line) or _TROUBLE.search(line) or level is not None and level <= _ERR) and \
        not _USUAL.search(line)


def splats(lines: Iterable[str], reported: set[str] | None = None,
           tested: Iterable[str] = (hardware.VARIANT_DRIVER,)) -> list[str]:
    """The unexpected lines of a kernel log, each once: all of level err or worse, if the log
    has levels (as of `dmesg -r`).  Lines in `reported` are left out, the others are added to it.

    Data races count only if the report names a module of `tested`; the kernel has other, known ones.
    """
    reported = set() if reported is None else reported
    found: dict[str, None] = {}
    for block in _blocks(lines):
        if _foreign_race(block, tested):
            continue
        for line in block:
            if _wrong(line) and stamped(line) not in reported:
                reported.add(stamped(line))
                found[_without_prefix(line)] = None
    return list(found)


def guest_splats(lines: Iterable[str]) -> list[str]:
    """The unexpected lines of a guest's console, where every line of the kernel counts:
    messages below a warning are not printed there."""
    said = [line for line in lines if _TIME.match(line) or is_splat(line)]
    return list(dict.fromkeys(
        _without_prefix(line) for line in said if not _USUAL.search(line) and not _USUAL_WARNING.search(line)))


def qemu_splats(lines: Iterable[str]) -> list[str]:
    """The unexpected lines of the standard error of a guest's QEMU."""
    return [line for line in lines if line.strip() and not _USUAL_OF_QEMU.search(line)]
