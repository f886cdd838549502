# SPDX-License-Identifier: GPL-2.0
"""Runs of pytest in a test, to test how the tests themselves are run."""

from __future__ import annotations

import pytest

from lab.core import paths


def use_conftest(pytester: pytest.Pytester) -> None:
    """Give pytester's tests the conftest.py of all tests."""
    pytester.makeconftest((paths.LAB / "tests/conftest.py").read_text(encoding="utf-8").replace(
        "pathlib.Path(__file__).resolve().parents[1]", f"pathlib.Path({str(paths.LAB)!r})"))
