# SPDX-License-Identifier: GPL-2.0
"""A guest under load is saved to a file by QEMU's migration, its QEMU ends, and it is restored from the
file: each request must complete, on whatever VFs, as often as the file is loaded."""

from __future__ import annotations

import dataclasses
import io
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import bench
import steps
from lab.core import hardware, paths, versions
from lab.core.context import Context
from lab.core.guide import blocks
from lab.core.progress import Steps
from lab.scenario import accelerator
from lab.scenario.config import GuestConfig, HostConfig
from lab.scenario.guest import Guest, Start
from lab.scenario.load import LoadRecord
from lab.scenario.migration import slow_down
from lab.scenario.session import Session
from migrations import ended
from steps import State

pytestmark = pytest.mark.slow("machines that are saved to files")

SAVE, LOAD = (blocks("none")[name].splitlines() for name in ("file-save", "file-restore"))
(FILE,) = re.findall(r"file:(\S+)", "\n".join(SAVE))
COPY = f"{FILE}.copy"
CONFIG = HostConfig(engines=("sec", "zip", "hpre"))
LONG = pytest.mark.long("more restores, minutes for each")
#: how the description of the file begins, which follows all devices and which QEMU can do without
DESCRIPTION = b'{"configuration":'
#: the first bytes of migration data, and where the number of queues is behind them
MAGIC, QUEUES = (0xAACCFEEDDECADEDE).to_bytes(8, "little"), 8


def complete(guest: Guest, record: LoadRecord) -> None:
    """End the load; all of its requests must be there."""
    guest.stop_load()
    record.wait("the load ends", lambda: record.exit_status is not None, 60, guest.alive)
    last = record.last
    assert last and last.final and (last.mismatched, last.failed, last.stale) == (0, 0, 0)
    assert last.submitted == last.verified, "requests were lost"


class Place:
    """A host for guests with one VF of each of these accelerators."""

    def __init__(self, session: Session, context: Context, config: HostConfig, engines: Sequence[str],
                 name: str = "host", **push: Path) -> None:
        self.engines = engines
        config = dataclasses.replace(config, push={steps.REMOTE: steps.program(context), **push})
        (self.host,) = session.boot([session.spec(name, config, GuestConfig())])
        accelerator.set_up(self.host.ssh, map(CONFIG.engine, CONFIG.engines), CONFIG.vfs)
        self.host.ssh.run(f"mkdir -p {Path(FILE).parent}")

    def vfs(self, name: str) -> list[str]:
        """The VFs of an accelerator."""
        return accelerator.vfs(self.host.ssh, CONFIG.engine(name))

    def set(self, number: int = 0) -> list[str]:
        """What one guest has: a VF of each of its accelerators."""
        return [self.vfs(name)[number] for name in self.engines]

    def save(self, guest: Guest, file: str = FILE) -> None:
        """Save the guest to a file, by the guide's commands."""
        began = time.monotonic()
        command, question = SAVE
        guest.monitor(command.replace(FILE, file))
        assert ended(guest, began) == "completed", guest.qmp.cmd("query-migrate")
        assert re.search(r"status:\s+completed", guest.monitor(question), re.I)

    def load(self, vfs: list[str], file: str = FILE, *capabilities: str) -> tuple[Guest, LoadRecord]:
        """Start a QEMU that loads the file."""
        record = LoadRecord()
        guest = Guest(self.host, vfs, record, start=Start(incoming=True, listen=False))
        guest.enable(*capabilities)
        for line in LOAD:
            guest.monitor(line.replace(FILE, file))
        return guest, record

    def restore(self, vfs: list[str], file: str = FILE, *capabilities: str) -> None:
        """Restore the guest; all of its requests must complete."""
        guest, record = self.load(vfs, file, *capabilities)
        try:
            record.wait_progress("each lane goes on", 20, 60, guest.alive)
            complete(guest, record)
            assert guest.wait(60) == 0
        finally:
            guest.console()
            guest.close()

    def refused(self, vfs: list[str], file: str) -> str:
        """QEMU's reason for refusing a file."""
        began = time.monotonic()
        guest, _ = self.load(vfs, file)
        try:
            assert ended(guest, began) == "failed"
            return guest.qmp.cmd("query-migrate")["error-desc"] + guest.last_words()
        finally:
            guest.close()

    def usable(self, vfs: list[str]) -> None:
        """The VFs must work for their next user."""
        for address in vfs:
            with steps.Vf(self.host, address) as vf:
                vf.guest_up()
                assert vf.go(State.STOP_COPY) == ("", State.STOP_COPY)
                assert vf.read_migration_data() == steps.DATA_SIZE


