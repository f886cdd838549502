# SPDX-License-Identifier: GPL-2.0
"""Memory that a host's kernel has lost, where it looks for it (CONFIG_DEBUG_KMEMLEAK).

It finds what is lost again and again: with a mutant of the driver that never frees a
data file, 9 were reported after two scans, 15 after four, when two tests had run eight
times each.  What is lost once may go unseen.
"""

from __future__ import annotations

from ..scenario.host import Host

FILE = "/sys/kernel/debug/kmemleak"
# kmemleak takes nothing for lost that is younger than 5 s; and what only a stack
# or a register pointed to in one scan is lost for good in the next
YOUNG_SECONDS = 6
SCANS = 2


def watched(host: Host) -> bool:
    """Does the host's kernel look for lost memory?"""
    return host.ssh.run(f"[ -w {FILE} ]", check=False).returncode == 0


def forget(host: Host) -> None:
    """What is lost by now, by others and at the boot, is not to be told of."""
    if watched(host):
        host.ssh.run(f"echo scan > {FILE} && echo clear > {FILE}", timeout=120)


def lost(host: Host) -> str:
    """What was lost since forget(), with who took it; "" where nothing was, or
    where nobody looks."""
    if not watched(host):
        return ""
    for _ in range(SCANS):
        host.ssh.run(f"sleep {YOUNG_SECONDS}; echo scan > {FILE}", timeout=120)
    return host.ssh.out(f"cat {FILE}")
