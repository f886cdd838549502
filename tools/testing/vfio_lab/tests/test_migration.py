# SPDX-License-Identifier: GPL-2.0
"""A guest moves while its load runs: with our driver it arrives whole, with a
part of the driver taken out it must be seen not to."""

import pytest

from lab import paths
from lab.session import Choice

MUTANTS = paths.LAB / "tests/mutants"


def test_ours_carries_the_guest_over(new_session):
    outcome = new_session().migrate(Choice(), Choice())
    assert outcome.complaints == []
    assert outcome.carried > 0 and outcome.in_flight_at_stop > 0
    assert outcome.requests["after"] > 0
    assert {p.name for p in outcome.phases} >= {"pre-copy", "quiesce", "save", "transfer", "load", "restart"}


@pytest.mark.parametrize("mutant", sorted(MUTANTS.glob("*.patch")), ids=lambda p: p.stem)
def test_a_driver_without_it_is_caught(new_session, mutant):
    bent = Choice(patches=(mutant,))
    outcome = new_session().migrate(bent, bent)
    assert outcome.complaints, f"the demo passed with {mutant.name}"
    # caught by what the guest felt, not by a lab that fell over
    assert any("lanes without an answer" in c or "differ from" in c or "migration failed" in c
               for c in outcome.complaints), outcome.complaints
