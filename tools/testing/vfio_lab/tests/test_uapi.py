# SPDX-License-Identifier: GPL-2.0
"""The driver as userspace sees it: the device's own kselftest, in a host."""

import re

import pytest

from lab import accelerator, cross, paths
from lab.kernel import VERSIONS
from lab.session import Choice

KSELFTEST = paths.ROOT / "tools/testing/selftests/vfio"
REMOTE = "/lab/hisi_acc_migration_test"


@pytest.mark.parametrize("version", VERSIONS)
def test_kselftest_passes(boot, context, version):
    program = cross.static_program(sorted(KSELFTEST.glob("hisi_acc_*.c")), context)
    host = boot(Choice(kernel=version, push={REMOTE: program}))
    functions = accelerator.functions(host.ssh, accelerator.ENGINES["sec"])
    accelerator.bind(host.ssh, functions, accelerator.VARIANT_DRIVER)
    done = host.ssh.run(f"{REMOTE} {' '.join(functions[:2])}", timeout=300, check=False)
    assert not re.search(r"^not ok", done.stdout, re.M), done.stdout
    assert done.returncode == 0 and re.search(r"^ok \d+ window", done.stdout, re.M), done.stdout + done.stderr
    assert host.trouble() == []
