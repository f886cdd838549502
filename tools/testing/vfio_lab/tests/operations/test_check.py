# SPDX-License-Identifier: GPL-2.0
"""hisi-acc-check on hosts: what it says of a host on which all is well must be true, each thing that is wrong
must be a "no" with its reason, and it must change nothing. What it says can migrate must migrate."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import re
import shlex
import time
from collections.abc import Iterator

import pytest

import bench as lab_bench
import check
from bench import Bench, QUEUES, SEC, VARIANT
from check import CAN, CANNOT, CANNOT_TELL, REMOTE, WRONG_USE, on_host
from defect_scenarios import works
from lab.core import hardware, paths, versions
from lab.core.guide import blocks
from lab.core.progress import Steps
from lab.build import kernel, rootfs
from lab.scenario import accelerator
from lab.scenario.config import HostConfig
from lab.scenario.session import Session
from migrations import ended, running

pytestmark = pytest.mark.slow("boots five hosts")

DEVICES = "/sys/bus/pci/devices"
#: not an accelerator
NETWORK = "0000:00:01.0"
IN_TREE = "/lib/modules/$(uname -r)/kernel/drivers/vfio/pci/hisilicon/hisi-acc-vfio-pci.ko"


@contextlib.contextmanager
def a_host(context, name: str, series: str = versions.DEFAULT, hw_version: str = "v3", **changes: object) -> Iterator[Bench]:
    """A host with the program and two bound VFs."""
    config = dataclasses.replace(lab_bench.config(context, series, "tree", hw_version=hw_version), **changes)
    built = kernel.kernel(series, context)
    config = dataclasses.replace(config, push={**config.push, REMOTE: check.for_hosts(context),
                                               f"/boot/config-{built.release}": built.build / ".config"})
    with Session(Steps(io.StringIO()), paths.BUILD / "check" / name) as session:
        (host,) = session.boot([session.spec("host", config)])
        one = Bench(host, config.kernel, config.driver)
        accelerator.set_up(host.ssh, [hardware.ENGINES[name] for name in config.engines], config.vfs)
        yield one


@pytest.fixture(scope="module")
def bench(context) -> Iterator[Bench]:
    """One host for most tests here: each test leaves both VFs bound to this driver."""
    with a_host(context, "check") as one:
        yield one


def settings(bench: Bench) -> str:
    """What an operator sees of a host, but for processes: settings, modules, states, the kernel's log without the
    line that the PCI core logs when a device is opened."""
    return bench.host.ssh.out(
        f"cd {DEVICES}; for d in *; do echo $d $(readlink $d/driver) $(cat $d/driver_override $d/enable $d/numa_node); done; "
        "cat /proc/modules /sys/kernel/debug/vfio/*/migration/state /sys/kernel/debug/vfio/*/migration/hisi_acc/*; "
        f"cat {DEVICES}/*/sriov_numvfs; ls -l /dev /dev/vfio /dev/vfio/devices; dmesg | grep -v 'enabling device'", timeout=60)


def resets(bench: Bench, vf: int = 1) -> int:
    return bench.count("resets", vf=vf)


def rebind(bench: Bench, address: str, driver: str) -> None:
    """Bind a VF or PF to another driver, or with "" to none."""
    device = f"{DEVICES}/{address}"
    bench.host.ssh.run(f"[ ! -e {device}/driver ] || echo {address} > {device}/driver/unbind; echo '{driver}' > {device}/driver_override; "
                       f"[ -z '{driver}' ] || echo {address} > /sys/bus/pci/drivers_probe")


def test_a_host_on_which_all_is_well(bench):
    """The result must be "ok" and what is reported of a VF must be true."""
    report = on_host(bench.host)
    assert report.exit == CAN, report.json
    assert [vf["address"] for vf in report.json["vfs"]] == bench.vfs
    host, vf = report.json["host"], report.json["vfs"][0]
    assert host["kernel"] == bench.host.ssh.out("uname -r") and host["page_size"] == 4096
    assert report.check("options")["status"] == "ok"
    assert host["qemu"].startswith(versions.DEFAULT_VMM) and host["libvirt"] is None
    assert vf["accelerator"] == "SEC" and vf["driver"] == VARIANT and vf["in_use"] is False
    assert vf["dirty_tracking"] is True and vf["p2p"] is True
    with bench.open() as opened:
        opened.guest_up()
        lab_bench.wait_until("it stops", lambda: opened.go(lab_bench.steps.State.STOP_COPY)[0] == "")
        assert opened.read_migration_data() == lab_bench.steps.DATA_SIZE
        data = opened.migration_data()
    words = {name: int.from_bytes(data[at:at + 4], "little") for name, at in (
        ("queues", 8), ("device_id", 12), ("doorbell_isolation", 16), ("hw_version", 32), ("bar_layout", 36))}
    assert vf["match"] == words and words["queues"] == QUEUES


def test_the_report_is_stable(bench):
    """Two runs must print the same, and a person's report must have the same lines."""
    one, other = on_host(bench.host), on_host(bench.host)
    assert one == other
    text = bench.host.ssh.run(REMOTE).stdout
    lines = [f"  {c['status']:8} {c['check']}: {c['reason']}" for part in (one.json["host"], *one.json["vfs"]) for c in part["checks"]]
    assert [line for line in lines if line not in text] == [] and text.endswith("ok: can migrate with QEMU's defaults\n")


