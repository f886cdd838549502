# SPDX-License-Identifier: GPL-2.0
"""The device model, driven register by register without guest code.

QEMU runs without CPUs (its qtest accelerator): time only advances by steps, and interrupts are
words that the device writes into memory.
"""

from __future__ import annotations

import json
import re
import socket
import struct
import subprocess
import time
from pathlib import Path

from lab.build.qemu import sandbox

ECAM = 0x4010000000
RAM = 0x40000000
#: longer than any request takes
WAIT_SECONDS = 60
PF_BAR = 0x8000000000
VF_BAR = 0x8001000000
VF_BAR_SIZE = 0x10000
PF_DB_BAR = 0x8010000000                # with isolated doorbells
VF_DB_BAR = 0x8020000000
SLOT = 4
MSI_WORDS = RAM + 0x8000
NO_MSI = 0xFFFFFFFF

KEY = bytes(range(16))
PLAIN = bytes.fromhex("00112233445566778899aabbccddeeff")
CIPHER = bytes.fromhex("69c4e0d86a7b0430d8cdb78070b4c55a")  # FIPS 197, appendix C.1


class Line:
    """A socket for lines of text. QEMU gets a connected socket: on a listening one it may send its
    greeting twice while its monitor thread starts, which would be taken for replies."""

    def __init__(self) -> None:
        self._socket, self.end = socket.socketpair()
        self._file = self._socket.makefile("rw")

    def set_timeout(self, seconds: float) -> None:
        """Timeout for a line."""
        self._socket.settimeout(seconds)

    def send(self, text: str) -> None:
        """Send one or more lines."""
        self._file.write(text + "\n")
        self._file.flush()

    def receive(self) -> str:
        """Receive one line."""
        text = self._file.readline()
        if not text:
            raise EOFError("QEMU has gone")
        return text.strip()


def arguments(qemu: Path, options: str, device: str = "hisi-sec2", port: bool = False, smmu: bool = False) -> list[str]:
    """Options of a machine with only the accelerator, behind a root port if wanted, and an SMMU."""
    place = "rp,addr=0.0" if port else f"pcie.0,addr={SLOT}.0"
    return [str(qemu), *sandbox(), "-M", "virt,gic-version=3" + ",iommu=smmuv3" * smmu, "-accel", "qtest", "-nodefaults",
            "-display", "none", "-m", "256",
            *(["-device", f"pcie-root-port,id=rp,bus=pcie.0,addr={SLOT}.0"] if port else []),
            "-device", f"{device},id=sec0,bus={place}{options}"]


