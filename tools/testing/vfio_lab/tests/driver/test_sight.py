# SPDX-License-Identifier: GPL-2.0
"""Interfaces for an operator: debugfs files and tracepoints must not disturb the guest nor keep its data."""

from __future__ import annotations

import re
import time

import tap
from lab.core import hardware, versions
from lab.scenario.config import HostConfig
from lab.scenario.migration import ENGINE
from bench import one_host, wait_until
from migrations import event, running

VF, VF2 = (hardware.ENGINES[ENGINE].vf(number) for number in range(2))
#: of each of a guest's mailbox commands
LATENCY_US = 2_000_000
FOLDER = f"/sys/kernel/debug/vfio/{VF}/migration/hisi_acc"
EVENTS = "/sys/kernel/tracing/events/hisi_acc_vfio_pci"
TRACE = "/sys/kernel/tracing/trace"


def mailboxes(scenario) -> int:
    """Number of commands in the VF's mailbox."""
    counts = scenario.source.counters(ENGINE, 1)
    return sum(counts["mailbox-set"].values()) + sum(counts["mailbox-get"].values())


def test_files_show_the_present_and_leave_the_mailbox_alone(new_session):
    """The debugfs files must show the current state without a mailbox command."""
    with running(new_session) as scenario:
        ssh, guest = scenario.source.ssh, scenario.guest
        before = mailboxes(scenario)
        registers = ssh.out(f"cat {FOLDER}/dev_data")
        assert "VF_STATE: 0x0\n" in registers and registers.startswith(f"queues: {HostConfig().queues} from ")
        assert re.search(r"^EQC:( [0-9a-f]{8}){7}$", registers, re.M)
        assert ssh.out(f"cat {FOLDER}/cmd_state").strip() == "mailbox is ready"
        assert ssh.out(f"cat {FOLDER}/migf_data").strip() == "no transfer"
        assert mailboxes(scenario) == before

        began = time.monotonic()
        guest.qmp.cmd("stop")
        event(guest, "STOP", began)
        assert "VF_STATE: 0x0\n" in ssh.out(f"cat {FOLDER}/dev_data")
        guest.qmp.cmd("cont")
        event(guest, "RESUME", began)
    # the guest has ended, its QEMU not yet
    scenario.guest.close()
    for name in ("dev_data", "cmd_state"):
        assert scenario.source.ssh.out(f"cat {FOLDER}/{name}").strip() == "device is not open"
    assert scenario.source.ssh.out(f"cat {FOLDER}/migf_data").strip() == "no transfer"


def test_the_mailbox_of_another_vf_is_not_shown(context):
    """cmd_state must show this VF's mailbox, also if a narrow read has the command of another one, which is at work."""
    def command(bench) -> str:
        return bench.host.ssh.out(f"cat /sys/kernel/debug/vfio/{bench.vfs[0]}/migration/hisi_acc/cmd_state").strip()

    with one_host(context, "sight") as bench, bench.open(0), bench.open(1) as other:
        bench.set(mailbox_narrow_read="foreign")
        with bench.broken(vf="2", mailbox_latency=LATENCY_US):
            before = bench.count("reads", vf=2)
            other.start_guest_up()
            # it polls its mailbox
            wait_until("the other mailbox is at work", lambda: bench.count("reads", vf=2) > before + 50)
            assert command(bench) == "mailbox is ready"
        other.guest_is_up()
        assert command(bench) == "mailbox is ready"


def test_each_step_has_a_tracepoint(boot, context):
    """The tracepoints must report each transition and each kind of rejected data; the kselftests cause them."""
    from test_uapi import bound_host
    host, vfs = bound_host(boot, context, versions.DEFAULT)
    host.ssh.run(f"echo 1 > {EVENTS}/enable")
    host.ssh.run(tap.command(vfs, "guest_up", "refused_magic"))
    trace = host.ssh.out(f"cat {TRACE}")
    for line in (r"hisi_acc_vf_stop: \S+ in use: 0", r"hisi_acc_vf_save: \S+ in use: 0",
                 r"hisi_acc_vf_load: \S+ in use: 0", r"hisi_acc_vf_restart: \S+ in use: 0",
                 rf"hisi_acc_vf_refused: {VF2}: -74, magic: got 0x\w+, expected 0xaaccfeeddecadede"):
        assert re.search(line, trace), f"no {line} in:\n{trace}"
