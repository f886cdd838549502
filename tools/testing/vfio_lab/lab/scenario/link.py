# SPDX-License-Identifier: GPL-2.0
"""The network between two hosts, as slow, far and lossy as a user wants it.

Without a Link the outer QEMUs are connected by one unix socket.  With one, both connect to this
process, which passes their frames on: QEMU's `stream` network sends each frame after its length,
4 bytes in network byte order.
"""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import queue
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator

#: what waits for the link in each direction, in milliseconds of its bandwidth: a small router
QUEUE_MS = 50
LENGTH = struct.Struct("!I")


@dataclasses.dataclass(frozen=True)
class Link:
    """`mbit` is the bandwidth in 10^6 bits per second, `delay_ms` the time that a frame needs from one
    host to the other, `loss` the percentage of frames that are lost, in each direction."""

    mbit: float
    delay_ms: float = 0.0
    loss: float = 0.0


class _Direction:
    """Frames from one host to the other."""

    def __init__(self, link: Link, source: socket.socket, target: socket.socket, seed: int) -> None:
        self._link, self._source, self._target = link, source, target
        # the same frames of each run are lost
        self._chance = random.Random(seed)
        #: when a frame is due, and the frame; None after the last
        self._waiting: queue.SimpleQueue[tuple[float, bytes] | None] = queue.SimpleQueue()

    def start(self) -> None:
        for work in (self._take, self._give):
            threading.Thread(target=work, daemon=True).start()

    def _frames(self) -> Iterator[bytes]:
        """Whole frames with their lengths, until one of the hosts is switched off."""
        with contextlib.suppress(OSError), self._source.makefile("rb") as stream:
            while len(head := stream.read(LENGTH.size)) == LENGTH.size:
                (size,) = LENGTH.unpack(head)
                if len(frame := stream.read(size)) < size:
                    return
                yield head + frame

    def _take(self) -> None:
        free = 0.0
        for frame in self._frames():
            now = time.monotonic()
            free = max(free, now)
            full = (free - now) * 1e3 > QUEUE_MS
            if full or self._chance.random() * 100 < self._link.loss:
                continue
            free += len(frame) * 8 / (self._link.mbit * 1e6)
            self._waiting.put((free + self._link.delay_ms / 1e3, frame))
        self._waiting.put(None)

    def _give(self) -> None:
        while item := self._waiting.get():
            due, frame = item
            time.sleep(max(due - time.monotonic(), 0))
            with contextlib.suppress(OSError):      # that host was switched off
                self._target.sendall(frame)


class Wire:
    """The sockets of the two hosts, and what passes frames between them until it is closed."""

    def __init__(self, link: Link, folder: pathlib.Path) -> None:
        self._link = link
        #: sockets to which the outer QEMUs connect, by the end of the network that each has
        self.ends = {"server": folder / "lan-server", "client": folder / "lan-client"}
        self._sockets: list[socket.socket] = []
        for path in self.ends.values():
            listening = socket.socket(socket.AF_UNIX)
            self._sockets.append(listening)
            listening.bind(str(path))
            listening.listen(1)
        threading.Thread(target=self._connect, args=tuple(self._sockets), daemon=True).start()

    def _connect(self, *listening: socket.socket) -> None:
        try:
            ends = [one.accept()[0] for one in listening]
        except OSError:
            return          # closed before both hosts were there
        self._sockets += ends
        for seed, (source, target) in enumerate((ends, ends[::-1])):
            _Direction(self._link, source, target, seed).start()

    def close(self) -> None:
        """End the network.  May be called twice."""
        for one in self._sockets:
            with contextlib.suppress(OSError):      # it was not connected
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for path in self.ends.values():
            path.unlink(missing_ok=True)
