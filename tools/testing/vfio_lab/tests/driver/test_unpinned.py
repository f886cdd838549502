# SPDX-License-Identifier: GPL-2.0
"""Behaviour that no public source specifies is a property of the device model; this driver must
work with each setting. A guest migrates, with --long there and back, while both devices have the
setting. test_stock_drivers.py has the stock drivers.

This verifies that the driver does not depend on the model's defaults.
"""

from __future__ import annotations

import re

import pytest

import tap
from choices import CHOICES, choose, settings
from lab.core import paths, versions
from lab.scenario.config import HostConfig, MigrationConfig
from lab.scenario.migration import ENGINE
from test_uapi import bound_host

pytestmark = pytest.mark.slow("the driver on a model with other choices")

#: without the cache, which once set stays small while queues are used: contexts that it has written
#: back would be lost
KEPT = "context-cache"


def test_each_choice_is_here():
    """The choices of the model's README must be those that are tried here, with their values."""
    rows = (paths.LAB / "qemu/README.md").read_text().split("| property | values | |\n|---|---|---|\n")[1]
    found = {name: values for name, values in re.findall(r"^\| `(\S+)` \| `(.*?)` \|", rows.split("| `request-latency`")[0], re.M)}
    assert found.keys() | {"context-cache"} == CHOICES.keys()
    assert all(f"`{value}`" in f"`{found[name]}`" for name in found for value in CHOICES[name])


@pytest.mark.parametrize("driver", ["tree", pytest.param("in-tree", marks=pytest.mark.long(
    "says whether a setting or the driver is at fault"))])
def test_it_migrates_with_each(request, new_session, driver):
    """A guest must migrate with each setting, by this driver and by the in-tree driver."""
    turns = [{name: value for name, value in setting.items() if name != KEPT or value}
             for setting in settings(request.config.getoption("--long"))]
    with new_session().scenario(HostConfig(driver=driver), migration=MigrationConfig(migrations=len(turns))) as scenario:
        scenario.set_up()
        scenario.start_guest()
        for turn, setting in enumerate(turns):
            if turn:
                scenario.turn_round()
            for host in (scenario.source, scenario.destination):
                choose(host, ENGINE, setting)
            scenario.migrate()
        scenario.go_on()
        scenario.inspect()
        assert scenario.outcome.failures == []


@pytest.mark.expect(tap.PROVOKED)
@pytest.mark.long("the kselftest, fourteen times")
def test_the_kselftest_passes_with_each(boot, context):
    """The kselftests must pass with each setting."""
    host, vfs = bound_host(boot, context, versions.DEFAULT)
    for setting in settings(True):
        choose(host, ENGINE, setting)
        done = host.ssh.run(tap.command(vfs), timeout=300, check=False)
        assert tap.wrong(done.stdout, versions.DEFAULT) == {} and done.returncode == 0, f"{setting}: {done.stdout}"