def test_it_changes_nothing(bench):
    """Settings, modules, states and the kernel's log must be the same afterwards, and the VF must work."""
    before = settings(bench)
    on_host(bench.host)
    assert settings(bench) == before and bench.references() == 0
    with bench.open() as vf:
        works(vf)


def test_nothing_is_opened_on_request(bench):
    """With --no-open VFs must not be reset, and what only an open VF has must be unknown."""
    before = resets(bench)
    report = on_host(bench.host, "--no-open")
    assert resets(bench) == before
    assert report.exit == CANNOT_TELL and report.noes(bench.vfs[0]) == set()
    assert report.check("dirty-tracking", bench.vfs[0])["status"] == "unknown"
    # from debugfs
    assert report.check("migration", bench.vfs[0])["status"] == "ok"
    assert on_host(bench.host).exit == CAN and resets(bench) > before


def test_only_the_vfs_that_are_named_are_opened(bench):
    """A VF that is not named must be neither opened nor reported."""
    before = resets(bench, 2)
    report = on_host(bench.host, bench.vfs[0])
    assert report.exit == CAN and [vf["address"] for vf in report.json["vfs"]] == [bench.vfs[0]]
    assert resets(bench, 2) == before


def test_a_vf_in_use_is_left_alone(bench):
    """A VF that a process has open must not be disturbed. What another VF of the same PF has must be used; without
    one the report must be "unknown"."""
    one, other = bench.vfs
    with bench.open() as vf:
        vf.guest_up()
        before = resets(bench)
        alone, both = on_host(bench.host, one), on_host(bench.host)
        assert resets(bench) == before
        works(vf)
    assert alone.exit == CANNOT_TELL and alone.check("dirty-tracking", one)["status"] == "unknown"
    found = alone.check("in-use", one)["reason"]
    assert "vfio_steps" in found and "by the container backend" in found
    assert both.exit == CAN and both.json["vfs"][0]["in_use"] is True
    # the number of queues is each VF's own
    assert both.json["vfs"][0]["match"] == both.json["vfs"][1]["match"]
    assert alone.json["vfs"][0]["match"]["queues"] == QUEUES


@pytest.mark.parametrize("driver, reason", [
    ("", "the VF is not bound to a driver"), ("vfio-pci", "the VF is bound to plain vfio-pci, which does not migrate"),
    (SEC.driver, f"the VF is bound to {SEC.driver}, not to a VFIO driver")], ids=["none", "vfio-pci", "stock"])
def test_a_vf_that_is_bound_to_another_driver(bench, driver, reason):
    """A VF without this driver must be a "no", and must not be opened; its remedy must help."""
    one, other = bench.vfs
    bench.host.ssh.run("modprobe vfio-pci")
    rebind(bench, one, driver)
    report, named = on_host(bench.host), on_host(bench.host, other)
    rebind(bench, one, VARIANT)
    assert report.exit == CANNOT and report.noes(one) == {"driver", "qemu-default"} and report.noes(other) == set()
    found = report.check("driver", one)
    assert found["reason"] == reason and VARIANT in found["remedy"]
    # of VFs that are named, only these count
    assert named.exit == on_host(bench.host).exit == CAN


