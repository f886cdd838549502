# SPDX-License-Identifier: GPL-2.0
"""The stock drivers must work with each setting of what no public source specifies: silicon with
another behaviour would not have passed them either."""

from __future__ import annotations

import pytest

from choices import choose, settings
from kernels import DEFAULT_FIRST
from lab.core.hardware import ENGINES
from lab.scenario import accelerator
from lab.scenario.config import HostConfig
from test_stock_drivers import passed, selftests, sound

VFS = 2


@pytest.mark.parametrize("version", DEFAULT_FIRST)
def test_the_stock_drivers_work_with_each(request, boot, version):
    """PFs and VFs must be brought up and pass the kernel's self-tests with all choices changed, and
    with --long with each alone; register dumps must not fail either."""
    host = boot(HostConfig(kernel=version, driver="stock", vfs=VFS, engines=tuple(ENGINES)))
    selftests(host)                     # they use the drivers
    for setting in settings(request.config.getoption("--long")):
        for name, engine in ENGINES.items():
            host.ssh.run(f"echo 0 > /sys/bus/pci/devices/{engine.pf}/sriov_numvfs; rmmod {engine.driver}", timeout=120)
            choose(host, name, setting)
        accelerator.set_up(host.ssh, ENGINES.values(), VFS, "stock")
        assert selftests(host) == passed(version, *ENGINES), setting
        host.ssh.run("find /sys/kernel/debug/hisi_* -name '*reg*' -type f -exec cat {} + > /dev/null", timeout=60)
        for name in ENGINES:
            sound(host, name, *range(VFS + 1))
