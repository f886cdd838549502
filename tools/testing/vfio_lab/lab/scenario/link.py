# SPDX-License-Identifier: GPL-2.0
"""The network between hosts: of two, as slow, far and lossy as a user wants it, or of any number.

Without a Link two outer QEMUs are connected by one unix socket.  With one, and if there are more of
them, they connect to this process, which passes their frames on: QEMU's `stream` network sends each
frame after its length, 4 bytes in network byte order.
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
from collections.abc import Iterator, Sequence

#: what waits for the link in each direction, in milliseconds of its bandwidth: a small router
QUEUE_MS = 50
LENGTH = struct.Struct("!I")
#: where a frame has the addresses of its receiver and sender, after its length
RECEIVER, SENDER = slice(4, 10), slice(10, 16)


def address(number: int) -> str:
    """IP address of a host by its number in a network, from 1 on."""
    return f"10.0.9.{number}"


@dataclasses.dataclass(frozen=True)
class Port:
    """A host's place in a network: its number, from 1 on, and the unix socket to which its outer QEMU
    connects, or at which it `listens` for the other host."""

    number: int
    path: pathlib.Path
    listens: bool = False

    @property
    def address(self) -> str:
        """Its IP address."""
        return address(self.number)

    @property
    def mac(self) -> str:
        """Its Ethernet address."""
        return f"52:54:00:00:01:{self.number:02x}"


def _frames(source: socket.socket) -> Iterator[bytes]:
    """Whole frames with their lengths, until the host is switched off."""
    with contextlib.suppress(OSError), source.makefile("rb") as stream:
        while len(head := stream.read(LENGTH.size)) == LENGTH.size:
            (size,) = LENGTH.unpack(head)
            if len(frame := stream.read(size)) < size:
                return
            yield head + frame


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

    def _take(self) -> None:
        free = 0.0
        for frame in _frames(self._source):
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


class _Network:
    """Sockets for hosts to connect to, and what passes frames between them until it is closed."""

    def __init__(self, names: Sequence[str], folder: pathlib.Path) -> None:
        #: the host's port, by its name
        self.ports = {name: Port(number, folder / f"lan-{number}") for number, name in enumerate(names, 1)}
        self._sockets: list[socket.socket] = []
        for port in self.ports.values():
            listening = socket.socket(socket.AF_UNIX)
            self._sockets.append(listening)
            listening.bind(str(port.path))
            listening.listen(1)
        self._begin(list(self._sockets))

    def _begin(self, listening: Sequence[socket.socket]) -> None:
        """Start to pass frames between the hosts that connect."""
        raise NotImplementedError

    def close(self) -> None:
        """End the network.  May be called twice."""
        for one in self._sockets:
            with contextlib.suppress(OSError):      # it was not connected
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for port in self.ports.values():
            port.path.unlink(missing_ok=True)


class Wire(_Network):
    """Connects two hosts by a link."""

    def __init__(self, link: Link, names: Sequence[str], folder: pathlib.Path) -> None:
        self._link = link
        super().__init__(names, folder)

    def _begin(self, listening: Sequence[socket.socket]) -> None:
        threading.Thread(target=self._connect, args=tuple(listening), daemon=True).start()

    def _connect(self, *listening: socket.socket) -> None:
        try:
            ends = [one.accept()[0] for one in listening]
        except OSError:
            return          # closed before both hosts were there
        self._sockets += ends
        for seed, (source, target) in enumerate((ends, ends[::-1])):
            _Direction(self._link, source, target, seed).start()


class Switch(_Network):
    """Connects any number of hosts, as an Ethernet switch does: a frame goes to the host that has its address, or
    to all others."""

    def _begin(self, listening: Sequence[socket.socket]) -> None:
        self._lock = threading.Lock()
        #: the hosts that have connected, and what is held to send to each
        self.connected: dict[socket.socket, threading.Lock] = {}
        self._known: dict[bytes, socket.socket] = {}
        for one in listening:
            threading.Thread(target=self._pass, args=(one,), daemon=True).start()

    def _pass(self, listening: socket.socket) -> None:
        try:
            host = listening.accept()[0]
        except OSError:
            return          # closed before the host was there
        with self._lock:
            self._sockets.append(host)
            self.connected[host] = threading.Lock()
        for frame in _frames(host):
            with self._lock:
                self._known[frame[SENDER]] = host
                known = self._known.get(frame[RECEIVER])
                targets = [known] if known else [other for other in self.connected if other is not host]
            for target in targets:
                # of several senders, a frame is passed on as a whole
                with self.connected[target], contextlib.suppress(OSError):     # that host was switched off
                    target.sendall(frame)
