# SPDX-License-Identifier: GPL-2.0
"""Where the parts of this clone lie."""

from __future__ import annotations

import os
from pathlib import Path

#: tools/testing/vfio_lab
LAB = Path(__file__).resolve().parents[1]
#: the clone's top folder
ROOT = LAB.parents[2]
#: the driver under test
DRIVER = ROOT / "drivers" / "vfio" / "pci" / "hisilicon"
#: the device model, which becomes a folder of QEMU's sources
MODEL = LAB / "qemu"
#: configuration fragments of the lab's kernels
KERNEL_CONFIGS = LAB / "kernel"
#: this clone's uAPI headers, for user space
UAPI = ROOT / "include" / "uapi"
#: where outcomes and logs go: into a clone, but not into an installed package, from
#: where `vlab check` tells its tests, which run in another folder
BUILD = Path(os.environ.get("VFIO_LAB_BUILD") or (ROOT if (ROOT / ".git").exists() else Path.cwd()) / "build")
