# SPDX-License-Identifier: GPL-2.0
"""What a kernel's log, or a QEMU's, must not contain."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: the module whose data races count; the kernel has others, known to its makers
OURS = "[hisi_acc_vfio_pci]"

# printk's KERN_ERR: that and what is worse is trouble, whatever it says
_ERR = 3

# A kernel's own reports, at whatever level
_SPLAT = re.compile(
    r"WARNING: |BUG: |Oops|Kernel panic|Call trace|possible circular|INFO: task .* blocked|soft lockup"
    r"|UBSAN: |suspicious RCU|trying to register non-static key|lock held when returning|ODEBUG: "
    r"|Internal error|refcount_t: |Unable to handle kernel|kmemleak: [1-9]\d* new|rcu.*detected .*stall",
    re.I)
# What an SMMU says of accesses that it refused; drivers of accelerators, where a log
# has no levels
_TROUBLE = re.compile(r"arm-smmu-v3 .*\bevent\b|hisi.*(error|fail|timeout)", re.I)

# What says that it is trouble, and is none: each with the reason
_USUAL = re.compile("|".join((
    # tells of itself at each boot
    r"kmemleak: Kernel memory leak detector (initialized|disabled)",
    # KUnit's sum of a suite that passed
    r"# hisi_acc_\w+: pass:\d+ fail:0 ",
    # the stock driver's words for a wrong tag, which the kernel's self-tests of AEADs give it
    r"hisi_sec2 \S+ flag\[3\], icv\[2\]",
    # what the stock driver says before it asks another accelerator, or software
    r"hisi_\w+ \S+ All \d+ queues of QM are busy!",
    # what Host.trouble() makes the stock driver say while it waits for a reset's end
    r"hisi_\w+ \S+ dev resetting, read alg qos failed!",
    # the last words of any kernel, at level emerg
    r"reboot: (Power down|Restarting system)")))

# What a guest's console shows besides, which has no levels: all up to KERN_WARNING
_USUAL_WARNING = re.compile("|".join((
    # before the command line's "quiet" takes effect
    r"Kernel command line: ",
    # the guest has a module of the kernel's less than this one wants; nothing here does
    r"lz4: Unknown symbol ",
    # a VF has no memory space enable of its own; a guest begins with it cleared
    r"hisi_\w+ \S+ enabling device \(0000 -> 0002\)",
    # an emulated processor is slow
    r"hrtimer: interrupt took ",
    r"pci-host-generic \S+ Memory resource size exceeds max for 32 bits",
    r"\w+: loading out-of-tree module taints kernel",
    # what they are of has been seen
    r"\w+: \d+ callbacks suppressed")))

# What a guest's QEMU warns of and a test cannot help: no peer-to-peer DMA between two
# functions' BARs; a container without dirty tracking, which the lab asks for; that a
# migration has failed, which whoever begins one has to look at
_USUAL_OF_QEMU = re.compile("|".join((
    r"warning: VFIO dma-buf not supported in kernel",
    r"warning: IOMMU_IOAS_MAP failed: Bad address, PCI BAR\?",
    r"PCI peer-to-peer transactions on BARs are not supported[.]$",
    r"warning: vfio_container_dma_map\(.*\) = -14 \(Bad address\)",
    r"warning: \S+ VFIO device doesn't support device and IOMMU dirty tracking",
    r"failed to save SaveStateEntry with id\(name\)",
    r"Unable to (write to|read from) (socket|command)|Channel error: ",
    r"error while loading state section id \d+|load of migration failed: |check_section_footer: Read section footer failed: ")))

_RULE = re.compile(r"={20,}$")
_RACE = re.compile(r"BUG: KCSAN: ")
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


def _foreign_race(block: list[str]) -> bool:
    """Is this a report of a data race in which our module has no part?"""
    return any(_RACE.search(line) for line in block) and not any(OURS in line for line in block)


def _blocks(lines: Iterable[str]) -> list[list[str]]:
    """The log in pieces: what stands between two rules of "=" belongs together."""
    blocks: list[list[str]] = [[]]
    inside = False
    for line in lines:
        if _RULE.search(line):
            inside = not inside
            blocks.append([])
        else:
            # A report that was cut off must not swallow what follows it
            if inside and len(blocks[-1]) > 200:
                inside = False
                blocks.append([])
            blocks[-1].append(line)
    return blocks


def is_splat(line: str) -> bool:
    """Is this one of a kernel's own reports, not the words of a driver?"""
    return _SPLAT.search(line) is not None


def _wrong(line: str) -> bool:
    level = _level(line)
    return bool(is_splat(line) or _TROUBLE.search(line) or level is not None and level <= _ERR) and \
        not _USUAL.search(line)


def splats(lines: Iterable[str], told: set[str] | None = None) -> list[str]:
    """The lines of a kernel's log that no run may show, each once: all at level err or
    worse, where the log has levels (as of `dmesg -r`).  What is in `told` is left out,
    and the rest is added to it.

    Of the reports of data races only those count that name our module.
    """
    told = set() if told is None else told
    found: dict[str, None] = {}
    for block in _blocks(lines):
        if _foreign_race(block):
            continue
        for line in block:
            if _wrong(line) and stamped(line) not in told:
                told.add(stamped(line))
                found[_without_prefix(line)] = None
    return list(found)


def guest_splats(lines: Iterable[str]) -> list[str]:
    """The same of a guest's console, where all counts that its kernel says: what is
    below a warning does not come there."""
    said = [line for line in lines if _TIME.match(line) or is_splat(line)]
    return list(dict.fromkeys(
        _without_prefix(line) for line in said if not _USUAL.search(line) and not _USUAL_WARNING.search(line)))


def qemu_splats(lines: Iterable[str]) -> list[str]:
    """What a guest's QEMU said on its standard error that no run may show."""
    return [line for line in lines if line.strip() and not _USUAL_OF_QEMU.search(line)]
