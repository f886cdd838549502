# SPDX-License-Identifier: GPL-2.0
"""Busy loops beside a run of the tests: those fail that depend on how fast a machine is."""

from __future__ import annotations

import subprocess
from typing import Any

from lab.core import processors
from lab.core.process import kept_apart

LOOP = ["/bin/sh", "-c", "while :; do :; done"]


class Busy:
    """A plugin of pytest that keeps each processor busy until the run ends."""

    def __init__(self) -> None:
        self._loops: list[subprocess.Popen[Any]] = []

    def pytest_sessionstart(self) -> None:
        """Start one loop for each processor."""
        self._loops = [subprocess.Popen(LOOP, **kept_apart()) for _ in range(processors.count())]

    def pytest_sessionfinish(self) -> None:
        """End the loops."""
        for loop in self._loops:
            loop.kill()
            loop.wait()
