# SPDX-License-Identifier: GPL-2.0
"""README's commands for real hardware, and those of the guide that follow, must work as printed."""

from guide import MODULE, VF, script
from lab.core import paths, versions
from lab.core.guide import blocks
from lab.build import driver, kernel
from lab.scenario.config import MODEL, HostConfig


def test_readme_says_where_the_module_is():
    """README must name the file that `make module` makes, and link to the page that installs it."""
    text = (paths.ROOT / "README.md").read_text()
    assert f"# makes {MODULE.removeprefix('/')}\n```\n\n[upgrade.rst](" in text
    assert "$MODULE" in blocks("sh", "upgrade")["upgrade"] and "depmod" not in text


def test_real_hardwares_commands_bind_a_vf(new_session, context):
    """The commands must install this driver and bind a VF to it."""
    module = driver.module(kernel.kernel(versions.DEFAULT, context), context)
    session = new_session()
    # As many queues as hardware has: without parameters the stock driver takes 256
    config = HostConfig(driver="stock", push={MODULE: module}, model={**MODEL, "queues": "1024"})
    (host,) = session.boot([session.spec("host", config)])
    for name in ("upgrade", "vfs", "bind"):
        host.ssh.run(script(blocks("sh")[name]), timeout=120)
    assert host.ssh.out(f"basename $(readlink /sys/bus/pci/devices/{VF}/driver)") == "hisi_acc_vfio_pci"
    assert "updates/" in host.ssh.out("modinfo -n hisi_acc_vfio_pci")
