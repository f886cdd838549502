# SPDX-License-Identifier: GPL-2.0
"""Build times of parts, for forecasts: from the last build on this machine, or else
defaults."""

from __future__ import annotations

import contextlib
import fnmatch
import json
import os
from pathlib import Path

FILE = "durations.json"
#: in seconds, on two processors, two heavy ones side by side; the first pattern that
#: matches counts
SHIPPED = {
    "linux-source-*": 30.0,
    "qemu-source": 6.0,
    "qemu": 280.0,
    "qemu-asan": 900.0,
    "kernel-*-guest": 450.0,
    "kernel-*-debug": 900.0,
    "kernel-*": 430.0,
    "driver-*": 3.0,
    "rootfs*": 20.0,
    "kselftest": 60.0,
    "kunit": 160.0,
    "*": 10.0,
}
#: parts that are built faster with more CPUs
SHARED = ("qemu", "qemu-asan", "kernel-*", "kunit")


def shipped(part: str, processors: int | None = None) -> float:
    """Default build time of a part, in seconds."""
    seconds = next(SHIPPED[pattern] for pattern in SHIPPED if fnmatch.fnmatch(part, pattern))
    if any(fnmatch.fnmatch(part, pattern) for pattern in SHARED):
        seconds *= 2 / max(processors or len(os.sched_getaffinity(0)), 1)
    return seconds


def known(root: Path) -> dict[str, float]:
    """Build times on this machine, from the cache, in seconds."""
    try:
        read = json.loads((root / FILE).read_text(encoding="utf-8"))
        return {str(part): float(seconds) for part, seconds in read.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def keep(root: Path, part: str, seconds: float) -> None:
    """Record the build time of a part.  A concurrent update can be lost."""
    new = root / f"{FILE}.{os.getpid()}"
    with contextlib.suppress(OSError):
        new.write_text(json.dumps({**known(root), part: round(seconds, 1)}, indent=1), encoding="utf-8")
        new.rename(root / FILE)
