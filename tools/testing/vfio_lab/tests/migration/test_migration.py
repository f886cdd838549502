# SPDX-License-Identifier: GPL-2.0
"""A guest migrates under load: with this driver nothing may be lost; with a part of the driver
removed the lab must report an error."""

import pytest

from lab.core import paths, versions
from lab.scenario import migration, watch
from lab.scenario.config import BACKENDS, MODEL, GuestConfig, HostConfig, MigrationConfig

MUTANTS = paths.LAB / "tests/mutants"
#: effects of an incomplete driver on the guest
FELT = ("lanes without an answer", "differ from")
#: a mutant that only matters with these properties of the device, and the message that reports it
ELSEWHERE = {"isolation-not-read": ({"isolation": "on"}, ("the device counted",))}


def test_this_driver_migrates_a_guest(new_session):
    """A guest under load must migrate without losing a request, page or interrupt."""
    outcome = new_session(selftests=True).migrate()
    assert outcome.failures == [] and outcome.selftests
    assert outcome.carried > 0 and outcome.in_flight_at_stop > 0
    assert outcome.requests["after"] > 0
    assert {p.name for p in outcome.phases} >= {"pre-copy", "stop", "save", "transfer", "load", "restart"}


@pytest.mark.parametrize("mutant", [
    pytest.param(path, id=path.stem, marks=[] if path.stem == "no-write-back" else pytest.mark.long("another mutant"))
    for path in sorted(MUTANTS.glob("*.patch"))])
def test_a_driver_without_it_fails(new_session, monkeypatch, mutant):
    """Each mutant must fail a migration, by its effect on the guest or the device."""
    # a lane that hangs does so for ever
    monkeypatch.setattr(migration, "LANE_SECONDS", 8)
    model, words = ELSEWHERE.get(mutant.stem, ({}, FELT))
    mutated = HostConfig(patches=(mutant,), model={**MODEL, **model})
    outcome = new_session().migrate(mutated)
    assert outcome.failures, f"the demo passed with {mutant.name}"
    watch.expect(".", maybe=True)       # a mutant may also cause other messages
    # the reason must be the mutant, not a failure of the lab
    assert any(word in c for word in words for c in outcome.failures), outcome.failures


def test_a_guest_with_two_vfs_migrates(new_session):
    """A guest with two VFs must migrate."""
    outcome = new_session().migrate(guest=GuestConfig(vfs=2))
    assert outcome.failures == []
    assert len(outcome.device_counts) == 4 and outcome.requests["after"] > 0


@pytest.mark.long("failures of the in-tree driver")
def test_the_in_tree_driver_refuses_two_vfs(new_session):
    """QEMU must refuse two VFs without the P2P states, and name them."""
    outcome = new_session().migrate(HostConfig(driver="in-tree"), guest=GuestConfig(vfs=2))
    assert any("support P2P migration" in c for c in outcome.failures), outcome.failures


@pytest.mark.slow("a migration with another driver")
@pytest.mark.parametrize("source, destination", [("tree", "in-tree"), ("in-tree", "tree")])
@pytest.mark.parametrize("kernel, backend", [
    pytest.param(kernel, backend, marks=[] if (kernel, backend) == (versions.DEFAULT, BACKENDS[0]) else pytest.mark.long(
        "other kernels and backends")) for kernel in versions.SERIES for backend in BACKENDS])
def test_it_migrates_to_and_from_the_in_tree_driver(new_session, kernel, backend, source, destination):
    """Migration between this driver and the in-tree driver must work in both directions."""
    httu = backend != "container"
    # 6.12's driver waits for PAUSE for a millisecond, which requests in the engine take
    inflight = "hold" if (kernel, source) == (versions.LTS, "in-tree") else "finish"
    outcome = new_session().migrate(
        HostConfig(kernel, driver=source, httu=httu, model={**MODEL, "pause-inflight": inflight}),
        HostConfig(kernel, driver=destination, httu=httu), migration=MigrationConfig(backend=backend))
    assert outcome.failures == []


@pytest.mark.slow("a migration with all accelerators")
def test_a_guest_with_all_accelerators_migrates_there_and_back(request, new_session):
    """A guest with one VF of each accelerator must migrate with requests in flight: twice, with
    --long twenty times."""
    migrations = 20 if request.config.getoption("--long") else 2
    outcome = new_session().migrate(HostConfig(engines=("sec", "hpre", "zip")), migration=MigrationConfig(migrations=migrations))
    assert outcome.failures == []
    assert len(outcome.device_counts) == 6 and outcome.requests["after"] > 0
    assert all(counts["requests-completed"] >= migrations for counts in outcome.device_counts.values())
