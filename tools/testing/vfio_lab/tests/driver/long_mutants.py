# SPDX-License-Identifier: GPL-2.0
"""Drivers that lack one thing, or do one thing wrongly, each of which the tests must
catch: make mutants.

tests/mutants/kunit is caught by the KUnit tests, tests/mutants/kselftest by the
device's kselftest on a host, tests/mutants/sanitize in long_sanitize.py, those beside
these folders by a guest (test_migration.py).  A mutant that survives is a hole.
"""

import re

import pytest

import tap
from lab.core import hardware, paths
from lab.build import kunit
from lab.scenario import accelerator, watch
from lab.scenario.session import Choice

MUTANTS = paths.LAB / "tests/mutants"


def of(folder: str):
    """The mutants of a folder, as parameters."""
    return pytest.mark.parametrize("mutant", sorted((MUTANTS / folder).glob("*.patch")), ids=lambda path: path.stem)


@of("kunit")
def test_kunit_catches(context, mutant):
    """Would catch: a test that no longer tests what it is for."""
    text = kunit.kunit(context, [mutant])
    assert kunit.failures(text) != [], f"{mutant.name} survives"


@of("kselftest")
def test_the_kselftest_catches(boot, context, mutant):
    """Would catch: the same of what needs a device."""
    host = boot(Choice(patches=(mutant,), push=tap.files(context)))
    functions = accelerator.functions(host.ssh, hardware.ENGINES["sec"])
    accelerator.bind(host.ssh, functions, hardware.VARIANT_DRIVER)
    said = host.ssh.run(tap.command(functions[:2]), timeout=600, check=False).stdout
    assert "ok 1 " in said
    assert re.findall(r"^not ok .*", said, re.M) + host.trouble() != [], f"{mutant.name} survives"
    watch.expect(".", maybe=True)       # of what it has broken more may be told
