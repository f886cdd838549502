# SPDX-License-Identifier: GPL-2.0
"""Exact bytes of kernel memory that a process in a host has caused to be in use:
by the kernel's own tracepoints for each allocation and each release."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from ..core.errors import LabError
from ..scenario.ssh import Ssh

TRACING = "/sys/kernel/tracing"
TAKEN, GIVEN = ("kmalloc", "kmem_cache_alloc"), ("kfree", "kmem_cache_free")
BUFFER_KB = 16384
_EVENT = re.compile(r": (?P<name>\w+): call_site=(?P<site>\S+)(?: \[(?P<module>\w+)\])? ptr=(?P<ptr>\S+)"
                    r"(?:.* bytes_alloc=(?P<bytes>\d+))?")
_COUNTS = re.compile(r"entries-in-buffer/entries-written: (\d+)/(\d+)")

#: bytes in use, by the module whose code allocated them; "" is the kernel's own
InUse = dict[str, int]


@contextmanager
def traced(ssh: Ssh, pid: str) -> Iterator[None]:
    """Trace what the process `pid` (text for the host's shell) allocates, and what
    any process frees: much is freed later, by others."""
    on = " ".join(f"echo 1 > {TRACING}/events/kmem/{name}/enable;" for name in TAKEN + GIVEN)
    only = " ".join(f"echo 'common_pid == '{pid} > {TRACING}/events/kmem/{name}/filter;" for name in TAKEN)
    ssh.run(f"echo {BUFFER_KB} > {TRACING}/buffer_size_kb; echo > {TRACING}/trace; {only} {on}")
    try:
        yield
    finally:
        names = " ".join(TAKEN + GIVEN)
        ssh.run(f"for e in {names}; do echo 0 > {TRACING}/events/kmem/$e/enable; "
                f"echo 0 > {TRACING}/events/kmem/$e/filter; done; echo > {TRACING}/trace")


def in_use(ssh: Ssh) -> InUse:
    """What has been allocated since the trace began, and not been freed."""
    # Reading the trace by the network frees packets, which would be more to read
    text = ssh.out(f"echo 0 > {TRACING}/tracing_on; cat {TRACING}/trace; echo 1 > {TRACING}/tracing_on")
    counts = _COUNTS.search(text)
    if not counts or counts[1] != counts[2]:
        raise LabError(f"host {ssh.name}: the trace of allocations is not whole: "
                       f"{counts[0] if counts else 'it has no header'}")
    return sum_up(text)


def sum_up(trace: str) -> InUse:
    """The same from a trace's text."""
    blocks: dict[str, tuple[str, int]] = {}
    for line in trace.splitlines():
        event = _EVENT.search(line)
        if not event:
            continue
        if event["name"] in TAKEN:
            blocks[event["ptr"]] = event["module"] or "", int(event["bytes"])
        else:
            blocks.pop(event["ptr"], None)
    found: InUse = {}
    for module, size in blocks.values():
        found[module] = found.get(module, 0) + size
    return found
