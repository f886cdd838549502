# SPDX-License-Identifier: GPL-2.0
"""QEMU releases in the hosts: which release a host gets, and guests that migrate with each of them
and between them."""

from __future__ import annotations

import dataclasses
import io

import pytest

from lab.core import versions
from lab.core.cache import Cache
from lab.core.context import Context
from lab.core.progress import Steps
from lab.build import rootfs
from lab.scenario.config import BACKENDS, GuestConfig, HostConfig, MigrationConfig
from lab.scenario.migration import ENGINE

pytestmark = pytest.mark.slow("a migration with other releases of QEMU")

OLD, NEW = versions.VMMS[0], versions.VMMS[-1]
TRACE = "/run/guest0.trace"
VIOMMU = GuestConfig(extra="-device virtio-iommu-pci,romfile= -trace virtio_iommu_map -trace virtio_iommu_unmap")
BYPASS = dataclasses.replace(VIOMMU, append="iommu.passthrough=1")
LONG = pytest.mark.long("another combination of releases, backends and VFs")


def migrated(new_session, config: HostConfig, to_vmm: str = "", migration: MigrationConfig = MigrationConfig(),
          guest: GuestConfig = GuestConfig()):
    """The outcome of a migration, to a host with another QEMU if one is named. HTTU is there for iommufd only."""
    config = dataclasses.replace(config, httu=migration.backend == "iommufd")
    return new_session().migrate(config, dataclasses.replace(config, vmm=to_vmm or config.vmm), guest, migration)


def held(outcome, vmm: versions.Vmm) -> None:
    """All checks must pass on this release, with dirty pages counted and traced."""
    assert outcome.failures == []
    assert f"QEMU {vmm.name}." in outcome.where["source"]
    assert outcome.carried > 0 and outcome.requests["after"] > 0
    assert len(outcome.syncs) >= outcome.sync_count >= 2 and sum(sync.device for sync in outcome.syncs) > 0


def test_the_newest_migrates_by_iommufd(new_session):
    """With the newest QEMU and iommufd no page, request or interrupt may be lost; the timeline must
    have the event before a device stops."""
    outcome = migrated(new_session, HostConfig(vmm=NEW.name))
    held(outcome, NEW)
    phases = {phase.name: phase for phase in outcome.phases}
    assert 0 < phases["stop (QEMU)"].seconds < phases["downtime (QEMU)"].end - phases["pre-copy"].start


def test_a_guest_goes_to_the_older_release(new_session):
    """To migrate to an older release, the guest must have that release's machine type."""
    held(migrated(new_session, HostConfig(vmm=NEW.name), OLD.name), NEW)


@LONG
def test_a_guest_of_the_older_release_is_refused(new_session):
    """The newer release must refuse the older one's guest, because of QEMU's own device. If this
    fails, remove the entry from versions.py."""
    outcome = migrated(new_session, HostConfig(), NEW.name)
    assert NEW.lacks["guest-of-older-vmm"] in outcome.refusal, outcome.failures


@LONG
@pytest.mark.parametrize("engines", [("sec",), ("sec", "zip", "hpre")], ids=["one", "three"])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("vmm", versions.VMMS, ids=lambda vmm: vmm.name)
def test_each_release_migrates(new_session, vmm, backend, engines):
    """A guest with one VF and with three must migrate there and back: by iommufd with HTTU, by the
    container backend without."""
    held(migrated(new_session, HostConfig(vmm=vmm.name, engines=engines), migration=MigrationConfig(backend, migrations=2)), vmm)


@LONG
@pytest.mark.parametrize("engines", [("sec",), ("sec", "zip", "hpre")], ids=["one", "three"])
def test_a_guest_goes_to_the_older_release_without_httu(new_session, engines):
    """A migration to the older release must work with the container backend, with one VF and with three."""
    held(migrated(new_session, HostConfig(vmm=NEW.name, engines=engines), OLD.name, MigrationConfig(backend="container")), NEW)


