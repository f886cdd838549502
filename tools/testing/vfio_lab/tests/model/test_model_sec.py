# SPDX-License-Identifier: GPL-2.0
"""The engine SEC2, request by request, compared with published test vectors."""

from __future__ import annotations

import hmac
import struct
from dataclasses import dataclass, field

import pytest

from registers import CIPHER, KEY, PLAIN, PfOrVf

DES3, AES, SM4 = 1, 2, 3
ECB, CBC, CTR, CCM, GCM, XTS = 0, 1, 4, 5, 6, 7
HASHES = {"sha1": 0x10, "sha256": 0x11, "sha512": 0x15}
AEAD, CIPHER_ONLY = 3, 2
BAD_ICV, BAD_REQUEST, BAD_LENGTH = 2, 1, 2


def unhex(text: str) -> bytes:
    """Decode hexadecimal digits with blanks."""
    return bytes.fromhex(text)


@dataclass
class Case:
    """One request, and the one for the opposite direction."""

    alg: int
    mode: int
    key: bytes
    iv: bytes
    plain: bytes
    cipher: bytes
    aad: bytes = b""
    mac: bytes = b""
    first_block: bytes = b""            # of CCM's MAC
    hash: str = ""
    mac_key: bytes = b""
    extra: dict[str, int] = field(default_factory=dict)


