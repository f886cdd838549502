# SPDX-License-Identifier: GPL-2.0
"""Data races in a host's kernel with CONFIG_KCSAN.

KCSAN watches one of 4000 accesses by default, so it detects a race in some runs only.  It
reported the in-tree driver's race between a read and a stop in 5 of 42 runs; with one of
300 accesses, which is a little slower, in 11 of 35.
"""

from __future__ import annotations

from ..scenario.host import Host

#: KCSAN watches one of so many accesses
SKIPPED = 300


def report_all_races(host: Host) -> None:
    """Let KCSAN watch more accesses than by default."""
    host.ssh.run(f"echo {SKIPPED} > /sys/module/kcsan/parameters/skip_watch")
