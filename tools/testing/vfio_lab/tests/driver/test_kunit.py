# SPDX-License-Identifier: GPL-2.0
"""The driver's KUnit tests, by the kernel's own kunit.py."""

from lab.build import kunit


def test_all_suites_pass(context):
    """All KUnit tests must pass. They cover what needs no device; each states what it verifies."""
    text = kunit.kunit(context)
    assert kunit.failures(text) == []
    assert kunit.suites(text) == list(kunit.SUITES)
