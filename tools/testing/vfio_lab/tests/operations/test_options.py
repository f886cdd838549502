# SPDX-License-Identifier: GPL-2.0
"""Options of QEMU's migration: with each, a guest under load must migrate without losing a request, or
continue on the source."""

from __future__ import annotations

import dataclasses
import time

import pytest

import steps
from lab.core import hardware, versions
from lab.core.errors import LabError
from lab.core.guide import blocks
from lab.scenario import accelerator
from lab.scenario.config import GuestConfig, HostConfig, MigrationConfig
from lab.scenario.migration import ENGINE
from migrations import ended, running, vf_runs
from steps import State

OLD, NEW = versions.VMMS[0].name, versions.VMMS[-1].name
ALL = ("sec", "zip", "hpre")
LONG = pytest.mark.long("another combination of options, releases and VFs")
ORDERS = tuple(blocks("none", "options")["switchover-ack"].splitlines())
SWITCHOVER_ACK = MigrationConfig(leaving=ORDERS, arriving=ORDERS)


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
        vf_runs(scenario)
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


def then_migrates(scenario) -> None:
    """What QEMU refused must not have changed the guest: it must migrate."""
    scenario.migrate()
    scenario.go_on()
    scenario.inspect()
    assert scenario.outcome.failures == []


@LONG
@pytest.mark.parametrize("vmm", [OLD, NEW])
def test_post_copy_set_first(new_session, vmm):
    """With post-copy enabled QEMU must refuse to migrate; with post-copy disabled again the guest must
    migrate."""
    with new_session().scenario(HostConfig(vmm=vmm)) as scenario:
        scenario.set_up()
        scenario.start_guest()
        guest = scenario.guest
        guest.enable("postcopy-ram")
        with pytest.raises(LabError, match="VFIO migration is not supported with postcopy migration"):
            scenario.begin(guest, 1 << 40)
        vf_runs(scenario)
        guest.enable("postcopy-ram", state=False)
        then_migrates(scenario)


@LONG
@pytest.mark.parametrize("vmm", [OLD, NEW])
def test_only_migratable(new_session, vmm):
    """With -only-migratable QEMU must refuse to plug in a VF that cannot migrate; the guest must then
    migrate with the VF that can."""
    port = "-only-migratable -device pcie-root-port,id=port1,chassis=1,pref64-reserve=128M"
    with new_session().scenario(HostConfig(vmm=vmm), guest=GuestConfig(extra=port)) as scenario:
        scenario.set_up()
        scenario.start_guest()
        other = accelerator.vfs(scenario.source.ssh, hardware.ENGINES[ENGINE])[1]
        with pytest.raises(LabError, match="disallowing migration blocker"):
            scenario.guest.qmp.cmd("device_add", driver="vfio-pci", host=other, iommufd="iommu", bus="port1",
                                   enable_migration="off")
        then_migrates(scenario)


@LONG
@pytest.mark.expect("guest on source: .*synchronous external abort", "guest on source: .*qm_mb")
@pytest.mark.expect("guest on source: ", maybe=True)
@pytest.mark.parametrize("vmm", [OLD, NEW])
def test_no_mmap(new_session, context, vmm):
    """With x-no-mmap=on QEMU traps the guest's accesses to its VF, and KVM cannot emulate one of 16 bytes: the
    guest's driver must fail at its first mailbox command, and the VF must work for its next user."""
    config = HostConfig(vmm=vmm, push={steps.REMOTE: steps.program(context)})
    with new_session().scenario(config, guest=GuestConfig(extra="-global vfio-pci.x-no-mmap=on")) as scenario:
        scenario.set_up()
        with pytest.raises(LabError, match="modprobe hisi_sec2 failed"):
            scenario.start_guest()
        scenario.guest.close()
        host = scenario.source
        with steps.Vf(host, accelerator.vfs(host.ssh, hardware.ENGINES[ENGINE])[0]) as vf:
            vf.guest_up()
            assert vf.go(State.STOP_COPY) == ("", State.STOP_COPY)
            assert vf.read_migration_data() == steps.DATA_SIZE
