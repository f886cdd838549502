# SPDX-License-Identifier: GPL-2.0
"""A function-level reset of the PF while its VFs are working: the stock drivers exchange messages,
stop, and start again.

The reset must include each VF, and leave no queue, message or interrupt of before. The load's
counters do not suffice to verify this: newer drivers process in software what they cannot send.

The reset comes while all lanes wait for the device. The stock drivers lose a request that is being
sent at that moment, and its sender waits for ever: hisi_qp_send() counts it with the queue's lock
held, but qm_stop_qp_nolock() reads the count without, so it may see a queue stopped and empty which
then gets a last request.
"""

from __future__ import annotations

import pytest

import hostload
from kernels import EACH, lasting
from bench import wait_until
from lab.core import hardware
from lab.core.versions import SERIES
from lab.scenario import accelerator
from lab.scenario.config import MODEL, HostConfig
from test_stock_drivers import selftests
from test_stock_errors import wait_for

SEC = hardware.ENGINES["sec"]
VFS, LANES = 2, 8
#: four queues for each lane, so that one VF does not suffice for all lanes; and too few for a lane
#: on the PF, which Linux 7.2 shares
PARAMETERS, QUEUES = "pf_q_num=2 ctx_q_num=4", str(2 + 4 * LANES)
#: latency of requests during the reset, in microseconds: longer than the reset takes
LONG = 60_000_000
#: where a queue in use before the reset works after it
GOES_ON = {series: SERIES[series].has("queue-survives-pf-reset") for series in SERIES}


def completed(host) -> list[int]:
    """Completed requests of the PF and the VFs, the PF first."""
    return [host.counters("sec", n)["events"]["requests-completed"] for n in range(VFS + 1)]


def work_on_all(host, load: hostload.HostLoad, what: str) -> None:
    """Each lane must get results, from each VF some. The device must have completed all that is
    verified in between."""
    had, before = completed(host), load.fresh().verified
    load.progress(what)
    now, has = load.latest().verified, completed(host)
    done = [new - old for new, old in zip(has, had, strict=True)]
    assert min(done[1:]) > 0, "a VF does not work"
    assert sum(done) + LANES >= now - before, "software processed some requests"


def waiting(host) -> int:
    """Requests that the device was notified of and has not completed."""
    events = [host.counters("sec", n)["events"] for n in range(VFS + 1)]
    return sum(e["sq-doorbells"] - e["requests-completed"] for e in events)


def have_all_wait(host, load: hostload.HostLoad) -> None:
    """Wait until each lane has a request in the device, with a long latency, and none is entering
    or leaving the driver."""
    host.set_model("sec", "request-latency", LONG)
    # in this order: a lane that is counted as sent, and sleeps afterwards, has sent its request
    wait_until("each lane waits for the device", lambda: waiting(host) == LANES and load.all_wait())


def flushes(host) -> list[int]:
    """For each VF, how often its driver had the device drain its rings."""
    return [host.counters("sec", n)["mailbox-set"]["flush"] for n in range(1, VFS + 1)]


def reset_while_they_wait(host) -> None:
    """Reset the PF. The device completes its requests when the VFs' drivers wait for them, for up
    to five seconds."""
    before = flushes(host)
    host.ssh.run(f"(echo 1 > /sys/bus/pci/devices/{SEC.pf}/reset) > /dev/null 2>&1 &")
    wait_until("the drivers wait for the rings to be empty",
               lambda: all(new > old for old, new in zip(before, flushes(host), strict=True)))
    host.set_model("sec", "request-latency", int(MODEL["request-latency"]))


@pytest.mark.expect("hisi_sec2 .*: send sec request failed!", maybe=True)
@pytest.mark.parametrize("version", [
    param if GOES_ON[version] else lasting(version, "a bug of the driver's, fixed since")
    for param, version in zip(EACH, SERIES)])
def test_vfs_continue_after_a_pf_reset(boot, context, version):
    """After an FLR of the PF, PF and VFs must continue without losing a request."""
    host = boot(HostConfig(kernel=version, driver="stock", vfs=VFS, model={**MODEL, "queues": QUEUES},
                           push=hostload.push(version, context)), parameters=PARAMETERS)
    accelerator.bind(host.ssh, accelerator.vfs(host.ssh, SEC), SEC.driver)
    assert set(selftests(host).values()) == {"passed"}
    before = [host.counters("sec", n)["events"]["resets"] for n in range(VFS + 1)]
    with hostload.HostLoad(host, "aes", LANES) as load:
        load.progress("the load runs")
        work_on_all(host, load, "the PF and each VF have users")
        have_all_wait(host, load)
        reset_while_they_wait(host)
        wait_for(host, "00:08.0: FLR reset complete")
        for vf in (1, 2):
            wait_for(host, f"00:08.{vf}: device reset done")
        if GOES_ON[version]:
            work_on_all(host, load, "the load goes on")
        else:
            had = completed(host)
            load.refusals("each send is refused", 100 * LANES)
            assert completed(host) == had
        load.stop()
        last = load.latest()
    assert last.final and last.mismatched == 0
    assert last.submitted == last.verified + last.failed, "requests were lost"
    # new users are served on PF and VFs
    with hostload.HostLoad(host, "aes", LANES) as load:
        load.progress("new users get answers")
        work_on_all(host, load, "new users get answers")
        assert load.stop() == 0
    after = [host.counters("sec", n)["events"]["resets"] for n in range(VFS + 1)]
    # the VFs once more when SR-IOV is enabled again
    assert [new - old for old, new in zip(before, after, strict=True)] == [1, 2, 2]
