# SPDX-License-Identifier: GPL-2.0
"""A guest moves between hosts whose hardware is later than V3, or has isolated
doorbells, with our driver and with the kernel's own."""

import pytest

from lab.scenario.session import MODEL, Choice


def migrated(new_session, driver: str, **model: str):
    """The outcome of a migration between two such hosts."""
    choice = Choice(driver=driver, model={**MODEL, **{n.replace("_", "-"): v for n, v in model.items()}})
    return new_session().migrate(choice, choice)


@pytest.mark.parametrize("model", [{"hw_version": "v4"}, {"hw_version": "v5", "isolation": "on"}],
                         ids=["v4", "v5-isolated"])
def test_ours_carries_the_guest_over(new_session, model):
    outcome = migrated(new_session, "ours", **model)
    assert outcome.complaints == []
    assert outcome.in_flight_at_stop > 0 and outcome.requests["after"] > 0


@pytest.mark.long("a defect that vlab defects shows as well")
def test_mainline_rings_the_neighbour(new_session):
    # from V4 on its doorbells for the event queues go to the end of the window,
    # which is the start of the next function's
    outcome = migrated(new_session, "mainline", hw_version="v4")
    assert outcome.complaints == ["source: the device counted 2 times: event-doorbell-outside-window"]
    assert outcome.requests["after"] > 0
