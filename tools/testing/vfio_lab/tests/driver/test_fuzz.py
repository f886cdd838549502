# SPDX-License-Identifier: GPL-2.0
"""A short, seeded run of make fuzz; it must detect bugs, and rejected migration data must not reach
a register, by the device's counters."""

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

pytestmark = pytest.mark.slow("random input")

SEED = 1
#: checks removed from the decoder, and the iterations that detect it
MUTANTS = {
    "head-beyond-the-ring": ("if (head > last || tail > last)", "if (head > last && tail > last)"),
    "misaligned-table": ("if (!IS_ALIGNED(address, ADDRESS_ALIGN))", "if (0)"),
    "two-rings-at-odds": ("sent == hisi_acc_data_ring_base(wire_xqc))", "sent >= hisi_acc_data_ring_base(wire_xqc))"),
    "no-checksum": ("if (le32_to_cpu(wire->checksum) != hisi_acc_data_checksum(*wire))", "if (0)"),
    "another-bar-layout": ("if (bar_layout != match->bar_layout)", "if (0)"),
    "a-byte-too-many": ("bool whole = len == sizeof(*wire);", "bool whole = len + 1 >= sizeof(*wire);"),
    "another-pending-read": ("saved->pending_read = le32_to_cpu(wire->pending_read);", "saved->pending_read = 0;"),
    "a-mask-of-more-bits": ("le32_to_cpu(wire->eq_int_mask) & FLAG;", "le32_to_cpu(wire->eq_int_mask);"),
    "an-idle-one-with-a-ring": ("if (guest == DATA_GUEST_DOWN && (wire->eqe_dma || wire->aeqe_dma))", "if (0)"),
    "an-idle-one-taken-for-none": ("!wire->sqc_dma && !wire->cqc_dma ? HISI_ACC_GUEST_NONE :", "!wire->sqc_dma ? HISI_ACC_GUEST_NONE :"),
    "half-of-the-addresses": ("return wire->sqc_dma && wire->cqc_dma &&", "return wire->sqc_dma &&"),
    "a-live-one-without-an-address": ("if (guest == DATA_GUEST_UP && !hisi_acc_data_has_addresses(wire))", "if (0)"),
}


def test_decoder_and_rules_agree(context, tmp_path):
    """The decoder must accept valid migration data, reject invalid data, decode each field
    correctly and not read out of bounds."""
    assert "Done 200000 runs" in fuzz.decoder(context, 200_000, SEED, tmp_path)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_decoder_fails(context, tmp_path, name):
    """The fuzzer must detect a decoder with a check removed."""
    mutant = tmp_path / "driver"
    shutil.copytree(paths.DRIVER, mutant)
    text = (mutant / "vf_data.c").read_text()
    before, after = MUTANTS[name]
    assert text.count(before) == 1
    (mutant / "vf_data.c").write_text(text.replace(before, after))
    with pytest.raises(LabError, match="the decoder failed for an input"):
        fuzz.decoder(context, 1_000_000, SEED, tmp_path, mutant)


@pytest.fixture(scope="module")
def host(context):
    """One host for the tests below."""
    with Session(Steps(io.StringIO()), paths.BUILD / "check/fuzz") as session:
        yield fuzz.bring_up(session, fuzz.config(context))


def stores(host) -> int:
    """Writes to registers of all VFs, and of the PF."""
    return sum(host.counters("sec", n)["events"]["writes"] for n in range(fuzz.VFS + 1))


def test_migration_data_is_loaded_or_rejected_by_the_rules(host, pytestconfig):
    """However the data is split into writes, the driver must accept it exactly if it is valid; the
    state must match the result, and a save must return what was loaded."""
    said = fuzz.data(host, fuzz.WHAT["data"] if pytestconfig.getoption("long") else 400, SEED)
    assert said.startswith("ok ") and " 0 taken" not in said and " 0 refused" not in said


def test_nothing_of_rejected_migration_data_reaches_a_register(host):
    """Migration data that is rejected must not reach a register: all of it is checked first."""
    before = stores(host)
    assert fuzz.data(host, 1, SEED + 1, refused_only=True).startswith("ok 0 taken, 1 refused")
    for_one = stores(host) - before
    before = stores(host)
    assert fuzz.data(host, 301, SEED + 1, refused_only=True).startswith("ok 0 taken, 301 refused")
    assert stores(host) - before == for_one, "the number of writes depends on the data"


@pytest.mark.expect(fuzz.PROVOKED)
def test_random_operations_on_a_vf(host, pytestconfig):
    """No sequence of operations may hang or return an error that the uAPI does not define, and a
    reset must make the VF usable."""
    said = fuzz.operations(host, fuzz.WHAT["operations"] if pytestconfig.getoption("long") else 10_000, SEED)
    assert said.startswith("ok ")


@pytest.mark.parametrize("program, arguments", [
    (fuzz.DATA, "1"), (fuzz.DATA, "0 1 a b"), (fuzz.DATA, "x 1 a b"), (fuzz.DATA, "-r 1 1 a"),
    (fuzz.OPERATIONS, "1"), (fuzz.OPERATIONS, "1 x a"),
])
def test_wrong_use_is_one_sentence(host, program, arguments):
    """Wrong arguments must print the usage and exit with status 2."""
    done = host.ssh.run(f"{program} {arguments}", check=False)
    assert done.returncode == 2 and done.stderr.startswith("usage: ")


@pytest.mark.parametrize("program", [fuzz.DATA, fuzz.OPERATIONS])
def test_without_arguments_and_a_device_it_skips(host, program):
    """As run by run_kselftest.sh where VFIO_SELFTESTS_BDF is not set: exit status 4, with a reason."""
    done = host.ssh.run(f"{program} 2>&1", check=False)
    assert done.returncode == 4 and "Unable to determine which device" in done.stdout


def test_a_vf_of_another_driver_is_refused(host):
    """A device without a VFIO driver must be reported by its address."""
    vfs = accelerator.vfs(host.ssh, hardware.ENGINES["sec"])
    done = host.ssh.run(f"{fuzz.OPERATIONS} 1 1 0000:7f:00.0; {fuzz.DATA} 1 1 {vfs[0]} 0000:7f:00.0", check=False)
    assert done.returncode == 1 and done.stderr.count("0000:7f:00.0: not bound to a VFIO driver") == 2
