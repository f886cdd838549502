# SPDX-License-Identifier: GPL-2.0
"""The driver's KUnit tests, by the kernel's own kunit.py."""

from lab.build import kunit


def test_all_suites_pass(context):
    """Would catch: what no device is needed for to be seen to be wrong; see the
    suites themselves, each test there says what it would catch."""
    text = kunit.kunit(context)
    assert kunit.failures(text) == []
    assert kunit.suites(text) == list(kunit.SUITES)
