# SPDX-License-Identifier: GPL-2.0
"""Lists of tests that a driver is expected not to pass, such as those in tests/expected."""

from __future__ import annotations

import re
from pathlib import Path

from ..core import paths

#: lists of drivers that the lab knows
EXPECTED = paths.LAB / "tests/expected"
FAILS, SOMETIMES, HANGS, NOT_RUN = "fails", "fails at random", "hangs", "not run"
#: by what is before a name in a list
HOW = {"": FAILS, "?": SOMETIMES, "!": HANGS, "-": NOT_RUN}


def failed(listed: Path) -> dict[str, str]:
    """The expected results of a driver: test, and how, from HOW."""
    return {name: HOW[how] for how, name in re.findall(r"^([!?-]?)(\w+):", listed.read_text(encoding="utf-8"), re.M)}
