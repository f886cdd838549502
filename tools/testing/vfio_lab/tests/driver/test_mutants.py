# SPDX-License-Identifier: GPL-2.0
"""Mutation tests: each driver with one part missing or wrong must fail a test (make mutants).

The KUnit tests run tests/mutants/kunit, the hisi_acc kselftests run tests/mutants/kselftest on a
host, test_sanitize.py runs tests/mutants/sanitize, and a guest runs those beside these directories
(test_migration.py). A mutant that passes shows a missing check.
"""

import re

import pytest

import tap
from lab.core import hardware, paths
from lab.build import kunit
from lab.scenario import accelerator, watch
from lab.scenario.config import HostConfig

pytestmark = pytest.mark.long("builds a driver for each mutant")

MUTANTS = paths.LAB / "tests/mutants"


def of(folder: str):
    """The mutants of a directory, as parameters."""
    return pytest.mark.parametrize("mutant", sorted((MUTANTS / folder).glob("*.patch")), ids=lambda path: path.stem)


@of("kunit")
def test_kunit_fails_on_a_mutant(context, mutant):
    """The KUnit tests must fail on each mutant."""
    text = kunit.kunit(context, [mutant])
    assert kunit.failures(text) != [], f"{mutant.name} passes"


@of("kselftest")
def test_kselftests_fail_on_a_mutant(boot, context, mutant):
    """The hisi_acc kselftests must fail on each mutant."""
    host = boot(HostConfig(patches=(mutant,), push=tap.files(context)))
    vfs = accelerator.vfs(host.ssh, hardware.ENGINES["sec"])
    accelerator.bind(host.ssh, vfs, hardware.VARIANT_DRIVER)
    output = host.ssh.run(tap.command(vfs[:2]), timeout=600, check=False).stdout
    assert "ok 1 " in output
    assert re.findall(r"^not ok .*", output, re.M) + host.unexpected() != [], f"{mutant.name} passes"
    watch.expect(".", maybe=True)       # a mutant may also cause other messages
