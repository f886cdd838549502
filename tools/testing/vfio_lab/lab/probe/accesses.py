# SPDX-License-Identifier: GPL-2.0
"""The device model's trace of register accesses, read and counted."""

from __future__ import annotations

import dataclasses
import pathlib

MAILBOX, SQ_DOORBELL, EVENT_DOORBELL = 0x300, 0x1000, 0x2000


@dataclasses.dataclass(frozen=True)
class Access:
    """One access; a 16-byte access counts once, although QEMU splits it."""

    #: 0 is the PF, n is VF n
    vf: int
    write: bool
    size: int
    offset: int
    value: int = dataclasses.field(default=0, compare=False)


def read(path: pathlib.Path) -> list[Access]:
    """The accesses in a trace, in order."""
    found: list[Access] = []
    for line in path.read_text().splitlines():
        _, vf, _, kind, size, offset, value = line.split()
        access = Access(int(vf), kind == "W", int(size), int(offset, 16), int(value, 16))
        if access.offset == MAILBOX + 8 and found and found[-1] == dataclasses.replace(
                access, offset=MAILBOX):
            found[-1] = dataclasses.replace(found[-1], size=16)
        else:
            found.append(access)
    return found


def count(accesses: list[Access], vf: int, write: bool, *offsets: int) -> int:
    """Accesses to a PF or VF, at these offsets or at any."""
    return sum(a.vf == vf and a.write == write and (not offsets or a.offset in offsets)
               for a in accesses)


def totals(accesses: list[Access]) -> dict[str, int]:
    """Accesses by kind."""
    assert {a.vf for a in accesses} <= {0, 1}, "another VF was accessed"
    return {"pf reads": count(accesses, 0, False), "pf writes": count(accesses, 0, True),
            "reads": count(accesses, 1, False), "writes": count(accesses, 1, True),
            "mailboxes": count(accesses, 1, True, MAILBOX),
            "doorbells": count(accesses, 1, True, SQ_DOORBELL, EVENT_DOORBELL)}
