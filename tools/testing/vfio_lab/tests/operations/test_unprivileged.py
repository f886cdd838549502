# SPDX-License-Identifier: GPL-2.0
"""QEMU as a user of its own, with a limit of locked memory: guests under load must migrate; with too low
a limit QEMU must not start."""

from __future__ import annotations

import pytest

from lab.core.errors import Refusal
from lab.core.guide import blocks
from lab.scenario.config import GuestConfig, HostConfig, MigrationConfig
from lab.scenario.guest import MEMORY_MIB

pytestmark = pytest.mark.slow("guests of users without rights")

#: the limit beyond the guest's memory
LITTLE_MIB = 16
OWN = blocks("sh", "security")["own-user"]
ALL = ("sec", "zip", "hpre")


def as_user(limit_mib: int) -> GuestConfig:
    """QEMU is user 1000, whose locked memory is limited."""
    return GuestConfig(qemu="echo qemu:x:1000:1000::/: >> /etc/passwd; echo qemu:x:1000: >> /etc/group; "
                            f"chmod 1777 /run; chown 1000 /run/guest0.*; {OWN}; ulimit -l {limit_mib << 10}; "
                            "exec start-stop-daemon -S -c qemu:qemu -x /usr/bin/qemu-system-aarch64 --")


LONG = pytest.mark.long("another number of VFs, the container backend")


@pytest.mark.parametrize("engines, backend", [
    pytest.param(ALL[:1], "iommufd", id="one-iommufd"),
    pytest.param(ALL[:1], "container", id="one-container", marks=LONG),
    pytest.param(ALL, "iommufd", id="three-iommufd", marks=LONG),
    pytest.param(ALL, "container", id="three-container", marks=LONG)])
def test_a_guest_migrates(new_session, engines, backend):
    """A guest must migrate if the limit is that of the guide."""
    outcome = new_session().migrate(HostConfig(engines=engines), None, as_user(MEMORY_MIB + LITTLE_MIB), MigrationConfig(backend))
    assert outcome.failures == [] and outcome.carried > 0


@LONG
@pytest.mark.parametrize("backend", ["iommufd", "container"])
def test_too_low_a_limit(new_session, backend):
    """If the limit is less than the guest's memory, QEMU must not start, with the reason that the guide
    has."""
    with new_session().scenario(HostConfig(), None, as_user(MEMORY_MIB - LITTLE_MIB), MigrationConfig(backend)) as scenario:
        scenario.set_up()
        with pytest.raises(Refusal, match=r"vfio_container_dma_map\(.*Cannot allocate memory"):
            scenario.start_guest()
