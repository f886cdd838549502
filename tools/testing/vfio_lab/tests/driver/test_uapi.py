# SPDX-License-Identifier: GPL-2.0
"""The driver's user interface: the hisi_acc kselftests in a host."""

import pytest

import tap
from lab.core import hardware, versions
from lab.scenario import accelerator, expected
from lab.scenario.config import HostConfig
from kernels import EACH


def bound_host(boot, context, version: str, driver: str = "tree", vfs: int = 2):
    """A host with the kselftests and the VFs they use."""
    host = boot(HostConfig(kernel=version, driver=driver, vfs=vfs, push=tap.files(context)))
    addresses = accelerator.vfs(host.ssh, hardware.ENGINES["sec"])
    accelerator.bind(host.ssh, addresses, hardware.VARIANT_DRIVER)
    return host, addresses


@pytest.mark.expect(tap.PROVOKED)
@pytest.mark.parametrize("version", EACH)
def test_kselftest_passes(boot, context, version):
    """This driver must pass all hisi_acc kselftests, the programs at the same time."""
    # Not the last VF: it may have the remaining queues
    host, vfs = bound_host(boot, context, version, vfs=2 * len(tap.PROGRAMS) + 1)
    done = host.ssh.run(tap.apart(vfs[:-1]), timeout=300, check=False)
    assert tap.wrong(done.stdout, version) == {}, done.stdout
    # each reason to reject data has an errno of its own
    assert "rejected with" not in done.stdout, done.stdout
    assert done.returncode == 0 and set(tap.verdicts(done.stdout)) == {
        test for test, program in tap.tests().items() if program in tap.PROGRAMS}, done.stdout


# which causes many messages of the kernel and the device
@pytest.mark.expect(".", maybe=True)
@pytest.mark.long("waits for timeouts")
@pytest.mark.parametrize("version", EACH)
def test_the_in_tree_driver_fails_what_its_list_has(boot, context, version):
    """The in-tree driver must fail exactly what its list says."""
    host, vfs = bound_host(boot, context, version, "in-tree")
    said = host.ssh.run(tap.command(vfs), timeout=900, check=False).stdout
    listed = expected.failed(expected.EXPECTED / f"hisi_acc_migration_tests.linux-{versions.SERIES[version].driver}")
    open_ended = {test for test, how in listed.items() if how == expected.SOMETIMES} | {"lost_in_reset_of_all"}
    assert {test: verdict for test, verdict in tap.verdicts(said).items()
            if verdict not in (tap.PASSED, tap.SKIPPED) and test not in open_ended} == {
                test: how for test, how in listed.items() if test not in open_ended}, said


@pytest.mark.expect("hisi_sec2 ")
@pytest.mark.long("waits a minute for the stock driver")
def test_a_vf_that_lost_its_state_reports_it(boot, context):
    """After a PF reset, a VF that lost its state must report that. The reset takes a minute: the
    PF's driver waits for stopped guests."""
    host, vfs = bound_host(boot, context, versions.DEFAULT)
    done = host.ssh.run(tap.command(vfs, "lost_in_reset_of_all"), timeout=300, check=False)
    assert done.returncode == 0 and tap.wrong(done.stdout, versions.DEFAULT) == {}, done.stdout
