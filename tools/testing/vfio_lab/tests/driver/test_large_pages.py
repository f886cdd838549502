# SPDX-License-Identifier: GPL-2.0
"""D15: where pages are 64 KiB, half a BAR cannot be mapped alone: the device is
offered without migration, and one line says why."""

import pytest

import bench
from lab.build.kernel import flavoured

LARGE = flavoured("64k")


@pytest.mark.long("builds a kernel with pages of 64 KiB")
@pytest.mark.parametrize("hw_version, offered", [("v3", False), ("v4", True)])
def test_what_is_offered(new_session, context, hw_version, offered):
    """From V4 on the registers of migration are elsewhere, and all of it is mapped."""
    with bench.bench(new_session(), context, LARGE, "ours", hw_version=hw_version) as one:
        one.bring_up()
        said = one.host.ssh.out("dmesg | grep -c 'no migration: its registers share a page of 64 KiB' || true")
        assert int(said) == (0 if offered else 2)
        # the stand-in maps the guest's part of the BAR: a page, or this fails
        with one.open() as vf:
            assert (vf.migration_flags() != 0) == offered
            vf.guest_up()
            assert vf.table() != 0
            assert vf.reset_only() == ""
