# SPDX-License-Identifier: GPL-2.0
"""What the guest's load says of itself, followed while it runs, and judged.

The load (programs/load.c) writes a line of JSON ten times a second.  Here the
lines of both hosts come together into one record: the program is the same one,
only the host that carries it changes.
"""

import dataclasses
import json
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from ..core.errors import LabError
from ..core.patience import MACHINE


@dataclasses.dataclass(frozen=True)
class Report:
    """One line of the load's: `at` is time.monotonic() of its arrival, `host`
    the host that carried the guest when it was written; `pages` hold results that
    the device alone wrote, `stale` counts those that were found to be older."""

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
    """All that one load reported, in order of arrival.  Thread-safe.  `patience`
    makes all waits longer: that of the slowest host that the load is on."""

    def __init__(self, patience: float = MACHINE) -> None:
        self._patience = patience
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
        """Wait until `test` holds; it is asked after each line.

        Raises LabError after `timeout` seconds, when the guest reported an error,
        or when `alive` (asked once a second) says that nothing more will come.
        """
        timeout *= self._patience
        deadline = time.monotonic() + timeout
        with self._changed:
            while not test():
                if self._error:
                    raise LabError(f"the guest gave up: {self._error}")
                left = deadline - time.monotonic()
                if left <= 0:
                    raise LabError(f"{what}: not within {timeout:.0f} s")
                if not self._changed.wait(min(left, 1)) and not alive():
                    raise LabError(f"{what}: the guest ended before it")

    def wait_progress(self, what: str, per_lane: int, timeout: float,
                      alive: Callable[[], bool] = lambda: True) -> None:
        """Wait until each lane has got `per_lane` more requests verified than now.

        The error names the lanes that did not: requests in them hang.
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
                           f"the oldest request waits since {oldest} ms") from e

    def complaints(self) -> list[str]:
        """Everything that must not be: empty when the load is and was sound."""
        found = [f"a garbled report: {line[:120]}" for line in self._garbled]
        if self._error:
            found.append(f"the guest gave up: {self._error}")
        if not self.reports:
            return [*found, "the load never reported"]
        first, last = self.reports[0], self.reports[-1]
        if any(r.boot != first.boot for r in self.reports):
            found.append("the guest booted again")
        if any(r.pid != first.pid for r in self.reports):
            found.append("the load is another process than before")
        sequence = [r.seq for r in self.reports]
        if sequence != list(range(sequence[0], sequence[0] + len(sequence))):
            found.append("reports are missing, doubled or out of order")
        if last.mismatched:
            found.append(f"{last.mismatched} results differ from software's")
        if last.stale:
            found.append(f"{last.stale} of {last.pages} pages that the device alone writes were stale")
        if last.failed:
            found.append(f"{last.failed} requests failed")
        if last.final:
            lost = last.submitted - last.verified - last.mismatched - last.failed
            if lost:
                found.append(f"{lost} requests were lost")
            if self.exit_status not in (None, 0):
                found.append(f"the load ended with status {self.exit_status}")
        return found
