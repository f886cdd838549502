# SPDX-License-Identifier: GPL-2.0
"""The SMMU's dirty bitmap must have exactly the pages that devices wrote: tested from user space in
a host with an accelerator, QEMU's edu, and a disk whose I/O runs in a thread of its own."""

from __future__ import annotations

import pytest

import dirty
from lab.core import paths, versions
from lab.core.errors import LabError
from lab.scenario import accelerator
from lab.scenario.config import HostConfig

refused = pytest.mark.expect(*dirty.PROVOKED)
#: shows whether a page that was reported as dirty is reported again after another write
REWRITTEN = "dirty_again_when_rewritten"


@pytest.fixture
def boot(new_session, context):
    """Boot a host for the kselftest."""
    def one(*config: HostConfig, **how) -> dirty.DirtyHost:
        return dirty.boot(new_session, context, *config, **how)
    return one


@refused
def test_the_bitmap_is_what_devices_wrote(boot, pytestconfig):
    """The bitmap must match the writes, also if descriptor updates race twice in each walk. With an
    IOTLB that caches dirty state, which Linux does not invalidate, the test must fail."""
    up = boot()
    many = pytestconfig.getoption("long")
    quick, everything = up.devices[:3], up.devices
    for seed in range(1, 21 if many else 2):
        verdict = up.run(everything if many else quick, rounds=12 if many else 6, seed=seed)
        assert verdict.status == 0, verdict.text
    print(verdict.text)
    # edu is slow: 100 ms for each access
    assert up.run([dirty.EDU], rounds=1).status == 0

    # updates by a reader and by a device race without this, too, but rarely
    before, lost = up.get("httu-stored"), up.get("httu-lost")
    up.set("httu-disturb", 2)
    verdict = up.run(quick, rounds=2)
    assert verdict.status == 0, verdict.text
    stored = up.get("httu-stored") - before
    assert stored > 100 and up.get("httu-lost") - lost >= 2 * stored
    up.set("httu-disturb", 0)

    up.set("httu-cache-dirty", True)
    verdict = up.run(quick[:1], rounds=2)
    assert REWRITTEN in verdict.failed and "first_write" not in verdict.failed, verdict.text
    up.set("httu-cache-dirty", False)


@pytest.mark.slow("other kernels and machines")
@refused
@pytest.mark.parametrize("config, extra", [
    (HostConfig(kernel=versions.LTS), ()),
    (HostConfig(), ("-M", "virt-9.1")),
    (HostConfig(uefi=True), ()),
], ids=["lts", "stage-1-alone", "acpi"])
def test_the_bitmap_is_right_elsewhere(boot, config, extra):
    """The bitmap must match the writes on the LTS kernel; on an SMMU without stage 2, as in older
    machines (others are nested); and where ACPI's IORT reports HTTU instead of a register."""
    up = boot(config, extra=extra)
    verdict = up.run(up.devices[:3], rounds=2)
    assert verdict.status == 0, verdict.text


def test_missing_tracking_and_missing_iommufd_are_reported(boot):
    """Without dirty tracking or without IOMMUFD, the kselftest and the lab must report which is missing."""
    up = boot(HostConfig(httu=False))
    verdict = up.run(up.devices[:1])
    assert verdict.status == 4 and "SKIP this IOMMU does not track dirty pages" in verdict.text
    # as on a kernel built without it
    up.host.ssh.run("rm /dev/iommu")
    verdict = up.run(up.devices[:1])
    assert verdict.status == 4 and "SKIP this kernel has no IOMMUFD" in verdict.text
    with pytest.raises(LabError, match="this kernel has no IOMMUFD; use --backend container"):
        accelerator.need_iommufd(up.host.ssh)


@pytest.mark.long("builds another kernel")
@refused
def test_the_patch_for_the_kernel_invalidates_what_it_cleans(boot):
    """With the patch, an IOTLB that caches dirty state must not hide writes, also in block mappings."""
    up = boot(HostConfig(kernel_patch=paths.LAB / "upstream/iommu-dirty-sync.patch"))
    for caches in (True, False):
        up.set("httu-cache-dirty", caches)
        verdict = up.run(up.devices[:3], rounds=8)
        assert verdict.status == 0, verdict.text