class Sec(PfOrVf):
    """A VF of a SEC."""

    def outcome(self, sqe: bytes) -> int:
        self.done, error = struct.unpack_from("<HB", sqe, 112)
        assert self.done & 1 and sqe[8:16] == b"the tag!"
        return error

    def run(self, case: Case, encrypt: bool, lists: bool = False, own: bool = True, mac: bytes | None = None,
            bit: int = 0) -> tuple[int, int, bytes, bytes]:
        """Run one request with `bit` flipped; returns error, ICV result, text and MAC."""
        at = self.data
        text = case.plain if encrypt else case.cipher
        source, destination = at + 0x1000, at + 0x3000
        self.model.put(source, case.aad + text + b"\0")
        self.model.put(destination, b"\xa5" * (len(case.aad + text) + 16))
        self.model.put(at, (case.mac if mac is None else mac) if case.mac and not encrypt else bytes(64))
        for offset, data in ((0x100, case.key), (0x200, case.iv), (0x300, case.mac_key), (0x400, case.first_block)):
            self.model.put(at + offset, data or b"\0")
        number = {(DES3, 24): 1, (DES3, 16): 3}.get((case.alg, len(case.key)),
                                                   len(case.key) // (2 if case.mode == XTS else 1) // 8 - 2)
        aead = case.hash or case.mode in (CCM, GCM)
        result = destination if own else source
        if lists:
            source, destination = self.scatter(at + 0x600, source), self.scatter(at + 0x700, destination)
        sqe = bytearray(128)
        struct.pack_into("<I", sqe, 0, 3 | own << 9 | lists * 9 << 11)
        struct.pack_into("<HBB", sqe, 4, (1 if encrypt else 2) | (0 if case.hash else len(case.mac)) << 4 | number << 13,
                         case.mode | case.alg << 4, bool(aead and not encrypt) << 6)
        sqe[8:16] = b"the tag!"
        struct.pack_into("<QQQ", sqe, 16, source, at + 0x300, at + 0x400)
        struct.pack_into("<Q", sqe, 48, at + 0x100)
        if case.hash:
            struct.pack_into("<I", sqe, 56, (1 if encrypt else 2) | len(case.mac) // 4 << 4
                             | len(case.mac_key) // 4 << 9 | HASHES[case.hash] << 15)
        struct.pack_into("<HH", sqe, 64, 0, len(case.aad))
        struct.pack_into("<II", sqe, 68, len(case.aad) + (len(text) if case.hash else 0), len(text))
        struct.pack_into("<QQQ", sqe, 76, destination if own else 0, at, at + 0x200)
        sqe[bit // 8] ^= (1 << bit % 8) if bit else 0
        self.submit(0, bytes(sqe))
        ((_, error),) = self.reap(0)
        assert self.done >> 7 & 15 == (AEAD if aead else CIPHER_ONLY) or error
        out = self.model.memory(result, len(case.aad + text) + 16)
        if own:
            assert out[:len(case.aad)] == b"\xa5" * len(case.aad) and out[-16:] == b"\xa5" * 16
        return error, self.done >> 1 & 7, out[len(case.aad):-16], self.model.memory(at, len(case.mac) or 1)

    def scatter(self, at: int, buffer: int) -> int:
        """A hardware SGL for a buffer: 5 bytes, 20 bytes, the rest."""
        entries = b"".join(struct.pack("<QQIIII", buffer + a, 0, b - a, 0, 0, 0)
                           for a, b in ((0, 5), (5, 25), (25, 0x1000)))
        self.model.put(at, struct.pack("<QHHH", 0, 4, 3, 4).ljust(64, b"\0") + entries)
        return at


def authenc(name: str, words: int) -> Case:
    """CBC of one block with an IV of zeros is the block cipher itself."""
    aad, key = b"aad of 16 bytes." + bytes(16), bytes(range(40))
    mac = hmac.new(key, aad + CIPHER, name).digest()[:4 * words]
    return Case(AES, CBC, KEY, bytes(16), PLAIN, CIPHER, aad, mac, hash=name, mac_key=key)


CASES = {
    # GB/T 32907, example 1
    "sm4-cbc": Case(SM4, CBC, unhex("0123456789abcdeffedcba9876543210"), bytes(16),
                    unhex("0123456789abcdeffedcba9876543210"), unhex("681edf34d206965e86b3e94f536e4246")),
    # with three equal keys it is DES
    "3des-ecb": Case(DES3, ECB, unhex("133457799bbcdff1") * 3, b"", unhex("0123456789abcdef") * 3,
                     unhex("85e813540f0ab405") * 3),
    "3des-2-keys": Case(DES3, ECB, unhex("133457799bbcdff1") * 2, b"", unhex("0123456789abcdef"),
                        unhex("85e813540f0ab405")),
    "3des-cbc": Case(DES3, CBC, unhex("133457799bbcdff1") * 3, unhex("ff") * 8, unhex("fedcba9876543210"),
                     unhex("85e813540f0ab405")),
    # The Galois/Counter Mode of Operation (McGrew, Viega), test cases 1, 2 and 4
    "gcm-nothing": Case(AES, GCM, bytes(16), bytes(12), b"", b"", mac=unhex("58e2fccefa7e3061367f1d57a4e7455a")),
    "gcm-plain": Case(AES, GCM, bytes(16), bytes(12), bytes(16), unhex("0388dace60b6a392f328c2b971b2fe78"),
                      mac=unhex("ab6e47d42cec13bdf53a67b21257bddf")),
    "gcm": Case(AES, GCM, unhex("feffe9928665731c6d6a8f9467308308"), unhex("cafebabefacedbaddecaf888"),
                unhex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                      "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"),
                unhex("42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
                      "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"),
                unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2"), unhex("5bc94fbc3221a5db94fae95ae7121a47")),
    # RFC 3610, packet vector 1
    "ccm": Case(AES, CCM, bytes(range(0xC0, 0xD0)), unhex("01 00000003020100a0a1a2a3a4a5 0001"),
                bytes(range(8, 31)), unhex("588c979a61c663d2f066d0c2c0f989806d5f6b61dac384"),
                bytes(range(8)), unhex("17e8d12cfdf926e0"), unhex("59 00000003020100a0a1a2a3a4a5 0017")),
    "authenc-sha1": authenc("sha1", 5),
    "authenc-sha256": authenc("sha256", 4),
    "authenc-sha512": authenc("sha512", 16),
}


@pytest.mark.parametrize("name", CASES)
def test_vectors_both_ways(start, name):
    """Each vector must match in both directions."""
    case, vf = CASES[name], start(kind=Sec)
    for lists in (False, True):
        for own in (False, True):
            error, icv, text, mac = vf.run(case, True, lists, own)
            assert (error, icv, text) == (0, 0, case.cipher)
            assert not case.mac or mac == case.mac
            assert vf.run(case, False, lists, own)[:3] == (0, 0, case.plain)
    assert not vf.guest_errors() and not vf.events()["requests-failed"]


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.mac])
def test_a_mac_mismatch_is_reported_and_no_text_is_written(start, name):
    """A wrong MAC must be reported, and the text must not be written."""
    case, vf = CASES[name], start(kind=Sec)
    wrong = case.mac[:-1] + bytes([case.mac[-1] ^ 1])
    error, icv, text, mac = vf.run(case, False, mac=wrong)
    assert (error, icv) == (0, BAD_ICV) and text == b"\xa5" * len(case.plain) and mac == wrong
    assert not vf.guest_errors() and not vf.events()["requests-failed"]


@pytest.mark.parametrize("name, bit", [
    ("ccm", 62), ("gcm", 62), ("authenc-sha1", 62),         # order of cipher and authentication
    ("authenc-sha256", 56 * 8 + 1), ("authenc-sha256", 56 * 8 + 16),    # authentication on, and its kind
    ("gcm", 66 * 8), ("ccm", 66 * 8 + 1),                   # offset of the text
    ("sm4-cbc", 4 * 8 + 13), ("3des-ecb", 4 * 8 + 13),      # length of the key
    ("3des-ecb", 6 * 8 + 2),                                # a mode that 3DES lacks
])
def test_a_request_that_contradicts_itself_is_refused(start, name, bit):
    """A contradictory request must be rejected."""
    vf = start(kind=Sec)
    assert vf.run(CASES[name], True, bit=bit)[0] == BAD_REQUEST
    assert vf.guest_errors() == {"bad-request"} and vf.events()["requests-failed"] == 1


@pytest.mark.parametrize("name, bits", [("sm4-cbc", 1 << 12), ("3des-ecb", 1 << 23), ("gcm", 1 << 7),
                                        ("ccm", 1 << 6), ("authenc-sha1", 1 << 43), ("authenc-sha512", 1 << 45)])
def test_sec_computes_only_what_it_reports(start, name, bits):
    """SEC must reject algorithms that it does not report."""
    vf = start(f",vf-algs={bits:#x}", Sec)
    assert vf.read(0x3144) | vf.read(0x3148) << 32 == bits
    assert vf.run(CASES[name], True)[0] == 0
    for other in CASES:
        if CASES[other].alg != CASES[name].alg or CASES[other].mode != CASES[name].mode:
            assert vf.run(CASES[other], True)[0] == BAD_REQUEST
