# SPDX-License-Identifier: GPL-2.0
"""The timeline of a migration, and the driver's state transitions that it shows."""

import pytest

from lab.scenario.arcs import Arc, last
from lab.scenario.timeline import Phase, bars, duration


@pytest.mark.parametrize("seconds, text", [(12.3, "12.30 s"), (0.0456, "45.6 ms"), (0.000789, "789 us")])
def test_durations_carry_the_unit_that_fits(seconds, text):
    """Durations must have a suitable unit."""
    assert duration(seconds) == text


def test_bars_share_one_scale_and_short_phases_still_show():
    """Bars must have a common scale, and short phases must be visible."""
    lines = bars([Phase("long", "a", 100, 101), Phase("blip", "b", 101, 101.0001), Phase("half", "c", 101, 101.5)], 30)
    assert lines[0].count("█") == 20 and lines[0].index("█") < lines[2].index("█")
    assert lines[1].count("▏") == 1 and lines[1].index("▏") == lines[2].index("█")
    assert lines[2].count("█") == 10


def test_no_phase_no_bar():
    """Without phases there must be no bar."""
    assert bars([]) == []


def test_arcs_of_other_migrations_and_devices_are_left_out():
    """State transitions of other migrations and devices must not be in the timeline."""
    arcs = [Arc("a", "PRE_COPY_P2P", "STOP_COPY", 0, 10, 1), Arc("b", "PRE_COPY_P2P", "STOP_COPY", 0, 10.5, 1),
            Arc("a", "STOP", "STOP_COPY", 0, 20, 1), Arc("a", "PRE_COPY_P2P", "STOP_COPY", -16, 21, 1),
            Arc("c", "PRE_COPY_P2P", "STOP_COPY", 0, 22, 1), Arc("a", "RESUMING", "STOP", 0, 23, 1)]
    save = ("STOP_COPY", "PRE_COPY_P2P", "STOP")
    assert last(arcs, ["a", "b"], 15, *save) == {"a": arcs[2]}
    assert last(arcs, ["a", "b"], 0, *save) == {"a": arcs[2], "b": arcs[1]}
