# SPDX-License-Identifier: GPL-2.0
"""Fuzz test: whatever a guest writes into the device model, QEMU must neither exit nor hang, and a
reset must make the VF usable.

Random, but reproducible by the seed: registers of PF and VFs in all widths, rings, mailboxes and
doorbells half of which are valid, resets, and the model's own properties and faults.
"""

from __future__ import annotations

import json
import random
import struct

import pytest

import steps
from lab.core import paths
from registers import CIPHER, MSI_WORDS, PF_BAR, PF_DB_BAR, RAM, VF_BAR, VF_BAR_SIZE, VF_DB_BAR, Model, PfOrVf
from test_model_engines import DEFLATE, TEXT, Hpre, Zip

VFS = 2
ROUNDS, LONG_ROUNDS = 120, 11500        # rounds of some 185 accesses to registers
LONG_ACCESSES = 2_000_000
LIVES = 4                               # rounds between restarts of PF and VFs
SCRATCH, SCRATCH_SIZE = RAM + 0x400000, 0x100000
V3, V4, V5 = "", ",hw-version=v4,queues=16", ",hw-version=v5,isolation=on,queues=16"

LOCAL = [0x0, 0x4, 0x8, 0xC, 0x20, 0x24, 0x28, 0x2C, 0x30, 0x34, 0x38, 0x60, 0x200, 0x204, 0x208,
         0x210, 0x300, 0x304, 0x308, 0x30C, 0x30F, 0x320, 0x380, 0x1000, 0x1004, 0x1100, 0x2000,
         0x2004, 0x3100, 0x3128, 0x3144, 0x8000, 0x8004, 0x8008, 0x8018, 0x8020, 0x8024, 0x8038]
GLOBAL = [0x100000, 0x100004, 0x100008, 0x10000C, 0x100044, 0x100058, 0x10005C,
          0x100060, 0x100064, 0x100068, 0x10006C, 0x100128, 0x100130, 0x100134, 0x100138, 0x100158,
          0x100198, 0x100250, 0x100280, 0x104700, 0x104804, 0x1040E4, 0x300000, 0x300150, 0x301000,
          0x301008, 0x301010, 0x301014, 0x3010A0, 0x3010A4, 0x3010AC, 0x301100, 0x301104, 0x301400,
          0x301600, 0x301800, 0x301A00, 0x302004, 0x302020, 0x302080, 0x182000, 0x182060, 0x183C00, 0x184000, 0x200000]
#: command, BAR2, device reset, MSI, power, FLR, SR-IOV
CONFIG = [0x4, 0x18, 0x20, 0x40, 0x52, 0x54, 0x5C, 0x74, 0x88, 0x208, 0x210, 0x22C]
CHOICES = [("kick-scope", ["queue", "function"]), ("context-fetch", ["kick", "doorbell"]),
           ("unpause", ["doorbell", "kick"]), ("pause-inflight", ["finish", "hold"]),
           ("fault-reraise", ["none", "never"]), ("bus-master-off", ["fail", "wait", "reset"]), ("d3-access", ["all-ones", "abort"]),
           ("mig-regs-reset", ["keep", "lost"]), ("mailbox-narrow-read", ["own", "foreign"]),
           ("message-mask-reset", ["set", "keep"]), ("context-cache", [0, 0, 1, 2]), ("ras", ["on", "off"]),
           ("ras-overflow", ["off", "on"]), ("bus-reopen", ["clear", "toggle"]),
           ("request-latency", [0, 1, 50]),
           ("mailbox-latency", [0, 3]), ("writeback-latency", [0, 3]), ("engine-slots", [1, 4, 64]),
           ("fault-mailbox", ["none", "none", "busy", "fail", "garbage"]),
           ("fault-writeback", ["none", "stuck"]), ("fault-function", ["all", "0", "1", "2"]),
           ("fault-vf-state", ["none", "ready", "not-ready"]), ("fault-msi-drop", [0, 3]), ("error-reads", [0, 2]),
           ("fault-registers", ["none", "none", "none", "all-ones"]),
           ("abnormal-error", [0, 1, 0xFFFFFFFF]), ("engine-error", [0, 4])]
