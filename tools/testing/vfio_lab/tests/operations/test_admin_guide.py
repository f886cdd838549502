# SPDX-License-Identifier: GPL-2.0
"""The admin guide's commands must work as printed, and each message of its checklist must be produced."""

from __future__ import annotations

import fnmatch
import io
from collections.abc import Iterator

import pytest

from guide import DESTINATION, MODULE, PF, VF, VF2, Monitor, script
from lab.core import paths, versions
from lab.core.guide import blocks, messages
from lab.core.progress import Steps
from lab.build import driver, kernel
from lab.scenario.config import MODEL, GuestConfig, HostConfig
from lab.scenario.host import Host
from lab.scenario.migration import ENGINE
from lab.scenario.session import Session

pytestmark = pytest.mark.long("boots and migrates several guests: minutes")

# As many queues as hardware has: without parameters the stock driver takes 256
SILICON = {**MODEL, "queues": "1024"}
#: a device without SR-IOV
NO_SRIOV = "0000:00:01.0"
#: one more than the guide creates
MOST_VFS = 3
QEMU = "exec qemu-system-aarch64 -M virt,gic-version=3 -accel kvm -cpu host -nodefaults -display none -monitor stdio -S"


@pytest.fixture(scope="module")
def hosts(context) -> Iterator[tuple[Host, Host]]:
    """A source with this driver and a destination with the in-tree driver, without VFs. The tests
    here depend on each other's order, as the guide's pages do."""
    module = driver.module(kernel.kernel(versions.DEFAULT, context), context)
    with Session(Steps(io.StringIO()), paths.BUILD / "check/admin-guide") as session:
        ends = (HostConfig(driver=which, vfs=MOST_VFS, push={MODULE: module}, model=SILICON) for which in ("tree", "in-tree"))
        yield tuple(session.boot(session.pair(*ends, GuestConfig())))


@pytest.fixture(scope="module")
def shell() -> dict[str, str]:
    """The guide's shell blocks; a test removes those that it runs."""
    return blocks("sh")


def do(host: Host, text: str) -> str:
    return host.ssh.run(script(text), timeout=120).stdout


def migrates(source: Host, destination: Host, from_command: str, to_command: str, how: str) -> None:
    kicks = destination.counters(ENGINE, 1)["events"]["kicks"]
    with Monitor(source, from_command) as here:
        here.guest_ready()
        with Monitor(destination, to_command) as there:
            there.listens()
            *orders, question = blocks("none")[how].splitlines()
            for line in orders:
                here.type(line)
            here.until("Migration status: completed", again=question)
            there.until("VM status: running", again="info status")
            assert destination.counters(ENGINE, 1)["events"]["kicks"] > kicks


def change_module(host: Host, how: str) -> None:
    """Replace the loaded module with another one."""
    steps = blocks("sh")
    do(host, "\n".join((steps["unload"], how, steps["reload"])))


def features(host: Host) -> set[str]:
    return set(host.ssh.out(f"cat /sys/kernel/debug/vfio/{VF}/migration/features").split())


def test_a_host_is_prepared(hosts, shell):
    """The commands must create and bind VFs, and the check must show the driver and its migration features."""
    vfs, bind, check = (shell.pop(name) for name in ("vfs", "bind", "check"))
    for host in hosts:
        do(host, vfs)
        do(host, bind)
    said = do(hosts[0], check)
    assert "drivers/hisi_acc_vfio_pci" in said
    assert {"stop-copy", "p2p", "pre-copy"} <= set(said.split())


def test_a_host_is_watched(hosts, shell):
    """Tracepoints and debugfs files must be where the page has them, before any migration."""
    do(hosts[0], shell.pop("trace"))
    assert do(hosts[0], shell.pop("show")).splitlines() == ["device is not open", "device is not open", "no transfer"]


def test_a_guest_migrates_by_container_to_the_in_tree_driver(hosts, shell):
    """A guest must migrate by the container backend to the in-tree driver."""
    migrates(*hosts, shell.pop("container-source"), shell.pop("container-destination"), "container-migrate")


def test_a_host_is_upgraded(hosts, shell):
    """The upgrade must replace the in-tree driver with this one."""
    assert "p2p" not in features(hosts[1])
    change_module(hosts[1], shell.pop("upgrade"))
    assert "updates/" in hosts[1].ssh.out("modinfo -n hisi_acc_vfio_pci")
    assert "p2p" in features(hosts[1])


def test_a_guest_with_two_vfs_migrates_by_iommufd(hosts, shell):
    """A guest with two VFs must migrate by iommufd."""
    migrates(*hosts, shell.pop("iommufd-source"), shell.pop("iommufd-destination"), "iommufd-migrate")


