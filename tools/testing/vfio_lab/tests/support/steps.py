# SPDX-License-Identifier: GPL-2.0
"""One function in a host driven through VFIO a step at a time, while the test
breaks the device model in between."""

from __future__ import annotations

import dataclasses
import enum
import errno
import select
import subprocess
from collections.abc import Sequence
from pathlib import Path

from lab.core import paths
from lab.core.context import Context
from lab.core.process import killed_after
from lab.build import cross
from lab.scenario.host import Host

#: what both programs are linked with
DEVICE = (paths.LAB / "programs/vfio_device.c", paths.ROOT / "tools/testing/selftests/vfio/hisi_acc_guest.c")
REMOTE = "/lab/vfio_steps"
LOOP = "/lab/vfio_loop"
IMAGE = 176
#: when a step counts as hanging, on a machine that nobody else uses
STEP_SECONDS = 60
#: the device model's properties that break something, and none of it broken
SOUND = {"fault-mailbox": "none", "fault-opcode": "all", "fault-writeback": "none",
         "fault-vf-state": "none", "fault-registers": "none", "fault-reraise": "none", "fault-msi-drop": 0,
         "mailbox-latency": 0, "writeback-latency": 0, "error-reads": 0,
         "abnormal-error": 0, "engine-error": 0, "fault-function": "all"}


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
    return cross.static_program([paths.LAB / "programs/vfio_steps.c", *DEVICE], context)


def loop_program(context: Context) -> Path:
    """What keeps several functions busy; see vfio_loop.c."""
    return cross.static_program([paths.LAB / "programs/vfio_loop.c", *DEVICE], context)


@dataclasses.dataclass
class Loop:
    """What came of a function's loop: how often, how often in vain, and why the
    first time; the longest time in milliseconds."""

    times: int
    failed: int
    error: str
    longest_ms: int


class Loops:
    """Something that is done to each of several functions all the time, until end();
    see vfio_loop.c. A context manager."""

    def __init__(self, host: Host, what: str, addresses: Sequence[str]) -> None:
        self._host, self._addresses = host, list(addresses)
        self._process = host.ssh.popen(f"exec {LOOP} {what} {' '.join(addresses)} 2>&1", stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE)
        assert self._process.stdout
        with killed_after(STEP_SECONDS * host.patience, self._process):
            said = self._process.stdout.readline().decode().strip()
        assert said == "going", f"{what}: not each function's turn has come: {said or 'one hangs'}"

    def end(self) -> dict[str, Loop]:
        """Stop them; what came of each, by address."""
        with killed_after(STEP_SECONDS * self._host.patience, self._process):
            lines = self._process.communicate()[0].decode().splitlines()
        found = {}
        for line in lines:
            address, *rest = line.split()
            times, failed, error, longest = map(int, rest)
            found[address] = Loop(times, failed, errno.errorcode[error] if error else "", longest)
        assert sorted(found) == sorted(self._addresses), "one of them hangs"
        return found

    def __enter__(self) -> Loops:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.communicate()


