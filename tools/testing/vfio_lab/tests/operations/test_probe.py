# SPDX-License-Identifier: GPL-2.0
"""hisi-acc-probe on the model: what it reports of each behaviour must be what the model was set to, and what a
VF cannot see must be "not observed"."""

from __future__ import annotations

import contextlib
import io
import re
import time
from collections.abc import Iterator

import pytest

import probe
import probe_sweep
from choices import DEFAULTS, OTHERWISE, choose
from lab.core import hardware, paths, versions
from lab.core.guide import blocks
from lab.core.progress import Steps
from lab.build import kernel, kselftest
from lab.scenario import accelerator
from lab.scenario.config import MODEL, HostConfig
from lab.scenario.host import Host
from lab.scenario.session import Session

SEC = hardware.ENGINES["sec"]
pytestmark = [pytest.mark.slow("a probe of all behaviours, several times"), pytest.mark.expect(probe.PROVOKED, maybe=True)]


@contextlib.contextmanager
def a_host(context, engine: str = "sec", hw_version: str = "v3", uefi: bool = False) -> Iterator[tuple[Host, list[str]]]:
    """A host with the program, and its two VFs, bound to this driver."""
    config = HostConfig(engines=(engine,), uefi=uefi, model={**MODEL, "hw-version": hw_version}, push=probe.for_hosts(context))
    with Session(Steps(io.StringIO()), paths.BUILD / "probe" / f"{engine}-{hw_version}") as session:
        (host,) = session.boot([session.spec("host", config)])
        yield host, accelerator.set_up(host.ssh, [hardware.ENGINES[engine]], 2)[engine]


@pytest.fixture(scope="module")
def sec(context) -> Iterator[tuple[Host, list[str]]]:
    """A host with SEC of V3 for most tests here."""
    with a_host(context) as one:
        yield one


@pytest.fixture(scope="module")
def found(sec) -> probe.Report:
    """The report with the model's defaults."""
    host, vfs = sec
    return probe.report(host, vfs)


def test_it_reports_the_choices(sec, found):
    """Each choice must be reported as set, or be not observed where a VF cannot see it: with the defaults, and with the
    other value of each. A single VF cannot see whose command a narrow read shows."""
    assert probe.wrong(found, DEFAULTS) == {}
    host, vfs = sec
    choose(host, "sec", OTHERWISE)
    otherwise = probe.report(host, vfs[:1])
    choose(host, "sec", DEFAULTS)
    wrong = probe.wrong(otherwise, OTHERWISE)
    assert set(wrong) == {"mailbox-narrow-read"} and "reported None" in wrong["mailbox-narrow-read"], wrong
    assert "second VF" in otherwise.evidence("mailbox-narrow-read")


def test_decisions_of_the_model(found):
    """What the model's README decides, and a VF can see, must be reported."""
    assert {name: value for name, value in found.values.items() if name not in DEFAULTS} == {
        "paused-doorbell": None, "inflight-done": "once", "pause-without-queues": "done", "write-back-drops": "yes",
        "write-back-busy": "continue", "write-back-events": "no", "stop-qp-drains": "yes", "stop-qp-restart": "context",
        "flush-drains": "yes", "flush-restart": "context", "vf-state-reads-back": "yes", "masks-read-back": "yes",
        "after-flr": "state 1, masks 1 1, tables none", "vft-after-flr": "kept", "mailbox-narrow-store": "ignored",
        "doorbell-narrow-store": "ignored", "bar2-upper-half": "event queues", "pf-migration-registers": None,
        "eq-doorbell-resends": "yes", "eq-interrupt-unread": "no", "eq-source": "until doorbell", "eq-source-masked": "set",
        "eq-unmask-sends": "yes", "d3-reset": "reset", "table-read": "doorbell", "stop-qp-paused": "nothing",
        "flush-paused": "nothing", "paused-eq-doorbell": "taken", "ras-tag": None,
        **dict.fromkeys(probe.RISKY_DECISIONS)}


def test_times_and_device(sec, context):
    """Times and whose command a narrow read shows must be those that the model was set to, and the profile must
    name device and kernel."""
    host, vfs = sec
    latencies = {"mailbox-latency": 3000, "writeback-latency": 6000}
    choose(host, "sec", {**latencies, "mailbox-narrow-read": "foreign"})
    found = probe.report(host, vfs, rounds=9)
    choose(host, "sec", {**DEFAULTS, **{name: 0 for name in latencies}})
    assert found.values["mailbox-narrow-read"] == "foreign"
    for name, least in (("mailbox-get-vft", 3_000_000), ("mailbox-pause", 3_000_000), ("write-back", 6_000_000)):
        times = found.times(name)
        assert times["rounds"] == 9
        assert least <= times["minimum_ns"] <= times["median_ns"] <= times["maximum_ns"]
    # Linux waits 100 ms, by a clock that is emulated
    assert found.times("flr")["minimum_ns"] >= 50_000_000
    assert found.profile["kernel"] == kernel.kernel(versions.DEFAULT, context).release
    assert found.profile["device"] == {
        "address": vfs[0], "accelerator": "SEC", "device_id": 0xa256, "revision": 0x30, "hw_version": 0,
        "queues": host.spec.config.queues, "driver": hardware.VARIANT_DRIVER}


