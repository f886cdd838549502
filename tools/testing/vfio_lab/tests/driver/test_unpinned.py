# SPDX-License-Identifier: GPL-2.0
"""Behaviour that no public source specifies is a property of the device model; this driver must
work with each setting. A guest migrates, with --long there and back, while both devices have the
setting.

This verifies that the driver does not depend on the model's defaults.
"""

from __future__ import annotations

import re

import pytest

import tap
from lab.core import paths, versions
from lab.scenario.config import MigrationConfig
from lab.scenario.migration import ENGINE
from test_uapi import bound_host

#: for each choice its default and another value, see qemu/README.md
CHOICES = {"kick-scope": ("queue", "function"), "unpause": ("kick", "doorbell"), "writeback-scope": ("queues", "all"),
           "pause-inflight": ("finish", "hold"), "context-fetch": ("kick", "doorbell"),
           "bus-master-off": ("fail", "reset"), "d3-access": ("all-ones", "abort"), "mig-regs-reset": ("keep", "lost"),
           "mailbox-narrow-read": ("own", "foreign"), "bus-reopen": ("clear", "toggle"),
           "message-mask-reset": ("set", "keep"), "ras": ("on", "off"), "ras-overflow": ("off", "on"),
           "context-cache": (0, 1)}
#: without the cache, which once set stays small: contexts that it has written back would be lost
DEFAULTS = {name: default for name, (default, _) in CHOICES.items() if name != "context-cache"}
OTHERWISE = {name: other for name, (_, other) in CHOICES.items()}


def test_each_choice_is_here():
    """The choices of the model's README must be those that are tried here, with their values."""
    rows = (paths.LAB / "qemu/README.md").read_text().split("| property | values | |\n|---|---|---|\n")[1]
    found = {name: values for name, values in re.findall(r"^\| `(\S+)` \| `(.*?)` \|", rows.split("| `request-latency`")[0], re.M)}
    assert found.keys() | {"context-cache"} == CHOICES.keys()
    assert all(f"`{value}`" in f"`{found[name]}`" for name in found for value in CHOICES[name])


def settings(each: bool) -> list[dict[str, str | int]]:
    """All settings changed together, and each alone."""
    alone = [{**DEFAULTS, name: value} for name, value in OTHERWISE.items()]
    return [OTHERWISE, *(alone if each else [])]


def test_this_driver_works_with_each(request, new_session):
    """A guest must migrate with each setting."""
    turns = settings(request.config.getoption("--long"))
    with new_session().scenario(migration=MigrationConfig(migrations=len(turns))) as scenario:
        scenario.set_up()
        scenario.start_guest()
        for turn, setting in enumerate(turns):
            if turn:
                scenario.turn_round()
            for host in (scenario.source, scenario.destination):
                for name, value in setting.items():
                    host.set_model(ENGINE, name, value)
            scenario.migrate()
        scenario.go_on()
        scenario.inspect()
        assert scenario.outcome.failures == []


@pytest.mark.expect(tap.PROVOKED)
@pytest.mark.long("the kselftest, six times")
def test_the_kselftest_passes_with_each(boot, context):
    """The kselftests must pass with each setting."""
    host, vfs = bound_host(boot, context, versions.DEFAULT)
    for setting in settings(True):
        for name, value in setting.items():
            host.set_model(ENGINE, name, value)
        done = host.ssh.run(tap.command(vfs), timeout=300, check=False)
        assert tap.wrong(done.stdout, versions.DEFAULT) == {} and done.returncode == 0, f"{setting}: {done.stdout}"
