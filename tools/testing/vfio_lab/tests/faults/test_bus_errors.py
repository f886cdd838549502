# SPDX-License-Identifier: GPL-2.0
"""Errors of the bus (AER), as a root port reports them to the host's kernel: VFIO must pass them to
the VMM.  The accelerators of this host are behind root ports, as on servers."""

from __future__ import annotations

import re
import time

import pytest

import steps
from lab.core import hardware
from lab.core.context import Context
from lab.core.errors import LabError
from lab.scenario import accelerator
from lab.scenario.config import GuestConfig, HostConfig
from lab.scenario.guest import Guest
from lab.scenario.host import Host
from lab.scenario.load import LoadRecord
from bench import wait_until
from migrations import TRICKLE, WAIT, ended, event, goes_on, hurry, starts, states, vf_runs
from steps import State

pytestmark = pytest.mark.slow("errors of the bus in each state")

#: what the hosts' kernel says of an error
SAID = ("hisi_sec2 0000:01:00.0: PCI error detected", r"hisi_\w+ 0000:01:00.[012]: .*(PCIe Bus Error|status/mask|TLP)")
TOLD = "vfio_err_notifier_handler.*Unrecoverable error detected"


def a_host(boot, context: Context) -> tuple[Host, list[str]]:
    """A host with two VFs behind a root port, and their addresses."""
    config = HostConfig(ports=True, push={steps.REMOTE: steps.program(context)})
    host = boot(config, GuestConfig())
    addresses = accelerator.vfs(host.ssh, config.engine("sec"))
    assert addresses == ["0000:01:00.1", "0000:01:00.2"]
    accelerator.bind(host.ssh, addresses, hardware.VARIANT_DRIVER)
    return host, addresses


def resets(host: Host) -> list[int]:
    """How often PF and VFs were reset."""
    return [host.counters("sec", n)["events"]["resets"] for n in range(3)]


def recoveries(host: Host) -> int:
    """How often the kernel has recovered from an error."""
    return host.ssh.out("dmesg").count("AER: device recovery successful")


def inject(host: Host, device: str, error: str = "POISON_TLP") -> None:
    """Have a device report an error to its root port, by default a nonfatal one."""
    said = host.qmp.cmd("human-monitor-command", command_line=f"pcie_aer_inject_error {device} {error}")
    assert said.startswith("OK "), said


@pytest.mark.expect(*SAID, f"guest on host: .*{TOLD}")
@pytest.mark.parametrize("device", [
    "sec.vf1",
    *(pytest.param(other, marks=pytest.mark.long("PF or another VF behind the port")) for other in ("sec", "sec.vf2"))])
def test_a_nonfatal_error_stops_the_guest_and_the_vfs_stay_usable(boot, context, device):
    """A nonfatal error of the guest's VF, of the PF or of another VF must reach the guest's QEMU, which
    stops the guest for good.  The guest's VF may not be reset, and both VFs must work for their next
    users."""
    host, addresses = a_host(boot, context)
    record = LoadRecord()
    guest = Guest(host, addresses[:1], record)
    try:
        record.wait_progress("the load runs", 20, 180, guest.alive)
        began, before = time.monotonic(), resets(host)
        inject(host, device)
        event(guest, "STOP", began)
        assert guest.qmp.cmd("query-status")["status"] == "internal-error"
        wait_until("the kernel has recovered PF and VFs", lambda: recoveries(host) == 1)
        # an idle VF wakes up from D3hot for that, which resets it
        assert resets(host)[:2] == before[:2]
    finally:
        guest.console()
        guest.close()
    for address in addresses:
        with steps.Vf(host, address) as vf:
            vf.guest_up()
            assert vf.go(State.STOP_COPY) == ("", State.STOP_COPY)
            assert vf.read_migration_data() == steps.DATA_SIZE


@pytest.mark.expect(*SAID)
def test_a_nonfatal_error_changes_no_state(boot, context):
    """A nonfatal error of the VF or of the PF must leave the VF in its state, whatever that is, and with
    its migration data; the VF may not be reset."""
    host, (address, _) = a_host(boot, context)
    with steps.Vf(host, address) as vf:
        vf.guest_up()
        before, errors = resets(host)[1], 0
        for state in (State.PRE_COPY, State.PRE_COPY_P2P, State.STOP_COPY, State.STOP, State.RUNNING_P2P, State.RUNNING):
            for device in "sec.vf1", "sec":
                assert vf.go(state) == ("", state)
                inject(host, device)
                errors += 1
                wait_until("the kernel has recovered PF and VFs", lambda n=errors: recoveries(host) == n)
                assert vf.state() == state
            if state == State.STOP_COPY:
                assert vf.read_migration_data() == steps.DATA_SIZE
        assert resets(host)[1] == before
        assert vf.go(State.RESUMING) == ("", State.RESUMING)
        inject(host, "sec.vf1")
        assert vf.state() == State.RESUMING
        assert vf.reset() == ("", State.RUNNING)
        vf.guest_up()
        assert vf.go(State.STOP_COPY) == ("", State.STOP_COPY)
        assert vf.read_migration_data() == steps.DATA_SIZE


#: the kernel resets the link, and the PF's driver then waits for the device for a minute
FATAL = ("AER: .*Fatal", "hisi_acc_vfio_pci .*inaccessible", "hisi_sec2 .*(PCI error detected|sva prefetch)")


