# SPDX-License-Identifier: GPL-2.0
"""The stock driver resets the whole device by its firmware's method: hosts boot like servers, with
UEFI and ACPI tables."""

from __future__ import annotations

import contextlib
import dataclasses
import subprocess
import time

import pytest

import steps
import tap
from lab.core import hardware
from lab.core.hardware import ENGINES
from lab.build import kselftest
from lab.scenario import accelerator
from lab.scenario.config import MODEL, GuestConfig, HostConfig, MigrationConfig
from lab.scenario.guest import Guest
from lab.scenario.load import LoadRecord
from bench import wait_until
from choices import OTHERWISE
from kernels import EACH
from migrations import TRICKLE, ended, event, hurry, starts
from steps import State
from test_physical_reset import GOES_ON, LANES, LONG
from test_stock_drivers import selftests
from test_stock_errors import ECC, wait_for, works_when_loaded_again

SEC = ENGINES["sec"]
#: what each device reports: a bit for which its driver resets the whole device
ERRORS = {"sec": ("abnormal-error", ECC), "zip": ("engine-error", 2), "hpre": ("engine-error", 2)}
# the drivers' messages about the errors and the resets, also those of VFs
pytestmark = [pytest.mark.slow("resets by the stock drivers"), pytest.mark.expect(r"hisi_(sec2|zip|hpre) 0000:00:\S+: ")]
QUEUES = {"queues": str(hardware.PF_QUEUES + 2)}     # one for each of two VFs
#: mailbox command that gives the device a queue's context, and an unmapped address
SQC, NOWHERE = 0, 0x40000000


def end_load(guest: Guest, record: LoadRecord) -> None:
    """The guest's load ends, and each request has completed or failed with a right result."""
    guest.stop_load()
    record.wait("the load ends", lambda: record.exit_status is not None, 60, guest.alive)
    last = record.last
    assert last and last.final and last.mismatched == 0
    assert last.submitted == last.verified + last.failed, "requests were lost"


@pytest.fixture
def boot_uefi(new_session):
    """Boot one host with ACPI tables, its VFs enabled but unbound."""
    def one(config: HostConfig, guest: GuestConfig | None = None):
        session = new_session()
        (host,) = session.boot([session.spec("host", dataclasses.replace(config, uefi=True), guest)])
        for name in config.engines:
            accelerator.bring_up(host.ssh, hardware.ENGINES[name], config.vfs)
        return host
    return one


def counts(host, name: str, number: int) -> dict[str, int]:
    """Resets of a PF or VF, and guest errors that the device counted there."""
    counters = host.counters(name, number)
    wrong = {error: count for error, count in counters["guest-errors"].items() if count}
    return {"resets": counters["events"]["resets"], **wrong}


@pytest.mark.parametrize("version", EACH)
@pytest.mark.parametrize("choices", [
    pytest.param({}, id="default"),
    pytest.param(OTHERWISE, id="otherwise", marks=pytest.mark.long("the same with other choices of the model"))])
def test_each_device_is_reset_while_pf_and_vfs_work(boot_uefi, version, choices):
    """After the error, each device and each VF must be reset once, without guest errors, and work
    again; also with all choices of the model changed."""
    # an error of the queue manager, and errors of the engines; each engine's ACPI method has
    # another name
    host = boot_uefi(HostConfig(kernel=version, driver="stock", vfs=2, engines=tuple(ERRORS),
                                model={**MODEL, **{name: str(value) for name, value in choices.items()}}))
    assert host.ssh.out(f"cat /sys/bus/pci/devices/{SEC.pf}/firmware_node/path") == r"\_SB_.PCI0.S40_"
    for engine in ENGINES.values():
        accelerator.bind(host.ssh, accelerator.vfs(host.ssh, engine), engine.driver)
    assert set(selftests(host).values()) == {"passed"}
    before = {(name, n): counts(host, name, n)["resets"] for name in ERRORS for n in range(3)}
    for name, (what, bits) in ERRORS.items():
        host.set_model(name, what, bits)
    for name in ERRORS:
        pf = ENGINES[name].pf
        wait_for(host, f"{pf}: Controller reset complete")
        for number in (1, 2):
            wait_for(host, f"{pf[:-1]}{number}: .*reset done")
    assert {(name, n): counts(host, name, n) for name, n in before} == \
        {which: {"resets": count + 1} for which, count in before.items()}
    for name, (what, _) in ERRORS.items():
        assert host.qmp
        assert host.qmp.cmd("qom-get", path=f"/machine/peripheral/{name}", property=what) == 0
    host.ssh.run(f"echo 0 > /sys/bus/pci/devices/{SEC.pf}/sriov_numvfs")
    works_when_loaded_again(host)


