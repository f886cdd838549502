# SPDX-License-Identifier: GPL-2.0
"""A function level reset of the physical function while its virtual functions are
at work: the stock drivers tell each other, stop, and start again.

It would catch a reset of the device that forgets a function, or that leaves a
queue, a message or an interrupt of before behind."""

from __future__ import annotations

import pytest

import hostload
from lab import accelerator
from lab.kernel import VERSIONS
from lab.session import Choice
from test_stock_drivers import selftests
from test_stock_errors import wait_for

SEC = accelerator.ENGINES["sec"]
SMALL = "pf_q_num=2 ctx_q_num=4"


@pytest.mark.xfail(reason="sends fail for good after it, mostly: the model's fault or the stock driver's, not known")
@pytest.mark.parametrize("version", VERSIONS)
def test_virtual_functions_go_on_after_a_reset_of_the_physical_one(boot, context, version, pytestconfig):
    if not pytestconfig.getoption("long"):
        pytest.skip("with --long only, until it is known who is wrong")
    host = boot(Choice(kernel=version, driver="none", vfs=2, push=hostload.push(version, context)), parameters=SMALL)
    accelerator.bind(host.ssh, accelerator.functions(host.ssh, SEC), SEC.driver)
    assert set(selftests(host).values()) == {"passed"}
    before = [host.counters("sec", n)["events"] for n in range(3)]
    with hostload.HostLoad(host, "aes", 8) as load:
        load.progress("the load runs")
        host.ssh.run(f"echo 1 > /sys/bus/pci/devices/{SEC.pf}/reset", timeout=90)
        wait_for(host, "00:08.0: FLR reset complete")
        for function in (1, 2):
            wait_for(host, f"00:08.{function}: device reset done")
        load.progress("the load goes on")
        load.stop()
        last = load.record.last
    assert last and last.final and last.mismatched == 0
    assert last.submitted == last.verified + last.failed, "requests were lost"
    after = [host.counters("sec", n)["events"] for n in range(3)]
    # the virtual ones once more when SR-IOV is switched on again
    assert [new["resets"] - old["resets"] for old, new in zip(before, after, strict=True)] == [1, 2, 2]
    # some of the users may have got the physical function's two queues
    done = [new["requests-completed"] - old["requests-completed"] for old, new in zip(before, after, strict=True)]
    assert sum(done) >= last.verified and min(done[1:]) > 0
    for function in range(3):
        counts = host.counters("sec", function)["guest-errors"]
        assert {name: count for name, count in counts.items() if count} == {}