def test_a_host_goes_back(hosts, shell):
    """The downgrade must restore the in-tree driver."""
    change_module(hosts[1], shell.pop("downgrade"))
    del shell["unload"], shell["reload"]
    assert "updates/" not in hosts[1].ssh.out("modinfo -n hisi_acc_vfio_pci")
    assert "p2p" not in features(hosts[1])


def test_no_command_of_the_guide_is_left(shell):
    """The tests above must run each command of the guide."""
    assert blocks("sh") and not shell


def ends_saying(host: Host, devices: str) -> str:
    with Monitor(host, f"{QEMU} {devices}") as qemu:
        return qemu.end()


def refused(host: Host, devices: str) -> str:
    with Monitor(host, f"{QEMU} {devices}") as qemu:
        qemu.type(f"migrate -d tcp:{DESTINATION}:4444")
        qemu.until("Error: ")
        return qemu.said()


def rebind(host: Host, address: str, name: str) -> None:
    device = f"/sys/bus/pci/devices/{address}"
    host.ssh.run(f"[ ! -e {device}/driver ] || echo {address} > {device}/driver/unbind; "
                 f"echo '{name}' > {device}/driver_override; [ -z '{name}' ] || echo {address} > /sys/bus/pci/drivers_probe")


def does_not_fit(source: Host, destination: Host) -> str:
    """Cause two failed migrations: the destination's VF has fewer queues, and the accelerator has an error."""
    destination.ssh.run(f"echo 0 > /sys/bus/pci/devices/{PF}/sriov_numvfs; rmmod hisi_acc_vfio_pci; "
                        f"insmod {MODULE}")
    by_group = blocks("sh")
    do(destination, by_group["vfs"].replace("echo 2", "echo 3") + "\n" + by_group["bind"])
    with Monitor(source, by_group["container-source"]) as here:
        here.guest_ready()
        with Monitor(destination, by_group["container-destination"]) as there:
            there.listens()
            here.type(f"migrate -d tcp:{DESTINATION}:4444")
            here.until("Migration status: failed", again="info migrate")
            said = there.end()
        # the PF's driver gets no interrupt, so the error stays
        for name, value in (("fault-function", "0"), ("fault-msi-drop", 1), ("abnormal-error", 4)):
            source.set_model(ENGINE, name, value)
        here.type("migrate -d exec:cat>/dev/null")
        source.ssh.run("until dmesg | grep -q 'cannot be migrated now'; do usleep 50000; done")
        here.until("Migration status: failed", again="info migrate")
        source.set_model(ENGINE, "abnormal-error", 0)
        source.set_model(ENGINE, "fault-msi-drop", 0)
        return said


def test_each_message_of_the_check_list_is_produced(hosts):
    """Each message of the checklist must appear in the output or the kernel log."""
    source, destination = hosts
    one, other = f"-device vfio-pci,host={VF},enable-migration=on", f"-device vfio-pci,host={VF2},enable-migration=on"
    said = [ends_saying(destination, f"{one} {other}"), refused(source, f"-device vfio-pci,host={VF}")]
    source.ssh.run("modprobe vfio-pci")
    rebind(source, VF2, "vfio-pci")
    said.append(ends_saying(source, other))
    rebind(source, VF2, "")
    said.append(ends_saying(source, other))
    said.append(ends_saying(source, f"-object iommufd,id=iommu -device vfio-pci,host={VF2},iommufd=iommu"))
    rebind(source, VF2, "hisi_acc_vfio_pci")
    said.append(does_not_fit(source, destination))
    source.ssh.run(f"echo 0 > /sys/bus/pci/devices/{PF}/sriov_numvfs")
    rebind(source, PF, "hisi_acc_vfio_pci")
    rebind(source, PF, "")
    source.ssh.run("rmmod vfio_pci; modprobe vfio-pci enable_sriov=1")
    rebind(source, PF, "vfio-pci")
    source.ssh.run(f"echo 1 > /sys/bus/pci/devices/{PF}/sriov_numvfs")
    rebind(source, VF, "hisi_acc_vfio_pci")
    card = blocks("sh")["vfs"].replace("$PF", NO_SRIOV)
    said.append(source.ssh.run(card, check=False).stderr)
    assert [a for a in (PF, NO_SRIOV) if "SR-IOV" in source.ssh.out(f"lspci -s {a} -v")] == [PF]
    lines = "\n".join([*said, *(host.ssh.out("dmesg") for host in hosts)]).splitlines()
    assert len(messages()) >= 10
    assert [m for m in messages() if not fnmatch.filter(lines, f"*{m}*")] == []
