# SPDX-License-Identifier: GPL-2.0
"""Where the parts of this clone lie."""

from __future__ import annotations

import os
from pathlib import Path

from .cache import default_root

#: tools/testing/vfio_lab
LAB = Path(__file__).resolve().parents[2]
#: the clone's top directory
ROOT = LAB.parents[2]
#: whether this is the lab's installed package, not a clone
PACKAGED = not (ROOT / "debian/rules").is_file()
#: the driver under test
DRIVER = ROOT / "drivers" / "vfio" / "pci" / "hisilicon"
#: what only its builds out of tree need
DKMS = ROOT / "dkms"
#: the device model, which becomes a directory of QEMU's sources
MODEL = LAB / "qemu"
#: configuration fragments of the lab's kernels
KERNEL_CONFIGS = LAB / "configs"
#: this clone's uAPI headers, for user space
UAPI = ROOT / "include" / "uapi"
def _build() -> Path:
    named = os.environ.get("VFIO_LAB_BUILD")
    if named:
        return Path(named)
    top = ROOT if (ROOT / ".git").exists() and os.access(ROOT, os.W_OK) else Path.cwd()
    return (top if os.access(top, os.W_OK) else default_root()) / "build"


#: where outcomes and logs go: into a clone, but not into one that cannot be written to, or
#: an installed package: from there into the directory that vlab is run in, or the cache.
#: `vlab check` passes it to its tests, which run in another directory
BUILD = _build()
