# SPDX-License-Identifier: GPL-2.0
"""Pages that only the device writes must be migrated: by dirty tracking in the SMMU (HTTU), without
an option of QEMU; by the container backend, which sends all of memory. Without either, the lab must
detect the loss."""

from __future__ import annotations

import dataclasses
import subprocess

import pytest

from lab.scenario.config import MODEL, HostConfig, MigrationConfig
from lab.scenario.guest import MEMORY_MIB
from lab.scenario.host import SANITIZER_GREETING

# The number of pages with results of the load, written by the device only
PAGES = 24 * 20
ALL_OF_MEMORY = MEMORY_MIB * 256
# The load changes two hundred pages a second
PACED = HostConfig(model={**MODEL, "request-latency": "20000"})
UNTRACKED = "its IOMMU does not track dirty pages"


def migrated(new_session, config: HostConfig = HostConfig(), **how):
    """The outcome of a migration, and the source's kernel log."""
    with new_session().scenario(config, migration=MigrationConfig(**how)) as scenario:
        source = scenario.source
        return scenario.run(), source.ssh.out("dmesg")


@pytest.mark.slow("a migration without or with other dirty tracking")
def test_qemus_own_defaults_suffice_with_httu(new_session):
    """With HTTU, QEMU's defaults must migrate every page, and the driver must not warn."""
    outcome, said = migrated(new_session)
    assert outcome.failures == []
    assert outcome.carried > 0 and outcome.requests["after"] > 0
    assert outcome.pages == PAGES and outcome.stale == 0
    # the first dirty-bitmap sync reports pages written since tracking began, later ones those since
    # the previous sync
    assert len(outcome.syncs) >= 2 and 0 < outcome.syncs[-1].device < ALL_OF_MEMORY / 8, outcome.syncs
    assert UNTRACKED not in said


@pytest.mark.long("data loss without dirty tracking")
def test_iommufd_forced_without_httu_is_seen_to_lose_pages(new_session):
    """Without HTTU, forcing iommufd must lose pages, and the driver must warn exactly once."""
    outcome, said = migrated(new_session, dataclasses.replace(PACED, httu=False), slow=False)
    assert outcome.failures and outcome.stale > 0, "no page was lost"
    assert all(sync.device == 0 for sync in outcome.syncs)
    assert said.count(UNTRACKED) == 1, said


@pytest.mark.slow("a migration without or with other dirty tracking")
def test_the_container_backend_sends_all_of_memory(new_session):
    """Without HTTU, the container backend must send all of memory."""
    outcome, said = migrated(new_session, HostConfig(httu=False), backend="container")
    assert outcome.failures == [] and outcome.pages == PAGES and outcome.stale == 0
    assert outcome.syncs[-1].device >= ALL_OF_MEMORY / 2, outcome.syncs
    assert UNTRACKED not in said


@pytest.mark.slow("a migration without or with other dirty tracking")
def test_pages_written_by_dma_alone_migrate_there_and_back(new_session, pytestconfig):
    """Pages written by DMA alone must arrive in each direction; the load compares each page before
    it is written again."""
    outcome, _ = migrated(new_session, PACED, slow=False, migrations=40 if pytestconfig.getoption("long") else 2)
    assert outcome.failures == []
    assert outcome.pages == PAGES and outcome.stale == 0
    assert sum(sync.device for sync in outcome.syncs) > 100, outcome.syncs


@pytest.mark.parametrize("machine, options, words", [
    ("virt,iommu=smmuv3", ["httu=maybe"], "'httu' expects 'on' or 'off'"),
    ("virt,iommu=smmuv3", ["httu-cache-dirty=on"], "httu-cache-dirty needs httu=on"),
    ("virt-9.1,iommu=smmuv3", ["httu=on", "stage=2"], "httu is there for stage 1, which stage=2 is without"),
    ("virt", ["httu=on"], "global arm-smmuv3.httu=on not used"),
])
def test_wrong_use_is_one_sentence(outer, machine, options, words):
    """Invalid options of the SMMU must be rejected with one line."""
    argv = [outer, "-M", machine, "-nodefaults", "-no-user-config", "-display", "none", "-qmp", "stdio"]
    for option in options:
        argv += ["-global", f"arm-smmuv3.{option}"]
    done = subprocess.run(argv, input='{"execute":"qmp_capabilities"}{"execute":"quit"}', capture_output=True, text=True,
                          timeout=60, check=False)
    said = [line for line in done.stderr.splitlines() if SANITIZER_GREETING not in line]
    assert len(said) == 1 and words in said[0], done.stderr
