# SPDX-License-Identifier: GPL-2.0
"""README's commands for real hardware, and those of the guide that follow, must work as printed."""

import re

from guide import VF, blocks, script
from lab.core import paths, versions
from lab.build import driver, kernel
from lab.scenario.config import MODEL, HostConfig


def block_with(word: str) -> list[str]:
    """The lines of README's code block that contains this word."""
    found = re.findall(r"^```\n(.*?)^```", (paths.ROOT / "README.md").read_text(), re.M | re.S)
    (block,) = [b for b in found if word in b]
    return [line.partition("#")[0].strip() for line in block.splitlines() if line.strip()]


def test_real_hardwares_commands_bind_a_vf(new_session, context):
    """The commands must install this driver and bind a VF to it."""
    module = driver.module(kernel.kernel(versions.DEFAULT, context), context)
    session = new_session()
    # As many queues as hardware has: without parameters the stock driver takes 256
    config = HostConfig(driver="stock", push={f"/build/module/{module.name}": module}, model={**MODEL, "queues": "1024"})
    (host,) = session.boot([session.spec("host", config)])
    (install,) = [line for line in block_with("depmod") if not line.startswith("make ")]
    host.ssh.run(f"cd / && mkdir -p /usr/lib/modules/$(uname -r)/updates && {install}")
    for name in ("vfs", "bind"):
        host.ssh.run(script(blocks("sh")[name]), timeout=120)
    assert host.ssh.out(f"basename $(readlink /sys/bus/pci/devices/{VF}/driver)") == "hisi_acc_vfio_pci"
    assert "updates/" in host.ssh.out("modinfo -n hisi_acc_vfio_pci")
