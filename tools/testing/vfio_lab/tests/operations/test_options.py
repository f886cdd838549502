# SPDX-License-Identifier: GPL-2.0
"""Options of QEMU's migration: with each, a guest under load must migrate without losing a request, or
continue on the source."""

from __future__ import annotations

import dataclasses
import time

import pytest

from lab.core import versions
from lab.scenario.config import GuestConfig, HostConfig, MigrationConfig
from migrations import ended, running, states

OLD, NEW = versions.VMMS[0].name, versions.VMMS[-1].name
ALL = ("sec", "zip", "hpre")
LONG = pytest.mark.long("another combination of options, releases and VFs")
SWITCHOVER_ACK = MigrationConfig(capabilities=("return-path", "switchover-ack"))


def migrates(new_session, config: HostConfig, guest: GuestConfig = GuestConfig(),
             migration: MigrationConfig = MigrationConfig(), to_vmm: str = "") -> None:
    """The guest must migrate, with requests in flight."""
    destination = dataclasses.replace(config, vmm=to_vmm or config.vmm)
    outcome = new_session().migrate(config, destination, guest, migration)
    assert outcome.failures == [] and outcome.carried > 0 and outcome.requests["after"] > 0


@LONG
@pytest.mark.parametrize("engines", [ALL[:1], ALL], ids=["one", "three"])
@pytest.mark.parametrize("vmm, to_vmm", [(OLD, OLD), (NEW, NEW), (NEW, OLD)], ids=lambda name: name)
def test_switchover_ack(new_session, vmm, to_vmm, engines):
    """A guest must migrate when QEMU waits for the destination's acknowledgement of each VF's initial
    data before it stops the guest."""
    migration = dataclasses.replace(SWITCHOVER_ACK, migrations=2 if vmm == to_vmm else 1)
    migrates(new_session, HostConfig(vmm=vmm, engines=engines), GuestConfig(), migration, to_vmm)


@LONG
# QEMU's own messages about the end of the migration
@pytest.mark.expect("Unable to shutdown socket", "Sibling indicated error", maybe=True)
@pytest.mark.parametrize("vmm", [OLD, NEW])
def test_a_switchover_that_is_not_acknowledged(new_session, vmm):
    """If the destination rejects the initial data, the source must not wait for its acknowledgement: the
    migration must fail before the guest is stopped."""
    with running(new_session, HostConfig(vmm=vmm), HostConfig(vmm=vmm, vfs=3), migration=SWITCHOVER_ACK) as scenario:
        source, began = scenario.guest, time.monotonic()
        arriving = scenario.expect_guest()
        scenario.begin(source, 1 << 40)
        assert ended(source, began) == "failed"
        assert not [e for e in source.qmp.events if e.name == "STOP"]
        assert states(scenario) == "RUNNING"
        assert "migration data rejected: number of queues" in scenario.destination.ssh.out("dmesg")
        arriving.close()


@LONG
@pytest.mark.parametrize("backend, httu", [("iommufd", True), ("container", False)], ids=["iommufd-httu", "container"])
@pytest.mark.parametrize("vmm", [OLD, NEW])
def test_no_dirty_tracking_in_pre_copy(new_session, vmm, backend, httu):
    """With x-pre-copy-dirty-page-tracking=off all memory is sent while the guest is stopped: no page may be
    lost, by iommufd with HTTU and by the container backend without."""
    guest = GuestConfig(extra="-global vfio-pci.x-pre-copy-dirty-page-tracking=off")
    migrates(new_session, HostConfig(vmm=vmm, httu=httu), guest, MigrationConfig(backend))