@pytest.mark.long("the PF's driver waits for more than a minute")
@pytest.mark.expect(*FATAL)
@pytest.mark.expect(f"guest on host: .*{TOLD}", "guest on host: ", "hisi_", "AER", "TLP", maybe=True)
@pytest.mark.parametrize("device", ["sec.vf1", "sec"])
def test_after_a_fatal_error_the_pf_is_removed_and_found_again(boot, context, device):
    """A fatal error of a VF or the PF resets the link, and with it the PF, whose VFs then do not answer: the
    guest's QEMU must end, not hang.  When the host's PF was removed and found again, VFs must work."""
    host, addresses = a_host(boot, context)
    record = LoadRecord()
    guest = Guest(host, addresses[:1], record)
    try:
        record.wait_progress("the load runs", 20, 180, guest.alive)
        inject(host, device, "MALF_TLP")
        guest.wait(60)
    finally:
        guest.console()
        guest.close()
    pf = hardware.BEHIND_PORTS["sec"]
    host.ssh.run(f"echo 1 > /sys/bus/pci/devices/{pf.pf}/remove; echo 1 > /sys/bus/pci/rescan", timeout=300)
    accelerator.bring_up(host.ssh, pf, 2)
    accelerator.bind(host.ssh, addresses, hardware.VARIANT_DRIVER)
    for address in addresses:
        with steps.Vf(host, address) as vf:
            vf.guest_up()
            assert vf.go(State.STOP_COPY) == ("", State.STOP_COPY)
            assert vf.read_migration_data() == steps.DATA_SIZE


@pytest.mark.long("a migration beside an error")
@pytest.mark.expect(*SAID, f"guest on source: .*{TOLD}")
# QEMU opens the migration file again without closing the first, and fails
@pytest.mark.expect("guest on source: .*data_fd out of sync", maybe=True)
@pytest.mark.parametrize("then, how", [("completed", "failed"), ("cancelled", "cancelled")])
def test_a_nonfatal_error_in_pre_copy(new_session, then, how):
    """If an error stops the guest in pre-copy, the migration must fail or be cancelled; QEMU must live, and
    the VF must be in RUNNING and not be reset."""
    with new_session().scenario(HostConfig(ports=True)) as scenario:
        scenario.set_up()
        scenario.start_guest()
        guest, host, before = scenario.guest, scenario.source, resets(scenario.source)[1]
        arriving, began = starts(scenario, TRICKLE)
        event(guest, "MIGRATION", began, status="active")
        wait_until("it is in pre-copy", lambda: states(scenario) == "PRE_COPY")
        inject(host, "sec.vf1")
        event(guest, "STOP", began)
        assert guest.qmp.cmd("query-status")["status"] == "internal-error"
        if then == "cancelled":
            guest.qmp.cmd("migrate_cancel")
        else:
            hurry(guest)
        assert ended(guest, began) == how
        assert guest.qmp.cmd("query-status")["status"] == "internal-error"
        with pytest.raises(LabError, match="Resetting the Virtual Machine is required"):
            guest.qmp.cmd("cont")
        vf_runs(scenario)
        assert resets(host)[1] == before
        arriving.close()


@pytest.mark.long("a migration beside an error")
@pytest.mark.expect(*SAID, f"guest on source: .*{TOLD}")
@pytest.mark.parametrize("then", ["completed", "cancelled"])
def test_a_nonfatal_error_in_stop_copy(new_session, then):
    """An error of a VF in STOP_COPY must not disturb the migration: QEMU stops the guest for it, which is
    stopped. The guest must continue, where it was or on the destination, with all its requests."""
    with new_session().scenario(HostConfig(ports=True)) as scenario:
        scenario.set_up()
        scenario.start_guest()
        guest, host, before = scenario.guest, scenario.source, resets(scenario.source)[1]
        guest.enable(WAIT)
        arriving, began = starts(scenario, 1 << 40)
        event(guest, "MIGRATION", began, status="pre-switchover")
        assert states(scenario) == "STOP_COPY"
        inject(host, "sec.vf1")
        wait_until("the kernel has recovered PF and VFs", lambda: recoveries(host) == 1)
        wait_until("QEMU was told", lambda: re.search(TOLD, guest.console()))
        if then == "cancelled":
            guest.qmp.cmd("migrate_cancel")
        else:
            guest.qmp.cmd("migrate-continue", state="pre-switchover")
        assert ended(guest, began) == then
        user = guest if then == "cancelled" else arriving
        event(user, "RESUME", began)
        goes_on(scenario, user)
        scenario.finish(user)
        assert scenario.record.failures() == [] and resets(host)[1] == before
        arriving.close()


@pytest.mark.long("a migration beside an error")
@pytest.mark.expect(*SAID, f"guest on destination: .*{TOLD}")
def test_a_nonfatal_error_in_resuming(new_session):
    """An error of the destination's VF, which is in RESUMING, must not end the migration: the guest must run
    there, with all its requests."""
    with new_session().scenario(HostConfig(ports=True)) as scenario:
        scenario.set_up()
        scenario.start_guest()
        guest, host = scenario.guest, scenario.destination
        arriving, began = starts(scenario, TRICKLE)
        event(guest, "MIGRATION", began, status="active")
        wait_until("the destination's VF is in RESUMING", lambda: states(scenario, host) == "RESUMING")
        before = resets(host)[1]
        inject(host, "sec.vf1")
        wait_until("the kernel has recovered PF and VFs", lambda: recoveries(host) == 1)
        wait_until("QEMU was told", lambda: re.search(TOLD, arriving.console()))
        assert states(scenario, host) == "RESUMING"
        hurry(guest)
        assert ended(guest, began) == "completed"
        event(arriving, "RESUME", began)
        scenario.keep_going(arriving)
        scenario.finish(arriving)
        assert scenario.record.failures() == [] and resets(host)[1] == before
