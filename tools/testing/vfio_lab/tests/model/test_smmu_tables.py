# SPDX-License-Identifier: GPL-2.0
"""QEMU's SMMU and tables of translation tables that restrict access: what upstream/qemu-smmuv3-aptable.rst
is about."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest

from registers import CIPHER, KEY, PLAIN, RAM, Model, PfOrVf

SMMU = 0x9050000
CR0, CR0ACK, STRTAB_BASE, STRTAB_BASE_CFG = 0x20, 0x24, 0x80, 0x88
ENABLE = 1
#: VF 1's requester ID, and the size of the stream table as a power of two
STREAM, STREAMS = 0x21, 6
STREAM_TABLE, CONTEXT, LEVEL_1, LEVEL_2, LEVEL_3 = (RAM + 0x8000000 + n * 0x10000 for n in range(5))
#: what the table of level 3 maps: 2 MiB
BEHIND = RAM + 0x6000000
VALID, TABLE, PAGE, ACCESSED, USER, PRIVILEGED_ONLY, READ_ONLY = 1, 2, 2, 1 << 10, 1 << 6, 1 << 61, 1 << 62
BLOCK = VALID | ACCESSED | USER


@pytest.fixture
def vf(outer, tmp_path) -> Iterator[PfOrVf]:
    """A VF that works, on a machine with an SMMU, which is off."""
    with Model(outer, tmp_path, smmu=True) as model:
        model.bring_up()
        one = PfOrVf(model, 1)
        one.start()
        model.put(one.data, KEY)
        yield one


def enable(model: Model, restriction: int) -> None:
    """Map memory as it is, one part of it through a table with a restriction."""
    tables = {LEVEL_1 + 8 * (RAM >> 30): LEVEL_2 | TABLE | VALID,
              LEVEL_2 + 8 * ((BEHIND - RAM) >> 21): LEVEL_3 | restriction | TABLE | VALID}
    for table in LEVEL_1, LEVEL_2, LEVEL_3:
        model.put(table, bytes(0x1000))
    model.put(LEVEL_2, b"".join(struct.pack("<Q", RAM + (n << 21) | BLOCK) for n in range(128)))
    model.put(LEVEL_3, b"".join(struct.pack("<Q", BEHIND + (n << 12) | PAGE | BLOCK) for n in range(512)))
    for place, entry in tables.items():
        model.put(place, struct.pack("<Q", entry))
    # 39 bits of addresses in pages of 4 KiB, 48 of physical ones; AArch64, no ASET, faults are reported
    # and end the access
    model.put(CONTEXT, struct.pack("<QQ", 25 | 1 << 30 | 1 << 31 | 5 << 32 | 1 << 35 | 1 << 41 | 3 << 45 | 1 << 48, LEVEL_1).ljust(64, b"\0"))
    # valid, stage 1 alone
    model.put(STREAM_TABLE, bytes(64 << STREAMS))
    model.put(STREAM_TABLE + 64 * STREAM, struct.pack("<Q", CONTEXT | 5 << 1 | 1))
    model.write(SMMU + STRTAB_BASE, STREAM_TABLE, 8)
    model.write(SMMU + STRTAB_BASE_CFG, STREAMS)
    model.write(SMMU + CR0, ENABLE)
    assert model.read(SMMU + CR0ACK) == ENABLE


def encrypts(vf: PfOrVf, source: int, destination: int) -> bool:
    """Whether a request could read and write there."""
    index = vf.tail[0]
    vf.model.put(source, PLAIN)
    vf.model.put(destination, bytes(16))
    vf.submit(0, vf.request(source, destination))
    ((completed, status),) = vf.reap(0)
    assert completed == index
    written = vf.model.memory(destination, 16)
    assert (written == CIPHER) == (status == 0) and (status == 0 or written == bytes(16))
    return status == 0


@pytest.mark.parametrize("restriction, may_write", [(0, True), (READ_ONLY, False)], ids=["none", "read-only"])
def test_a_table_restricts_a_write_after_a_read(vf, restriction, may_write):
    """A page behind a read-only table must be readable and not writable, whether or not the SMMU
    already holds its translation."""
    enable(vf.model, restriction)
    assert encrypts(vf, vf.data + 0x100, BEHIND + 0x1000) == may_write
    assert encrypts(vf, BEHIND, vf.data + 0x200)
    assert encrypts(vf, vf.data + 0x100, BEHIND + 0x40) == may_write
