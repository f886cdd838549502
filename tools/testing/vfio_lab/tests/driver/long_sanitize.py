# SPDX-License-Identifier: GPL-2.0
"""The driver on kernels that watch memory, locks and data races, and on one with
64K pages: make sanitize.  Not part of make check, it takes half an hour and three
kernels more.

What the kernel's own tools report fails the run, wherever it comes from; of data
races those of our module.  tests/mutants/sanitize holds drivers that must be
reported.
"""

import pytest

import tap
from lab.core import hardware, paths
from lab.build import driver, kunit
from lab.build.kernel import flavoured, kernel
from lab.scenario import accelerator, watch
from lab.scenario.session import MODEL, Choice
from lab.probe import leaks, races

# What is missing of the kernels is built first
pytestmark = pytest.mark.timeout(0)

MUTANTS = paths.LAB / "tests/mutants/sanitize"
DEBUG, KCSAN = flavoured("debug"), flavoured("kcsan")
WATCHING = (DEBUG, KCSAN)
# The driver of the physical function waits for its guests, a minute, and complains
SLOW_TESTS = ("lost_in_reset_of_all",)
# How long one of the kselftest's runs may take, before the host's patience
KSELFTEST_SECONDS = 300


def bound_host(boot, context, choice: Choice):
    """A host with the kselftests, and two functions for them."""
    host = boot(Choice(**{**vars(choice), "push": tap.files(context)}))
    functions = accelerator.functions(host.ssh, hardware.ENGINES["sec"])
    accelerator.bind(host.ssh, functions, hardware.VARIANT_DRIVER)
    return host, functions[:2]


def unbind(host, functions) -> None:
    """Take the driver's functions from it: what it still has then is lost."""
    for function in functions:
        host.ssh.run(f"echo {function} > /sys/bus/pci/devices/{function}/driver/unbind")


def kselftest(host, functions, *names: str) -> str:
    """Run the kselftests, or some of their tests; what was said."""
    return host.ssh.run(tap.command(functions, *names), timeout=KSELFTEST_SECONDS, check=False).stdout


@pytest.mark.parametrize("version", WATCHING)
def test_the_kselftest(boot, context, version):
    """Would catch: memory used after it was freed or beyond its end; locks in the
    wrong order; sleeping where one may not; data races; undefined arithmetic.  Of
    lost memory see lab/probe/leaks.py."""
    host, functions = bound_host(boot, context, Choice(kernel=version))
    assert leaks.watched(host) == version.endswith("-debug")
    leaks.forget(host)
    said = kselftest(host, functions)
    assert tap.wrong(said, version) == {}, said
    watch.expect(tap.PROVOKED)
    assert host.trouble() == []
    watch.expect("hisi_sec2 ")
    for name in SLOW_TESTS:
        said = kselftest(host, functions, name)
        assert tap.wrong(said, version) == {}, said
    unbind(host, functions)
    assert host.trouble() == []
    assert leaks.lost(host) == ""
    host.ssh.run(f"rmmod {hardware.VARIANT_DRIVER}")


def test_kunit(new_session, context):
    """Would catch: what KUnit does not see of what it runs.  One test at a time, so
    data races are none of it."""
    version = DEBUG
    built = driver.module("ours", kernel(version, context), context, flavour="kunit")
    module = built.with_name(driver.KUNIT_MODULE)
    session = new_session()
    choice = Choice(kernel=version, driver="none", push={f"/lab/{module.name}": module})
    (host,) = session.boot([session.spec("host", choice, guest=False)])
    leaks.forget(host)
    host.ssh.run(f"modprobe vfio && modprobe kunit enable=1 autorun=1 && insmod /lab/{module.name}", timeout=120)
    said = host.ssh.out("dmesg")
    assert kunit.suites(said) == list(kunit.SUITES) and kunit.failures(said) == []
    host.ssh.run("rmmod hisi_acc_kunit")
    assert host.trouble() == []
    assert leaks.lost(host) == ""


@pytest.mark.parametrize("version", WATCHING)
def test_a_migration_under_load(new_session, version):
    """Would catch: the same, where a guest works meanwhile."""
    choice = Choice(kernel=version)
    with new_session().scenario(choice, choice) as scenario:
        outcome = scenario.run()
        assert outcome.complaints == []


def test_64k_pages_leave_the_guest_a_function_that_cannot_migrate(new_session):
    """Would catch: half a BAR mapped with registers that are not the guest's, or a
    function that a guest cannot use at all (D15)."""
    with new_session().scenario(Choice(kernel=flavoured("64k"), backend="iommufd"), Choice()) as scenario:
        scenario.set_up()
        host = scenario.source
        lines = [line for line in host.ssh.out("dmesg").splitlines() if "no migration" in line]
        assert len(lines) == Choice.vfs, lines
        assert all("its registers share a page of 64 KiB with the guest's" in line for line in lines)
        assert "64K" not in host.ssh.out("ls /sys/kernel/debug/vfio/*/migration 2>&1 || true")
        scenario.start_guest()
        guest = scenario.guest
        blocked = guest.qmp.cmd("query-migrate").get("blocked-reasons", [])
        assert len(blocked) == 1 and "migration is not supported" in blocked[0].lower(), blocked
        scenario.keep_going(guest)
        scenario.finish(guest)


def test_64k_pages_migrate_where_the_window_is_elsewhere(boot, context):
    """Would catch: a size of page that is taken for 4 KiB somewhere."""
    choice = Choice(kernel=flavoured("64k"), model={**MODEL, "hw-version": "v4"})
    host, functions = bound_host(boot, context, choice)
    said = kselftest(host, functions)
    assert tap.wrong(said, choice.kernel, "v4") == {}, said


#: what each mutant is found by: a kernel, what runs, a word of the report
FOUND_BY = {
    # often: what is lost once may go unseen
    "leak-of-a-data-file": (DEBUG, 8 * ("reset_everywhere", "precopy_end"), "hisi_acc_migf_open"),
    "lock-across-a-user-copy": (DEBUG, ("two_writers", "reset_everywhere", "reset_during_copy"),
                                "possible circular locking"),
    "bound-checked-before-the-lock": (DEBUG, ("two_writers",), "KASAN"),
    "read-without-the-lock": (KCSAN, 20 * ("read_during_stop",), "KCSAN: data-race in"),
}


def test_each_mutant_has_its_finder():
    """Would catch: a mutant that nothing runs."""
    assert {file.stem for file in MUTANTS.glob("*.patch")} == set(FOUND_BY)


@pytest.mark.parametrize("mutant", FOUND_BY)
def test_a_mutant_is_reported(boot, context, mutant):
    """Would catch: a kernel that does not watch, or a log that nobody reads."""
    version, tests, word = FOUND_BY[mutant]
    host, functions = bound_host(boot, context, Choice(kernel=version, patches=(MUTANTS / f"{mutant}.patch",)))
    leaks.forget(host)
    if version.endswith("-kcsan"):
        races.look_closely(host)
    for name in tests:
        kselftest(host, functions, name)
    trouble = "\n".join(host.trouble())
    if word not in trouble:
        unbind(host, functions)
        trouble += leaks.lost(host)
    assert word in trouble
    watch.expect(".", maybe=True)       # of what it has broken more may be told
