# SPDX-License-Identifier: GPL-2.0
"""The arcs of a migration, from a driver's tracepoint.

Each arc of the VFIO state machine is an event with its duration: "DEVICE OLD -> NEW: RET, N ns".
The in-tree driver has no such tracepoint.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Container

from .ssh import Ssh

EVENTS = "/sys/kernel/tracing/events"
_LINE = re.compile(r"(?P<at>\d+\.\d+): \w+: (?P<device>\S+) (?P<old>\w+) -> (?P<new>\w+): "
                   r"(?P<ret>-?\d+), (?P<ns>\d+) ns")


@dataclasses.dataclass(frozen=True)
class Arc:
    """One arc: `end` is time.monotonic() of the lab, `seconds` its duration, `ret` 0 or a
    negative errno."""

    device: str
    old: str
    new: str
    ret: int
    end: float
    seconds: float

    @property
    def start(self) -> float:
        """Start time."""
        return self.end - self.seconds


def trace(ssh: Ssh, event: str) -> bool:
    """Start tracing arcs by an event, SYSTEM/NAME; False if the bound driver has no such event."""
    file = f"{EVENTS}/{event}/enable"
    return ssh.run(f"[ ! -e {file} ] || echo 1 > {file}; [ -e {file} ]", check=False).returncode == 0


def read(ssh: Ssh, offset: float) -> list[Arc]:
    """The arcs so far, in order.  `offset` is Host.clock_offset()."""
    text = ssh.out("cat /sys/kernel/tracing/trace")
    return [Arc(m["device"], m["old"], m["new"], int(m["ret"]), float(m["at"]) + offset, int(m["ns"]) / 1e9)
            for m in map(_LINE.search, text.splitlines()) if m]


def last(arcs: list[Arc], devices: Container[str], since: float, new: str, *old: str) -> dict[str, Arc]:
    """The last successful arc from one of `old` to `new` of each of these devices since a
    time.monotonic().  The trace also contains other migrations and devices."""
    return {a.device: a for a in arcs if a.device in devices and a.end >= since and
            a.old in old and a.new == new and a.ret == 0}
