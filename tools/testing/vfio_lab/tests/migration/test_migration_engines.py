# SPDX-License-Identifier: GPL-2.0
"""A guest migrates with ZIP or HPRE instead of SEC, or with a kernel that blocks AF_ALG for
asynchronous drivers. The module accel_load generates its load."""

import pytest

from lab.core import paths, versions
from lab.scenario.config import GuestConfig, HostConfig

pytestmark = pytest.mark.slow("a migration with other accelerators")


@pytest.mark.parametrize("name, guest_kernel", [("zip", versions.DEFAULT), ("hpre", versions.DEFAULT), ("sec", versions.DEFAULT)])
def test_this_driver_migrates_a_guest(new_session, name, guest_kernel):
    """A guest must migrate with each accelerator and guest kernel."""
    outcome = new_session().migrate(HostConfig(engines=(name,)), guest=GuestConfig(guest_kernel))
    assert outcome.failures == []
    assert outcome.carried > 0 and outcome.requests["after"] > 0


@pytest.mark.long("the same mutant as in test_migration.py")
def test_a_driver_that_loses_contexts_fails(new_session):
    """A driver that loses queue contexts must fail the migration."""
    mutated = HostConfig(engines=("zip",), patches=(paths.LAB / "tests/mutants/no-write-back.patch",))
    outcome = new_session().migrate(mutated)
    assert any("lanes without an answer" in c for c in outcome.failures), outcome.failures
