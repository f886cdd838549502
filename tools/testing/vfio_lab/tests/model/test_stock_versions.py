# SPDX-License-Identifier: GPL-2.0
"""The stock drivers on later hardware versions, and with isolated doorbells.

Linux 6.12 does not know versions after V3 and treats them as V3.
"""

import pytest

from kernels import EACH
from lab.core import hardware
from lab.scenario import accelerator
from lab.scenario.config import MODEL, HostConfig
from test_stock_drivers import selftests

pytestmark = pytest.mark.slow("the stock drivers on other hardware versions")

SEC = hardware.ENGINES["sec"]
MODES = ("hw-version=v4", "hw-version=v5", "isolation=on")


@pytest.mark.parametrize("version", EACH)
@pytest.mark.parametrize("mode", MODES)
def test_pf_and_vfs_pass_their_selftests(boot, version, mode):
    """PF and VF must pass the kernel's self-tests."""
    host = boot(HostConfig(kernel=version, driver="stock", vfs=2,
                           model={**MODEL, **dict([mode.split("=")])}))
    assert set(selftests(host).values()) == {"passed"}
    accelerator.bind(host.ssh, accelerator.vfs(host.ssh, SEC), SEC.driver)
    before = host.counters("sec", 0)["events"]["requests-completed"]
    assert before > 100
    host.ssh.run(f"echo 0 > /sys/bus/pci/devices/{SEC.pf}/sriov_numvfs && rmmod {SEC.driver}", timeout=120)
    accelerator.bring_up(host.ssh, SEC, 2, "pf_q_num=2 ctx_q_num=4")
    accelerator.bind(host.ssh, accelerator.vfs(host.ssh, SEC), SEC.driver)
    assert set(selftests(host).values()) == {"passed"}
    assert host.counters("sec", 1)["events"]["requests-completed"] > 100
