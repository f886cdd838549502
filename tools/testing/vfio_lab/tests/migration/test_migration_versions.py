# SPDX-License-Identifier: GPL-2.0
"""Migration between hosts of hardware versions after V3, or with isolated doorbells, with this
driver and with the in-tree driver."""

import pytest

from lab.scenario.config import MODEL, HostConfig

pytestmark = pytest.mark.slow("a migration with other hardware versions")


def migrated(new_session, driver: str, **model: str):
    """The outcome of a migration between two such hosts."""
    return new_session().migrate(
        HostConfig(driver=driver, model={**MODEL, **{n.replace("_", "-"): v for n, v in model.items()}}))


@pytest.mark.parametrize("model", [{"hw_version": "v4"}, {"hw_version": "v5", "isolation": "on"}],
                         ids=["v4", "v5-isolated"])
def test_this_driver_migrates_a_guest(new_session, model):
    """A guest must migrate between hosts of the same version."""
    outcome = migrated(new_session, "tree", **model)
    assert outcome.failures == []
    assert outcome.in_flight_at_stop > 0 and outcome.requests["after"] > 0


@pytest.mark.long("a defect that vlab defects shows as well")
def test_the_in_tree_driver_rings_another_vf(new_session):
    """The in-tree driver must be reported for doorbells that reach the next VF."""
    # from V4 on it writes the event queues' doorbells to the end of the migration registers, where
    # the next VF's begin
    outcome = migrated(new_session, "in-tree", hw_version="v4")
    assert outcome.failures == ["source: the device counted 2 times: event-doorbell-outside-mig-regs"]
    assert outcome.requests["after"] > 0
