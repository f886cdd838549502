# SPDX-License-Identifier: GPL-2.0
"""Confidence intervals of ratios."""

from __future__ import annotations

import dataclasses
import math
import random
import statistics
from collections.abc import Sequence

# Number of bootstrap samples
DRAWS = 1000


@dataclasses.dataclass(frozen=True)
class Ratio:
    """A ratio of two medians, with its 95 % confidence interval."""

    middle: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.middle:.2f} ({self.low:.2f} to {self.high:.2f})"


def ratio(tree: Sequence[float], in_tree: Sequence[float]) -> Ratio:
    """The ratio of the medians and its confidence interval, by a bootstrap; NaN if one
    side has no figures.  The seed is fixed, so the same figures give the same interval."""
    if not tree or not in_tree:
        return Ratio(math.nan, math.nan, math.nan)
    middle = statistics.median(tree) / statistics.median(in_tree)
    if min(len(tree), len(in_tree)) < 3:
        return Ratio(middle, math.nan, math.nan)
    dice = random.Random(0)

    def drawn(some: Sequence[float]) -> float:
        return statistics.median(dice.choices(some, k=len(some)))

    found = sorted(drawn(tree) / drawn(in_tree) for _ in range(DRAWS))
    return Ratio(middle, found[DRAWS // 40], found[-DRAWS // 40])