def test_the_in_tree_driver(bench):
    """The in-tree driver must be recognized; a guest with one VF migrates, one with several does not."""
    ssh = bench.host.ssh
    bench.unbind()
    ssh.run(f"rmmod {VARIANT} && insmod {IN_TREE}")
    bench.bind()
    try:
        report = on_host(bench.host, "--no-open")
        assert report.check("module")["reason"].startswith("the in-tree driver is loaded")
        assert "updates/" in report.check("module")["reason"] and "unload it" in report.check("module")["remedy"]
        report = on_host(bench.host)
        assert report.exit == CAN, report.json
        assert "the in-tree driver" in report.check("driver", bench.vfs[0])["reason"]
        found = report.check("p2p", bench.vfs[0])
        assert found["status"] == "no" and found["remedy"] == "replace the in-tree driver by this one"
        assert report.json["vfs"][0]["match"]["queues"] == QUEUES
    finally:
        bench.unbind()
        ssh.run(f"rmmod {VARIANT} && modprobe {VARIANT}")
        bench.bind()
    assert "this driver" in on_host(bench.host).check("driver", bench.vfs[0])["reason"]


def test_without_the_module(bench):
    """A host on which the module is not loaded must get the command that loads it."""
    bench.unbind()
    bench.host.ssh.run(f"rmmod {VARIANT}")
    report = on_host(bench.host)
    bench.host.ssh.run(report.check("module")["remedy"])
    bench.bind()
    assert report.exit == CANNOT and report.check("module")["reason"] == "hisi_acc_vfio_pci is not loaded"
    assert report.noes(bench.vfs[0]) == {"driver", "qemu-default"}


def test_without_iommufd(bench):
    """Without /dev/iommu QEMU cannot track dirty pages; the remedy must make it appear."""
    ssh = bench.host.ssh
    bench.unbind()
    ssh.run(f"modprobe vfio-pci; for m in {VARIANT} vfio_pci vfio_pci_core vfio_iommu_type1 vfio iommufd; do rmmod $m; done; test ! -e /dev/iommu")
    report = on_host(bench.host)
    found = report.check("iommufd")
    ssh.run(found["remedy"])
    there = on_host(bench.host).check("iommufd")["status"]
    bench.bind()
    assert report.exit == CANNOT and found["status"] == "no" and found["remedy"] == "modprobe iommufd" and there == "ok"
    assert on_host(bench.host).exit == CAN


def test_the_pf_is_bound_to_another_driver(bench):
    """A VF whose PF is bound to vfio-pci must be a "no", in the words of the driver."""
    ssh, pf = bench.host.ssh, SEC.pf
    bench.enable(0)
    ssh.run("modprobe vfio-pci; rmmod vfio_pci; modprobe vfio-pci enable_sriov=1")
    rebind(bench, pf, "vfio-pci")
    ssh.run(f"echo 1 > {DEVICES}/{pf}/sriov_numvfs")
    rebind(bench, bench.vfs[0], VARIANT)
    vf, report, log = bench.vfs[0], on_host(bench.host), ssh.out("dmesg")
    bench.enable(0)
    rebind(bench, pf, "")
    ssh.run(f"rmmod vfio_pci; echo {pf} > /sys/bus/pci/drivers_probe")
    bench.bring_up()
    assert report.exit == CANNOT and report.noes(vf) == {"pf-driver", "migration", "qemu-default"}
    reason = report.check("pf-driver", vf)["reason"]
    assert reason == f"no migration: {pf} is not bound to its SEC driver" and f"{vf}: {reason}" in log
    assert on_host(bench.host).exit == CAN


def test_without_vfs(bench):
    """A host without VFs, with and without the PF's driver, must get the way to create them."""
    ssh = bench.host.ssh
    bench.enable(0)
    report = on_host(bench.host)
    ssh.run(f"rmmod {VARIANT} && rmmod {SEC.driver}")
    without_driver = on_host(bench.host)
    bench.bring_up()
    for found in (report, without_driver):
        assert found.exit == CANNOT and found.json["vfs"] == [] and found.noes() == {"vfs"}
        assert found.check("vfs")["reason"] == f"no VF was created; {SEC.pf} is the PF of a SEC"
        assert found.check("vfs")["remedy"] == f"modprobe {SEC.driver}; write to sriov_numvfs of the PF"
    assert on_host(bench.host).exit == CAN