class Home(Place):
    """A host, and a guest that was saved to FILE in it; its QEMU has ended."""

    def __init__(self, session: Session, context: Context, vmm: str, engines: Sequence[str]) -> None:
        super().__init__(session, context, dataclasses.replace(CONFIG, vmm=vmm), engines)
        self.session, self.vmm = session, vmm
        record = LoadRecord()
        guest = Guest(self.host, self.set(), record)
        record.wait_progress("the load runs", 20, 180, guest.alive)
        for name in engines:
            slow_down(self.host, name)
        before = self.resets()
        self.save(guest)
        assert record.last and record.last.in_flight > 0
        guest.close()
        # one by QEMU, as it closes the VF
        assert all(now <= then + 1 for now, then in zip(self.resets(), before, strict=True))
        for name in engines:
            self.host.set_model(name, "request-latency", int(CONFIG.model["request-latency"]))

    def resets(self) -> list[int]:
        """How often the first VF of each accelerator was reset."""
        return [self.host.counters(name, 1)["events"]["resets"] for name in self.engines]


@pytest.fixture(scope="module", params=[
    pytest.param((versions.DEFAULT_VMM, CONFIG.engines[:1]), id=versions.DEFAULT_VMM),
    pytest.param((versions.VMMS[-1].name, CONFIG.engines), id=f"{versions.VMMS[-1].name}-three", marks=LONG)])
def home(request, context: Context) -> Iterator[Home]:
    """The host and the file, for all tests of this module."""
    with Session(Steps(io.StringIO()), paths.BUILD / "check" / Path(__file__).stem) as session:
        yield Home(session, context, *request.param)


def test_the_same_vfs(home):
    """The file must be restored on the VFs that the guest had, twice."""
    home.restore(home.set())
    home.restore(home.set())


@LONG
def test_mapped_ram(home):
    """A guest that was restored must be saved with mapped-ram, and restored from that file."""
    guest, record = home.load(home.set())
    try:
        record.wait_progress("each lane goes on", 20, 60, guest.alive)
        guest.enable("mapped-ram")
        home.save(guest, COPY)
    finally:
        guest.console()
        guest.close()
    home.restore(home.set(1), COPY, "mapped-ram")


@LONG
def test_other_vfs(home):
    """The file must be restored on other VFs of the same accelerators."""
    home.restore(home.set(1))


@LONG
def test_after_unbinding_and_new_vfs(home):
    """The file must be restored after the driver was unbound from the VFs and bound, and after the
    VFs were removed and created."""
    for address in home.set():
        home.host.ssh.run(f"echo {address} > /sys/bus/pci/drivers/{hardware.VARIANT_DRIVER}/unbind")
    accelerator.bind(home.host.ssh, home.set(), hardware.VARIANT_DRIVER)
    home.restore(home.set())
    for name in home.engines:
        number = f"/sys/bus/pci/devices/{CONFIG.engine(name).pf}/sriov_numvfs"
        home.host.ssh.run(f"echo 0 > {number} && echo {CONFIG.vfs} > {number}")
        accelerator.bind(home.host.ssh, home.vfs(name), hardware.VARIANT_DRIVER)
    home.restore(home.set())


