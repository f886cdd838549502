# SPDX-License-Identifier: GPL-2.0
"""First use on a machine that has only sudo, git and make."""

from __future__ import annotations

import os
import shutil

import pytest

from bare_machine import BareMachine
from lab.core import disk
from lab.core.machine import RELEASES

pytestmark = pytest.mark.long("installs Debian 12 and 13 in a directory, and hundreds of packages there")

#: the commands of a user; then tests that need no kernel, as make check would run them
DEMO = "make python && tools/testing/vfio_lab/vlab build rootfs library programs"
PACKAGES = "make deb"
CHECK = ("tools/testing/vfio_lab/vlab check -- test_other_machines.py test_machine.py test_cache.py test_cpio.py "
         "test_project_files.py -k 'not sandbox and not has_a_space and not make_module and not get_maintainer'")


@pytest.mark.parametrize("release", RELEASES)
def test_the_first_minutes(tmp_path, release):
    """Packages must be listed and installed at the start, sudo must ask once and nothing else may
    need root: in a checkout with a space in its path, with umask 077 and in a POSIX locale."""
    if os.geteuid() or shutil.which("mmdebstrap") is None:
        pytest.skip("only root with mmdebstrap can make a bare machine")
    disk.require(tmp_path, 8 * disk.GB, "a bare machine", "TMPDIR")
    cache = tmp_path / "cache"
    cache.mkdir()
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == "root" and folder.is_relative_to(tmp_path.parent.parent):
            folder.chmod(0o755)
    machine = BareMachine(tmp_path, release, cache)
    assert machine.run(DEMO, 3600) == 0
    assert machine.asked == 1
    assert "missing Debian packages with apt-get" in machine.said and "none removed" in machine.said
    assert "python3-sphinx" not in machine.said and "dkms" not in machine.said
    # sudo's ticket belongs to the closed terminal
    assert machine.run(PACKAGES, 3600) == 0 and machine.asked == 2
    assert machine.run(CHECK, 3600) == 0 and machine.asked == 3