@pytest.mark.parametrize("address, words", [
    ("0000:00:1f.7", "there is no PCI device 0000:00:1f.7"), (SEC.pf, "no migration: not an SR-IOV VF"),
    (NETWORK, "it is not an accelerator")], ids=["absent", "pf", "network"])
def test_an_address_of_another_device(bench, address, words):
    """What is not a VF must be a "no" of its own."""
    report = on_host(bench.host, bench.vfs[0], address)
    assert report.exit == CANNOT and report.noes(address) == {"device"} and report.noes(bench.vfs[0]) == set()
    assert words in report.check("device", address)["reason"]


def test_wrong_arguments(bench):
    """Wrong arguments must be refused."""
    for arguments in ("vf", "--peer /nonexistent", "--peer", "--what", "--peer /proc/cpuinfo"):
        assert bench.host.ssh.run(f"{REMOTE} {arguments}", check=False).returncode == WRONG_USE, arguments


def test_without_qemu(bench):
    """A host without QEMU must be a "no"; the VF itself can be migrated."""
    bench.host.ssh.run("mv /usr/bin/qemu-system-aarch64 /run")
    report = on_host(bench.host)
    bench.host.ssh.run("mv /run/qemu-system-aarch64 /usr/bin")
    assert report.exit == CANNOT and report.noes() == {"qemu"} and report.json["host"]["qemu"] is None
    assert report.json["vfs"][0]["result"] == "ok"


@pytest.mark.parametrize("version, result, reason", [
    ("QEMU emulator version 8.2.2 (Debian)", CANNOT, "QEMU 8.2.2 has no dirty tracking with iommufd"),
    ("QEMU emulator version 9.0.4", CANNOT, "QEMU 9.0.4 has no dirty tracking with iommufd"),
    ("QEMU emulator version 9.1.0", CAN, "QEMU 9.1.0"), ("", CANNOT_TELL, "it does not print its version")])
def test_other_releases_of_qemu(bench, version, result, reason):
    """The QEMU that PATH has first must be the one that counts."""
    bench.host.ssh.run(f"mkdir -p /run/old; printf '#!/bin/sh\\necho %s\\n' {shlex.quote(shlex.quote(version))} > /run/old/qemu-system-aarch64; "
                       "chmod 755 /run/old/qemu-system-aarch64")
    report = on_host(bench.host, before="PATH=/run/old:$PATH")
    assert report.exit == result and report.check("qemu")["reason"] == reason


@pytest.mark.parametrize("limit, status, words", [
    ("8192", "no", "RLIMIT_MEMLOCK is 8192 KiB: no guest's memory fits"), ("1048576", "ok", "RLIMIT_MEMLOCK is 1024 MiB"),
    ("unlimited", "ok", "RLIMIT_MEMLOCK is unlimited")])
def test_what_a_user_may_lock(bench, limit, status, words):
    """A user's limit of locked memory must be reported, and what only root can see must be unknown."""
    bench.host.ssh.run("grep -q ^user /etc/passwd || echo user:x:1000:1000::/:/bin/sh >> /etc/passwd")
    report = check.as_report(bench.host.ssh.run(f"ulimit -l {limit}; su user -c '{REMOTE} --json'", check=False))
    found = report.check("memlock")
    assert found["status"] == status and words in found["reason"], found
    assert report.noes(bench.vfs[0]) == set() and report.check("dirty-tracking", bench.vfs[0])["status"] == "unknown"
    assert report.exit == (CANNOT if status == "no" else CANNOT_TELL)


def test_a_pf_that_is_being_reset(bench):
    """A VF that cannot be opened at this moment must be reported when the reset is over."""
    with bench.rival():
        bench.tell("hold", 1)
        process = bench.host.ssh.popen(f"{REMOTE} --json > /run/report; echo $? >> /run/report")
        lab_bench.wait_until("it waits", lambda: bench.references() > 0)
        bench.tell("hold", 0)
        assert process.wait(60) == 0
    text, status = bench.host.ssh.out("cat /run/report").rsplit("\n", 1)
    assert int(status) == CAN and json.loads(text)["result"] == "ok"


# Other hosts


