# SPDX-License-Identifier: GPL-2.0
"""Behaviour that no public source specifies is a property of the device model; this driver must
work with each setting. A guest migrates, with --long there and back, while both devices have the
setting.

This verifies that the driver does not depend on the model's defaults.
"""

from __future__ import annotations

import pytest

import tap
from lab.core import versions
from lab.scenario.config import MigrationConfig
from lab.scenario.migration import ENGINE
from test_uapi import bound_host

#: the meaning of the resume doorbell, what ends a pause without it, whether a write-back covers the
#: contexts of EQ and AEQ; and two more
OTHERWISE = {"kick-scope": "function", "unpause": "doorbell", "writeback-scope": "all",
             "pause-inflight": "hold", "context-fetch": "doorbell"}
DEFAULTS = {"kick-scope": "queue", "unpause": "kick", "writeback-scope": "queues",
            "pause-inflight": "finish", "context-fetch": "kick"}


def settings(each: bool) -> list[dict[str, str]]:
    """All settings changed together, and each alone."""
    alone = [{**DEFAULTS, name: value} for name, value in OTHERWISE.items()]
    return [OTHERWISE, *(alone if each else [])]


def test_our_driver_lives_with_each(request, new_session):
    """A guest must migrate with each setting."""
    moves = settings(request.config.getoption("--long"))
    with new_session().scenario(migration=MigrationConfig(migrations=len(moves))) as scenario:
        scenario.set_up()
        scenario.start_guest()
        for turn, setting in enumerate(moves):
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
    host, functions = bound_host(boot, context, versions.DEFAULT)
    for setting in settings(True):
        for name, value in setting.items():
            host.set_model(ENGINE, name, value)
        done = host.ssh.run(tap.command(functions), timeout=300, check=False)
        assert tap.wrong(done.stdout, versions.DEFAULT) == {} and done.returncode == 0, f"{setting}: {done.stdout}"
