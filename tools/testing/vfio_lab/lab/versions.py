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
    recorded under.
    """

    name: str
    config: tuple[str, ...]
    driver: str
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
    Series("7.3", (_SELFTESTS,), "7.2", _NO_AF_ALG),
    Series("7.2", (_SELFTESTS, "CONFIG_PROC_SYSCTL=y"), "7.2", _NO_AF_ALG),
    Series("6.12", ("CONFIG_CRYPTO_MANAGER=y", "CONFIG_CRYPTO_MANAGER_DISABLE_TESTS=n", "CONFIG_PROC_SYSCTL=y"), "6.12", {
        "hw-v4": "hardware of version 4 and later is taken for version 3",
        # qm_pf_reset_vf_done() has the VF started by hisi_qm_start(), which starts no queue
        # that the reset stopped; later ones by qm_restart(), which does
        "queue-survives-pf-reset": "a queue that was in use when its PF was reset is of no use afterwards",
        "lz4": "hisi_zip registers no lz4",
        "precopy-v2": "VFIO has no second version of the pre-copy ioctl",
        "vf-two-vectors": "the driver asks a VF for three MSI vectors, and so binds to it only once",
    }),
)

#: every feature that some series lacks
LACKING = frozenset(feature for series in KERNELS for feature in series.lacks)
SERIES = {series.name: series for series in KERNELS}
#: the kernels' own drivers of this name, each by the oldest series that has it, newest first
OWN_DRIVERS = tuple(dict.fromkeys(series.driver for series in KERNELS))
#: what a host runs unless told otherwise
DEFAULT = KERNELS[0].name
#: the series that is supported longest, and the oldest here
LTS = KERNELS[-1].name
#: what `make check` runs on; the others are for `vlab check -- --long`
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


#: QEMU of the hosts; the first is the default
VMMS = (Release("10.0", "trixie"), Release("11.1", "trixie-backports"))
#: libvirt of the hosts
LIBVIRTS = (Release("11.3", "trixie"), Release("12.9", "trixie-backports"))
