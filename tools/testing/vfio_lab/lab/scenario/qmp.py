# SPDX-License-Identifier: GPL-2.0
"""Synchronous QMP, based on Debian's qemu.qmp.

The client runs in its own thread.  Events are kept in order, with time.monotonic() of
their arrival.
"""

import asyncio
import contextlib
import dataclasses
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from ..core.errors import LabError


@dataclasses.dataclass(frozen=True)
class Event:
    """An event of QEMU's: `at` is time.monotonic() of its arrival, `stamp` when QEMU
    sent it, in seconds of its host's clock."""

    name: str
    data: dict[str, Any]
    at: float
    stamp: float = 0.0


class Qmp:
    """A QMP session over a connected socket whose other end QEMU holds.

    `library` is the directory of the Python package `qemu`; see pyqmp.path().  `silent` is
    called when QEMU does not answer a command in time, before the error.
    """

    def __init__(self, sock: socket.socket, name: str, library: str, timeout_scale: float = 1,
                 silent: Callable[[], None] = lambda: None) -> None:
        if library not in sys.path:
            sys.path.insert(0, library)
        from qemu.qmp import QMPClient, QMPError
        self._error = QMPError
        self._silent = silent
        self.name = name
        self._timeout_scale = timeout_scale
        self.events: list[Event] = []
        self._changed = threading.Condition()
        self._closed = False
        self._client = QMPClient(name)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"qmp-{name}", daemon=True)
        self._thread.start()
        sock.setblocking(False)
        try:
            self._call(self._client.connect(sock), timeout=60 * timeout_scale)
        except (QMPError, TimeoutError) as e:
            self._stop_loop()
            raise LabError(f"{name}: QEMU did not answer on its monitor: {e}") from e
        self._listener = asyncio.run_coroutine_threadsafe(self._listen(), self._loop)

    def _call(self, coroutine: Any, timeout: float | None) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout)

    async def _listen(self) -> None:
        async for msg in self._client.events:
            with self._changed:
                stamp = msg["timestamp"]["seconds"] + msg["timestamp"]["microseconds"] / 1e6
                self.events.append(Event(msg["event"], msg.get("data", {}), time.monotonic(), stamp))
                self._changed.notify_all()

    def cmd(self, command: str, timeout: float = 60, **arguments: Any) -> Any:
        """Run a command and return its answer.  Underscores in argument names
        stand for dashes.  Raises LabError with QEMU's error message."""
        timeout *= self._timeout_scale
        arguments = {k.replace("_", "-"): v for k, v in arguments.items()}
        try:
            return self._call(self._client.execute(command, arguments or None), timeout)
        except self._error as e:
            raise LabError(f"{self.name}: {command}: {e}") from e
        except TimeoutError as e:
            with contextlib.suppress(LabError):     # its own query may not be answered either
                self._silent()
            raise LabError(f"{self.name}: {command}: no answer within {timeout:.0f} s") from e

    def wait(self, what: str, test: Callable[[Event], bool], timeout: float,
             alive: Callable[[], bool] = lambda: True) -> Event:
        """Return the first event that `test` accepts, earlier ones included.

        Raises LabError after `timeout` seconds, or as soon as `alive` (called
        once a second) returns false; the message names `what`.
        """
        timeout *= self._timeout_scale
        deadline = time.monotonic() + timeout
        seen = 0
        with self._changed:
            while True:
                for event in self.events[seen:]:
                    if test(event):
                        return event
                seen = len(self.events)
                left = deadline - time.monotonic()
                if left <= 0:
                    raise LabError(f"{self.name}: {what}: not within {timeout:.0f} s")
                if not self._changed.wait(min(left, 1)) and not alive():
                    raise LabError(f"{self.name}: {what}: QEMU ended before it")

    def close(self) -> None:
        """Close the session; QEMU keeps running.  May be called twice."""
        if self._closed:
            return
        self._closed = True
        self._listener.cancel()
        try:
            self._call(self._client.disconnect(), timeout=5)
        except (self._error, TimeoutError, EOFError, OSError):
            pass        # QEMU has closed it already
        self._stop_loop()

    def _stop_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
