# SPDX-License-Identifier: GPL-2.0
"""A guest migrates with QEMU's edu device and the sample driver for it."""

from __future__ import annotations

import pytest

from lab.core import paths
from lab.scenario.config import HostConfig, MigrationConfig

EDU = HostConfig(engines=("edu",))
pytestmark = pytest.mark.long("minutes, as requests take a fifth of a second each")


def test_the_sample_migrates_a_guest(new_session):
    """A guest must migrate there and back, with every result as computed by its processor."""
    outcome = new_session().migrate(EDU, migration=MigrationConfig(migrations=2))
    assert outcome.failures == []
    assert outcome.requests["after"] > 0


def test_a_driver_that_forgets_the_buffer_fails(new_session):
    """The load must notice state that was not migrated."""
    mutated = HostConfig(engines=("edu",), patches=(paths.LAB / "tests/mutants/edu/buffer-is-not-saved.patch",))
    outcome = new_session().migrate(mutated)
    assert any("results differ from software" in failure for failure in outcome.failures), outcome.failures
