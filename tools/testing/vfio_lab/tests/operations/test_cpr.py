# SPDX-License-Identifier: GPL-2.0
"""QEMU is replaced under a guest with VFs (CheckPoint and Restart): another QEMU on the same host gets the
guest's memory and devices, which stay where they are (cpr-transfer), or QEMU executes another program in
its own process (cpr-exec)."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest

from bench import wait_until
from lab.core import versions
from lab.core.errors import LabError
from lab.core.guide import blocks
from lab.core.process import kept_apart
from lab.scenario import watch
from lab.scenario.config import GuestConfig, HostConfig, MigrationConfig
from lab.scenario.guest import Guest
from lab.scenario.migration import Scenario, slow_down
from lab.scenario.qmp import Qmp
from migrations import ended

pytestmark = pytest.mark.long("a release of QEMU that has CPR for VFs")

NEW = versions.VMMS[-1].name
#: arguments of both QEMUs, more of the other one's, and the commands of both
BOTH, OTHER, INCOMING = (blocks("none", "options")[f"cpr-{name}"] for name in ("both", "other", "incoming"))
FORMER = blocks("json", "options")["cpr-former"]
(CPR,) = re.findall('"path": "(.*?)"', OTHER)
SHARED = GuestConfig(extra=BOTH.replace("\n", " "))
EXEC = [json.loads(said) for said in re.findall(r"^{.*(?:\n .*)*", blocks("json", "options")["cpr-exec"], re.M)]
(STATE,) = re.findall("file:(.*)", EXEC[-1]["arguments"]["uri"])
#: a monitor of each QEMU in a process: the first one is at its standard input
PORT = 4600


def handed_over(scenario: Scenario, enable: str) -> tuple[Guest, str]:
    """Hand the guest over to another QEMU; returns the former QEMU and how the migration ended."""
    host, old, began = scenario.source, scenario.guest, time.monotonic()
    host.ssh.run(f"rm -f {CPR}")

    def hand_over() -> None:
        # the other QEMU's monitor answers when it has got the devices
        wait_until("the other QEMU listens", lambda: not host.ssh.run(f"test -S {CPR}", check=False).returncode)
        for command in re.findall(r"^{.*(?:\n .*)*", FORMER, re.M):
            said = json.loads(command)
            old.qmp.cmd(said["execute"], **said["arguments"])

    thread = threading.Thread(target=hand_over)
    thread.start()
    try:
        scenario.start_beside(OTHER.replace("\n", " "), enable)
    finally:
        thread.join()
    scenario.guest.execute(INCOMING)
    return old, ended(old, began)


def resets(scenario: Scenario, engines: tuple[str, ...]) -> list[int]:
    """How often the guest's VFs were reset."""
    return [scenario.source.counters(name, 1)["events"]["resets"] for name in engines]


@pytest.mark.parametrize("engines", [("sec",), ("sec", "zip", "hpre")], ids=["one", "three"])
@pytest.mark.parametrize("backend", ["iommufd", "container"])
def test_qemu_is_replaced(new_session, backend, engines):
    """With enable-migration=off a guest under load must be handed over twice: no VF may be reset, and all
    requests must complete. An ordinary migration is refused then."""
    config = HostConfig(vmm=NEW, engines=engines)
    with new_session().scenario(config, guest=SHARED, migration=MigrationConfig(backend, enable="off")) as scenario:
        scenario.set_up()
        scenario.start_guest()
        before = resets(scenario, engines)
        for _ in range(2):
            for engine in engines:
                slow_down(scenario.source, engine)
            old, how = handed_over(scenario, "off")
            assert how == "completed", old.qmp.cmd("query-migrate")
            assert scenario.record.last.in_flight > 0
            old.console()
            old.close()
            for engine in engines:
                scenario.source.set_model(engine, "request-latency", int(config.model["request-latency"]))
            scenario.keep_going(scenario.guest)
            assert resets(scenario, engines) == before
        with pytest.raises(LabError, match="Migration is disabled for VFIO device"):
            scenario.begin(scenario.guest, 1 << 40)
        scenario.finish(scenario.guest)
        scenario.inspect()
        assert scenario.outcome.failures == []