#: properties to restore before a VF works
SOUND = steps.SOUND | {"request-latency": 0, "context-cache": 0, "ras": "on", "ras-overflow": "off"}


class Sec(PfOrVf):
    """A VF of a SEC, with mostly valid requests and a valid one."""

    @staticmethod
    def compose(guest: Guest) -> bytes:
        """A request of type 3, mostly valid."""
        dice = guest.dice
        raw = bytearray(128)
        struct.pack_into("<I", raw, 0, 3 | dice.getrandbits(1) << 9 | dice.choice([0, 9, 1, 8]) << 11)
        struct.pack_into("<HB", raw, 4, dice.choice([1, 2]) | dice.randrange(4) << 13,
                         dice.choice([0, 1, 4, 7]) | 2 << 4)
        for offset in (16, 48, 76, 92):
            struct.pack_into("<Q", raw, offset, guest.address())
        guest.mutated(raw)
        struct.pack_into("<I", raw, 72, dice.choice([16, 17, 64, 4096, dice.getrandbits(12)]))
        return bytes(raw)

    def works(self) -> None:
        """A valid request must have the right result."""
        self.submit(1)
        assert self.reap(1) == [(0, 0)]
        assert self.model.memory(self.result_at(1, 0), 16) == CIPHER


class Deflate(Zip):
    """A VF of a ZIP."""

    @staticmethod
    def compose(guest: Guest) -> bytes:
        """A request of type 3, mostly valid."""
        dice = guest.dice
        raw = bytearray(128)
        struct.pack_into("<I", raw, 16, dice.choice([1, 16, 4096, dice.getrandbits(16)]))
        struct.pack_into("<III", raw, 28, dice.choice([0, 0, 0, dice.getrandbits(24)]) | 3 << 28,
                         dice.choice([0, 0, dice.getrandbits(16)]),
                         dice.choice([1, 1, 2, 3, 4]) | dice.getrandbits(1) << 8 | dice.randrange(5) << 12)
        struct.pack_into("<I", raw, 56, dice.choice([1, 16, 4096, dice.getrandbits(16)]))
        struct.pack_into("<QQ", raw, 72, guest.address(), guest.address())
        return guest.mutated(raw)

    def works(self) -> None:
        """A valid request must have the right result."""
        assert self.run(0, DEFLATE, TEXT)[0] == 0


class PublicKey(Hpre):
    """A VF of an HPRE."""

    @staticmethod
    def compose(guest: Guest) -> bytes:
        """A mostly valid request with short numbers."""
        dice = guest.dice
        raw = bytearray(64)
        struct.pack_into("<IB", raw, 0, dice.choice([0, 1, 4, 5, 0xD, 0x10]) | 1 << 30,
                         dice.choice([3, 5, 8, 15, 31, dice.randrange(32)]))
        for offset in (8, 16, 24):
            struct.pack_into("<Q", raw, offset, guest.address())
        return guest.mutated(raw)

    def works(self) -> None:
        """A valid request must have the right result."""
        n = 2**521 - 1
        assert self.run(0, 0, 128, (65537, n), (12345,)) == (0, (pow(12345, 65537, n),))


