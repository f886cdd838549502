# SPDX-License-Identifier: GPL-2.0
"""Line coverage of the driver by its tests (make coverage).

The debug kernel collects it with gcov: the hisi_acc kselftests on hosts of both register layouts,
debugfs of an open VF, and the KUnit tests.
"""

import pytest

import steps
import tap
from lab.core import hardware, paths, versions
from lab.build import driver
from lab.build.kernel import flavoured, kernel
from lab.scenario import accelerator
from lab.scenario.config import MODEL, HostConfig
from lab.probe import coverage

pytestmark = pytest.mark.long("builds a kernel and a driver that count lines")

WANTED = 95.0
LAYOUTS = ("v3", "v4")


def work(host, vfs: list[str], layout: str) -> None:
    """Coverage data of a host with the driver loaded."""
    accelerator.bind(host.ssh, vfs, hardware.VARIANT_DRIVER)
    show = f"cat /sys/kernel/debug/vfio/{vfs[0]}/migration/hisi_acc/*"
    host.ssh.run(show)
    with steps.Vf(host, vfs[0]) as vf:
        vf.guest_up()
        vf.go(steps.State.PRE_COPY)
        host.ssh.run(show)
    said = host.ssh.run(tap.command(vfs[:2]), timeout=600, check=False).stdout
    assert tap.wrong(said, versions.DEFAULT, layout) == {}, said
    for address in vfs:
        host.ssh.run(f"echo {address} > /sys/bus/pci/devices/{address}/driver/unbind")


@pytest.mark.expect(tap.PROVOKED)
def test_nearly_all_lines_run(boot, context, tmp_path):
    """Nearly every line of the driver must run. Lines that did not run are listed in
    build/check/coverage.txt."""
    built = driver.module(kernel(flavoured("debug"), context), context, flavour="gcov")
    tests = built.with_name(driver.KUNIT_MODULE)
    counted: coverage.Lines = {}
    for layout in LAYOUTS:
        host = boot(HostConfig(kernel=flavoured("debug"), driver="stock", model={**MODEL, "hw-version": layout}, push={
            **tap.files(context), steps.REMOTE: steps.program(context), f"/lab/{built.name}": built,
            f"/lab/{tests.name}": tests}))
        vfs = accelerator.vfs(host.ssh, hardware.ENGINES["sec"])
        host.ssh.run(f"modprobe vfio-pci-core && modprobe hisi_hpre && modprobe hisi_zip && insmod /lab/{built.name}")
        work(host, vfs, layout)
        host.ssh.run(f"rmmod {hardware.VARIANT_DRIVER}")
        host.ssh.run(f"modprobe kunit enable=1 autorun=1 && insmod /lab/{tests.name}", timeout=120)
        coverage.add(counted, coverage.lines(host, built.parent / "work", tmp_path / layout))
        host.stop()
    text = coverage.report(counted, paths.DRIVER)
    folder = paths.BUILD / "check"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "coverage.txt").write_text(text)
    print(text)
    assert {"main.c", "migrate.c", "qm.c", "migf.c", "vf_data.c", "bar.c", "access.c"} <= set(counted)
    assert coverage.share(counted) >= WANTED, text