@pytest.fixture(scope="module")
def without_httu(context) -> Iterator[Bench]:
    """A host whose SMMU does not track dirty pages, with the older QEMU."""
    with a_host(context, "check-without-httu", httu=False) as one:
        yield one


def test_without_dirty_tracking(without_httu):
    """On an SMMU that does not track dirty pages it must be "no", in QEMU's words, with a warning of the combination
    that loses pages; and the driver must not log that a guest was damaged."""
    report, vf = on_host(without_httu.host), without_httu.vfs[0]
    assert report.exit == CANNOT and report.noes() == set() and report.noes(vf) == {"dirty-tracking", "qemu-default"}
    assert "never iommufd" in report.check("dirty-tracking", vf)["remedy"]
    assert report.check("qemu-default", vf)["reason"] == "VFIO device doesn't support device and IOMMU dirty tracking"
    assert report.json["vfs"][0]["dirty_tracking"] is False and report.json["vfs"][0]["match"]["queues"] == QUEUES
    assert "does not track dirty pages" not in without_httu.host.ssh.out("dmesg")


def test_hosts_that_differ_in_the_number_of_vfs(bench, without_httu):
    """A guest must be refused whose VF has another number of queues than those of the other host."""
    host = without_httu.host
    host.ssh.run("cat > /run/peer.json", stdin=json.dumps(on_host(bench.host).json))
    report = on_host(host, "--peer /run/peer.json")
    # of a host without dirty tracking, doorbell isolation is not known
    assert report.move(without_httu.vfs[0])["status"] == "unknown"
    without_httu.enable(1)
    without_httu.bind()
    report = on_host(host, "--peer /run/peer.json")
    without_httu.enable(2)
    without_httu.bind()
    found = report.move(without_httu.vfs[0])
    assert report.exit == CANNOT and found["status"] == "no" and found["remedy"] == "create the same number of VFs on both hosts"
    assert found["reason"] == f"migration data rejected: number of queues: got {hex(2 * QUEUES)}, expected {hex(QUEUES)}"


def test_later_hardware_and_all_accelerators(context):
    """On version 5 the guest has all of BAR2, and VFs of each kind of accelerator must be recognized."""
    with a_host(context, "check-v5", hw_version="v5", engines=tuple(hardware.ENGINES)) as one:
        found = {name: accelerator.vfs(one.host.ssh, engine) for name, engine in hardware.ENGINES.items()}
        report = on_host(one.host)
    assert report.exit == CAN, report.json
    assert {vf["address"]: vf["accelerator"] for vf in report.json["vfs"]} == {
        address: name.upper() for name, addresses in found.items() for address in addresses}
    assert len(report.json["vfs"]) == 6 and {vf["match"]["hw_version"] for vf in report.json["vfs"]} == {0x51}
    assert {vf["match"]["bar_layout"] for vf in report.json["vfs"]} == {2}


LONG = pytest.mark.long("other releases, each with a host of its own")


@LONG
@pytest.mark.parametrize("series, vmm, libvirt", [
    (versions.LTS, versions.VMMS[0], None), (versions.DEFAULT, versions.VMMS[-1], None),
    *((versions.DEFAULT, versions.VMMS[0], release) for release in versions.LIBVIRTS)],
    ids=lambda value: getattr(value, "name", value) or "none")
def test_releases(context, series, vmm, libvirt):
    """On the other kernel, with the other QEMU and with each libvirt of the lab, the result must be "ok" with
    their releases."""
    roots = (rootfs.libvirt(libvirt, context),) if libvirt else ()
    with a_host(context, f"check-{series}-{vmm.name}-{libvirt.name if libvirt else ''}", series, vmm=vmm.name, roots=roots) as one:
        report = on_host(one.host)
        assert report.exit == CAN, report.json
        assert report.json["host"]["kernel"] == kernel.kernel(series, context).release
        assert report.json["host"]["qemu"].startswith(f"{vmm.name}.")
        assert (report.json["host"]["libvirt"] or "").startswith(libvirt.name if libvirt else "")
        assert ("iommufd" in (report.check("libvirt")["remedy"] or "")) == bool(libvirt)


