# SPDX-License-Identifier: GPL-2.0
"""The engines ZIP and HPRE, request by request, compared with Python's arithmetic."""

from __future__ import annotations

import gzip
import random
import struct
import zlib

import pytest

from registers import PfOrVf

DEFLATE, ZLIB, GZIP, LZ4 = 1, 2, 3, 4
COMPRESS, DECOMPRESS = 0, 1             # queues and their context's algorithm
FULL, BAD_REQUEST, BAD_LENGTH, BAD_READ, NOT_SMALLER, BAD_DATA = 0x01, 0x02, 0x03, 0x04, 0x0D, 0x10
TEXT = b"".join(b"line %d of a text that repeats itself\n" % (i % 37) for i in range(300))
NOISE = random.Random(1).randbytes(2000)


class Zip(PfOrVf):
    """A VF of a ZIP: queue 0 compresses, queue 1 decompresses."""

    DEVICE, SECOND = "hisi-zip", 1

    def outcome(self, sqe: bytes) -> int:
        assert sqe[104:112] == b"the tag!"
        self.consumed, self.produced = struct.unpack_from("<II", sqe)
        return sqe[12]

    def run(self, queue: int, kind: int, data: bytes, room: int = 0x8000, lists: bool = False,
            skip: int = 0, dw7: int = 0) -> tuple[int, bytes]:
        """Run one request; returns its status and output."""
        source, destination = self.data + 0x20000, self.data + 0x40000
        self.model.put(source + skip, data)
        self.model.put(destination, b"\xa5" * (room + 16))
        sqe = bytearray(128)
        if lists:
            source = self.scatter(self.data, source, skip + len(data))
            destination = self.scatter(self.data + 0x1000, destination, room)
        struct.pack_into("<I", sqe, 16, len(data))
        struct.pack_into("<III", sqe, 28, skip | dw7 | 3 << 28, 0, kind | lists << 8)
        struct.pack_into("<I", sqe, 56, room)
        struct.pack_into("<QQ", sqe, 72, source, destination)
        sqe[104:112] = b"the tag!"
        self.submit(queue, bytes(sqe))
        ((_, status),) = self.reap(queue)
        out = self.model.memory(self.data + 0x40000, room + 16)
        assert out[self.produced:] == b"\xa5" * (len(out) - self.produced), "output beyond the reported length"
        return status, out[:self.produced]

    def scatter(self, at: int, buffer: int, length: int) -> int:
        """A hardware SGL of three entries for a buffer."""
        cuts = [0, length // 5, length // 2, length]
        entries = b"".join(struct.pack("<QQIIII", buffer + a, 0, b - a, 0, 0, 0) for a, b in zip(cuts, cuts[1:]))
        self.model.put(at, struct.pack("<QHHH", 0, 10, 3, 10).ljust(64, b"\0") + entries)
        return at


class Hpre(PfOrVf):
    """A VF of an HPRE: queue 0 for RSA and DH, queue 1 for elliptic curves."""

    DEVICE, SQE, SECOND = "hisi-hpre", 64, 1

    def outcome(self, sqe: bytes) -> int:
        dw0, = struct.unpack_from("<I", sqe)
        assert dw0 >> 30 == 3 and sqe[32:40] == b"the tag!"
        return dw0 >> 5 & 0x7FF

    def run(self, queue: int, operation: int, size: int, key: tuple[int, ...], numbers: tuple[int, ...],
            results: int = 1, half: bool = False) -> tuple[int, tuple[int, ...]]:
        """Run one request; returns its error and the result's numbers."""
        at, out = self.data, self.data + 0x4000
        width = size // 2 if half else size
        self.model.put(at, b"".join(n.to_bytes(width, "big") for n in key))
        self.model.put(at + 0x2000, b"".join(n.to_bytes(size, "big") for n in numbers) or b"\0")
        self.model.put(out, bytes(results * size))
        sqe = bytearray(64)
        struct.pack_into("<IB", sqe, 0, operation | 1 << 30, size // 8 - 1)
        struct.pack_into("<QQQ", sqe, 8, at, at + 0x2000 if numbers else 2**64 - 1, out)
        sqe[32:40] = b"the tag!"
        before = self.events()["requests-completed"]
        self.submit(queue, bytes(sqe))
        self.wait_completed(before + 1)
        ((_, error),) = self.reap(queue)
        raw = self.model.memory(out, results * size)
        return error, tuple(int.from_bytes(raw[i:i + size], "big") for i in range(0, len(raw), size))


def unpack_lz4(block: bytes) -> bytes:
    """Decompress an LZ4 block by its specification, including the end-of-block rules."""
    out, at, match = bytearray(), 0, 0

    def more(field: int) -> int:
        nonlocal at
        total = field
        while field == 15:
            total, at = total + block[at], at + 1
            if block[at - 1] != 255:
                break
        return total

    while True:
        token, at = block[at], at + 1
        literals = more(token >> 4)
        out += block[at:at + literals]
        at += literals
        if at == len(block):
            assert literals >= 5 or not match
            return bytes(out)
        distance, at = int.from_bytes(block[at:at + 2], "little"), at + 2
        match = more(token & 15) + 4
        assert 0 < distance <= len(out)
        for _ in range(match):
            out.append(out[-distance])


@pytest.mark.parametrize("kind, listed", [(PfOrVf, 0x1000), (Zip, 0x1200), (Hpre, 0x1000)], ids=["SEC", "ZIP", "HPRE"])
def test_classes_are_as_servers_list_them(start, kind, listed):
    """ZIP must have the class of a processing accelerator, the others that of encryption devices."""
    vf = start(kind=kind)
    for number in range(2):
        assert vf.model.read(vf.model.config(number) + 0xA, 2) == listed


@pytest.mark.parametrize("lists", [False, True])
@pytest.mark.parametrize("kind, wbits", [(DEFLATE, -15), (ZLIB, 15), (GZIP, 31)])
def test_zip_works_both_ways(start, kind, wbits, lists):
    """ZIP must compress and decompress each format."""
    vf = start(kind=Zip)
    status, packed = vf.run(COMPRESS, kind, TEXT, lists=lists)
    assert status == 0 and vf.consumed == len(TEXT) and len(packed) < len(TEXT) / 4
    assert zlib.decompress(packed, wbits) == TEXT
    status, plain = vf.run(DECOMPRESS, kind, packed + b"after", lists=lists, skip=100)
    assert status == 0 and plain == TEXT and vf.consumed == len(packed)
    assert not vf.guest_errors() and not vf.events()["requests-failed"]


def test_zip_takes_what_others_packed(start):
    """ZIP must decompress output of other compressors."""
    vf = start(kind=Zip)
    assert vf.run(DECOMPRESS, GZIP, gzip.compress(TEXT)) == (0, TEXT)
    assert vf.run(DECOMPRESS, ZLIB, zlib.compress(NOISE)) == (0, NOISE)


@pytest.mark.parametrize("data", [b"x", b"abcabcabcabcabcabc", TEXT, NOISE, bytes(9000), TEXT[:500] + NOISE + TEXT[:500]])
def test_zip_packs_lz4_one_way(start, data):
    """ZIP must compress LZ4, and not decompress it."""
    vf = start(kind=Zip)
    status, packed = vf.run(COMPRESS, LZ4, data)
    assert status == (NOT_SMALLER if len(packed) > len(data) else 0)
    assert unpack_lz4(packed) == data
    assert vf.run(COMPRESS, LZ4, data, room=len(packed) - 1) == (FULL, b"")
    assert vf.run(DECOMPRESS, LZ4, packed) == (BAD_REQUEST, b"")


def test_zip_reports_errors(start):
    """An invalid ZIP request must complete with its error."""
    vf = start(kind=Zip)
    packed = zlib.compress(TEXT)
    assert vf.run(COMPRESS, DEFLATE, NOISE)[0] == NOT_SMALLER
    assert vf.run(COMPRESS, DEFLATE, TEXT, room=20) == (FULL, b"")
    assert vf.run(DECOMPRESS, ZLIB, packed, room=len(TEXT) - 1) == (FULL, b"")
    assert vf.run(DECOMPRESS, ZLIB, packed, room=len(TEXT)) == (0, TEXT)
    assert vf.run(DECOMPRESS, ZLIB, packed[:-1]) == (BAD_DATA, b"")
    assert vf.run(DECOMPRESS, ZLIB, packed[:-1] + b"\0") == (BAD_DATA, b"")
    assert not vf.guest_errors() and vf.events()["requests-failed"] == 4
    assert vf.run(COMPRESS, 9, TEXT) == (BAD_REQUEST, b"")
    assert vf.run(COMPRESS, DEFLATE, TEXT, dw7=1 << 26) == (BAD_REQUEST, b"")
    assert vf.guest_errors() == {"bad-request"}


def test_zip_computes_only_what_it_reports(start):
    """ZIP must reject algorithms that it does not report."""
    vf = start(",vf-algs=0x10", Zip)
    assert vf.read(0x3144) == 0x10
    assert vf.run(COMPRESS, DEFLATE, TEXT)[0] == 0
    assert vf.run(DECOMPRESS, DEFLATE, b"\3\0")[0] == BAD_REQUEST
    assert vf.run(COMPRESS, GZIP, TEXT)[0] == BAD_REQUEST


RSA, CRT, DH_2, DH, ECC, X25519 = 0, 1, 4, 5, 0xD, 0x10
P, Q = 2**521 - 1, 2**607 - 1           # two primes with a product of 1128 bits
N, E = P * Q, 65537
D = pow(E, -1, (P - 1) * (Q - 1))
# NIST P-256
P256 = 2**256 - 2**224 + 2**192 + 2**96 - 1
A256 = P256 - 3
B256 = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
G256 = (0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
        0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5)
N256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def test_hpre_raises_to_powers(start):
    """HPRE's modular exponentiation must match Python's pow()."""
    vf = start(kind=Hpre)
    message = int.from_bytes(b"a message".ljust(140, b"."), "big")
    error, (cipher,) = vf.run(0, RSA, 144, (E, N), (message,))
    assert error == 0 and cipher == pow(message, E, N)
    assert vf.run(0, RSA, 144, (D, N), (cipher,)) == (0, (message,))
    # halves of 76 bytes
    assert vf.run(0, CRT, 152, (D % (Q - 1), D % (P - 1), Q, P, pow(Q, -1, P)), (cipher,), half=True) == (
        0, (message,))
    assert vf.run(0, DH, 512, (D, N), (message,)) == (0, (pow(message, D, N),))
    assert vf.run(0, DH_2, 512, (D, N), ()) == (0, (pow(2, D, N),))
    assert not vf.guest_errors()


def test_hpre_multiplies_points(start):
    """HPRE's point multiplication must match the test's."""
    vf = start(kind=Hpre)

    def times(k: int, point: tuple[int, int], size: int = 32) -> tuple[int, tuple[int, ...]]:
        return vf.run(1, ECC, size, (P256, A256, k, B256), point, results=2)

    twice = (0x7CF27B188D034F7E8A52380304B51AC3C08969E277F21B35A60B48FC47669978,
             0x07775510DB8ED040293D9AC69F7430DBBA7DADE63CE982299E04B79D227873D1)
    assert times(1, G256) == (0, G256)
    assert times(2, G256) == (0, twice)
    assert times(2, G256, 48) == (0, twice)
    assert times(N256 - 1, G256) == (0, (G256[0], P256 - G256[1]))
    _, mine = times(0x1234567, G256)
    _, yours = times(0x7654321, G256)
    assert times(0x7654321, mine) == times(0x1234567, yours) == times(0x1234567 * 0x7654321, G256)
    assert not vf.events()["requests-failed"]
    assert times(N256, G256)[0] and times(0, G256)[0] and times(2, (1, 1))[0]
    assert vf.events()["requests-failed"] == 3 and not vf.guest_errors()


def test_hpre_computes_x25519(start):
    """HPRE's X25519 must match the vectors of RFC 7748."""
    # RFC 7748, section 5.2; numbers there are little-endian
    k = int.from_bytes(bytes.fromhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"), "little")
    u = int.from_bytes(bytes.fromhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"), "little")
    want = int.from_bytes(bytes.fromhex("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"), "little")
    k = k & ~7 & 2**255 - 1 | 1 << 254
    vf = start(kind=Hpre)
    assert vf.run(1, X25519, 32, (2**255 - 19, 121665, k), (u,)) == (0, (want,))
    assert vf.run(1, X25519, 32, (2**255 - 19, 121665, k), (0,)) == (0, (0,))
    assert vf.run(1, X25519, 32, (2**255 - 20, 121665, k), (u,))[0], "an even modulus was accepted"


def test_hpre_reports_errors(start):
    """An invalid HPRE request must complete with its error."""
    vf = start(kind=Hpre)
    assert vf.run(0, RSA, 128, (E, 0), (5,))[0], "a modulus of 0 was accepted"
    assert vf.run(0, CRT, 128, (1, 1, 0, 0, 0), (5,), half=True)[0]
    assert not vf.guest_errors()
    for queue, operation, size in ((1, RSA, 128), (0, ECC, 32), (0, 7, 128), (0, RSA, 520), (1, X25519, 40)):
        assert vf.run(queue, operation, size, (E, 99, 1, 1), (1, 1))[0], (queue, operation, size)
    assert vf.guest_errors() == {"bad-request"}
    assert vf.events()["requests-failed"] == 7


def test_hpre_computes_only_what_it_reports(start):
    """HPRE must reject algorithms that it does not report."""
    vf = start(",vf-algs=2", Hpre)
    assert vf.read(0x3144) == 2
    assert vf.run(0, DH, 128, (3, 1000), (7,)) == (0, (343,))
    assert vf.run(0, RSA, 128, (3, 1000), (7,))[0]