@pytest.mark.long("the same without a guest is in test_physical_reset.py")
@pytest.mark.parametrize("version", EACH)
def test_a_guest_goes_on_after_it(boot_uefi, context, version):
    """A guest under load must be stopped and restarted by messages from the host's driver, and must
    lose no request."""
    # The host's driver sends messages to the guest's, which stops and starts again.
    host = boot_uefi(HostConfig(vfs=1), GuestConfig(version))
    addresses = accelerator.vfs(host.ssh, SEC)
    accelerator.bind(host.ssh, addresses, hardware.VARIANT_DRIVER)
    record = LoadRecord()
    guest = Guest(host, addresses, record, migration=MigrationConfig(load=f"{LANES},4096"))
    try:
        record.wait_progress("the load runs", 20, 180, guest.alive)
        host.set_model("sec", "abnormal-error", ECC)
        wait_for(host, "Controller reset complete", 60)
        before, said = record.last, host.counters("sec", 1)
        had = said["events"]["requests-completed"]
        assert before and said["mailbox-set"]["message-send"] == 2, "the guest's driver must report its stop and its start"
        if GOES_ON[version]:
            record.wait_progress("the load goes on", 100, 60, guest.alive)
        else:
            record.wait("each send is refused", lambda: record.last.failed - before.failed >= 10 * LANES,
                        60, guest.alive)
        done = host.counters("sec", 1)["events"]["requests-completed"] - had
        end_load(guest, record)
    finally:
        guest.console()
        guest.close()
    assert done > 50 * LANES if GOES_ON[version] else done == 0
    assert [set(counts(host, "sec", number)) for number in range(2)] == [{"resets"}] * 2


@pytest.mark.long("the stock driver waits 40 seconds for answers")
def test_this_driver_waits_for_it_and_continues(boot_uefi, context):
    """During a controller reset a stop must wait and succeed; afterwards the VF must work after a VF reset."""
    host = boot_uefi(HostConfig(push={steps.REMOTE: steps.program(context)}, model={**MODEL, **QUEUES}))
    addresses = accelerator.vfs(host.ssh, SEC)
    accelerator.bind(host.ssh, addresses, hardware.VARIANT_DRIVER)
    with steps.Vf(host, addresses[0]) as vf:
        vf.guest_up()
        host.set_model("sec", "abnormal-error", ECC)
        wait_for(host, "Controller resetting")
        # the stock driver first sends messages to the VFs, and waits for answers, which no guest
        # sends here
        assert vf.go(State.STOP) == ("", State.STOP)
        wait_for(host, "Controller reset complete", 90)
        assert vf.reset() == ("", State.RUNNING)
        vf.guest_up()
        assert vf.go(State.STOP_COPY) == ("", State.STOP_COPY)
        assert vf.read_migration_data() == steps.DATA_SIZE
        assert vf.go(State.RUNNING) == ("", State.RUNNING)


COMPLETE = "Controller reset complete"
SILENT = pytest.mark.long("the stock driver waits 80 seconds for answers that do not come")


@pytest.mark.expect("arm-smmu-v3 ", "sec 2: .* dma-fault")
@pytest.mark.parametrize("version, what, found, over", [
    pytest.param("v5", "context", "qm_axi_rresp", "failed to send command.* to VF(2)", id="v5"),
    pytest.param("v3", "context", "qm_axi_rresp", COMPLETE, id="v3", marks=SILENT),
    pytest.param("v5", "data", "sec_axi_rresp_err_rint", COMPLETE, id="v5-data", marks=SILENT)])
