# SPDX-License-Identifier: GPL-2.0
"""Memory leaks in a host's kernel with CONFIG_DEBUG_KMEMLEAK.

It detects repeated leaks: with a mutation of the driver that never frees a migration
file, 9 leaks were reported after two scans and 15 after four, when two tests had run eight
times each.  A single leak can remain undetected.
"""

from __future__ import annotations

from ..scenario.host import Host

FILE = "/sys/kernel/debug/kmemleak"
# kmemleak reports no object younger than 5 s; and an object that only a stack or a
# register pointed to in one scan is a leak in the next
YOUNG_SECONDS = 6
SCANS = 2


def watched(host: Host) -> bool:
    """Whether the host's kernel has kmemleak."""
    return host.ssh.run(f"[ -w {FILE} ]", check=False).returncode == 0


def forget(host: Host) -> None:
    """Ignore the leaks so far, by others and at boot."""
    if watched(host):
        host.ssh.run(f"echo scan > {FILE} && echo clear > {FILE}", timeout=120)


def lost(host: Host) -> str:
    """Leaks since forget(), with the allocating processes; "" without leaks or without
    kmemleak."""
    if not watched(host):
        return ""
    for _ in range(SCANS):
        host.ssh.run(f"sleep {YOUNG_SECONDS}; echo scan > {FILE}", timeout=120)
    return host.ssh.out(f"cat {FILE}")
