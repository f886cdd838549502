# SPDX-License-Identifier: GPL-2.0
"""The migration's bars."""

import pytest

from lab.timeline import Phase, bars, duration


@pytest.mark.parametrize("seconds, text", [(12.3, "12.30 s"), (0.0456, "45.6 ms"), (0.000789, "789 us")])
def test_durations_carry_the_unit_that_fits(seconds, text):
    assert duration(seconds) == text


def test_bars_share_one_scale_and_short_phases_still_show():
    lines = bars([Phase("long", "a", 100, 101), Phase("blip", "b", 101, 101.0001), Phase("half", "c", 101, 101.5)], 30)
    assert lines[0].count("█") == 20 and lines[0].index("█") < lines[2].index("█")
    assert lines[1].count("▏") == 1 and lines[1].index("▏") == lines[2].index("█")
    assert lines[2].count("█") == 10


def test_no_phase_no_bar():
    assert bars([]) == []