@LONG
def test_after_ten_minutes(home):
    """No timeout of the guest's drivers may expire while the guest is a file."""
    time.sleep(600)
    home.restore(home.set())


@LONG
def test_snapshots(home):
    """A guest must return to each of two snapshots, to one of them twice, and continue after each."""
    disk = "/run/disk.qcow2"
    record = LoadRecord()
    guest = Guest(home.host, home.set(), record)

    def job(command: str, **arguments: object) -> None:
        guest.qmp.cmd(command, job_id="job", **arguments)
        bench.wait_until(f"{command} ends", lambda: guest.qmp.cmd("query-jobs")[0]["status"] == "concluded", 120)
        (done,) = guest.qmp.cmd("query-jobs")
        guest.qmp.cmd("job-dismiss", id="job")
        assert "error" not in done, done

    def snapshot(command: str, tag: str) -> None:
        job(f"snapshot-{command}", tag=tag, vmstate="disk", devices=["disk"])
        record.wait_progress("each lane goes on", 20, 60, guest.alive)

    job("blockdev-create", options={"driver": "file", "filename": disk, "size": 0})
    guest.qmp.cmd("blockdev-add", driver="file", filename=disk, node_name="file")
    job("blockdev-create", options={"driver": "qcow2", "file": "file", "size": 1 << 30})
    guest.qmp.cmd("blockdev-add", driver="qcow2", file="file", node_name="disk")
    try:
        record.wait_progress("the load runs", 20, 180, guest.alive)
        for tag in "one", "two":
            snapshot("save", tag)
        for tag in "one", "two", "one":
            snapshot("load", tag)
        complete(guest, record)
    finally:
        guest.console()
        guest.close()


@pytest.fixture(scope="module")
def content(home) -> bytes:
    """What the file has."""
    return subprocess.run(home.host.ssh.argv(f"cat {FILE}"), stdout=subprocess.PIPE, check=True).stdout


@LONG
def test_after_the_host_booted(home, content, context, tmp_path):
    """The file must be restored on a host that has booted since. The hosts' file systems are memory:
    the file is put into the new one."""
    (tmp_path / "saved").write_bytes(content)
    again = Place(home.session, context, dataclasses.replace(CONFIG, vmm=home.vmm), home.engines, "again",
                  **{FILE: tmp_path / "saved"})
    try:
        again.restore(again.set())
    finally:
        again.host.stop()


def test_a_file_with_other_data_is_refused(home, content):
    """Migration data that was changed in the file must be rejected with the field's name; the VFs
    must be usable at once, and the file too."""
    home.host.ssh.run(f"cp {FILE} {COPY}; printf '\\143' | "
                      f"dd of={COPY} bs=1 seek={content.index(MAGIC) + QUEUES} conv=notrunc 2>/dev/null")
    assert "load of migration failed" in home.refused(home.set(), COPY)
    assert "number of queues: got 0x63" in home.host.ssh.out("dmesg")
    home.usable(home.set())
    home.restore(home.set())


@LONG
def test_a_file_that_ends_early_is_refused(home, content):
    """A file that ends in the memory, in a VF's data or before the last device must be refused; the
    VFs must be usable at once."""
    data, description = content.index(MAGIC), content.rindex(DESCRIPTION)
    for length in (1000, data + 20, data + 60, description - 100):
        home.host.ssh.run(f"head -c {length} {FILE} > {COPY}")
        assert "load of migration failed" in home.refused(home.set(), COPY), length
        home.usable(home.set())


@LONG
def test_other_accelerators_refuse_the_file(home):
    """VFs of other accelerators must reject the data; they must be usable at once."""
    others = list(reversed([home.vfs(name)[1] for name in CONFIG.engines]))[:len(home.engines)]
    assert "load of migration failed" in home.refused(others, FILE)
    assert "migration data rejected: device id" in home.host.ssh.out("dmesg")
    home.usable(others)