@LONG
@pytest.mark.parametrize("vmm", versions.VMMS, ids=lambda vmm: vmm.name)
def test_a_guest_that_bypasses_its_viommu(new_session, vmm):
    """A guest with a vIOMMU through which no DMA goes must be refused before it is stopped where
    versions.py says so, and must migrate there and back otherwise."""
    with new_session().scenario(HostConfig(vmm=vmm.name), guest=BYPASS, migration=MigrationConfig(migrations=2)) as scenario:
        outcome = scenario.run()
        if not vmm.has("viommu"):
            assert vmm.lacks["viommu"] in outcome.refusal, outcome.failures
            assert not [event for event in scenario.guests[0].qmp.events if event.name == "STOP"]
            return
        held(outcome, vmm)
        assert int(scenario.guest.host.ssh.out(f"grep -c 'virtio_iommu_map ' {TRACE} || true")) == 0


@LONG
# QEMU's own messages, and those of the guest, whose accelerator stands still
@pytest.mark.expect("File exists", maybe=True)
@pytest.mark.expect("guest on destination", "destination sec 1: the device counted", maybe=True)
@pytest.mark.parametrize("vmm", [vmm for vmm in versions.VMMS if vmm.has("viommu")], ids=lambda vmm: vmm.name)
def test_pages_behind_a_viommu(new_session, vmm):
    """A guest whose requests map and unmap their memory must have the pages that its VF wrote, unless
    versions.py says that this QEMU loses them: then the VF must find no contexts, which it wrote
    itself. If that fails, remove the entry."""
    with new_session().scenario(HostConfig(vmm=vmm.name), guest=VIOMMU) as scenario:
        scenario.set_up()
        scenario.start_guest()
        scenario.migrate()
        said = scenario.source.ssh.out("cat /run/guest0.stderr")
        lost = scenario.destination.counters(ENGINE, 1)["events"]["kicks-of-unused-queues"]
        if vmm.has("viommu-dirty-pages"):
            scenario.go_on()
            held(scenario.outcome, vmm)
            return
        assert lost > 0 and vmm.lacks["viommu-dirty-pages"] in said
        for request in "map", "unmap":
            count = int(scenario.source.ssh.out(f"grep -c 'virtio_iommu_{request} ' {TRACE}"))
            assert count > scenario.outcome.requests["before"], f"{count} {request}"


class NoBackports(Context):
    """A context with an empty cache, and a mirror without backports of QEMU."""

    class apt:
        """The mirror."""

        @staticmethod
        def source_versions(package: str) -> list[str]:
            """Only the default release."""
            return [f"1:{OLD.name}.13+ds-0+deb13u1"]


def test_without_backports_the_default_is_taken(tmp_path, monkeypatch):
    """Without backports one line must say that the default is used, and the host must be labelled
    with that QEMU."""
    roots = rootfs.Roots(tmp_path / "host", tmp_path / "guest", tmp_path / "tools", tmp_path / "packages")
    monkeypatch.setattr(rootfs, "roots", lambda context: roots)
    told = io.StringIO()
    root = rootfs.host_root(NEW, NoBackports(Cache(tmp_path / "cache"), Steps(told)))
    assert root == rootfs.HostRoot(tmp_path / "host", OLD)
    assert told.getvalue().count("\n") == 1
    assert f"This machine's mirror has no QEMU {NEW.name}; the lab takes {OLD.name} instead." in told.getvalue()


def test_the_machine_type_is_the_older_ones():
    """A migration between releases must use a machine type that both know."""
    assert versions.machine(OLD, OLD) == versions.machine(NEW, NEW) == "virt"
    assert versions.machine(OLD, NEW) == versions.machine(NEW, OLD) == f"virt-{OLD.name}"


def test_unknown_features_are_an_error():
    """An unknown feature name must raise, or a test would run although the release lacks the feature."""
    assert not OLD.has("p2p-prepare") and NEW.has("p2p-prepare")
    with pytest.raises(KeyError, match="no release is known to lack"):
        NEW.has("p2p-prepared")