@pytest.mark.long("builds a kernel with pages of 64 KiB")
@pytest.mark.parametrize("hw_version, can", [("v3", False), ("v4", True)])
def test_a_host_with_pages_of_64_kib(context, hw_version, can):
    """With pages of 64 KiB, V3, whose migration registers share a page with the guest's, must be "no" for that reason; V4 can
    migrate."""
    with a_host(context, f"check-64k-{hw_version}", kernel.flavoured("64k"), hw_version=hw_version) as one:
        report = on_host(one.host)
    vf = report.json["vfs"][0]["address"]
    assert report.exit == (CAN if can else CANNOT), report.json
    assert (report.check("bar", vf)["status"] == "ok") == can and "64 KiB" in report.check("bar", vf)["reason"]
    assert can or {"bar", "migration"} <= report.noes(vf)


#: what differs between machines in the guide's examples
DIFFERS = re.compile(r"(?<=Linux )\S+(?= for)|(?<=QEMU )[\d.]+")


def plain(text: str) -> list[str]:
    return [DIFFERS.sub("*", line.strip()) for line in text.strip().splitlines()]


def test_the_guides_commands(bench, without_httu):
    """The guide's commands must work as printed, with the output that the page has."""
    commands, outputs = blocks("sh", "check"), blocks("none", "check")
    ssh, variables = bench.host.ssh, f"set -e; cd /run; VF={bench.vfs[0]}; "
    assert plain(ssh.out(variables + commands.pop("check-host"))) == plain(outputs.pop("check-output"))
    without_httu.enable(1)
    without_httu.bind()
    without_httu.host.ssh.run("cd /run; " + commands.pop("check-destination"), check=False)
    without_httu.enable(2)
    without_httu.bind()
    ssh.run("cat > /run/destination.json", stdin=without_httu.host.ssh.out("cat /run/destination.json"))
    said = plain(ssh.run(variables + commands.pop("check-source"), check=False).stdout)
    refused = plain(outputs.pop("check-refused"))
    assert "\n".join(refused) in "\n".join(said), said
    assert not commands and not outputs


def test_what_it_says_can_move_moves(new_session, context):
    """Hosts of which it says before that a guest can move must migrate that guest; a running guest must not
    be disturbed."""
    config = HostConfig(push={REMOTE: check.for_hosts(context)})
    with new_session().scenario(config) as scenario:
        scenario.set_up()
        source, destination = scenario.source, scenario.destination
        vf = accelerator.vfs(source.ssh, hardware.ENGINES["sec"])[0]
        there = on_host(destination)
        source.ssh.run("cat > /run/peer.json", stdin=json.dumps(there.json))
        before = on_host(source, "--peer /run/peer.json")
        assert there.exit == CAN and before.exit == CAN, before.json
        assert before.move(vf)["to"] in [found["address"] for found in there.json["vfs"]]
        scenario.start_guest()
        # the same of a VF that a guest has
        during = on_host(source, "--peer /run/peer.json")
        assert during.exit == CAN and during.json["vfs"][0]["in_use"] is True
        assert "qemu-system-aar" in during.check("in-use", vf)["reason"]
        assert during.move(vf) == before.move(vf) and during.json["vfs"][0]["match"] == before.json["vfs"][0]["match"]
        scenario.migrate()
        scenario.go_on()
        scenario.inspect()
        assert scenario.outcome.failures == []


@LONG
@pytest.mark.expect("Unable to shutdown socket", "Sibling indicated error", maybe=True)
def test_what_it_says_cannot_move_does_not(new_session, context):
    """If it says that no VF of the other host matches, the migration must fail, for that reason."""
    push = {REMOTE: check.for_hosts(context)}
    with running(new_session, HostConfig(push=push), HostConfig(push=push, vfs=3)) as scenario:
        source, destination = scenario.source, scenario.destination
        source.ssh.run("cat > /run/peer.json", stdin=json.dumps(on_host(destination).json))
        report = on_host(source, "--peer /run/peer.json")
        (vf, *_), guest, began = accelerator.vfs(source.ssh, SEC), scenario.guest, time.monotonic()
        reason = report.move(vf)["reason"]
        assert report.exit == CANNOT and "number of queues" in reason
        arriving = scenario.expect_guest()
        scenario.begin(guest, 1 << 40)
        assert ended(guest, began) == "failed"
        assert reason in destination.ssh.out("dmesg")
        arriving.close()
