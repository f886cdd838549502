# SPDX-License-Identifier: GPL-2.0
"""The device model with drivers that were not written for it: the kernel's stock drivers, on the PF
and on a VF, in the host and in a guest."""

import re

import pytest

from lab.core import hardware, versions
from lab.core.errors import LabError
from lab.core.hardware import ENGINES
from lab.scenario import accelerator
from lab.scenario.config import MODEL, GuestConfig, HostConfig, MigrationConfig
from lab.scenario.guest import Guest
from lab.scenario.load import LoadRecord
from choices import choose, settings
from kernels import DEFAULT_FIRST, EACH

SEC = ENGINES["sec"]

#: what the stock driver registers if the device reports all that it computes
ALGORITHMS: dict[str, set[str]] = {
    "sec": {f"hisi_sec_{mode}" for mode in (
        "ecb(aes)", "cbc(aes)", "ctr(aes)", "xts(aes)", "ccm(aes)", "gcm(aes)",
        "cbc(sm4)", "ctr(sm4)", "xts(sm4)", "ccm(sm4)", "gcm(sm4)", "ecb(des3_ede)", "cbc(des3_ede)",
        "authenc(hmac(sha1),cbc(aes))", "authenc(hmac(sha256),cbc(aes))", "authenc(hmac(sha512),cbc(aes))")},
    "zip": {"hisi-deflate-acomp"},
    "hpre": {"hpre-rsa", "hpre-dh", "hpre-ecdh-nist-p192", "hpre-ecdh-nist-p256", "hpre-ecdh-nist-p384"},
}
#: what only some series register
SOME = {"zip": {"lz4": "hisi-lz4-acomp"}, "hpre": {"hpre-curve25519": "hpre-curve25519"}}


def passed(version: str, *engines: str) -> dict[str, str]:
    """Every algorithm that this kernel's drivers register must have passed."""
    return {name: "passed" for engine in engines
            for name in ALGORITHMS[engine] | {name for feature, name in SOME.get(engine, {}).items()
                                              if versions.SERIES[version].has(feature)}}


def outcomes(text: str) -> dict[str, str]:
    """The self-tests' results in text of the form of /proc/crypto."""
    found, name = {}, ""
    for key, value in re.findall(r"^(driver|selftest) *: (\S+)", text, re.M):
        if key == "driver":
            name = value
        elif name.startswith(hardware.ALGORITHMS):
            found[name] = value
    return found


def selftests(host) -> dict[str, str]:
    """Results of the kernel's self-tests of the accelerators' algorithms, when all have ended."""
    host.ssh.run(r"n=0; while grep -A6 '^driver *: \(hisi[_-]\|hpre-\)' /proc/crypto | "
                 "grep -q 'selftest *: unknown'; "
                 "do n=$((n+1)); [ $n -lt 600 ] || exit 1; usleep 50000; done", timeout=90)
    return outcomes(host.ssh.out("cat /proc/crypto"))


def sound(host, engine: str, *numbers: int) -> None:
    """No request may have failed."""
    assert [host.counters(engine, number)["events"]["requests-failed"] for number in numbers] == [0] * len(numbers)


@pytest.mark.parametrize("version", EACH)
def test_selftests_pass_on_pfs(boot, version):
    """On PFs, the kernel's self-tests must pass."""
    host = boot(HostConfig(kernel=version, driver="stock", vfs=0, engines=tuple(ENGINES)))
    assert selftests(host) == passed(version, *ENGINES)
    assert "queues of QM are busy" not in host.ssh.out("dmesg"), "software processed some requests"
    for engine in ENGINES:
        assert host.counters(engine, 0)["events"]["requests-completed"] > 3
        sound(host, engine, 0)


@pytest.mark.slow("the stock drivers in other ways")
@pytest.mark.parametrize("version", DEFAULT_FIRST)
def test_selftests_pass_on_vfs_in_a_guest(new_session, version):
    """On VFs in a guest, the kernel's self-tests must pass."""
    session = new_session()
    (host,) = session.boot([session.spec("host", HostConfig(vfs=1, engines=tuple(ENGINES)), GuestConfig(version))])
    for name, engine in ENGINES.items():
        vfs = accelerator.set_up(host.ssh, [engine], 1)[name]
        record = LoadRecord()
        guest = Guest(host, vfs, record, migration=MigrationConfig(load=""))
        try:
            record.wait("the guest's driver is ready", lambda: record.ready, 120, guest.alive)
        finally:
            console = guest.console()
            guest.close()
        assert outcomes(console) == passed(version, name)
        assert "queues of QM are busy" not in console, "software processed some requests"
        assert host.counters(name, 1)["events"]["requests-completed"] > 3
        sound(host, name, 1)


