# SPDX-License-Identifier: GPL-2.0
"""README's commands, taken from its own text, do what it says."""

import re

from lab.core import hardware, paths, versions
from lab.build import driver, kernel
from lab.scenario.session import MODEL, Choice


def block_with(word: str) -> list[str]:
    """The lines of README's code block that has this word in it."""
    blocks = re.findall(r"^```\n(.*?)^```", (paths.ROOT / "README.md").read_text(), re.M | re.S)
    (block,) = [b for b in blocks if word in b]
    return [line.partition("#")[0].strip() for line in block.splitlines() if line.strip()]


def test_real_hardwares_commands_bind_a_function(new_session, context):
    module = driver.module("ours", kernel.kernel(versions.DEFAULT, context), context)
    session = new_session()
    # As many queues as silicon has: the stock driver takes 256 for itself
    choice = Choice(driver="none", push={f"/build/module/{module.name}": module}, model={**MODEL, "queues": "1024"})
    (host,) = session.boot([session.spec("host", choice, guest=False)])
    commands = [c for c in block_with("driver_override") if not c.startswith(("make ", "qemu-system"))]
    assert len(commands) == 8
    sec = hardware.ENGINES["sec"]
    setup = f"PF={sec.pf} VF={sec.pf[:-1]}1; mkdir -p /usr/lib/modules/$(uname -r)/updates"
    host.ssh.run("; ".join(["cd /", "set -e", setup, *commands]), timeout=120)
    assert host.ssh.out(f"basename $(readlink /sys/bus/pci/devices/{sec.pf[:-1]}1/driver)") == "hisi_acc_vfio_pci"
    assert "updates/" in host.ssh.out("modinfo -n hisi_acc_vfio_pci")