class Function:
    """A virtual function that a test has open; a context manager."""

    def __init__(self, host: Host, address: str, physical: str = "", before: str = "", wait: bool = True) -> None:
        """Without `wait`, opened() has to be asked first of all."""
        self.host, self.address = host, address
        self._killed = False
        self._pid = f"/run/steps-{address}"
        self._process = host.ssh.popen(f"{before} echo $$ > {self._pid} && exec {REMOTE} {address} {physical} 2>&1",
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if wait:
            self.opened()

    def opened(self, seconds: float | None = None) -> bool:
        """Whether it is open; does not wait for that longer than so many seconds."""
        assert self._process.stdout
        if seconds is not None and not select.select([self._process.stdout], [], [], seconds)[0]:
            return False
        said = self._line()
        assert said == "open", f"{self.address} cannot be opened: {said or 'its user was killed'}"
        return True

    def kill(self, seconds: float) -> bool:
        """SIGKILL, at any moment; whether the program and all that it had open is gone
        within so many seconds."""
        self._killed = True
        self.host.ssh.run(f"kill -9 $(cat {self._pid})")
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def __enter__(self) -> Function:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """The program ends, and with it all that it has open. May be called twice."""
        assert self._process.stdin
        self._process.stdin.close()
        status = self._process.wait(STEP_SECONDS * self.host.patience)
        assert self._killed or status == 0

    def _line(self) -> str:
        assert self._process.stdout
        with killed_after(STEP_SECONDS * self.host.patience, self._process):
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
        """The stand-in for a guest's driver takes the function into use, with so
        many events in its queue that it has not seen."""
        self._say(f"e {events}" if events else "u")

    def go(self, state: State) -> tuple[str, State]:
        """Ask for a state: the error's name, if any, and the state after."""
        return self._outcome(self._say(f"s {int(state)}"))

    def reset(self) -> tuple[str, State]:
        """VFIO_DEVICE_RESET."""
        return self._outcome(self._say("r"))

    def reset_only(self) -> str:
        """VFIO_DEVICE_RESET of a function that may have no state: the error's name, if any."""
        error = self._say("r")[0]
        return errno.errorcode[-error] if error else ""

    def power(self, state: int) -> None:
        """D0 or D3hot (3), by config space."""
        assert self._say(f"P {state}")[0] == 0

    def bus_master(self, on: bool) -> None:
        """Set or clear bus mastering, by config space."""
        assert self._say(f"Y {int(on)}")[0] == 0

    def flr(self) -> tuple[str, State]:
        """Function level reset by config space, of whose outcome a guest is not told."""
        return self._outcome(self._say("F"))

    def hot_reset(self) -> tuple[str, State]:
        """VFIO_DEVICE_PCI_HOT_RESET."""
        return self._outcome(self._say("h"))

    def start(self, state: State) -> None:
        """Ask for a state, and do not wait for it: finish() does."""
        self._send(f"s {int(state)}")

    def start_reset(self) -> None:
        """VFIO_DEVICE_RESET, without waiting for it."""
        self._send("r")

    def start_flr(self) -> None:
        """Function level reset by config space, without waiting for it."""
        self._send("F")

    def start_restore(self) -> None:
        """A write of Device Control that resets nothing, without waiting for its end."""
        self._send("C")

    def finish(self, seconds: float | None = None) -> tuple[str, State] | None:
        """The outcome of what was started, or None when it takes longer."""
        assert self._process.stdout
        if seconds is not None and not select.select([self._process.stdout], [], [], seconds)[0]:
            return None
        return self._outcome([int(word) for word in self._line().split()])

    def state(self) -> State:
        """The state as the driver tells it."""
        return State(self._say("g")[0])

    def migration_flags(self) -> int:
        """What of migration is offered."""
        return self._say("m")[0]

    def table(self) -> int:
        """The address of the SQC table, as the guest's mailbox gives it."""
        return self._say("t")[0]

    def read_image(self) -> int:
        """Read the data file; how much came, or -errno."""
        return self._say(f"d {IMAGE}")[0]

    def write_image(self) -> int:
        """Write what was read last into the data file; how much went."""
        return self._say("w")[0]

    def precopy_info(self) -> str:
        """VFIO_MIG_GET_PRECOPY_INFO on the data file: the error's name, if any."""
        error = self._say("p")[0]
        return errno.errorcode[-error] if error else ""

    def keep_data_file(self) -> None:
        """The data file stays open to the program's end, whatever follows."""
        self._say("k")

    def make_files(self, count: int, data: bool) -> None:
        """Open so many files and keep them: data files, or event descriptors."""
        assert self._say(f"{'K' if data else 'V'} {count}") == [count]

    def image(self) -> bytes:
        """What was read last."""
        self._send("i")
        return bytes.fromhex(self._line())

    def take_image(self, image: bytes) -> None:
        """What write_image() is to write."""
        assert self._say(f"I {image.hex()}")[0] == len(image)

    def load(self, offset: int) -> int:
        """A register, as the guest reads it."""
        return self._say(f"l {offset}")[0]

    def store(self, offset: int, value: int) -> None:
        """A register, as the guest writes it."""
        self._say(f"x {offset} {value}")

    def command(self, command: int, address: int) -> None:
        """A mailbox command of the guest's, until its end."""
        self._say(f"a {command} {address}")

    def limit_files(self, count: int) -> None:
        """No file gets a number beyond that from now on."""
        assert self._say(f"f {count}") == [0]

    def begin_command(self, command: int) -> None:
        """A mailbox command of the guest's, which does not look for its answer."""
        self._say(f"b {command}")

    def answer(self) -> int:
        """The guest looks."""
        return self._say("B")[0]

    def close_device(self) -> None:
        """Close the device, but not the data file."""
        self._say("c")
