# SPDX-License-Identifier: GPL-2.0
"""The driver on kernels with KASAN, lockdep and KCSAN, and on a kernel with 64K pages (make
sanitize).

Any report of the kernel's tools fails the run; of data races, only those in this module count.
tests/mutants/sanitize has drivers that must be reported.
"""

import pytest

import tap
from lab.core import hardware, paths
from lab.build import driver, kunit
from lab.build.kernel import flavoured, kernel
from lab.scenario import accelerator, watch
from lab.scenario.config import MODEL, HostConfig
from lab.probe import leaks, races

pytestmark = pytest.mark.long("takes half an hour, and builds three more kernels")

MUTANTS = paths.LAB / "tests/mutants/sanitize"
DEBUG, KCSAN = flavoured("debug"), flavoured("kcsan")
WATCHING = (DEBUG, KCSAN)
# The PF's driver waits a minute for its guests and logs that it does.
SLOW_TESTS = ("lost_in_reset_of_all",)
# of the tests for any device, those of resets and of files without a session
GENERIC_TESTS = ("migration_file_outlives_the_device", "set_state_and_reset", "migration_file_with_device_memory")
# time limit for one run of the kselftests, before timeout scaling
KSELFTEST_SECONDS = 300


def bound_host(boot, context, **config):
    """A host with the kselftests and two VFs for them."""
    host = boot(HostConfig(push=tap.files(context), **config))
    vfs = accelerator.vfs(host.ssh, hardware.ENGINES["sec"])
    accelerator.bind(host.ssh, vfs, hardware.VARIANT_DRIVER)
    return host, vfs[:2]


def unbind(host, vfs) -> None:
    """Unbind the VFs: what is still allocated afterwards has leaked."""
    for vf in vfs:
        host.ssh.run(f"echo {vf} > /sys/bus/pci/devices/{vf}/driver/unbind")


def kselftest(host, vfs, *names: str) -> str:
    """Run the kselftests, or some of their tests; returns their output."""
    return host.ssh.run(tap.command(vfs, *names), timeout=KSELFTEST_SECONDS, check=False).stdout


@pytest.mark.parametrize("version", WATCHING)
def test_the_kselftest(boot, context, version):
    """The driver must not use memory after free or out of bounds, take locks in the wrong order,
    sleep in atomic context, race on data, or do undefined arithmetic. lab/probe/leaks.py looks for
    leaks."""
    host, vfs = bound_host(boot, context, kernel=version)
    assert leaks.watched(host) == version.endswith("-debug")
    leaks.forget(host)
    for names in ((), GENERIC_TESTS):
        said = kselftest(host, vfs, *names)
        assert tap.wrong(said, version) == {}, said
    watch.expect(tap.PROVOKED)
    assert host.unexpected() == []
    watch.expect("hisi_sec2 ")
    for name in SLOW_TESTS:
        said = kselftest(host, vfs, name)
        assert tap.wrong(said, version) == {}, said
    unbind(host, vfs)
    assert host.unexpected() == []
    assert leaks.lost(host) == ""
    host.ssh.run(f"rmmod {hardware.VARIANT_DRIVER}")


def test_kunit(new_session, context):
    """The KUnit tests must not cause a report. They run one at a time, so they cannot show data races."""
    version = DEBUG
    built = driver.module(kernel(version, context), context, flavour="kunit")
    module = built.with_name(driver.KUNIT_MODULE)
    session = new_session()
    config = HostConfig(kernel=version, driver="stock", push={f"/lab/{module.name}": module})
    (host,) = session.boot([session.spec("host", config)])
    leaks.forget(host)
    host.ssh.run(f"modprobe vfio_pci_core && modprobe kunit enable=1 autorun=1 && insmod /lab/{module.name}", timeout=120)
    said = host.ssh.out("dmesg")
    assert kunit.suites(said) == list(kunit.OF_DRIVER) and kunit.failures(said) == []
    host.ssh.run("rmmod hisi_acc_kunit")
    assert host.unexpected() == []
    assert leaks.lost(host) == ""


@pytest.mark.parametrize("version", WATCHING)
def test_a_migration_under_load(new_session, version):
    """A migration of a guest under load must not cause a report."""
    assert new_session().migrate(HostConfig(kernel=version)).failures == []


def test_with_64k_pages_a_vf_works_but_does_not_migrate(new_session):
    """With 64K pages a V3 VF must not offer migration nor map migration registers, and must still
    work in a guest (D15)."""
    with new_session().scenario(HostConfig(kernel=flavoured("64k")), HostConfig()) as scenario:
        scenario.set_up()
        host = scenario.source
        lines = [line for line in host.ssh.out("dmesg").splitlines() if "no migration" in line]
        assert len(lines) == HostConfig.vfs, lines
        assert all("its registers share a page of 64 KiB with the guest's" in line for line in lines)
        assert "64K" not in host.ssh.out("ls /sys/kernel/debug/vfio/*/migration 2>&1 || true")
        scenario.start_guest()
        guest = scenario.guest
        blocked = guest.qmp.cmd("query-migrate").get("blocked-reasons", [])
        assert len(blocked) == 1 and "migration is not supported" in blocked[0].lower(), blocked
        scenario.keep_going(guest)
        scenario.finish(guest)


def test_64k_pages_migrate_with_the_registers_of_v5(boot, context):
    """With 64K pages a VF must migrate where the migration registers are in the PF."""
    version = flavoured("64k")
    host, vfs = bound_host(boot, context, kernel=version, model={**MODEL, "hw-version": "v4"})
    said = kselftest(host, vfs)
    assert tap.wrong(said, version, "v4") == {}, said


#: for each mutant: a kernel, what to run, a word of the report
FOUND_BY = {
    "dma-buf-of-whole-bars": (DEBUG, ("reach_of_dma_buf",), "not ok 1"),
    # repeated: one lost reference may go unnoticed
    "leak-of-a-migration-file": (DEBUG, 8 * ("reset_everywhere", "precopy_end"), "hisi_acc_migf_open"),
    "lock-across-a-user-copy": (DEBUG, ("two_writers", "reset_everywhere", "migration_file_with_device_memory"),
                                "possible circular locking"),
    "bound-checked-before-the-lock": (DEBUG, ("two_writers",), "KASAN"),
    "read-without-the-lock": (KCSAN, 20 * ("read_during_stop",), "KCSAN: data-race in"),
}


def test_each_mutant_has_its_finder():
    """Each mutant must be in the table."""
    assert {file.stem for file in MUTANTS.glob("*.patch")} == set(FOUND_BY)


@pytest.mark.parametrize("mutant", FOUND_BY)
def test_a_mutant_is_reported(boot, context, mutant):
    """Each mutant must be reported: the kernels detect errors, and the lab reads their logs; or a
    kselftest fails of what only these kernels have."""
    version, tests, word = FOUND_BY[mutant]
    host, vfs = bound_host(boot, context, kernel=version, patches=(MUTANTS / f"{mutant}.patch",))
    leaks.forget(host)
    if version.endswith("-kcsan"):
        races.report_all_races(host)
    failed = [line for name in tests for line in kselftest(host, vfs, name).splitlines() if line.startswith("not ok")]
    trouble = "\n".join(failed + host.unexpected())
    if word not in trouble:
        unbind(host, vfs)
        trouble += leaks.lost(host)
    assert word in trouble
    watch.expect(".", maybe=True)       # a mutant may also cause other messages
