# SPDX-License-Identifier: GPL-2.0
"""Errors of the bus (AER), as a root port reports them to the host's kernel: VFIO must pass them to
the VMM.  The accelerators of this host are behind root ports, as on servers."""

from __future__ import annotations

import time

import pytest

import steps
from lab.core import hardware
from lab.scenario import accelerator
from lab.scenario.config import GuestConfig, HostConfig
from lab.scenario.guest import Guest
from lab.scenario.load import LoadRecord
from bench import wait_until
from migrations import event
from steps import State

TOLD = "vfio_err_notifier_handler.*Unrecoverable error detected"


@pytest.mark.expect("hisi_sec2 0000:01:00.0: PCI error detected",
                    r"hisi_\w+ 0000:01:00.[012]: .*(PCIe Bus Error|status/mask|TLP)", f"guest on host: .*{TOLD}")
@pytest.mark.parametrize("device", [
    "sec.vf1",
    *(pytest.param(other, marks=pytest.mark.long("PF or another VF behind the port")) for other in ("sec", "sec.vf2"))])
def test_a_nonfatal_error_stops_the_guest_and_the_vfs_stay_usable(boot, context, device):
    """A nonfatal error of the guest's VF, of the PF or of another VF must reach the guest's QEMU, which
    stops the guest for good.  The guest's VF may not be reset, and both VFs must work for their next
    users."""
    config = HostConfig(ports=True, push={steps.REMOTE: steps.program(context)})
    host = boot(config, GuestConfig())
    addresses = accelerator.vfs(host.ssh, config.engine("sec"))
    assert addresses == ["0000:01:00.1", "0000:01:00.2"]
    accelerator.bind(host.ssh, addresses, hardware.VARIANT_DRIVER)

    def resets() -> list[int]:
        return [host.counters("sec", n)["events"]["resets"] for n in range(3)]

    record = LoadRecord()
    guest = Guest(host, addresses[:1], record)
    try:
        record.wait_progress("the load runs", 20, 180, guest.alive)
        began, before = time.monotonic(), resets()
        said = host.qmp.cmd("human-monitor-command", command_line=f"pcie_aer_inject_error {device} POISON_TLP")
        assert said.startswith("OK "), said
        event(guest, "STOP", began)
        assert guest.qmp.cmd("query-status")["status"] == "internal-error"
        wait_until("the kernel has recovered PF and VFs",
                   lambda: "AER: device recovery successful" in host.ssh.out("dmesg"))
        # an idle VF wakes up from D3hot for that, which resets it
        assert resets()[:2] == before[:2]
    finally:
        guest.console()
        guest.close()
    for address in addresses:
        with steps.Vf(host, address) as vf:
            vf.guest_up()
            assert vf.go(State.STOP_COPY) == ("", State.STOP_COPY)
            assert vf.read_migration_data() == steps.DATA_SIZE
