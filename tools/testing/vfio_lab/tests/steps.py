# SPDX-License-Identifier: GPL-2.0
"""One function in a host driven through VFIO a step at a time, while the test
breaks the device model in between."""

from __future__ import annotations

import enum
import errno
import subprocess
from pathlib import Path

from lab import cross, paths
from lab.context import Context
from lab.host import Host

SELFTESTS = paths.ROOT / "tools/testing/selftests/vfio"
REMOTE = "/lab/vfio_steps"
IMAGE = 176


class State(enum.IntEnum):
    """Migration states of VFIO that our driver has."""

    ERROR = 0
    STOP = 1
    RUNNING = 2
    STOP_COPY = 3
    RESUMING = 4
    RUNNING_P2P = 5
    PRE_COPY = 6
    PRE_COPY_P2P = 7


def program(context: Context) -> Path:
    """What runs in the host; see vfio_steps.c."""
    return cross.static_program(
        [paths.LAB / "tests/vfio_steps.c", SELFTESTS / "hisi_acc_test_device.c"], context)


class Function:
    """A virtual function that a test has open; a context manager."""

    def __init__(self, host: Host, address: str) -> None:
        self.host, self.address = host, address
        self._process = host.ssh.popen(f"{REMOTE} {address} 2>&1", stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE)
        assert self._line() == "open"

    def __enter__(self) -> Function:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        assert self._process.wait(30) == 0

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().decode().strip()

    def _say(self, text: str) -> list[int]:
        assert self._process.stdin
        self._process.stdin.write(f"{text}\n".encode())
        self._process.stdin.flush()
        return [int(word) for word in self._line().split()]

    @staticmethod
    def _outcome(answer: list[int]) -> tuple[str, State]:
        error, state = answer
        return (errno.errorcode[-error] if error else "", State(state))

    def guest_up(self) -> None:
        """The stand-in for a guest's driver takes the function into use."""
        self._say("u")

    def go(self, state: State) -> tuple[str, State]:
        """Ask for a state: the error's name, if any, and the state after."""
        return self._outcome(self._say(f"s {int(state)}"))

    def reset(self) -> tuple[str, State]:
        """VFIO_DEVICE_RESET."""
        return self._outcome(self._say("r"))

    def state(self) -> State:
        """The state as the driver tells it."""
        return State(self._say("g")[0])

    def table(self) -> int:
        """The address of the SQC table, as the guest's mailbox gives it."""
        return self._say("t")[0]

    def read_image(self) -> int:
        """Read the data file; how much came, or -errno."""
        return self._say(f"d {IMAGE}")[0]

    def write_image(self) -> int:
        """Write what was read last into the data file; how much went."""
        return self._say("w")[0]
