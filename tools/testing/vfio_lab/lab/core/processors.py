# SPDX-License-Identifier: GPL-2.0
"""How many processors a build may keep busy."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def _quota(folder: Path) -> float:
    """Processors that one control group may use, of version 2 or 1; infinity for all."""
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            quota, period = " ".join((folder / name).read_text(encoding="ascii") for name in names).split()
            if quota != "max" and int(quota) > 0:
                return int(quota) / int(period)
        except (OSError, ValueError):
            continue
    return math.inf


def count(cgroups: Path = CGROUPS, own: Path = Path("/proc/self/cgroup")) -> int:
    """Processors that this process may run on, and that its control groups give it time
    of; at least one."""
    allowed: float = len(os.sched_getaffinity(0))
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        _, controllers, place = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        tops = [cgroups] if not controllers else [cgroups / controllers, cgroups / "cpu"]
        for top in tops:
            inner = top / place.lstrip("/")
            for folder in (inner, *inner.parents):
                if not folder.is_relative_to(top):
                    break
                allowed = min(allowed, _quota(folder))
    return max(1, math.ceil(allowed))
