# SPDX-License-Identifier: GPL-2.0
"""Reports of the guest's load, read and checked while it runs.

The load (programs/load.c) writes a line of JSON ten times a second.  The lines from both
hosts become one record, because the same program continues on the other host.
"""

import dataclasses
import json
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from ..core.errors import LabError
from ..core.timeouts import MACHINE


@dataclasses.dataclass(frozen=True)
class Report:
    """One report: `at` is time.monotonic() of its arrival, `host` the host of the guest;
    `pages` is the number of pages that only the device writes, `stale` how many of them
    had old content."""

    host: str
    at: float
    seq: int
    boot: str
    pid: int
    in_flight: int
    oldest_ms: int
    submitted: int
    verified: int
    mismatched: int
    failed: int
    final: bool
    lanes: tuple[int, ...]
    pages: int = 0
    stale: int = 0


class LoadRecord:
    """All reports of one load, in order of arrival.  Thread-safe.  `timeout_scale` scales all
    timeouts: that of the slowest host of the load."""

    def __init__(self, timeout_scale: float = MACHINE) -> None:
        self._timeout_scale = timeout_scale
        self.reports: list[Report] = []
        self.exit_status: int | None = None
        self.ready = False
        self._garbled: list[str] = []
        self._error = ""
        self._changed = threading.Condition()

    def follow(self, host: str, lines: Iterable[bytes]) -> None:
        """Read one host's lines to their end; runs in a thread per host."""
        for raw in lines:
            self._take(host, raw.decode(errors="replace").strip())

    def _take(self, host: str, line: str) -> None:
        if not line:
            return
        with self._changed:
            try:
                msg: dict[str, Any] = json.loads(line)
                if "seq" in msg:
                    msg.pop("ms")
                    msg["lanes"] = tuple(msg["lanes"])
                    self.reports.append(Report(host=host, at=time.monotonic(), **msg))
                elif "ready" in msg:
                    self.ready = True
                elif "exit" in msg:
                    self.exit_status = msg["exit"]
                elif "error" in msg:
                    self._error = msg["error"]
            except (ValueError, KeyError, TypeError):
                self._garbled.append(f"{host}: {line}")
            self._changed.notify_all()

    @property
    def last(self) -> Report | None:
        """The newest report, or None before the first."""
        return self.reports[-1] if self.reports else None

    def wait(self, what: str, test: Callable[[], bool], timeout: float,
             alive: Callable[[], bool] = lambda: True) -> None:
        """Wait until `test` holds; it is evaluated after each report.

        Raises LabError after `timeout` seconds, when the guest reported an error,
        or when `alive` (called once a second) returns false.
        """
        timeout *= self._timeout_scale
        deadline = time.monotonic() + timeout
        with self._changed:
            while not test():
                if self._error:
                    raise LabError(f"the guest failed: {self._error}")
                left = deadline - time.monotonic()
                if left <= 0:
                    raise LabError(f"{what}: not within {timeout:.0f} s")
                if not self._changed.wait(min(left, 1)) and not alive():
                    raise LabError(f"{what}: the guest ended before it")

    def wait_progress(self, what: str, per_lane: int, timeout: float,
                      alive: Callable[[], bool] = lambda: True) -> None:
        """Wait until each lane has got `per_lane` more requests verified than now.

        The error names the other lanes: their requests are stuck.
        """
        before = self.last.lanes if self.last else ()

        def stuck() -> list[int]:
            if self.last is None:
                return [0]
            base = before or (0,) * len(self.last.lanes)
            return [n for n, (old, new) in enumerate(zip(base, self.last.lanes)) if new - old < per_lane]

        try:
            self.wait(what, lambda: not stuck(), timeout, alive)
        except LabError as e:
            lanes = ", ".join(map(str, stuck()))
            oldest = self.last.oldest_ms if self.last else 0
            raise LabError(f"{e}; lanes without an answer: {lanes or 'none'}; "
                           f"the oldest request has waited for {oldest} ms") from e

    def failures(self) -> list[str]:
        """All failed checks of the load; empty if there are none."""
        found = [f"a garbled report: {line[:120]}" for line in self._garbled]
        if self._error:
            found.append(f"the guest failed: {self._error}")
        if not self.reports:
            return [*found, "the load never reported"]
        first, last = self.reports[0], self.reports[-1]
        if any(r.boot != first.boot for r in self.reports):
            found.append("the guest rebooted")
        if any(r.pid != first.pid for r in self.reports):
            found.append("the load is another process")
        sequence = [r.seq for r in self.reports]
        if sequence != list(range(sequence[0], sequence[0] + len(sequence))):
            found.append("reports are missing, duplicated or out of order")
        if last.mismatched:
            found.append(f"{last.mismatched} results differ from software")
        if last.stale:
            found.append(f"{last.stale} of {last.pages} pages that only the device writes were stale")
        if last.failed:
            found.append(f"{last.failed} requests failed")
        if last.final:
            lost = last.submitted - last.verified - last.mismatched - last.failed
            if lost:
                found.append(f"{lost} requests were lost")
            if self.exit_status not in (None, 0):
                found.append(f"the load ended with status {self.exit_status}")
        return found
