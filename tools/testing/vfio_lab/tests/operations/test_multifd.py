# SPDX-License-Identifier: GPL-2.0
"""Device state in QEMU's multifd channels, with and without TLS: the source reads it, and the destination
writes it, in threads other than the one that sets the VFs' states."""

from __future__ import annotations

import re
import time

import pytest

from lab.core import versions
from lab.core.guide import blocks
from lab.scenario.config import GuestConfig, HostConfig, MigrationConfig
from lab.scenario.migration import Scenario
from migrations import (cancel_in_pre_copy, cancel_in_stop_copy, channels, destination_dies, ended, goes_on, running,
                        vf_runs)

OLD, NEW = versions.VMMS[0].name, versions.VMMS[-1].name
ALL = ("sec", "zip", "hpre")
LONG = pytest.mark.long("another number of channels, release or VFs")
#: what QEMU traces in the threads that load and save a VF's state
LOADS, SAVES = "vfio_load_bufs_thread_start", "vfio_save_complete_precopy_thread_start"
TRACED = f"-trace {LOADS} -trace {SAVES}"
(KEY,) = re.findall(r"> (/\S+)", blocks("sh", "options")["tls-key"])


def share_key(scenario: Scenario) -> None:
    """Make a key for TLS on the source, and copy it."""
    scenario.source.ssh.run(blocks("sh", "options")["tls-key"])
    key = scenario.source.ssh.out(f"cat {KEY}")
    scenario.destination.ssh.run(f"mkdir -p $(dirname {KEY}); echo '{key}' > {KEY}")


def migrates(new_session, config: HostConfig, migration: MigrationConfig, extra: str = "") -> None:
    """The guest must migrate there and back, each VF's state in the channels."""
    with new_session().scenario(config, None, GuestConfig(extra=f"{TRACED} {extra}"), migration) as scenario:
        scenario.set_up()
        share_key(scenario)
        scenario.start_guest()
        scenario.migrate()
        scenario.turn_round()
        scenario.migrate()
        scenario.go_on()
        scenario.inspect()
        assert scenario.outcome.failures == [] and scenario.outcome.carried > 0
        left, arrived = scenario.guests
        assert left.traced(SAVES) == len(config.engines)
        assert arrived.traced(LOADS) == len(config.engines)


@LONG
@pytest.mark.parametrize("vmm", [OLD, NEW])
@pytest.mark.parametrize("engines, number, tls", [(ALL[:1], 2, False), (ALL[:1], 8, True), (ALL, 2, True), (ALL, 8, False)],
                         ids=["one-2", "one-8-tls", "three-2-tls", "three-8"])
def test_device_state_in_channels(new_session, vmm, engines, number, tls):
    """A guest must migrate there and back without losing a request."""
    migrates(new_session, HostConfig(vmm=vmm, engines=engines), channels(number, tls=tls))


@LONG
@pytest.mark.parametrize("when", ["on", "off"])
def test_configuration_loaded_after_iterable_state(new_session, when):
    """A guest must migrate when QEMU loads the VFs' configuration spaces after memory, and beside it."""
    migrates(new_session, HostConfig(vmm=NEW, engines=ALL), channels(),
             f"-global vfio-pci.x-migration-load-config-after-iter={when}")


@LONG
@pytest.mark.parametrize("vmm", [OLD, NEW])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_channels_that_end(new_session, vmm, tls):
    """If the migration is cancelled in pre-copy and in STOP_COPY, and if the destination dies in pre-copy
    and when the guest is stopped, the guest must continue on the source."""
    with running(new_session, HostConfig(vmm=vmm), migration=channels(8, tls=tls)) as scenario:
        guest = scenario.guest
        share_key(scenario)
        cancel_in_pre_copy(scenario)
        goes_on(scenario, guest)
        cancel_in_stop_copy(scenario)
        goes_on(scenario, guest)
        destination_dies(scenario)


@LONG
@pytest.mark.expect("TLS handshake failed")
@pytest.mark.parametrize("vmm", [OLD, NEW])
def test_another_key(new_session, vmm):
    """If the hosts have different keys, the migration must fail before the guest is stopped."""
    with running(new_session, HostConfig(vmm=vmm), migration=channels(tls=True)) as scenario:
        guest, began = scenario.guest, time.monotonic()
        share_key(scenario)
        scenario.destination.ssh.run(f"echo qemu:{'00' * 32} > {KEY}")
        arriving = scenario.expect_guest()
        scenario.begin(guest, 1 << 40)
        assert ended(guest, began) == "failed"
        assert not [e for e in guest.qmp.events if e.name == "STOP"]
        vf_runs(scenario)
        arriving.close()
