# SPDX-License-Identifier: GPL-2.0
"""A seeded slice of make fuzz; that it finds what is wrong; and that nothing of a
refused image reaches a register, by the device's own count."""

from __future__ import annotations

import io
import shutil

import pytest

from lab.core import hardware, paths
from lab.core.errors import LabError
from lab.core.progress import Steps
from lab.scenario import accelerator
from lab.scenario.session import Session
from lab.probe import fuzz

SEED = 1
#: what is left out of the decoder, and so much that it is found
BENT = {
    "head-beyond-the-ring": ("if (head > last || tail > last)", "if (head > last && tail > last)"),
    "misaligned-table": ("if (!IS_ALIGNED(address, ADDRESS_ALIGN))", "if (0)"),
    "two-rings-at-odds": ("if (is_v1(wire) || sent == ring_base(wire_xqc))", "if (is_v1(wire) || sent >= ring_base(wire_xqc))"),
    "no-checksum": ("if (le32_to_cpu(wire->checksum) != checksum(*wire))", "if (0)"),
    "another-bar-layout": ("if (bar_layout != match->bar_layout)", "if (0)"),
    "a-byte-too-many": ("bool whole = len == sizeof(*wire);", "bool whole = len + 1 >= sizeof(*wire);"),
    "another-pending-read": ("saved->pending_read = le32_to_cpu(wire->pending_read);", "saved->pending_read = 0;"),
    "a-mask-of-more-bits": ("le32_to_cpu(wire->eq_int_mask) & FLAG;", "le32_to_cpu(wire->eq_int_mask);"),
    "an-idle-one-with-a-ring": ("if (guest == DATA_GUEST_DOWN && (wire->eqe_dma || wire->aeqe_dma))", "if (0)"),
    "an-idle-one-taken-for-none": ("!wire->sqc_dma && !wire->cqc_dma ? HISI_ACC_GUEST_NONE :", "!wire->sqc_dma ? HISI_ACC_GUEST_NONE :"),
    "half-of-the-addresses": ("return wire->sqc_dma && wire->cqc_dma && ring_base(wire->eqc) &&", "return wire->sqc_dma && ring_base(wire->eqc) &&"),
    "a-live-one-without-an-address": ("if (guest == DATA_GUEST_UP && !has_addresses(wire))", "if (0)"),
}


def test_the_decoder_is_of_one_mind_with_the_rules(context, tmp_path):
    """Would catch: bytes taken that are no image, an image refused, a field that comes
    out as another; memory read beyond the bytes."""
    assert "Done 200000 runs" in fuzz.decoder(context, 200_000, SEED, tmp_path)


@pytest.mark.parametrize("name", BENT)
def test_a_bent_decoder_is_found_out(context, tmp_path, name):
    """Would catch: a fuzzer that never comes to where it matters."""
    bent = tmp_path / "driver"
    shutil.copytree(paths.DRIVER, bent)
    text = (bent / "vf_data.c").read_text()
    before, after = BENT[name]
    assert text.count(before) == 1
    (bent / "vf_data.c").write_text(text.replace(before, after))
    with pytest.raises(LabError, match="the decoder is wrong about an input"):
        fuzz.decoder(context, 1_000_000, SEED, tmp_path, bent)


@pytest.fixture(scope="module")
def host(context):
    """One host for the tests below."""
    with Session(Steps(io.StringIO()), paths.BUILD / "check/fuzz") as session:
        yield fuzz.bring_up(session, fuzz.choice(context))


def stores(host) -> int:
    """What was written into registers of all functions, and into the physical one's."""
    return sum(host.counters("sec", n)["events"]["writes"] for n in range(fuzz.FUNCTIONS + 1))


def test_images_are_taken_or_refused_by_the_rules(host, pytestconfig):
    """Would catch: the same in a function, however an image was cut; a state that is
    not what the answer says; a save that differs from what was loaded."""
    said = fuzz.streams(host, fuzz.WHAT["streams"] if pytestconfig.getoption("long") else 400, SEED)
    assert said.startswith("ok ") and " 0 taken" not in said and " 0 refused" not in said


def test_nothing_of_a_refused_image_reaches_a_register(host):
    """Would catch: a register written before all of an image was checked."""
    before = stores(host)
    assert fuzz.streams(host, 1, SEED + 1, refused_only=True).startswith("ok 0 taken, 1 refused")
    for_one = stores(host) - before
    before = stores(host)
    assert fuzz.streams(host, 301, SEED + 1, refused_only=True).startswith("ok 0 taken, 301 refused")
    assert stores(host) - before == for_one, "opening and closing it writes as often for 1 as for 301"


@pytest.mark.expect(fuzz.PROVOKED)
def test_whatever_is_asked_of_a_function(host, pytestconfig):
    """Would catch: a hang, an answer that the uAPI does not know, a function that a
    reset does not bring back."""
    said = fuzz.operations(host, fuzz.WHAT["operations"] if pytestconfig.getoption("long") else 10_000, SEED)
    assert said.startswith("ok ")


@pytest.mark.parametrize("program, arguments", [
    (fuzz.STREAMS, ""), (fuzz.STREAMS, "0 1 a b"), (fuzz.STREAMS, "x 1 a b"), (fuzz.STREAMS, "-r 1 1 a"),
    (fuzz.OPERATIONS, ""), (fuzz.OPERATIONS, "1 x a"),
])
def test_wrong_use_is_told_in_a_sentence(host, program, arguments):
    done = host.ssh.run(f"{program} {arguments}", check=False)
    assert done.returncode == 2 and done.stderr.startswith("usage: ")


def test_a_function_of_another_driver_is_told_in_a_sentence(host):
    functions = accelerator.functions(host.ssh, hardware.ENGINES["sec"])
    done = host.ssh.run(f"{fuzz.OPERATIONS} 1 1 0000:7f:00.0; {fuzz.STREAMS} 1 1 {functions[0]} 0000:7f:00.0", check=False)
    assert done.returncode == 1 and done.stderr.count("0000:7f:00.0: not bound to a VFIO driver") == 2
