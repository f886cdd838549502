# SPDX-License-Identifier: GPL-2.0
"""Data races that a host's kernel looks for (CONFIG_KCSAN).

It watches one access in so many, 4000 unless told otherwise, so a race is seen in some
runs only.  Of mainline's between a read and a stop 5 runs of 42 told so; with one
access in 300, which runs a little slower, 11 of 35.
"""

from __future__ import annotations

from ..scenario.host import Host

#: one access in so many is watched by a host that looks closely
SKIPPED = 300


def look_closely(host: Host) -> None:
    """Let the host's kernel watch more accesses than it does by itself."""
    host.ssh.run(f"echo {SKIPPED} > /sys/module/kcsan/parameters/skip_watch")