def test_wrong_use_and_a_vf_in_use(sec):
    """Wrong arguments, and devices that are no idle VF, must be refused in one line; the VF must not be touched."""
    host, (vf, other) = sec
    resets = [host.counters("sec", number)["events"]["resets"] for number in (1, 2)]
    for arguments, why in ((("0000:00:1f.7",), "there is no such PCI device"), ((SEC.pf,), "no VF of a HiSilicon accelerator"),
                           ((vf, vf), "given twice"), (("--rounds", "0", vf), "must be 1..100000, got '0'"),
                           (("--profile", "/none/p.json", vf), "/none/p.json.part: No such file or directory")):
        done = probe.run(host, *arguments)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (probe.WRONG_USE, "", 1) and why in done.stderr, done
    for arguments in ((), ("--wrong", vf), (vf, other, vf)):
        assert probe.run(host, *arguments).returncode == probe.WRONG_USE
    assert [host.counters("sec", number)["events"]["resets"] for number in (1, 2)] == resets
    host.ssh.run(f"echo {other} > /sys/bus/pci/drivers/{hardware.VARIANT_DRIVER}/unbind")
    assert "not bound to a VFIO driver" in probe.run(host, vf, other).stderr
    accelerator.bind(host.ssh, [other], hardware.VARIANT_DRIVER)
    # a program that is killed leaves the VF as it was for the next
    done = host.ssh.run(f"{probe.REMOTE} {vf} > /run/tap & first=$!; until grep -q TAP /run/tap; do :; done\n"
                        f"{probe.REMOTE} {vf}; status=$?; kill $first; wait $first; exit $status", check=False)
    assert done.returncode == probe.WRONG_USE and f"hisi-acc-probe: {vf}: in use\n" in done.stderr, done


def test_the_man_page_has_each_line(found):
    """The man page must describe each line of a report and each member of the profile, and no other."""
    page = (kselftest.TREE / "hisi-acc-probe.8").read_text(encoding="utf-8").replace("\\-", "-")
    part = {title: set(re.findall(r"^\.B ([a-z0-9_.-]+)$", text, re.M)) for title, text in re.findall(
        r"^\.SH (\w+)\n(.*?)(?=^\.SH|\Z)", page, re.M | re.S)}
    assert part["LINES"] == {line["name"] for line in (*found.profile["behaviour"], *found.profile["times"])}
    device, behaviour, times = (found.profile[name] for name in ("device", "behaviour", "times"))
    assert part["FORMAT"] == set(found.profile) | {f"{title}.{name}" for title, members in (
        ("device", device), ("behaviour", behaviour[0]), ("times", times[0])) for name in members}


def test_the_guides_command(sec):
    """The guide's command must work as printed, and report what the page has."""
    host, vfs = sec
    (command,), (output,) = blocks("sh", "probe").values(), blocks("none", "probe").values()
    line = command.replace(probe.NAME, f"{probe.REMOTE} --rounds 1").replace("$VF2", vfs[1]).replace("$VF", vfs[0])
    done = host.ssh.run(f"cd /run; {line}; rm server.json", timeout=300)
    # numbers of queues are those of the host
    assert not {re.sub(r"0x\w+", "*", line) for line in output.splitlines()} - {
        re.sub(r"0x\w+", "*", re.sub(r"^ok \d+ ", "", line)) for line in done.stdout.splitlines()}


LONG = pytest.mark.long("dozens of runs for each version and engine")


@LONG
@pytest.mark.parametrize("hw_version", ["v3", "v4", "v5"])
@pytest.mark.parametrize("engine", hardware.ENGINES)
def test_each_setting(context, engine, hw_version):
    """With each single other value and with each pair of values, each choice must be reported as set."""
    runs, began = [], time.monotonic()
    with a_host(context, engine, hw_version) as (host, vfs):
        for setting in (*probe.singles(), *probe.pairwise()):
            choose(host, engine, setting)
            found = probe.report(host, vfs)
            assert probe.wrong(found, setting) == {}, setting
            runs.append((setting, found.values))
    probe_sweep.keep(engine, hw_version, runs, time.monotonic() - began, kernel.kernel(versions.DEFAULT, context).release)


@pytest.mark.expect(*probe.PROVOKED_RISKY, maybe=True)
@pytest.mark.long("the PF's driver resets the device, for which it waits for minutes")
@pytest.mark.parametrize("hw_version, setting", [
    ("v3", {"ras": "off"}), ("v3", {"ras": "off", "bus-master-off": "wait", "d3-access": "abort"}), ("v3", {"ras-overflow": "on"}),
    ("v4", {}), ("v4", {"mig-regs-reset": "lost"})])
def test_what_is_risky(context, hw_version, setting):
    """With --risky, the program must say so before, and also report what may disturb other VFs."""
    with a_host(context, hw_version=hw_version, uefi=True) as (host, vfs):
        choose(host, "sec", {**DEFAULTS, **setting})
        found = probe.report(host, vfs, "--risky")
        assert probe.wrong(found, {**DEFAULTS, **setting}, True, hw_version) == {}
        # the PF's driver clears it at once
        assert found.values["ras-tag"] in ((None,) if setting.get("ras") == "off" else ("on", None)), found.evidence("ras-tag")
    assert found.profile["risky"] is True
    before, _, _ = found.tap.partition("ok 1 ")
    assert set(re.findall(r"^# risky: ([a-z0-9-]+)", before, re.M)) == {
        "bus-master-off", "d3-access", "doorbell-tail-back", "mailbox-close-qm", "context-pasid", "unknown-request", "ras-overflow",
        "ras", "doorbell-tag"}