def test_a_guest_gives_its_vf_an_unmapped_address(boot_uefi, context, version, what, found, over):
    """V3 is reset as a whole; on V5, if the address is that of a context, the guest at fault is asked to
    reset its VF. Another guest, which migrates, must continue."""
    newest = next(series for series in GOES_ON if GOES_ON[series])
    host = boot_uefi(HostConfig(model={**MODEL, "hw-version": version}, push={
        steps.REMOTE: steps.program(context), **kselftest.files(kselftest.installed(context))}), GuestConfig(newest))
    addresses = accelerator.vfs(host.ssh, SEC)
    accelerator.bind(host.ssh, addresses, hardware.VARIANT_DRIVER)
    record = LoadRecord()
    guest = Guest(host, addresses[:1], record, migration=MigrationConfig(load=f"{LANES},4096"))

    def events() -> dict[str, int]:
        return host.counters("sec", 1)["events"]

    def resets() -> list[int]:
        # the VF at fault is also reset by the program that uses it
        return [host.counters("sec", n)["events"]["resets"] for n in range(3 if what == "context" else 2)]

    def goes_on() -> None:
        had = events()["requests-completed"]
        record.wait_progress("the load goes on", 100, 60, guest.alive)
        assert events()["requests-completed"] - had > 100, "software did the work"

    try:
        record.wait_progress("the load runs", 20, 180, guest.alive)
        with contextlib.ExitStack() as stack:
            if what == "context":
                offender = stack.enter_context(steps.Vf(host, addresses[1]))
                offender.guest_up()
            began = time.monotonic()
            guest.qmp.cmd("migrate-set-parameters", max_bandwidth=TRICKLE)
            guest.qmp.cmd("migrate", uri="exec:cat > /dev/null")
            event(guest, "MIGRATION", began, status="active")
            # a request that is being sent when the reset comes may be lost, see
            # test_physical_reset.py
            host.set_model("sec", "request-latency", LONG)
            wait_until("each lane waits for the device",
                       lambda: events()["sq-doorbells"] - events()["requests-completed"] == LANES)
            before = resets()
            if what == "context":
                offender.command(SQC, NOWHERE)
            else:
                program = host.ssh.popen(f"{kselftest.REMOTE}/vfio/vfio_pci_driver_test {tap.only('iommufd')} "
                                         f"-t memcpy_from_unmapped_iova {addresses[1]}", stdout=subprocess.DEVNULL)
                wait_until("the device has its request", lambda: host.counters("sec", 2)["events"]["sq-doorbells"])
            host.set_model("sec", "request-latency", int(MODEL["request-latency"]))
            wait_for(host, f"{found} .error status=0x1. found")
            wait_for(host, over, 150)
            of_all = int(over == COMPLETE)
            assert {new - old for old, new in zip(before, resets(), strict=True)} == {of_all}
            assert host.qmp
            for name in "abnormal-error", "function-error":
                assert host.qmp.cmd("qom-get", path="/machine/peripheral/sec", property=name) == 0
            goes_on()
            assert record.last and record.last.failed <= of_all * LANES
            hurry(guest)
            assert ended(guest, began) == "completed"
            guest.qmp.cmd("cont")
            goes_on()
            if what == "data":
                program.wait(60)
                offender = stack.enter_context(steps.Vf(host, addresses[1]))
            offender.guest_up()
            assert offender.go(State.STOP_COPY) == ("", State.STOP_COPY)
            assert offender.read_migration_data() == steps.DATA_SIZE
        end_load(guest, record)
    finally:
        guest.console()
        guest.close()


@pytest.mark.expect("arm-smmu-v3 ", "destination sec 2: .* dma-fault")
@pytest.mark.long("the stock driver waits 80 seconds for answers that do not come")
@pytest.mark.parametrize("version, over", [pytest.param("v5", "failed to send command.* to VF(2)", id="v5"),
                                           pytest.param("v3", COMPLETE, id="v3")])
def test_a_guest_arrives_while_another_gives_its_vf_an_unmapped_address(new_session, context, version, over):
    """A guest that arrives must run on the destination, without a request lost, although the
    destination's device is reset meanwhile because of another guest."""
    config = HostConfig(uefi=True, model={**MODEL, "hw-version": version})
    there = dataclasses.replace(config, push={steps.REMOTE: steps.program(context)})
    with new_session().scenario(config, there, migration=MigrationConfig(slow=False)) as scenario:
        scenario.set_up()
        scenario.start_guest()
        guest, host = scenario.guest, scenario.destination
        with steps.Vf(host, accelerator.vfs(host.ssh, SEC)[1]) as offender:
            offender.guest_up()
            arriving, began = starts(scenario, TRICKLE)
            event(guest, "MIGRATION", began, status="active")
            offender.command(SQC, NOWHERE)
            wait_for(host, "qm_axi_rresp .error status=0x1. found")
            hurry(guest)
            assert ended(guest, began) == "completed"
            wait_for(host, over, 150)
        arriving.qmp.wait("the guest is here", lambda e: e.name == "RESUME", 150, arriving.alive)
        scenario.keep_going(arriving)
        scenario.finish(arriving)
        scenario.inspect()
        assert scenario.outcome.failures == []
