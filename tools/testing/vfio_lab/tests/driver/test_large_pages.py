# SPDX-License-Identifier: GPL-2.0
"""With 64 KiB pages, half of BAR2 cannot be mapped alone: the driver must not offer migration, and
must log one line (D15)."""

import pytest

import bench
from lab.build.kernel import flavoured

LARGE = flavoured("64k")


@pytest.mark.long("builds a kernel with pages of 64 KiB")
@pytest.mark.parametrize("hw_version, offered", [("v3", False), ("v4", True)])
def test_what_is_offered(new_session, context, hw_version, offered):
    """On V4 and later, where the migration registers are in the PF, migration must be offered and
    all of the BAR mapped."""
    with bench.bench(new_session(), context, LARGE, "tree", hw_version=hw_version) as one:
        one.bring_up()
        said = one.host.ssh.out("dmesg | grep -c 'no migration: its registers share a page of 64 KiB' || true")
        assert int(said) == (0 if offered else 2)
        # the program for the guest maps its part of the BAR: fails unless that is a page
        with one.open() as vf:
            assert (vf.migration_flags() != 0) == offered
            vf.guest_up()
            assert vf.table() != 0
            assert vf.reset_only() == ""
