# SPDX-License-Identifier: GPL-2.0
"""How the stock driver handles errors that the PF reports, as far as possible on a host with a
device tree: resetting the whole device needs an ACPI method."""

import pytest

from bench import wait_until
from lab.core import hardware
from lab.scenario import accelerator
from lab.scenario.config import MODEL, HostConfig
from kernels import EACH
from test_stock_drivers import selftests

SEC = hardware.ENGINES["sec"]
ECC, BUS = 0x4, 0x1
# the driver's messages about the error and its recovery; any other message fails the test
pytestmark = [pytest.mark.slow("errors by the stock drivers"), pytest.mark.expect("hisi_sec2 0000:00:08.0: ")]


def wait_for(host, text: str, seconds: int = 60) -> None:
    """Wait for a kernel message."""
    host.ssh.run(f"n=0; until dmesg | grep -q '{text}'; do n=$((n+1)); [ $n -lt {10 * seconds} ] || exit 1; "
                 "usleep 100000; done", timeout=2 * seconds)


def wait_for_zero(host, name: str) -> None:
    """Wait until the driver has cleared an error."""
    assert host.qmp
    wait_until(f"{name} is down", lambda: not host.qmp.cmd("qom-get", path="/machine/peripheral/sec", property=name), 10)


def works_when_loaded_again(host, reset: bool = False) -> None:
    """A reloaded driver must work; after a reset, if the previous one closed the bus and did not
    open it again."""
    host.ssh.run(f"rmmod {SEC.driver}", timeout=120)
    if reset:
        host.ssh.run(f"echo 1 > /sys/bus/pci/devices/{SEC.pf}/reset", timeout=90)
    before = host.counters("sec", 0)["events"]["requests-completed"]
    accelerator.bring_up(host.ssh, SEC, 0)
    assert set(selftests(host).values()) == {"passed"}
    assert host.counters("sec", 0)["events"]["requests-completed"] > before + 100


@pytest.mark.parametrize("version", EACH)
def test_an_error_that_needs_a_reset_finds_no_way_to_it(boot, version):
    """Without the ACPI method a device reset must fail and be reported."""
    host = boot(HostConfig(kernel=version, driver="stock", vfs=0))
    selftests(host)
    host.set_model("sec", "abnormal-error", ECC)
    wait_for(host, "qm_ecc_mbit .error status=0x4. found")
    wait_for(host, "No reset method!")
    wait_for(host, "Controller reset failed")
    host.set_model("sec", "abnormal-error", 0)
    works_when_loaded_again(host, reset=True)


def test_v5_resets_the_pf_alone(boot):
    """On V5 the PF's driver must handle an error of the PF by a reset of the PF alone."""
    host = boot(HostConfig(driver="stock", vfs=0, model={**MODEL, "hw-version": "v5"}))
    selftests(host)
    host.set_model("sec", "function-error", 1)
    host.set_model("sec", "abnormal-error", BUS)
    wait_for(host, "function reset end!")
    wait_for_zero(host, "abnormal-error")
    wait_for_zero(host, "function-error")
    works_when_loaded_again(host)
