# SPDX-License-Identifier: GPL-2.0
"""What a kernel's log must not contain, however it is worded."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: the module whose data races count; the kernel has others, known to its makers
OURS = "[hisi_acc_vfio_pci]"

_TROUBLE = re.compile(
    r"WARNING: |BUG: |Oops|Kernel panic|Call trace|possible circular|INFO: task .* blocked|soft lockup"
    r"|UBSAN: |suspicious RCU|trying to register non-static key|lock held when returning|ODEBUG: "
    r"|Internal error|refcount_t: |Unable to handle kernel|kmemleak: [1-9]\d* new|rcu.*detected .*stall"
    r"|arm-smmu-v3 .*event 0x|hisi.*(error|fail|timeout)", re.I)
# Tells of itself at each boot; KUnit's sum of a suite that passed
_QUIET = re.compile(r"kmemleak: Kernel memory leak detector (initialized|disabled)|# hisi_acc_\w+: pass:\d+ fail:0 ", re.I)
_RULE = re.compile(r"={20,}$")
_RACE = re.compile(r"BUG: KCSAN: ")


def _without_prefix(line: str) -> str:
    """A line without printk's time, and without the caller behind it."""
    return re.sub(r"^(<\d+>)?\[ *\d+\.\d+\](\[ *[CT]\d+\])? ?", "", line.strip())


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


def splats(lines: Iterable[str]) -> list[str]:
    """The lines of a kernel's log that no run may show, each once.

    Of the reports of data races only those count that name our module.
    """
    found: dict[str, None] = {}
    for block in _blocks(lines):
        if _foreign_race(block):
            continue
        for line in block:
            if _TROUBLE.search(line) and not _QUIET.search(line):
                found[_without_prefix(line)] = None
    return list(found)
