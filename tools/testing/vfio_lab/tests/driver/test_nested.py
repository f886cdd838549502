# SPDX-License-Identifier: GPL-2.0
"""The driver in a guest, where a VF looks like a PF: it must offer no migration and cause no error (D3)."""

from __future__ import annotations

import pytest

from lab.core import hardware, versions
from lab.build import cross, driver, kernel
from lab.scenario import accelerator
from lab.scenario.config import GuestConfig, HostConfig
from lab.scenario.guest import Guest
from lab.scenario.load import LoadRecord
from lab.scenario.migration import ENGINE

pytestmark = pytest.mark.slow("a host in a host")

USER = "/lab/vfio_noiommu"
VARIANT = hardware.VARIANT_DRIVER
SCRIPT = """
modprobe vfio enable_unsafe_noiommu_mode=1 && modprobe vfio_pci_core || exit 1
for stock in {stock}; do modprobe $stock || exit 1; done
{load} || exit 1
for dev in /sys/bus/pci/devices/*; do
	[ "$(cat $dev/vendor)" = 0x19e5 ] && vf=${{dev##*/}}
done
echo $vf > /sys/bus/pci/devices/$vf/driver/unbind
echo {variant} > /sys/bus/pci/devices/$vf/driver_override
echo $vf > /sys/bus/pci/drivers_probe
{user} $vf && echo $vf > /sys/bus/pci/drivers/{variant}/unbind && rmmod {variant}
"""
LOAD = {"tree": f"insmod /lab/{VARIANT}.ko", "in-tree": f"modprobe {VARIANT}"}


@pytest.mark.expect("vfio-noiommu", "sec 1: .*: undefined-register", maybe=True)
@pytest.mark.parametrize("version, whose", [
    (versions.LTS, "tree"),
    *(pytest.param(versions.DEFAULT, whose, marks=pytest.mark.long("the same on another kernel")) for whose in LOAD)])
def test_a_vf_in_a_guest(new_session, context, tmp_path, version, whose):
    """The driver must not look for a PF where Linux knows of none. Linux 7.2's in-tree driver
    dereferences a null pointer."""
    script = tmp_path / "script"
    script.write_text(SCRIPT.format(
        load=LOAD[whose], user=USER, variant=VARIANT,
        stock=" ".join(engine.driver for engine in hardware.ENGINES.values())), encoding="utf-8")
    inner = kernel.kernel(version, context)
    session = new_session()
    inside = GuestConfig(version, script=script, stock=False, push={
        USER: cross.vfio_program("vfio_noiommu", context),
        f"/lab/{VARIANT}.ko": driver.module(inner, context)})
    (host,) = session.boot([session.spec("host", HostConfig(), inside)])
    accelerator.bring_up(host.ssh, hardware.ENGINES[ENGINE], HostConfig.vfs)
    vfs = accelerator.vfs(host.ssh, hardware.ENGINES[ENGINE])[:1]
    accelerator.bind(host.ssh, vfs, VARIANT)
    record = LoadRecord()
    guest = Guest(host, vfs, record, inside)
    try:
        record.wait("the script ends", lambda: record.exit_status is not None, 120, guest.alive)
    finally:
        console = guest.console()
        guest.close()
    oops = "Unable to handle kernel NULL pointer" in console
    if whose == "in-tree":
        assert oops and record.exit_status != 0
        return
    assert record.exit_status == 0 and not oops, console
    assert "\nreset\nmigration: Inappropriate ioctl for device\nBAR2: 32768 bytes\nclosed\n" in console.replace("\r", "")
