# SPDX-License-Identifier: GPL-2.0
"""The releases that the lab knows: kernel series, QEMU and libvirt of the hosts.

One table each, newest first.  A new release is a line in its table; nothing
else in the lab or its tests names one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Series:
    """A kernel series, from Debian's package linux-source-NAME.

    ``config`` has the lines of its configuration that differ between series,
    ``lacks`` what an older or newer series has and this one does not, each with
    what follows from it.  ``driver`` is the oldest series whose own
    hisi_acc_vfio_pci is the same file for file, which is what its results are
    recorded under; ``registers`` the oldest whose KVM gives a guest's processor the
    same registers, which is what QEMU compares.
    """

    name: str
    config: tuple[str, ...]
    driver: str
    registers: str
    lacks: Mapping[str, str] = field(default_factory=dict)

    @property
    def version(self) -> tuple[int, ...]:
        """Its name as numbers, to compare."""
        return tuple(map(int, self.name.split(".")))

    def has(self, feature: str) -> bool:
        """Whether it has something that LACKING names."""
        if feature not in LACKING:
            raise KeyError(f"no series is known to lack {feature!r}")
        return feature not in self.lacks


_NO_AF_ALG = {"af_alg": "AF_ALG refuses asynchronous algorithms: a program cannot reach an accelerator",
              "hpre-curve25519": "hisi_hpre registers no curve25519"}
_SELFTESTS = "CONFIG_CRYPTO_SELFTESTS=y"

KERNELS = (
    Series("7.3", (_SELFTESTS, "CONFIG_SYSCTL=y"), "7.2", "7.2", _NO_AF_ALG),
    Series("7.2", (_SELFTESTS, "CONFIG_PROC_SYSCTL=y"), "7.2", "7.2", _NO_AF_ALG),
    Series("6.12", ("CONFIG_CRYPTO_MANAGER=y", "CONFIG_CRYPTO_MANAGER_DISABLE_TESTS=n", "CONFIG_PROC_SYSCTL=y"), "6.12", "6.12", {
        "hw-v4": "hardware of version 4 and later is taken for version 3",
        # qm_pf_reset_vf_done() has the VF started by hisi_qm_start(), which starts no queue
        # that the reset stopped; later ones by qm_restart(), which does
        "queue-survives-pf-reset": "a queue that was in use when its PF was reset is of no use afterwards",
        "lz4": "hisi_zip registers no lz4",
        "precopy-v2": "VFIO has no second version of the pre-copy ioctl",
        "vf-two-vectors": "the driver requests three MSI vectors of a VF, and so binds to it only once",
    }),
)

#: every feature that some series lacks
LACKING = frozenset(feature for series in KERNELS for feature in series.lacks)
SERIES = {series.name: series for series in KERNELS}
#: the kernels' own drivers of this name, each by the oldest series that has it, newest first
OWN_DRIVERS = tuple(dict.fromkeys(series.driver for series in KERNELS))
#: what a host runs by default
DEFAULT = KERNELS[0].name
#: the series that is supported longest, and the oldest here
LTS = KERNELS[-1].name
#: what `make ci` runs on; the others are for `vlab check -- --long`
CHECKED = (DEFAULT, LTS)
#: whose trees take the driver as patches, newest first: those with the newest interface
#: that it is written for.  compat.h bridges others, which is for builds out of tree
BASES = tuple(series.name for series in KERNELS if series.has("precopy-v2"))
#: a guest's: the newest in which a program can reach an accelerator
GUEST = next(series.name for series in KERNELS if series.has("af_alg"))


@dataclass(frozen=True)
class Release:
    """A release of QEMU or libvirt in Debian 13: its series, and the suite that has it."""

    name: str
    suite: str
    lacks: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Vmm(Release):
    """A release of QEMU.  What it ``lacks`` of guests to load comes with what it says
    then.

    ``packages`` are the binary packages that are taken from its suite, where that is
    not Debian 13 itself; ``dirty_trace`` is the trace event with which it counts the
    dirty pages that an IOMMU backend reports.
    """

    packages: tuple[str, ...] = ()
    dirty_trace: str = "vfio_container_query_dirty_bitmap"

    @property
    def version(self) -> tuple[int, ...]:
        """Its name as numbers, to compare."""
        return tuple(map(int, self.name.split(".")))

    def has(self, feature: str) -> bool:
        """Whether it has something that some release lacks."""
        if not any(feature in release.lacks for release in VMMS):
            raise KeyError(f"no release is known to lack {feature!r}")
        return feature not in self.lacks


#: QEMU of the hosts; the first is the default
VMMS = (
    Vmm("10.0", "trixie", {
        "p2p-prepare": "QEMU sends no event before it stops a device",
        "guest-of-older-kernel": "Failed to load cpu:cpreg_vmstate_array_len",
        "guest-of-newer-kernel": "Failed to put registers after init: Invalid argument",
        "viommu": "Migration is currently not supported with vIOMMU enabled",
        "device-ids": "QEMU names a VF that it was given as a file by the file's number",
    }, dirty_trace="vfio_get_dirty_bitmap"),
    Vmm("11.1", "trixie-backports", {
        # 10.0 gives the queues of virtio-serial 1024 entries, 11.1 allows 128, with
        # 10.0's machine type, too
        "guest-of-older-vmm": "vring.num 1024 exceeds allocated max 128",
        # QEMU ends
        "both-backends": "is not an instance of type vfio-iommu-legacy",
        # The destination's QEMU ends
        "guest-of-newer-kernel": "Failed to put registers",
        # To collect dirty pages, QEMU has all mappings replayed to a notifier of its own.
        # virtio-iommu replays them to the others, which have them already
        "viommu-dirty-pages": "File exists",
    }, packages=("qemu-system-arm", "qemu-system-common", "qemu-system-data")),
)
VMM = {release.name: release for release in VMMS}
DEFAULT_VMM = VMMS[0].name
#: the series whose sources the device model is built in, that of Debian 13; its backports
#: have newer ones, which the model is not made for
OUTER_QEMU = "10.0"


def machine(source: Vmm, destination: Vmm) -> str:
    """The guest's machine type: between releases, both need the older one's."""
    if source == destination:
        return "virt"
    return f"virt-{min(source, destination, key=lambda release: release.version).name}"


def refusal(kernel: Series, vmm: Vmm, to_kernel: Series, to_vmm: Vmm) -> str | None:
    """What QEMU says when it does not migrate a guest from a host with this kernel and
    QEMU to one with these; None where it does."""
    if vmm.version < to_vmm.version:
        words = to_vmm.lacks.get("guest-of-older-vmm")
        if words:
            return words
    if kernel.registers == to_kernel.registers:
        return None
    return to_vmm.lacks.get("guest-of-newer-kernel" if kernel.version > to_kernel.version else "guest-of-older-kernel")


#: libvirt of the hosts; the first is the default
LIBVIRTS = (
    Release("11.3", "trixie", {"iommufd": "a domain has no <iommufd>: its part for QEMU has to say it"}),
    Release("12.9", "trixie-backports"),
)