@contextlib.contextmanager
def executed(scenario: Scenario) -> Iterator[None]:
    """Have the guest's QEMU execute itself as the guide says; its monitor is connected until the end."""
    host, guest = scenario.source, scenario.guest
    (pid,) = host.ssh.out("pidof qemu-system-aarch64").split()
    began = host.ssh.out("cat /proc/sys/kernel/random/uuid")
    words = host.ssh.out(f"tr '\\0' '\\n' < /proc/{pid}/cmdline").splitlines()
    gone = (["-qmp", "stdio"], ["-incoming", f"file:{STATE}"])
    words = [word for n, word in enumerate(words) if words[n:n + 2] not in gone and words[n - 1:n + 1] not in gone]
    # nothing is lost of what the load says between both
    with host.ssh.popen("exec 3> /run/guest0.report.out; echo; cat >&3", stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE) as held:
        held.stdout.readline()
        for said in EXEC:
            arguments = dict(said["arguments"])
            if "cpr-exec-command" in arguments:
                place = (given := arguments["cpr-exec-command"]).index("...")
                arguments["cpr-exec-command"] = [words[0], "-name", began, *words[1:], *given[place + 1:]]
            guest.qmp.cmd(said["execute"], **arguments)
        wait_until("QEMU is another program", lambda: began in host.ssh.out(f"cat /proc/{pid}/cmdline"))
        guest.qmp.close()
        listens = f"grep -q '0100007F:{PORT:04X} .* 0A ' /proc/net/tcp"
        wait_until("its monitor listens", lambda: host.ssh.run(listens, check=False).returncode == 0)
        ours, theirs = socket.socketpair()
        with theirs:
            monitor = subprocess.Popen(host.ssh.argv(f"busybox nc 127.0.0.1 {PORT}"), stdin=theirs, stdout=theirs, **kept_apart())
        guest.qmp = Qmp(ours, f"guest on {host.name}", host.qmp_library, host.timeout_scale)
        wait_until("the guest runs", lambda: guest.qmp.cmd("query-status")["running"])
    try:
        yield
    finally:
        monitor.kill()
        monitor.wait()


@pytest.mark.parametrize("engines", [("sec",), ("sec", "zip", "hpre")], ids=["one", "three"])
@pytest.mark.parametrize("backend", ["iommufd", "container"])
def test_qemu_executes_itself(new_session, backend, engines):
    """With enable-migration=off QEMU under a guest under load must be able to execute itself twice: no VF may
    be reset, and all requests must complete."""
    guest = GuestConfig(extra=f"{SHARED.extra} -qmp tcp:127.0.0.1:{PORT},server=on,wait=off")
    with new_session().scenario(HostConfig(vmm=NEW, engines=engines), guest=guest,
                                migration=MigrationConfig(backend, enable="off")) as scenario:
        scenario.set_up()
        scenario.start_guest()
        before = resets(scenario, engines)
        with contextlib.ExitStack() as stack:
            for _ in range(2):
                for engine in engines:
                    slow_down(scenario.source, engine)
                stack.enter_context(executed(scenario))
                assert scenario.record.last.in_flight > 0
                for engine in engines:
                    scenario.source.set_model(engine, "request-latency", int(scenario.source.spec.config.model["request-latency"]))
                scenario.keep_going(scenario.guest)
                assert resets(scenario, engines) == before
            scenario.finish(scenario.guest)
        scenario.inspect()
        assert scenario.outcome.failures == []


@pytest.mark.parametrize("before, after, how, lost", [("on", "on", "failed", 1), ("off", "on", "completed", 1),
                                                      ("on", "off", "failed", 0)])
def test_vfs_that_can_migrate(new_session, before, after, how, lost):
    """QEMU with enable-migration=on takes its own host's VF for one of another host: it sets the VF to
    RESUMING, which holds the guest's state, and resets it. If the other QEMU cannot migrate the VF, the
    guest continues in the former one."""
    if lost:
        # the guest's driver does not know that its VF was reset
        watch.expect("guest.* on source: qemu-system-aarch64: .*Failed setting device",
                     r"source sec 1: the device counted \d+ times: (event-queue-unset|doorbell-without-context)")
    if how == "failed":
        # the other QEMU is gone before or after the former one has written the VF's state
        watch.expect("guest on source: .*Failed to save device config space", maybe=True)
    with new_session().scenario(HostConfig(vmm=NEW), guest=SHARED, migration=MigrationConfig(enable=before)) as scenario:
        scenario.set_up()
        scenario.start_guest()
        had = resets(scenario, ("sec",))
        old, ends = handed_over(scenario, after)
        assert ends == how, old.qmp.cmd("query-migrate")
        user = old if how == "failed" else scenario.guest
        wait_until("the guest runs", lambda: user.qmp.cmd("query-status")["running"])
        assert resets(scenario, ("sec",)) == [had[0] + lost]
        if not lost:
            scenario.record.wait_progress("each lane goes on", 20, 60, user.alive)
            scenario.finish(user)
            assert scenario.record.failures() == []
