# SPDX-License-Identifier: GPL-2.0
"""A guest moves while its load runs: with our driver it arrives whole, with a
part of the driver taken out it must be seen not to."""

import pytest

from lab.core import paths
from lab.scenario import watch
from lab.scenario.session import MODEL, Choice

MUTANTS = paths.LAB / "tests/mutants"
#: what a guest feels of a driver that lacks a part
FELT = ("lanes without an answer", "differ from")
#: a mutant that harms only such a device, and who tells of it there
ELSEWHERE = {"isolation-not-read": ({"isolation": "on"}, ("the device counted",))}


def test_ours_carries_the_guest_over(new_session):
    outcome = new_session().migrate(Choice(), Choice())
    assert outcome.complaints == []
    assert outcome.carried > 0 and outcome.in_flight_at_stop > 0
    assert outcome.requests["after"] > 0
    assert {p.name for p in outcome.phases} >= {"pre-copy", "stop", "save", "transfer", "load", "restart"}


@pytest.mark.parametrize("mutant", [
    pytest.param(path, id=path.stem, marks=[] if path.stem == "no-write-back" else pytest.mark.long("another mutant"))
    for path in sorted(MUTANTS.glob("*.patch"))])
def test_a_driver_without_it_is_caught(new_session, mutant):
    model, words = ELSEWHERE.get(mutant.stem, ({}, FELT))
    bent = Choice(patches=(mutant,), model={**MODEL, **model})
    outcome = new_session().migrate(bent, bent)
    assert outcome.complaints, f"the demo passed with {mutant.name}"
    watch.expect(".", maybe=True)       # of what it has broken more may be told
    # caught by that, not by a lab that fell over
    assert any(word in c for word in words for c in outcome.complaints), outcome.complaints


def test_a_guest_with_two_functions_moves(new_session):
    both = Choice(guest_vfs=2)
    outcome = new_session().migrate(both, both)
    assert outcome.complaints == []
    assert len(outcome.device_counts) == 4 and outcome.requests["after"] > 0


@pytest.mark.long("what mainline's driver cannot")
def test_mainline_refuses_two_functions(new_session):
    """Its QEMU says why: what the P2P states are for."""
    both = Choice(driver="mainline", guest_vfs=2)
    outcome = new_session().migrate(both, both)
    assert any("support P2P migration" in c for c in outcome.complaints), outcome.complaints


@pytest.mark.parametrize("source, destination", [("ours", "mainline"), ("mainline", "ours")])
def test_it_gets_on_with_mainline(new_session, source, destination):
    outcome = new_session().migrate(Choice(driver=source), Choice(driver=destination))
    assert outcome.complaints == []


def test_a_guest_with_all_accelerators_moves_there_and_back(request, new_session):
    """All of them at work, with requests in flight at each stop.  Without --long
    it is two moves, not twenty."""
    moves = 20 if request.config.getoption("--long") else 2
    every = Choice(engines=("sec", "hpre", "zip"), moves=moves)
    outcome = new_session().migrate(every, every)
    assert outcome.complaints == []
    assert len(outcome.device_counts) == 6 and outcome.requests["after"] > 0
    assert all(counts["requests-completed"] >= moves for counts in outcome.device_counts.values())
