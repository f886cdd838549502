# SPDX-License-Identifier: GPL-2.0
"""A guest under load is saved to a file by QEMU's migration, its QEMU ends, and it is restored from the
file: each request must complete, on whatever VF, as often as the file is loaded."""

from __future__ import annotations

import dataclasses
import io
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import steps
from lab.core import hardware, paths
from lab.core.context import Context
from lab.core.progress import Steps
from lab.scenario import accelerator
from lab.scenario.config import GuestConfig, HostConfig
from lab.scenario.guest import Guest
from lab.scenario.load import LoadRecord
from lab.scenario.migration import slow_down
from lab.scenario.session import Session
from guide import blocks
from moves import ended
from steps import State

SAVE, LOAD = (blocks("none")[name].splitlines() for name in ("file-save", "file-restore"))
(FILE,) = re.findall(r"file:(\S+)", "\n".join(SAVE))
COPY = f"{FILE}.copy"
CONFIG = HostConfig(engines=("sec", "zip"))
#: how the description of the file begins, which follows all devices and which QEMU can do without
DESCRIPTION = b'{"configuration":'
#: the first bytes of migration data, and where the number of queues is behind them
MAGIC, QUEUES = (0xAACCFEEDDECADEDE).to_bytes(8, "little"), 8


def monitor(guest: Guest, line: str) -> str:
    """Type a line into QEMU's monitor; its answer."""
    return guest.qmp.cmd("human-monitor-command", timeout=120, command_line=line)


def enable(guest: Guest, *capabilities: str) -> None:
    """Enable capabilities of QEMU's migration."""
    guest.qmp.cmd("migrate-set-capabilities", capabilities=[{"capability": name, "state": True} for name in capabilities])


class Home:
    """A host, and a guest that was saved to FILE in it; its QEMU has ended."""

    def __init__(self, session: Session, context: Context) -> None:
        config = dataclasses.replace(CONFIG, push={steps.REMOTE: steps.program(context)})
        (self.host,) = session.boot([session.spec("host", config, GuestConfig())])
        for name in CONFIG.engines:
            accelerator.bring_up(self.host.ssh, CONFIG.engine(name), CONFIG.vfs)
            accelerator.bind(self.host.ssh, self.functions(name), hardware.VARIANT_DRIVER)
        self.host.ssh.run(f"mkdir -p {Path(FILE).parent}")
        record = LoadRecord()
        guest = Guest(self.host, self.functions()[:1], record)
        record.wait_progress("the load runs", 20, 180, guest.alive)
        slow_down(self.host, "sec")
        before = self.resets()
        self.save(guest)
        assert record.last and record.last.in_flight > 0
        guest.close()
        # one by QEMU, as it closes the VF
        assert self.resets() <= before + 1
        self.host.set_model("sec", "request-latency", int(CONFIG.model["request-latency"]))

    def functions(self, name: str = "sec") -> list[str]:
        """The VFs of an accelerator."""
        return accelerator.functions(self.host.ssh, CONFIG.engine(name))

    def resets(self) -> int:
        """How often the first VF was reset."""
        return self.host.counters("sec", 1)["events"]["resets"]

    def save(self, guest: Guest, file: str = FILE) -> None:
        """Save the guest to a file, by the guide's commands."""
        began = time.monotonic()
        command, question = SAVE
        monitor(guest, command.replace(FILE, file))
        assert ended(guest, began) == "completed", guest.qmp.cmd("query-migrate")
        assert "Migration status: completed" in monitor(guest, question)

    def load(self, function: str, file: str = FILE, *capabilities: str) -> tuple[Guest, LoadRecord]:
        """Start a QEMU that loads the file."""
        record = LoadRecord()
        guest = Guest(self.host, [function], record, incoming=True, listen=False)
        enable(guest, *capabilities)
        for line in LOAD:
            monitor(guest, line.replace(FILE, file))
        return guest, record

    def restore(self, function: str, file: str = FILE, *capabilities: str) -> None:
        """Restore the guest; all of its requests must complete."""
        guest, record = self.load(function, file, *capabilities)
        try:
            record.wait_progress("each lane goes on", 20, 60, guest.alive)
            guest.stop_load()
            record.wait("the load ends", lambda: record.exit_status is not None, 60, guest.alive)
            last = record.last
            assert last and last.final and (last.mismatched, last.failed, last.stale) == (0, 0, 0)
            assert last.submitted == last.verified, "requests were lost"
            assert guest.wait(60) == 0
        finally:
            guest.console()
            guest.close()

    def refused(self, function: str, file: str) -> str:
        """QEMU's reason for refusing a file."""
        began = time.monotonic()
        guest, _ = self.load(function, file)
        try:
            assert ended(guest, began) == "failed"
            return guest.qmp.cmd("query-migrate")["error-desc"] + guest.last_words()
        finally:
            guest.close()

    def usable(self, function: str) -> None:
        """The VF must work for its next user."""
        with steps.Function(self.host, function) as vf:
            vf.guest_up()
            assert vf.go(State.STOP_COPY) == ("", State.STOP_COPY)
            assert vf.read_image() == steps.IMAGE