class Guest:
    """A driver that writes random values."""

    def __init__(self, model: Model, kind: type[Sec | Deflate | PublicKey], seed: int) -> None:
        self.model, self.kind = model, kind
        self.dice = random.Random(seed)
        self.pf_and_vfs = [kind(model, n) for n in range(VFS + 1)]

    def number(self) -> int:
        """A value, often one that is near a limit."""
        dice = self.dice
        return dice.choice([0, 1, 2, 0xFFFFFFFF, (1 << 64) - 1, dice.getrandbits(4),
                            dice.getrandbits(16), dice.getrandbits(32), dice.getrandbits(64),
                            self.address()])

    def address(self) -> int:
        """An address: mostly memory, sometimes a device register, or unmapped."""
        dice = self.dice
        kind = dice.random()
        if kind < 0.9:
            return SCRATCH + dice.randrange(0, SCRATCH_SIZE, 4)
        if kind < 0.97:
            return self.own_register()
        return dice.getrandbits(64)

    def own_register(self) -> int:
        """A device register of the PF or a VF: local or global, a doorbell, migration registers or
        configuration space."""
        dice = self.dice
        number = dice.randrange(VFS + 1)
        bar = VF_BAR + (number - 1) * VF_BAR_SIZE if number else PF_BAR
        return dice.choice([
            bar + dice.choice(LOCAL), bar + dice.choice([0x1000, 0x2000]), PF_BAR + dice.choice(GLOBAL),
            PF_BAR + 0x180000 + 0x2000 * number + dice.choice(LOCAL) % 0x2000,
            (VF_DB_BAR + (number - 1) * (1 << 20) if number else PF_DB_BAR) + dice.randrange(4) * 0x10000 + 0x1000,
            self.model.config(number) + dice.choice(CONFIG)])

    def register(self) -> str:
        """Any register in any width."""
        dice = self.dice
        owner = dice.choice(self.pf_and_vfs)
        known = LOCAL if owner.number else LOCAL + GLOBAL
        limit = VF_BAR_SIZE if owner.number else 1 << 22
        size, letter = dice.choice([(1, "b"), (2, "w"), (4, "l"), (4, "l"), (8, "q"), (8, "q")])
        offset = dice.choice(known) if dice.random() < 0.9 else dice.randrange(0, limit, size)
        offset -= offset % size
        if dice.random() < 0.4:
            return f"read{letter} {owner.bar + offset:#x}"
        value = self.number() & (1 << 8 * size) - 1
        return f"write{letter} {owner.bar + offset:#x} {value:#x}"

    def doorbell(self) -> str:
        """A doorbell that may be valid."""
        dice = self.dice
        owner = dice.choice(self.pf_and_vfs)
        command = dice.choice([0, 0, 0, 1, 1, 2, 3, dice.randrange(16)])
        value = (dice.choice([0, 1, 2, 3, dice.randrange(4096)]) | command << 12
                 | dice.choice([0, 0, 0, dice.getrandbits(16)]) << 16
                 | dice.choice([0, dice.randrange(16), dice.getrandbits(16)]) << 32
                 | dice.choice([0, 0, 1, dice.getrandbits(16)]) << 48)
        address = owner.bar + (0x2000 if command in (2, 3) else 0x1000)
        if dice.random() < 0.2:         # a page of BAR4, which may not exist
            bar = VF_DB_BAR + (owner.number - 1) * (1 << 20) if owner.number else PF_DB_BAR
            address = bar + (value & 0xF) * 0x10000 + dice.choice([0x1000, 0x1000, 0x2000])
        return f"writeq {address:#x} {value:#x}"

    def submission(self, owner: Sec | Deflate | PublicKey | None = None, queue: int = 0) -> list[str]:
        """Write a request where the device expects it, and ring the doorbell."""
        if owner is None:
            owner, queue = self.dice.choice(self.pf_and_vfs), self.dice.randrange(2)
        tail = owner.tail[queue]
        request = self.request()
        owner.tail[queue] = (tail + 1) % PfOrVf.DEPTH
        return [f"write {owner.sq(queue) + owner.SQE * tail:#x} {owner.SQE} 0x{request[:owner.SQE].hex()}",
                f"writeq {owner.bar + 0x1000:#x} {queue | owner.tail[queue] << 32:#x}",
                f"writeq {owner.bar + 0x1000:#x} {queue | 1 << 12 | tail << 32 | 1 << 48:#x}"]

    def mailbox(self) -> list[str]:
        """A mailbox command that may be valid."""
        dice = self.dice
        owner = dice.choice(self.pf_and_vfs)
        command = dice.choice([*range(16), 0, 0, 0, 1, 1, 1, 4, 5, 0xE, dice.randrange(256)])
        data = self.address()
        low = (command | 1 << 13 | dice.getrandbits(1) << 14
               | dice.choice([0, 1, 2, 3, dice.getrandbits(16)]) << 16 | (data & 0xFFFFFFFF) << 32)
        return [f"writeq {owner.bar + 0x300:#x} {low:#x}",
                f"writeq {owner.bar + 0x308:#x} {data >> 32:#x}"]

    def misplaced(self) -> list[str]:
        """A working completion or event queue in the device's own registers: one of its first
        entries hits the register with its first or second half."""
        dice = self.dice
        owner, queue = dice.choice(self.pf_and_vfs), dice.randrange(2)
        base = max(4, self.own_register() - dice.choice([0, 8, 16, 24]))
        if dice.random() < 0.7:
            command = 1
            raw = struct.pack("<HHQIHHHHII", 0, 0, base, PfOrVf.DEPTH - 1 | 4 << 12, 0, 0, 0, 0, 3, 0)
        else:
            command = dice.choice([2, 3])
            raw = struct.pack("<HHQIIII", 0, 0, base, 0, 0, 0, PfOrVf.DEPTH - 1 | 1 << 16)
        return [f"write {owner.buffer:#x} {len(raw)} 0x{raw.hex()}",
                f"writeq {owner.bar + 0x300:#x} {command | 1 << 13 | queue << 16 | (owner.buffer & 0xFFFFFFFF) << 32:#x}",
                f"writeq {owner.bar + 0x308:#x} {owner.buffer >> 32:#x}",
                *self.submission(owner, queue), *self.submission(owner, queue)]

    def context(self) -> bytes:
        """An SQC or CQC, mostly valid."""
        dice = self.dice
        raw = bytearray(struct.pack(
            "<HHQIHHHHHHI", dice.randrange(16), dice.randrange(16), self.address(),
            dice.choice([15, 15, 63, dice.randrange(4096)]) | dice.choice([4, 6, 7]) << 12, 0, 0, 0,
            dice.choice([0, 1 << 6]), dice.choice([0, 1, 2, 3]), 1 << 4, 0))
        return self.mutated(raw)

    def event_context(self) -> bytes:
        """An EQC or AEQC, mostly valid."""
        dice = self.dice
        return self.mutated(bytearray(struct.pack(
            "<HHQIIII", dice.randrange(16), dice.randrange(16), self.address(), 0, 0, 0,
            dice.choice([15, 255, dice.getrandbits(16)]) | 1 << 16)))

    def request(self) -> bytes:
        """A mostly valid request, small enough not to take seconds."""
        return self.kind.compose(self)

    def scatter_list(self) -> bytes:
        """A hardware SGL, mostly valid."""
        dice = self.dice
        raw = bytearray(struct.pack("<QHHH", dice.choice([0, self.address()]), 4,
                                    dice.choice([0, 1, 3, dice.getrandbits(16)]), 4).ljust(64, b"\0"))
        for _ in range(3):
            raw += struct.pack("<QQI", self.address(), 0,
                               dice.choice([0, 16, 4096, dice.getrandbits(32)])).ljust(32, b"\0")
        return self.mutated(raw)

    def mutated(self, raw: bytearray) -> bytes:
        """Change one byte, every third time."""
        if self.dice.random() < 0.33:
            raw[self.dice.randrange(len(raw))] = self.dice.getrandbits(8)
        return bytes(raw)

    def memory(self) -> str:
        """Write something into memory for the device to read."""
        raw = self.dice.choice([self.context, self.event_context, self.request, self.scatter_list])()
        return f"write {SCRATCH + self.dice.randrange(0, SCRATCH_SIZE - 256, 4):#x} {len(raw)} 0x{raw.hex()}"

    def life(self) -> list[str]:
        """Reset, VFs off and on, bus master and D3hot off and on."""
        dice = self.dice
        config = self.model.config(dice.randrange(VFS + 1))
        kind = dice.random()
        if kind < 0.6:
            return [f"writew {config + 0x88:#x} 0x8000", f"writew {config + 4:#x} 0x6",
                    f"writew {config + 0x52:#x} 0x21"]
        if kind < 0.8:
            pf = self.model.config(0)
            return [f"writew {pf + 0x208:#x} {dice.choice([0, 1, 8, 9])}",
                    f"writew {pf + 0x210:#x} {dice.choice([0, 1, VFS, 99])}",
                    f"writew {pf + 0x208:#x} 9"]
        if kind < 0.9:
            register = dice.choice([0x40, 0x54])    # memory initialization, VFT
            return [f"writel {PF_BAR + 0x100000 + register:#x} 1"]
        if kind < 0.93:
            return [f"writew {config + 0x74:#x} {dice.choice([0, 1, 3, 3])}"]
        if kind < 0.96:                 # the address of interrupt messages is a register, and their data
            address = dice.choice([MSI_WORDS, self.own_register()])
            return [f"writel {config + 0x54:#x} {address & 0xFFFFFFFC:#x}", f"writel {config + 0x58:#x} {address >> 32:#x}",
                    f"writew {config + 0x5C:#x} {dice.getrandbits(16):#x}"]
        return [f"writew {config + 4:#x} {dice.choice([0, 2, 4, 6]):#x}"]

    def round(self) -> list[str]:
        """The accesses between two checks of the device."""
        commands = []
        for _ in range(200):
            kind = self.dice.random()
            if kind < 0.45:
                commands.append(self.register())
            elif kind < 0.55:
                commands += self.submission()
            elif kind < 0.65:
                commands.append(self.doorbell())
            elif kind < 0.67:
                commands += self.misplaced()
            elif kind < 0.8:
                commands += self.mailbox()
            elif kind < 0.95:
                commands.append(self.memory())
            elif kind < 0.995:
                commands.append(f"clock_step {self.dice.choice([1, 1000, 100000])}")
            else:
                commands += self.life()
        return commands