class Model:
    """One machine: its memory, configuration space, PF and VFs."""

    def __init__(self, qemu: Path, folder: Path, options: str = "", device: str = "hisi-sec2",
                 port: bool = False, smmu: bool = False) -> None:
        self.port = ECAM + (SLOT << 15) if port else None
        self.log = folder / "log"
        self._qtest, self._qmp = Line(), Line()
        with self._qtest.end as registers, self._qmp.end as monitor:
            self._process = subprocess.Popen([
                *arguments(qemu, options, device, port, smmu),
                "-chardev", f"socket,id=registers,fd={registers.fileno()}", "-qtest", "chardev:registers",
                "-chardev", f"socket,id=monitor,fd={monitor.fileno()}", "-mon", "chardev=monitor,mode=control",
                "-qtest-log", "none", "-d", "guest_errors", "-D", str(self.log)],
                pass_fds=[registers.fileno(), monitor.fileno()])
        assert "QMP" in json.loads(self._qmp.receive())
        self.qmp("qmp_capabilities")

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.qmp("quit")
            assert self._process.wait(20) == 0
        finally:
            self._process.kill()

    def resident(self) -> int:
        """Memory of QEMU's process, in bytes."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        (kib,) = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")]
        return int(kib) << 10

    def _command(self, text: str) -> str:
        self._qtest.send(text)
        while True:
            answer = self._qtest.receive()
            if not answer.startswith("IRQ"):
                assert answer.startswith("OK"), (text, answer)
                return answer[3:]

    def batch(self, commands: list[str], seconds: float = 60) -> None:
        """Send several qtest commands at once; each must complete within the timeout."""
        self._qtest.set_timeout(seconds)
        self._qtest.send("\n".join(commands))
        for command in commands:
            answer = self._qtest.receive()
            assert answer.startswith("OK"), (command, answer)

    def qmp(self, command: str, **given: object) -> dict:
        """Run a QMP command; returns its reply."""
        self._qmp.send(json.dumps({"execute": command, "arguments": given}))
        while True:
            answer = json.loads(self._qmp.receive())
            if "event" not in answer:
                return answer

    def property(self, name: str, vf: int = 0) -> object:
        """A property of the PF or of a VF."""
        path = "/machine/peripheral/sec0" + (f"/vf{vf}" if vf else "")
        return self.qmp("qom-get", path=path, property=name)["return"]

    def set(self, name: str, value: object) -> str:
        """Set a property; returns QEMU's error, if any."""
        answer = self.qmp("qom-set", path="/machine/peripheral/sec0", property=name, value=value)
        return answer.get("error", {}).get("desc", "")

    def read(self, address: int, size: int = 4) -> int:
        """A load of 1, 2, 4 or 8 bytes."""
        return int(self._command(f"read{' bw l   q'[size]} {address:#x}"), 16)

    def write(self, address: int, value: int, size: int = 4) -> None:
        """A store of 1, 2, 4 or 8 bytes."""
        self._command(f"write{' bw l   q'[size]} {address:#x} {value:#x}")

    def memory(self, address: int, size: int) -> bytes:
        """Read memory."""
        return bytes.fromhex(self._command(f"read {address:#x} {size:#x}")[2:])

    def put(self, address: int, data: bytes) -> None:
        """Write memory."""
        self._command(f"write {address:#x} {len(data):#x} 0x{data.hex()}")

    def run_due(self) -> None:
        """Let the device do what is due now."""
        for _ in range(6):
            self.read(RAM)

    def step(self, microseconds: int) -> None:
        """Advance time and let the device work."""
        self._command(f"clock_step {microseconds * 1000}")
        self.run_due()

    def config(self, number: int) -> int:
        """Address of the configuration space of the PF or a VF."""
        return ECAM + (((1 << 8 if self.port else SLOT << 3) + number) << 12)

    def bring_up(self, vfs: int = 2, queues: int = 4) -> None:
        """Enable memory decode and SR-IOV, and assign queues to PF and VFs."""
        if self.port:                   # bus 1, and all memory above 4 GiB
            self.write(self.port + 0x18, 0x010100)
            for register, value in ((0x24, 0xFFF00000), (0x28, 0x80), (0x2C, 0x80)):
                self.write(self.port + register, value)
            self.write(self.port + 4, 6, 2)
        pf = self.config(0)
        self.write(pf + 0x18, PF_BAR & 0xFFFFFFFF)
        self.write(pf + 0x1C, PF_BAR >> 32)
        self.enable(0)
        self.write(PF_BAR + 0x100040, 1)
        assert self.read(PF_BAR + 0x100044) & 1
        for number in range(vfs + 1):
            self.assign(number, number * queues, queues)
        for register, bar in ((0x20, PF_DB_BAR), (0x22C, VF_BAR), (0x234, VF_DB_BAR)):
            self.write(pf + register, bar & 0xFFFFFFFF)
            self.write(pf + register + 4, bar >> 32)
        self.write(pf + 0x210, vfs, 2)
        self.write(pf + 0x208, 9, 2)
        for number in range(1, vfs + 1):
            self.enable(number)

    def enable(self, number: int) -> None:
        """Enable memory decode, bus master, and interrupts that are written into memory."""
        config = self.config(number)
        self.write(config + 4, 6, 2)
        self.write(config + 0x54, MSI_WORDS + number * 16)
        self.write(config + 0x58, 0)
        self.write(config + 0x5C, number << 8, 2)
        self.write(config + 0x52, 0x21, 2)
        self.write(MSI_WORDS + number * 16, NO_MSI)

    def interrupt(self, number: int) -> int | None:
        """The vector of the last interrupt since the last call."""
        self.run_due()
        word = self.read(MSI_WORDS + number * 16)
        self.write(MSI_WORDS + number * 16, NO_MSI)
        return None if word == NO_MSI else word & 0xFF

    def reset(self, number: int) -> None:
        """An FLR, and the configuration that the host kernel restores."""
        control = self.config(number) + 0x88
        self.write(control, self.read(control, 2) | 0x8000, 2)
        self.enable(number)

    def assign(self, number: int, base: int, count: int) -> None:
        """Assign queues to the PF or a VF."""
        for kind, data in ((0, base << 28 | 1 << 44 | (count - 1) << 45), (1, 1 << 28)):
            for register, value in ((0x58, 0), (0x5C, kind), (0x60, number),
                                    (0x64, data & 0xFFFFFFFF), (0x68, data >> 32),
                                    (0x6C, 0), (0x54, 1)):
                self.write(PF_BAR + 0x100000 + register, value)
            assert self.read(PF_BAR + 0x10006C) == 1


