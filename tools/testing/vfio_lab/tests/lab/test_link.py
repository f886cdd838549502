# SPDX-License-Identifier: GPL-2.0
"""The network between two hosts: frames arrive whole and in order, later by its delay and bandwidth, and
some of them not at all."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest

from lab.scenario.link import LENGTH, QUEUE_MS, Link, Wire

SECONDS = 60


@contextlib.contextmanager
def linked(link: Link, folder) -> Iterator[list[socket.socket]]:
    """Both ends of a link."""
    wire = Wire(link, folder)
    ends = []
    try:
        for path in wire.ends.values():
            ends.append(socket.socket(socket.AF_UNIX))
            ends[-1].settimeout(SECONDS)
            ends[-1].connect(str(path))
        yield ends
    finally:
        for end in ends:
            end.close()
        wire.close()
        wire.close()
    assert not list(folder.iterdir())


def send(end: socket.socket, *frames: bytes) -> None:
    """Send frames as QEMU does."""
    end.sendall(b"".join(LENGTH.pack(len(frame)) + frame for frame in frames))


def receive(end: socket.socket) -> bytes:
    """Receive a frame."""
    def take(size: int) -> bytes:
        return end.recv(size, socket.MSG_WAITALL)
    return take(LENGTH.unpack(take(LENGTH.size))[0])


@pytest.mark.parametrize("way", [1, -1], ids=["there", "back"])
def test_frames_arrive_in_order_and_late(tmp_path, way):
    """Frames must arrive in order, not before the delay and the time that the bandwidth gives them."""
    frames = [bytes([n]) * 1250 for n in range(10)]
    with linked(Link(mbit=10, delay_ms=100), tmp_path) as ends:
        source, target = ends[::way]
        began = time.monotonic()
        send(source, *frames)
        assert [receive(target) for _ in frames] == frames
        # ten frames of 10,000 bits each
        assert time.monotonic() - began >= 0.110


def test_frames_are_lost(tmp_path):
    """As many frames as asked for must be lost, the same ones in each run."""
    frames = [n.to_bytes(2, "big") for n in range(2000)]
    runs = []
    for run in range(2):
        folder = tmp_path / str(run)
        folder.mkdir()
        with linked(Link(mbit=1000, loss=5), folder) as (source, target):
            # the last one is not among the lost
            send(source, *frames, *[b"end"] * 20)
            arrived = []
            while (frame := receive(target)) != b"end":
                arrived.append(frame)
        assert 1850 < len(arrived) < 1950 and arrived == sorted(arrived)
        runs.append(arrived)
    assert runs[0] == runs[1]


def test_a_full_queue_drops_frames(tmp_path):
    """What would wait longer than the queue of a router must be lost."""
    frames = [bytes(1250)] * 200
    with linked(Link(mbit=1), tmp_path) as (source, target):
        send(source, *frames)
        target.settimeout(1)
        arrived = 0
        with contextlib.suppress(TimeoutError):
            while True:
                receive(target)
                arrived += 1
        # of 10 ms each, and those that were sent meanwhile
        assert QUEUE_MS // 10 <= arrived < len(frames) // 2


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("rest", [b"", b"\0\0", b"\0\0\2\0part"], ids=["idle", "length", "frame"])
def test_a_host_that_is_switched_off(tmp_path, rest):
    """When one host is switched off, also amid a frame, nothing may fail, and the other may continue to send."""
    with linked(Link(mbit=100), tmp_path) as (source, target):
        send(target, b"last")
        assert receive(source) == b"last"
        target.sendall(rest)
        target.close()
        for _ in range(100):
            send(source, bytes(1000))
