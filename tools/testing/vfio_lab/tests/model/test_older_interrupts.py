# SPDX-License-Identifier: GPL-2.0
"""A driver that relies on the interrupt source, as those of Linux' 5.x series and kae_driver: its
handler does nothing about an interrupt whose source reads 0."""

from __future__ import annotations

from lab.core import hardware, versions
from lab.build import kernel
from lab.build.load_module import stock_qm
from lab.scenario import accelerator
from lab.scenario.config import MODEL, HostConfig
from test_stock_drivers import passed, selftests

SEC = hardware.ENGINES["sec"]
REMOTE = "/lab/hisi_qm.ko"
#: where the handler of completions begins today, and what that of an older driver does there
BEGIN = "/* Get qp id of completed tasks and re-enable the interrupt */"
OLDER = """if (!readl(qm->io_base + QM_VF_EQ_INT_SOURCE)) {
		dev_err(&qm->pdev->dev, "invalid int source\\n");
		return IRQ_NONE;
	}"""


def test_a_driver_that_relies_on_the_interrupt_source_works(new_session, context):
    """On a VF the kernel's self-tests must pass: each interrupt for completions must have a source."""
    session = new_session()
    older = stock_qm(kernel.kernel(versions.DEFAULT, context), BEGIN, context, OLDER)
    (host,) = session.boot([session.spec("host", HostConfig(driver="stock", vfs=1, push={REMOTE: older},
                                                            model={**MODEL, "vf-vectors": "3"}))])
    host.ssh.run(f"modprobe hisi_qm && rmmod hisi_qm && insmod {REMOTE}")
    accelerator.bring_up(host.ssh, SEC, 1, "pf_q_num=2 ctx_q_num=4")
    accelerator.bind(host.ssh, accelerator.vfs(host.ssh, SEC), SEC.driver)
    assert selftests(host) == passed(versions.DEFAULT, "sec")
    events = host.counters("sec", 1)["events"]
    assert events["requests-completed"] > 100 and events["msi-eq"] > 10
