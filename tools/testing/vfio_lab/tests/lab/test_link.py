# SPDX-License-Identifier: GPL-2.0
"""The network between hosts: frames arrive whole and in order, at the host that they are for; by a link later by
its delay and bandwidth, and some of them not at all."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from lab.core import hardware
from lab.scenario.link import LENGTH, QUEUE_MS, Link, Switch, Wire

SECONDS = 60


@contextlib.contextmanager
def linked(link: Link, folder) -> Iterator[list[socket.socket]]:
    """Both ends of a link."""
    with ends_of(Wire(link, hardware.PAIR, folder)) as ends:
        yield ends
    assert not list(folder.iterdir())


@contextlib.contextmanager
def ends_of(network: Wire | Switch) -> Iterator[list[socket.socket]]:
    """The hosts' ends of a network, which ends with them."""
    ends = []
    try:
        for port in network.ports.values():
            ends.append(socket.socket(socket.AF_UNIX))
            ends[-1].settimeout(SECONDS)
            ends[-1].connect(str(port.path))
        yield ends
    finally:
        for end in ends:
            end.close()
        network.close()
        network.close()


def send(end: socket.socket, *frames: bytes) -> None:
    """Send frames as QEMU does."""
    end.sendall(b"".join(LENGTH.pack(len(frame)) + frame for frame in frames))


def receive(end: socket.socket) -> bytes:
    """Receive a frame."""
    def take(size: int) -> bytes:
        taken = b""
        while len(taken) < size and (more := end.recv(size - len(taken))):
            taken += more
        return taken
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


def frame(receiver: int, sender: int, content: bytes = b"") -> bytes:
    """A frame between two hosts of a switch; host 255 is all."""
    return (bytes([255] * 6) if receiver == 255 else bytes([2, 0, 0, 0, 0, receiver])) + bytes([2, 0, 0, 0, 0, sender]) + content


@pytest.fixture
def switched(tmp_path) -> Iterator[list[socket.socket]]:
    """Four hosts at a switch, each known to the others."""
    switch = Switch(["a", "b", "c", "d"], tmp_path)
    with ends_of(switch) as ends:
        while len(switch.connected) < len(ends):
            time.sleep(0.01)
        for number, end in enumerate(ends):
            send(end, frame(255, number))
        for number, end in enumerate(ends):
            assert sorted(receive(end)[11] for _ in range(3)) == [other for other in range(4) if other != number]
        yield ends
    assert not list(tmp_path.iterdir())


def test_a_switch_passes_frames_to_their_receivers(switched):
    """A frame must arrive at the host that has its address, at no other, and at all others if it is for all."""
    send(switched[0], frame(2, 0, b"to one"), frame(255, 0, b"to all"), frame(9, 0, b"to a stranger"))
    assert receive(switched[2]) == frame(2, 0, b"to one")
    for end in switched[1:]:
        assert [receive(end) for _ in range(2)] == [frame(255, 0, b"to all"), frame(9, 0, b"to a stranger")]


def test_a_switch_keeps_frames_whole(switched):
    """Frames of several hosts to one must arrive whole, those of each host in order."""
    # more than a socket takes at once
    sent = {sender: [frame(0, sender, bytes([n]) * 1_000_000) for n in range(20)] for sender in (1, 2, 3)}
    threads = [threading.Thread(target=send, args=(switched[sender], *frames)) for sender, frames in sent.items()]
    for thread in threads:
        thread.start()
    arrived = [receive(switched[0]) for _ in range(60)]
    for thread in threads:
        thread.join()
    for sender, frames in sent.items():
        assert [one for one in arrived if one[11] == sender] == frames


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_switch_goes_on_without_a_host(switched):
    """When a host is switched off amid a frame, nothing may fail, and the others must reach each other."""
    switched[3].sendall(b"\0\0\2\0part")
    switched[3].close()
    for _ in range(100):
        send(switched[0], frame(3, 0, bytes(1000)))
    send(switched[0], frame(1, 0, b"goes on"))
    assert receive(switched[1]) == frame(1, 0, b"goes on")