@pytest.mark.slow("the stock drivers in other ways")
@pytest.mark.parametrize("version", EACH)
def test_selftests_pass_on_a_vf_in_the_host(boot, version):
    """On a VF in the host, the kernel's self-tests must pass."""
    # A PF with fewer queues than the driver's users need is not used (with exceptions in Linux
    # 7.2), so the VF is. With as many interrupts as hardware's PF and VFs request
    host = boot(HostConfig(kernel=version, driver="stock", vfs=1, model={**MODEL, "vf-vectors": "3"}),
                parameters="pf_q_num=2 ctx_q_num=4")
    assert selftests(host) == {}
    accelerator.bind(host.ssh, accelerator.vfs(host.ssh, SEC), SEC.driver)
    assert selftests(host) == passed(version, "sec")
    on_pf, on_vf = (host.counters("sec", n)["events"]["requests-completed"] for n in (0, 1))
    assert on_vf > 100 and on_vf > on_pf
    sound(host, "sec", 1)


@pytest.mark.slow("the stock drivers in other ways")
@pytest.mark.parametrize("version", EACH)
@pytest.mark.parametrize("name", ENGINES)
def test_unload_and_load_again(boot, version, name):
    """The stock driver must work after it was unloaded and loaded again."""
    # Linux 6.12 requests three MSI vectors, of which the interrupt controller allocates four, and
    # frees three: it binds to a VF only once
    engine = ENGINES[name]
    host = boot(HostConfig(kernel=version, driver="stock", vfs=2, engines=(name,)))
    accelerator.bind(host.ssh, accelerator.vfs(host.ssh, engine), engine.driver)
    selftests(host)
    host.ssh.run(f"echo 0 > /sys/bus/pci/devices/{engine.pf}/sriov_numvfs && rmmod {engine.driver}", timeout=120)
    accelerator.set_up(host.ssh, [engine], 2, stock=True)
    assert selftests(host) == passed(version, name)
    sound(host, name, 0, 1, 2)


@pytest.mark.slow("the stock drivers in other ways")
@pytest.mark.parametrize("version", EACH)
def test_dumps_of_registers_change_nothing(boot, version):
    """Reading the debugfs register dumps must not change the device's state."""
    host = boot(HostConfig(kernel=version, driver="stock", vfs=1, engines=tuple(ENGINES)))
    selftests(host)
    host.ssh.run("find /sys/kernel/debug/hisi_* -name '*reg*' -type f -exec cat {} + > /dev/null", timeout=60)
    for engine in ENGINES:
        sound(host, engine, 0)


@pytest.mark.slow("the stock drivers in other ways")
@pytest.mark.parametrize("version", DEFAULT_FIRST)
def test_the_stock_drivers_work_with_each(request, boot, version):
    """PFs and VFs must be brought up and pass the kernel's self-tests with all choices changed, and
    with --long with each alone; register dumps must not fail either."""
    vfs = 2
    host = boot(HostConfig(kernel=version, driver="stock", vfs=vfs, engines=tuple(ENGINES)))
    selftests(host)                     # they use the drivers
    for setting in settings(request.config.getoption("--long")):
        for name, engine in ENGINES.items():
            host.ssh.run(f"echo 0 > /sys/bus/pci/devices/{engine.pf}/sriov_numvfs; rmmod {engine.driver}", timeout=120)
            choose(host, name, setting)
        accelerator.set_up(host.ssh, ENGINES.values(), vfs, stock=True)
        assert selftests(host) == passed(version, *ENGINES), setting
        host.ssh.run("find /sys/kernel/debug/hisi_* -name '*reg*' -type f -exec cat {} + > /dev/null", timeout=60)
        for name in ENGINES:
            sound(host, name, *range(vfs + 1))


def test_a_wrong_property_is_refused_with_a_sentence(new_session):
    """An invalid property must be rejected with one line."""
    session = new_session()
    spec = session.spec("host", HostConfig(model={"kick-scope": "galaxy"}))
    with pytest.raises(LabError, match="galaxy"):
        session.boot([spec])
