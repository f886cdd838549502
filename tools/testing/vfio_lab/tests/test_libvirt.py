# SPDX-License-Identifier: GPL-2.0
"""Debian's libvirt takes our driver by itself, moves a guest under load with one and
with three functions, of one accelerator and of three, there and back, and says why
where it does not. XML, rules and commands are those of the guide's page."""

from __future__ import annotations

import io
import pathlib
from collections.abc import Iterator

import pytest

from guide import blocks, messages
from lab import accelerator, paths, rootfs
from lab.host import Host
from lab.migration import ENGINE
from lab.progress import Steps
from lab.session import Choice, Session, default_load
from virsh import DAEMON, KEY, PROGRAM, Domain, domain, libvirt_up, said

VFS = 3
STOCK, OURS = accelerator.ENGINES[ENGINE].driver, accelerator.VARIANT_DRIVER
PF = accelerator.ENGINES[ENGINE].pf
VF, NODE = "0000:00:08.1", "pci_0000_00_08_1"
#: what the guide's reader does
DO = {name: text.strip() for name, text in blocks("sh", "libvirt").items()}
XML = blocks("xml", "libvirt")


def prepared(host: Host, engines: tuple[str, ...]) -> None:
    """Functions that no driver has, and libvirt's daemon."""
    for name in engines:
        accelerator.bring_up(host.ssh, accelerator.ENGINES[name], VFS)
    libvirt_up(host)


@pytest.fixture(scope="module")
def hosts(pytestconfig, context) -> Iterator[tuple[Host, Host]]:
    """A source and a destination, with libvirt and functions of all accelerators."""
    if not pytestconfig.getoption("--long"):
        pytest.skip("with --long: guests of libvirt's, moved between two hosts for ten minutes")
    with Session(Steps(io.StringIO()), paths.BUILD / "check/libvirt") as session:
        wire = session.folder / "lan"
        choice = Choice(vfs=VFS, engines=tuple(accelerator.ENGINES), roots=(rootfs.libvirt(context),),
                        push={DAEMON: PROGRAM, KEY: session.key()})
        booted = session.boot([session.spec(name, choice, True, (role, wire))
                               for name, role in (("source", "server"), ("destination", "client"))])
        for host in booted:
            prepared(host, choice.engines)
        yield tuple(booted)
        assert [line for host in booted for line in host.trouble()] == []


@pytest.fixture
def one_host(pytestconfig, request, new_session, context) -> Iterator[Host]:
    """The source, or where that is not to be a host without a guest."""
    if pytestconfig.getoption("--long"):
        yield request.getfixturevalue("hosts")[0]
        return
    session = new_session()
    choice = Choice(vfs=VFS, roots=(rootfs.libvirt(context),), push={DAEMON: PROGRAM, KEY: session.key()})
    (host,) = session.boot([session.spec("host", choice, guest=False)])
    prepared(host, choice.engines)
    yield host
    assert host.trouble() == []


def driver(host: Host, address: str = VF) -> str:
    """What a function is bound to."""
    return host.ssh.out(f"basename $(readlink /sys/bus/pci/devices/{address}/driver || echo none)")


def of_all(text: str, count: int = VFS) -> str:
    """A part of a domain's XML that is there for one function, for so many."""
    return "".join(text.replace("function='0x1'", f"function='0x{n}'") for n in range(1, count + 1))


def of_engines(text: str) -> str:
    """A part of a domain's XML that is there for one function, for the first of each
    accelerator."""
    return "".join(text.replace("slot='0x08'", f"slot='{engine.slot:#04x}'")
                   for engine in accelerator.ENGINES.values())


def overrides(text: str, count: int = VFS) -> str:
    """The part for QEMU, for so many functions."""
    head, device, tail = text.partition("  <qemu:device")
    device, end, tail = (device + tail).partition("</qemu:device>\n")
    return head + "".join((device + end).replace("hostdev0", f"hostdev{n}") for n in range(count)) + tail


def test_a_function_is_detached_and_given_back(one_host):
    """Would catch an alias that libvirt does not find the driver by."""
    ssh = one_host.ssh
    listed = ssh.out(f"NODE={NODE}; {DO['nodedev-list']}")
    assert listed.count("pci_0000_00_08_") >= VFS + 1 and "<capability type='phys_function'>" in listed
    # to whom it goes back depends on this
    for autoprobe, home in ((0, "none"), (1, STOCK)):
        ssh.run(f"echo {autoprobe} > /sys/bus/pci/devices/{PF}/sriov_drivers_autoprobe; "
                f"echo {VF} > /sys/bus/pci/drivers_probe")
        assert driver(one_host) == home
        ssh.run(f"NODE={NODE}; {DO['nodedev-detach']}")
        assert driver(one_host) == OURS
        ssh.run(f"NODE={NODE}; {DO['nodedev-reattach']}")
        assert driver(one_host) == home
    ssh.run(f"echo 0 > /sys/bus/pci/devices/{PF}/sriov_drivers_autoprobe; "
            f"echo {VF} > /sys/bus/pci/devices/{VF}/driver/unbind")


@pytest.mark.parametrize("which", ["managed", "named"])
def test_a_domain_gets_our_driver(hosts, which):
    """By the alias, and by its name; and the function is given back afterwards."""
    with Domain(hosts[:1], domain(XML[which])) as guest:
        guest.start()
        assert driver(hosts[0]) == OURS
        guest.ends_well()
    assert driver(hosts[0]) == "none"


def test_an_unknown_driver_is_refused(hosts):
    with Domain(hosts[:1], domain(XML["named"].replace(OURS, "nobodys_vfio_pci"))) as guest:
        guest.expect(hosts[0])
        assert "nobodys_vfio_pci" in said(hosts[0], "virsh create /run/guest.xml")