def start_anew(model: Model, guest: Guest) -> None:
    """Reset the device, and start PF and VFs, which must work."""
    for name, value in SOUND.items():
        assert not model.set(name, value)
    model.write(model.config(0) + 0x88, 0x8000, 2)
    model.bring_up(VFS)
    for each in guest.pf_and_vfs:
        each.start()


CASES = [(Sec, V3, 1), (Sec, V3, 2), (Sec, V4, 1), (Sec, V5, 1), (Deflate, V3, 1), (PublicKey, V3, 1)]


def tally(model: Model, name: str) -> dict[str, int]:
    """The sum of all counters, also written to a file."""
    counts = [model.property("counters", n) for n in range(VFS + 1)]
    seen = {"accesses": sum(sum(c[kind].values()) for c in counts for kind in ("reads", "writes")),
            "doorbells": sum(c["events"][which] for c in counts for which in c["events"] if which.endswith("doorbells")),
            "requests": sum(c["events"]["requests-completed"] for c in counts),
            "guest-errors": sum(sum(c["guest-errors"].values()) for c in counts)}
    file = paths.BUILD / "check/fuzz" / f"{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(seen) + "\n", encoding="utf-8")
    return seen


@pytest.mark.parametrize("kind, options, seed", CASES)
def test_no_guest_brings_it_down(request, outer, tmp_path, kind, options, seed):
    """QEMU must survive each round, and PF and VFs must work after a device reset."""
    long = request.config.getoption("--long")
    rounds = LONG_ROUNDS if long else ROUNDS
    with Model(outer, tmp_path, f",vfs={VFS}{options}", kind.DEVICE) as model:
        guest = Guest(model, kind, seed)
        for turn in range(rounds):
            if turn % LIVES == 0:
                start_anew(model, guest)
            name, values = guest.dice.choice(CHOICES)
            assert not model.set(name, guest.dice.choice(values))
            model.batch(guest.round())

        start_anew(model, guest)
        for each in guest.pf_and_vfs:
            each.works()
        seen = tally(model, f"{kind.DEVICE}{options}-{seed}".replace(",", "-"))
        assert seen["requests"] > rounds // 4, f"too few requests were completed: {seen}"
        assert not long or seen["accesses"] > LONG_ACCESSES, f"too few accesses to registers: {seen}"
        counts = model.property("counters", 1)
        wrong = [name for name, count in counts["guest-errors"].items() if count]
        assert len(wrong) > 12, f"too few guest errors: {wrong}"
