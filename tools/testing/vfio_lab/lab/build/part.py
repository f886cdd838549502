# SPDX-License-Identifier: GPL-2.0
"""Build one part in its own process: ``part.py NAME DESCRIPTOR``; see schedule.py."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])

from lab.core import run, schedule  # noqa: E402
from lab.core.context import Context  # noqa: E402
from lab.core.progress import Steps  # noqa: E402
from lab.build import parts  # noqa: E402


def build(steps: Steps) -> object:
    """Build the part that the command line names."""
    if run.VERBOSE in os.environ:
        run.echo = steps.command
    return parts.WHAT[sys.argv[1]].build(Context(steps=steps))


if __name__ == "__main__":
    run.stop_on_sigterm()
    sys.exit(schedule.report(int(sys.argv[2]), build))
