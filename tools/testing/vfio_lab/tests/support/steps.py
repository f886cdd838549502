# SPDX-License-Identifier: GPL-2.0
"""One VF in a host, driven through VFIO step by step, while the test injects faults into the device model."""

from __future__ import annotations

import dataclasses
import enum
import errno
import select
import subprocess
from collections.abc import Sequence
from pathlib import Path

from lab.core.context import Context
from lab.core.process import killed_after
from lab.build import cross
from lab.scenario.host import Host

REMOTE = "/lab/vfio_steps"
LOOP = "/lab/vfio_loop"
DATA_SIZE = 176
#: time after which a step hangs, on an idle machine
STEP_SECONDS = 60
#: fault properties of the device model, all off
SOUND = {"fault-mailbox": "none", "fault-opcode": "all", "fault-writeback": "none",
         "fault-vf-state": "none", "fault-registers": "none", "fault-reraise": "none", "fault-msi-drop": 0,
         "mailbox-latency": 0, "writeback-latency": 0, "error-reads": 0,
         "abnormal-error": 0, "engine-error": 0, "fault-function": "all"}


class State(enum.IntEnum):
    """VFIO migration states that this driver supports."""

    ERROR = 0
    STOP = 1
    RUNNING = 2
    STOP_COPY = 3
    RESUMING = 4
    RUNNING_P2P = 5
    PRE_COPY = 6
    PRE_COPY_P2P = 7


def program(context: Context) -> Path:
    """The program in the host; see vfio_steps.c."""
    return cross.vfio_program("vfio_steps", context)


@dataclasses.dataclass
class Loop:
    """Result of a VF's loop: iterations, failures and the first error; the longest iteration in
    milliseconds."""

    times: int
    failed: int
    error: str
    longest_ms: int


class Loops:
    """Operations repeated on several VFs until end(); see vfio_loop.c. A context manager."""

    def __init__(self, host: Host, what: str, addresses: Sequence[str]) -> None:
        self._host, self._addresses = host, list(addresses)
        self._process = host.ssh.popen(f"exec {LOOP} {what} {' '.join(addresses)} 2>&1", stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE)
        assert self._process.stdout
        with killed_after(STEP_SECONDS * host.timeout_scale, self._process):
            said = self._process.stdout.readline().decode().strip()
        assert said == "going", f"{what}: not every VF's loop has started: {said or 'one hangs'}"

    def end(self) -> dict[str, Loop]:
        """Stop the loops; returns the result of each, by address."""
        with killed_after(STEP_SECONDS * self._host.timeout_scale, self._process):
            lines = self._process.communicate()[0].decode().splitlines()
        found = {}
        for line in lines:
            address, *rest = line.split()
            times, failed, error, longest = map(int, rest)
            found[address] = Loop(times, failed, errno.errorcode[error] if error else "", longest)
        assert sorted(found) == sorted(self._addresses), "a loop hangs"
        return found

    def __enter__(self) -> Loops:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.communicate()