@pytest.mark.parametrize("count", [1, VFS])
def test_a_guest_moves_there_and_back_by_iommufd(hosts, count):
    load = default_load(Choice(vfs=VFS, guest_vfs=count))
    with Domain(hosts, domain(of_all(XML["managed"], count), overrides(XML["by-iommufd"], count), load)) as guest:
        guest.start()
        for _ in range(2):
            assert "100" in guest.migrate(DO["libvirt-migrate"])
        guest.ends_well()


def test_a_guest_with_three_accelerators_moves_there_and_back(hosts):
    """Ciphers, compression and public keys at once. An accelerator whose driver does not
    carry its function over, or a guest that libvirt takes with less, would be caught."""
    stock = "+".join(engine.driver for engine in accelerator.ENGINES.values())
    first = [engine.pf[:-1] + "1" for engine in accelerator.ENGINES.values()]
    xml = domain(of_engines(XML["managed"]), overrides(XML["by-iommufd"], len(first)), driver=stock)
    with Domain(hosts, xml) as guest:
        guest.start()
        for there in reversed(hosts):
            done = {(there.name, e): there.counters(e, 1)["events"]["requests-completed"] for e in accelerator.ENGINES}
            assert "100" in guest.migrate(DO["libvirt-migrate"])
            assert [driver(there, address) for address in first] == [OURS] * len(first)
            assert {e for e in accelerator.ENGINES
                    if there.counters(e, 1)["events"]["requests-completed"] > done[there.name, e]} == set(accelerator.ENGINES)
        guest.ends_well()


def test_a_guest_moves_by_group(hosts):
    with Domain(hosts, domain(XML["managed"], XML["by-group"])) as guest:
        guest.start()
        guest.migrate(f"{DO['downtime']}; {DO['libvirt-migrate']}")
        guest.ends_well()


MIGRATE = f"DESTINATION=destination; {DO['libvirt-migrate']}"


def refusal(guest: Domain, hosts: tuple[Host, Host]) -> str:
    """Try to move a guest; what virsh says. The guest goes on where it is."""
    guest.expect(hosts[1])
    words = said(hosts[0], f"{MIGRATE} 2>&1")
    guest.goes_on()
    return words


def test_without_the_part_for_qemu_a_guest_does_not_move(hosts):
    """What libvirt does of itself: a legacy container, and no word to QEMU."""
    with Domain(hosts, domain(XML["managed"])) as guest:
        guest.start()
        assert message("VFIO device doesn't support") in refusal(guest, hosts)
        guest.ends_well()


def message(beginning: str) -> str:
    """A message of the guide's list, by some of its words."""
    (found,) = [m for m in messages("libvirt") if beginning in m]
    return found


def test_a_refused_migration_says_why(hosts):
    """One guest, and a destination where it does not fit for one reason after the other."""
    there = hosts[1].ssh
    made = f"/sys/bus/pci/devices/{PF}/sriov_numvfs"
    with Domain(hosts, domain(XML["managed"], XML["by-iommufd"])) as guest:
        guest.start()
        there.run(f"echo 0 > {made}")
        assert message("not found: could not access") in refusal(guest, hosts)
        there.run(f"echo {VFS - 1} > {made}")
        assert message("Channel number out of range") in refusal(guest, hosts)
        assert "number of queues is" in there.out("dmesg | grep refused")
        there.run(f"echo 0 > {made}; echo {VFS} > {made}; rmmod {OURS}; mkdir /run/away; "
                  "for m in $(find /lib/modules/ -name 'hisi*acc*vfio*pci.ko'); do "
                  "echo mv /run/away/${m##*/} $m >> /run/back; mv $m /run/away; done; depmod")
        assert message("nvalid argument") in refusal(guest, hosts)
        there.run("sh /run/back; depmod")
        guest.migrate(DO["libvirt-migrate"])
        guest.ends_well()


def test_a_rule_makes_functions_when_the_driver_comes(hosts):
    ssh = hosts[1].ssh
    ssh.run(f"echo 0 > /sys/bus/pci/devices/{PF}/sriov_numvfs; echo {PF} > /sys/bus/pci/drivers/{STOCK}/unbind; "
            "cat > /etc/udev/rules.d/70-hisi-acc-functions.rules; udevadm control --reload",
            stdin=blocks("none", "libvirt")["functions-at-boot"])
    ssh.run(f"echo {PF} > /sys/bus/pci/drivers/{STOCK}/bind; udevadm settle --timeout=60")
    assert len(accelerator.functions(ssh, accelerator.ENGINES[ENGINE])) == 2
    assert driver(hosts[1]) == "none"


def test_driverctl_binds_and_remembers(hosts):
    ssh = hosts[1].ssh
    ssh.run(f"VF={VF}; {DO['driverctl']}")
    assert driver(hosts[1]) == OURS
    # what test_reboot begins with
    assert ssh.out(f"cat /etc/driverctl.d/pci-{VF}") == OURS
    made = f"/sys/bus/pci/devices/{PF}/sriov_numvfs"
    ssh.run(f"echo 0 > {made}; echo 2 > {made}")
    assert driver(hosts[1]) == "none"
    ssh.run(f"VF={VF}; {DO['driverctl-boot']}")
    assert driver(hosts[1]) == OURS


def test_no_command_of_the_page_is_left():
    source = pathlib.Path(__file__).read_text(encoding="utf-8")
    assert DO and [name for name in DO if f"DO['{name}']" not in source and f'DO["{name}"]' not in source] == []
    assert [name for name in XML if f'XML["{name}"]' not in source and f'"{name}"' not in source] == []
