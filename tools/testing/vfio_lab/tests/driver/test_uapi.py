# SPDX-License-Identifier: GPL-2.0
"""The driver as userspace sees it: the device's own kselftest, in a host."""

import re

import pytest

import tap
from lab.core import hardware, paths, versions
from lab.build import cross
from lab.scenario import accelerator
from lab.scenario.session import Choice
from lab.release import test_table
from kernels import EACH

KSELFTEST = paths.ROOT / "tools/testing/selftests/vfio"
REMOTE = "/lab/hisi_acc_migration_test"


def bound_host(boot, context, version: str, driver: str = "ours"):
    """A host with the kselftest as REMOTE, and the functions it may use."""
    program = cross.static_program(sorted(KSELFTEST.glob("hisi_acc_*.c")), context)
    host = boot(Choice(kernel=version, driver=driver, push={REMOTE: program}))
    functions = accelerator.functions(host.ssh, hardware.ENGINES["sec"])
    accelerator.bind(host.ssh, functions, hardware.VARIANT_DRIVER)
    return host, functions[:2]


@pytest.mark.expect(tap.PROVOKED)
@pytest.mark.parametrize("version", EACH)
def test_kselftest_passes(boot, context, version):
    host, functions = bound_host(boot, context, version)
    done = host.ssh.run(f"{REMOTE} {' '.join(functions)}", timeout=300, check=False)
    assert tap.wrong(done.stdout, version) == {}, done.stdout
    # each kind of refusal has a number of its own
    assert "refused by" not in done.stdout, done.stdout
    assert done.returncode == 0 and "two_writers" in tap.verdicts(done.stdout), done.stdout + done.stderr


# which the kernel and the device have a lot to say of
@pytest.mark.expect(".", maybe=True)
@pytest.mark.long("waits for what hangs")
@pytest.mark.parametrize("version", EACH)
def test_mainline_fails_what_its_list_says(boot, context, version):
    """Would catch: a check that is wrong, a list that is."""
    host, functions = bound_host(boot, context, version, "mainline")
    said = host.ssh.run(f"{REMOTE} {' '.join(functions)}", timeout=900, check=False).stdout
    listed = test_table.failed(KSELFTEST / f"hisi_acc_migration_test.linux-{version}")
    assert set(re.findall(r"^not ok \d+ (\w+)", said, re.M)) == set(listed) - {"lost_in_reset_of_all"}, said


@pytest.mark.expect("hisi_sec2 ")
@pytest.mark.long("waits a minute for the stock driver")
def test_a_function_that_lost_its_state_says_so(boot, context):
    """The driver of the physical function resets all of the device, which takes
    a minute: it waits for guests that are stopped."""
    host, functions = bound_host(boot, context, versions.DEFAULT)
    done = host.ssh.run(f"{REMOTE} {' '.join(functions)} lost_in_reset_of_all", timeout=300, check=False)
    assert done.returncode == 0 and tap.wrong(done.stdout, versions.DEFAULT) == {}, done.stdout + done.stderr