class Vf:
    """A VF opened by a test; a context manager."""

    def __init__(self, host: Host, address: str, physical: str = "", before: str = "", wait: bool = True) -> None:
        """With `wait` False, opened() must be called first."""
        self.host, self.address = host, address
        self._killed = False
        self._pid = f"/run/steps-{address}"
        self._process = host.ssh.popen(f"{before} echo $$ > {self._pid} && exec {REMOTE} {address} {physical} 2>&1",
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if wait:
            self.opened()

    def opened(self, seconds: float | None = None) -> bool:
        """Whether it is open; waits at most so many seconds for that."""
        assert self._process.stdout
        if seconds is not None and not select.select([self._process.stdout], [], [], seconds)[0]:
            return False
        said = self._line()
        assert said == "open", f"{self.address} cannot be opened: {said or 'its user was killed'}"
        return True

    def kill(self, seconds: float) -> bool:
        """Send SIGKILL; returns whether the process has ended within so many seconds."""
        self._killed = True
        self.host.ssh.run(f"kill -9 $(cat {self._pid})")
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def __enter__(self) -> Vf:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """End the program, which closes all its files. May be called twice."""
        assert self._process.stdin
        self._process.stdin.close()
        status = self._process.wait(STEP_SECONDS * self.host.timeout_scale)
        assert self._killed or status == 0

    def _line(self) -> str:
        assert self._process.stdout
        with killed_after(STEP_SECONDS * self.host.timeout_scale, self._process):
            return self._process.stdout.readline().decode().strip()

    def _send(self, text: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{text}\n".encode())
        self._process.stdin.flush()

    def _say(self, text: str) -> list[int]:
        self._send(text)
        return [int(word) for word in self._line().split()]

    @staticmethod
    def _outcome(answer: list[int]) -> tuple[str, State]:
        error, state = answer
        return (errno.errorcode[-error] if error else "", State(state))

    def guest_up(self, events: int = 0) -> None:
        """Set the VF up like a guest's driver, with so many unread events in its queue."""
        self._say(f"e {events}" if events else "u")

    def start_guest_up(self) -> None:
        """guest_up() without waiting: guest_is_up() does."""
        self._send("u")

    def guest_is_up(self) -> None:
        """Wait for the end of start_guest_up()."""
        self._line()

    def go(self, state: State) -> tuple[str, State]:
        """Request a state; returns the error's name, if any, and the state afterwards."""
        return self._outcome(self._say(f"s {int(state)}"))

    def reset(self) -> tuple[str, State]:
        """VFIO_DEVICE_RESET."""
        return self._outcome(self._say("r"))

    def reset_only(self) -> str:
        """VFIO_DEVICE_RESET of a VF that may have no state; returns the error's name, if any."""
        error = self._say("r")[0]
        return errno.errorcode[-error] if error else ""

    def power(self, state: int) -> None:
        """Set D0 or D3hot (3) in configuration space."""
        assert self._say(f"P {state}")[0] == 0

    def bus_master(self, on: bool) -> None:
        """Set or clear bus mastering, by config space."""
        assert self._say(f"Y {int(on)}")[0] == 0

    def flr(self) -> tuple[str, State]:
        """Function-level reset by configuration space, without a result."""
        return self._outcome(self._say("F"))

    def hot_reset(self) -> tuple[str, State]:
        """VFIO_DEVICE_PCI_HOT_RESET."""
        return self._outcome(self._say("h"))

    def start(self, state: State) -> None:
        """Request a state without waiting: finish() does."""
        self._send(f"s {int(state)}")

    def start_reset(self) -> None:
        """VFIO_DEVICE_RESET without waiting."""
        self._send("r")

    def start_flr(self) -> None:
        """Function-level reset by configuration space, without waiting."""
        self._send("F")

    def start_restore(self) -> None:
        """Write Device Control without a reset, without waiting."""
        self._send("C")

    def finish(self, seconds: float | None = None) -> tuple[str, State] | None:
        """The result of what was started, or None if it takes longer."""
        assert self._process.stdout
        if seconds is not None and not select.select([self._process.stdout], [], [], seconds)[0]:
            return None
        return self._outcome([int(word) for word in self._line().split()])

    def state(self) -> State:
        """The state that the driver reports."""
        return State(self._say("g")[0])

    def migration_flags(self) -> int:
        """The migration flags that the driver reports."""
        return self._say("m")[0]

    def table(self) -> int:
        """Address of the SQC table, read by the guest's mailbox."""
        return self._say("t")[0]

    def read_migration_data(self) -> int:
        """Read the migration file; returns the length or -errno."""
        return self._say(f"d {DATA_SIZE}")[0]

    def write_migration_data(self) -> int:
        """Write the data read last into the migration file; returns the length or -errno."""
        return self._say("w")[0]

    def precopy_info(self) -> str:
        """VFIO_MIG_GET_PRECOPY_INFO on the migration file; returns the error's name, if any."""
        error = self._say("p")[0]
        return errno.errorcode[-error] if error else ""

    def make_files(self, count: int, data: bool) -> None:
        """Open so many files and keep them: migration files or event descriptors."""
        assert self._say(f"{'K' if data else 'V'} {count}") == [count]

    def migration_data(self) -> bytes:
        """The data read last."""
        self._send("i")
        return bytes.fromhex(self._line())

    def load_migration_data(self, data: bytes) -> None:
        """Set the data for write_migration_data()."""
        assert self._say(f"I {data.hex()}")[0] == len(data)

    def load(self, offset: int) -> int:
        """Read a register of the guest."""
        return self._say(f"l {offset}")[0]

    def store(self, offset: int, value: int) -> None:
        """Write a register of the guest."""
        self._say(f"x {offset} {value}")

    def command(self, command: int, address: int) -> None:
        """Run a mailbox command of the guest to its end."""
        self._say(f"a {command} {address}")

    def limit_files(self, count: int) -> None:
        """Set the limit of file descriptors."""
        assert self._say(f"f {count}") == [0]

    def begin_command(self, command: int) -> None:
        """Start a mailbox command of the guest without reading its result."""
        self._say(f"b {command}")

    def answer(self) -> int:
        """Read the mailbox as the guest."""
        return self._say("B")[0]

    def close_device(self) -> None:
        """Close the device, but not the migration file."""
        self._say("c")
