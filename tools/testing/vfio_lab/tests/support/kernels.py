# SPDX-License-Identifier: GPL-2.0
"""Kernel series as parameters of tests, from the lab's table of versions."""

from __future__ import annotations

import pytest

from lab.core import versions


def lasting(series: str, why: str = "the same on another kernel"):
    """A series as a parameter that runs with --long only."""
    return pytest.param(series, marks=pytest.mark.long(why))


def another(series: str):
    """A series that is not the default, as a parameter that does not run with --quick."""
    return pytest.param(series, marks=pytest.mark.slow("the same on another kernel"))


#: every series; those that `make ci` omits run with --long, and --quick leaves the default
EACH = [series if series == versions.DEFAULT else another(series) if series in versions.CHECKED else lasting(series)
        for series in versions.SERIES]
#: the same, for tests of which `make ci` runs the default series only
DEFAULT_FIRST = [series if series == versions.DEFAULT else lasting(series) for series in versions.SERIES]