class PfOrVf:
    """A driver's data of the PF or a VF. Rings have 16 entries."""

    DEVICE = "hisi-sec2"
    DEPTH = 16
    SQE = 128
    #: the type of requests of queue 1; the others have type 0
    SECOND = 0

    def __init__(self, model: Model, number: int) -> None:
        self.model, self.number = model, number
        self.bar = VF_BAR + (number - 1) * VF_BAR_SIZE if number else PF_BAR
        ram = RAM + 0x100000 * (number + 1)
        self.sq_table, self.cq_table, self.buffer = ram, ram + 0x1000, ram + 0x2000
        self.eq, self.aeq, self.data, self._rings = (
            ram + 0x3000, ram + 0x4000, ram + 0x5000, ram + 0x10000)
        self.tail: dict[int, int] = {}
        self._seen: dict[int, int] = {}

    def read(self, offset: int, size: int = 4) -> int:
        """A register."""
        return self.model.read(self.bar + offset, size)

    def write(self, offset: int, value: int, size: int = 4) -> None:
        """A register."""
        self.model.write(self.bar + offset, value, size)

    def mailbox(self, command: int, data: int = 0, queue: int = 0, get: bool = False) -> None:
        """Send a mailbox command by a store of 16 bytes."""
        self.write(0x300, command | 1 << 13 | get << 14 | queue << 16
                   | (data & 0xFFFFFFFF) << 32, 8)
        self.write(0x308, data >> 32, 8)

    def ask(self, command: int, data: int = 0, queue: int = 0, get: bool = False) -> int:
        """Run a mailbox command that must succeed without delay; returns its result."""
        self.mailbox(command, data, queue, get)
        w0 = self.read(0x300, 2)
        if w0 & 0x2000:
            self.model.run_due()
            w0 = self.read(0x300, 2)
        assert w0 & 0x3E00 == 0
        return self.read(0x304) | self.read(0x308) << 32

    def doorbell(self, queue: int, command: int, index: int, priority: int = 0,
                 random: int = 0) -> None:
        """Ring a doorbell: command 0 SQ, 1 CQ, 2 EQ, 3 AEQ."""
        self.write(0x2000 if command in (2, 3) else 0x1000,
                   queue | command << 12 | random << 16 | index << 32 | priority << 48, 8)

    def kick(self, queue: int) -> None:
        """Ring the resume doorbell."""
        self.doorbell(queue, 0, 0, priority=1)

    def sq(self, queue: int) -> int:
        """Address of the submission ring."""
        return self._rings + queue * 0x4000

    def cq(self, queue: int) -> int:
        """Address of the completion ring."""
        return self._rings + 0x30000 + queue * 0x4000

    def start(self, queues: int = 2) -> None:
        """Set up event queues, tables and queues."""
        self.model.put(self.sq_table, bytes(0x2000))
        self.model.put(self.eq, bytes(0x2000))
        for command, ring in ((2, self.eq), (3, self.aeq)):
            self.model.put(self.buffer, struct.pack("<HHQIIII", 0, 0, ring, 0, 0, 0,
                                                    self.DEPTH - 1 | 1 << 16))
            self.ask(command, self.buffer)
        self.ask(4, self.sq_table)
        self.ask(5, self.cq_table)
        self.write(0xC, 0)
        self.write(0x4, 0)
        for queue in range(queues):
            self.set_up(queue, self.SECOND if queue == 1 else 0)
        self.write(0x60, 0)

    def set_up(self, queue: int, alg_type: int = 0) -> None:
        """Set SQC and CQC."""
        self.model.put(self.sq(queue), bytes(self.SQE * self.DEPTH))
        self.model.put(self.cq(queue), bytes(16 * self.DEPTH))
        self.model.put(self.buffer, struct.pack(
            "<HHQIHHHHHHI", 0, 0, self.sq(queue), self.DEPTH - 1 | (self.SQE.bit_length() - 1) << 12,
            0, 0, 0, 0, queue, 1 << 4 | alg_type << 8, 0))
        self.ask(0, self.buffer, queue)
        self.model.put(self.buffer, struct.pack(
            "<HHQIHHHHII", 0, 0, self.cq(queue), self.DEPTH - 1 | 4 << 12, 0, 0, 0, 0, 3, 0))
        self.ask(1, self.buffer, queue)
        self.tail[queue] = self._seen[queue] = 0

    def request(self, source: int, destination: int, length: int = 16, *, mode: int = 0,
                lists: bool = False) -> bytes:
        """A request to encrypt, with the key at the start of the data."""
        parts = bytearray(128)
        struct.pack_into("<I", parts, 0, 3 | (source != destination) << 9 | lists * 9 << 11)
        struct.pack_into("<HB", parts, 4, 1, mode | 2 << 4)
        struct.pack_into("<QQ", parts, 8, 0x1122334455667788, source)
        struct.pack_into("<Q", parts, 48, self.data)
        struct.pack_into("<IQ", parts, 72, length, destination)
        return bytes(parts)

    def submit(self, queue: int, request: bytes | None = None) -> None:
        """Put a request into the ring and ring the doorbell; by default one with a known result."""
        tail = self.tail[queue]
        if request is None:
            self.model.put(self.data, KEY)
            self.model.put(self.data + 0x100, PLAIN)
            self.model.put(self.result_at(queue, tail), bytes(16))
            request = self.request(self.data + 0x100, self.result_at(queue, tail))
        self.model.put(self.sq(queue) + self.SQE * tail, request)
        self.tail[queue] = (tail + 1) % self.DEPTH
        self.doorbell(queue, 0, self.tail[queue])

    def result_at(self, queue: int, index: int) -> int:
        """Address of the result of submit()'s request."""
        return self.data + 0x1000 + queue * 0x800 + index * 16

    def reap(self, queue: int) -> list[tuple[int, int]]:
        """New completions as (index, error); updates and arms the queue."""
        self.model.run_due()
        new = []
        while True:
            turn, at = divmod(self._seen[queue], self.DEPTH)
            entry = self.model.memory(self.cq(queue) + 16 * at, 16)
            if entry[14] & 1 == turn & 1:
                break
            index = struct.unpack_from("<H", entry, 8)[0]
            new.append((index, self.outcome(self.model.memory(
                self.sq(queue) + self.SQE * index, self.SQE))))
            self._seen[queue] += 1
        if new:
            self.doorbell(queue, 1, self._seen[queue] % self.DEPTH, priority=1)
        return new

    def outcome(self, sqe: bytes) -> int:
        """The error in a completed request."""
        done, error = struct.unpack_from("<HB", sqe, 112)
        assert done == 0x101
        return error

    def saved_sqc(self, queue: int) -> tuple[int, int, int]:
        """Head, tail and base of a context in memory."""
        return struct.unpack("<HHQ", self.model.memory(self.sq_table + 32 * queue, 12))

    def save(self) -> dict[str, object]:
        """The state that a migration saves."""
        return {"eq": [self.read(0x8000 + 4 * i) for i in range(7)],
                "aeq": [self.read(0x8020 + 4 * i) for i in range(7)],
                "masks": (self.read(0x4), self.read(0xC)),
                "tables": (self.ask(4, get=True), self.ask(5, get=True))}

    def load(self, state: dict) -> None:
        """Load what save() returned."""
        self.write(0x60, 0)
        for offset, value in zip((0x4, 0xC), state["masks"], strict=True):
            self.write(offset, value)
        for offset, words in ((0x8000, state["eq"]), (0x8020, state["aeq"])):
            for i, word in enumerate(words):
                self.write(offset + 4 * i, word)
        self.ask(4, state["tables"][0])
        self.ask(5, state["tables"][1])

    def events(self) -> dict[str, int]:
        """The device's counters of events."""
        return self.model.property("counters", self.number)["events"]

    def wait_completed(self, count: int) -> int:
        """Wait until the device has completed so many requests, which it may compute in another
        thread; returns how often that was read."""
        end = time.monotonic() + WAIT_SECONDS
        reads = 1
        while self.events()["requests-completed"] < count:
            assert time.monotonic() < end, f"{count} requests are not completed after {WAIT_SECONDS} s"
            reads += 1
        return reads

    def guest_errors(self) -> set[str]:
        """Guest errors so far."""
        errors = self.model.property("counters", self.number)["guest-errors"]
        return {name for name, count in errors.items() if count}


def refusal(qemu: Path, option: str) -> str:
    """QEMU's error for an invalid device option."""
    done = subprocess.run(arguments(qemu, "," + option), capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 1
    # a sanitizer may have printed a warning before
    return re.sub(r".*?hisi-sec2,[^:]*: ", "", done.stderr.strip().splitlines()[-1])