@pytest.fixture(scope="module")
def home(context: Context) -> Iterator[Home]:
    """The host and the file, for all tests of this module."""
    with Session(Steps(io.StringIO()), paths.BUILD / "check" / Path(__file__).stem) as session:
        yield Home(session, context)


def test_the_same_function(home):
    """The file must be restored on the VF that the guest had, twice."""
    home.restore(home.functions()[0])
    home.restore(home.functions()[0])


@pytest.mark.long("another format of the file")
def test_mapped_ram(home):
    """A guest that was restored must be saved with mapped-ram, and restored from that file."""
    (first, second) = home.functions()
    guest, record = home.load(first)
    try:
        record.wait_progress("each lane goes on", 20, 60, guest.alive)
        enable(guest, "mapped-ram")
        home.save(guest, COPY)
    finally:
        guest.console()
        guest.close()
    home.restore(second, COPY, "mapped-ram")


@pytest.mark.long("another function")
def test_another_function(home):
    """The file must be restored on another VF of the same accelerator."""
    home.restore(home.functions()[1])


@pytest.mark.long("three more restores")
def test_after_unbinding_and_new_functions(home):
    """The file must be restored after the driver was unbound from the VF and bound, and after the
    VFs were removed and created."""
    address = home.functions()[0]
    home.host.ssh.run(f"echo {address} > /sys/bus/pci/drivers/{hardware.VARIANT_DRIVER}/unbind")
    accelerator.bind(home.host.ssh, [address], hardware.VARIANT_DRIVER)
    home.restore(address)
    number = f"/sys/bus/pci/devices/{CONFIG.engine('sec').pf}/sriov_numvfs"
    home.host.ssh.run(f"echo 0 > {number} && echo {CONFIG.vfs} > {number}")
    accelerator.bind(home.host.ssh, home.functions(), hardware.VARIANT_DRIVER)
    home.restore(home.functions()[0])


@pytest.fixture(scope="module")
def content(home) -> bytes:
    """What the file has."""
    return subprocess.run(home.host.ssh.argv(f"cat {FILE}"), stdout=subprocess.PIPE, check=True).stdout


def test_a_file_with_other_data_is_refused(home, content):
    """Migration data that were changed in the file must be rejected with the field's name; the VF
    must be usable at once, and the file too."""
    address = home.functions()[0]
    home.host.ssh.run(f"cp {FILE} {COPY}; printf '\\143' | "
                      f"dd of={COPY} bs=1 seek={content.index(MAGIC) + QUEUES} conv=notrunc 2>/dev/null")
    assert "load of migration failed" in home.refused(address, COPY)
    assert "number of queues: got 0x63" in home.host.ssh.out("dmesg")
    home.usable(address)
    home.restore(address)


@pytest.mark.long("four more files")
def test_a_file_that_ends_early_is_refused(home, content):
    """A file that ends in the memory, in the VF's data or before the last device must be refused; the
    VF must be usable at once."""
    address = home.functions()[0]
    data, description = content.index(MAGIC), content.rindex(DESCRIPTION)
    for length in (1000, data + 20, data + 60, description - 100):
        home.host.ssh.run(f"head -c {length} {FILE} > {COPY}")
        assert "load of migration failed" in home.refused(address, COPY), length
        home.usable(address)


@pytest.mark.long("another accelerator")
def test_another_accelerator_refuses_the_file(home):
    """A VF of another accelerator must reject the data; it must be usable at once."""
    (address, *_) = home.functions("zip")
    assert "load of migration failed" in home.refused(address, FILE)
    assert "migration data rejected: device id" in home.host.ssh.out("dmesg")
