# SPDX-License-Identifier: GPL-2.0
"""Kernel modules of the lab: the parts of the guest's load that run in the kernel, a
second user of a PF's registers, and modified modules of the kernel: hisi_qm for a guest,
and VFIO's core."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from ..core import paths
from ..core.context import Context, shared
from ..core.errors import LabError
from . import module
from .kernel import Kernel
from .sources import EDU


def _module(files: Mapping[str, bytes], name: str, kernel: Kernel, context: Context | None) -> Path:
    """The module `name` of these files for this kernel, built if it is not cached."""
    return module.build("load", name, files, kernel, context or shared()) / f"{name}.ko"


def _files(folder: Path) -> dict[str, bytes]:
    """What a module is built from."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())
            if path.suffix in (".c", ".h") or path.name == "Kbuild"}


def load_module(kernel: Kernel, context: Context | None = None) -> Path:
    """accel_load.ko for this kernel."""
    return _module(_files(paths.LAB / "modules/accel_load"), "accel_load", kernel, context)


def edu_load_module(kernel: Kernel, context: Context | None = None) -> Path:
    """edu_load.ko for this kernel: a driver of QEMU's edu device, and its load."""
    shared_with = (paths.LAB / "modules/accel_load/accel_load.h", EDU / "edu.h")
    files = _files(paths.LAB / "modules/edu_load") | {path.name: path.read_bytes() for path in shared_with}
    return _module(files, "edu_load", kernel, context)


def rival_module(kernel: Kernel, context: Context | None = None) -> Path:
    """qm_rival.ko for this kernel: a second user of a PF."""
    return _module(_files(paths.LAB / "modules/qm_rival"), "qm_rival", kernel, context)


def _changed(what: str, place: str, into: str, kernel: Kernel) -> dict[str, bytes]:
    """Sources of a kernel's module, of which one, `place`, is changed."""
    folder, name = place.rsplit("/", 1)
    files = _files(kernel.source / folder)
    if files[name].count(what.encode()) != 1:
        raise LabError(f"Kernel {kernel.version}: {name} does not have '{what}' once.")
    files[name] = files[name].replace(what.encode(), into.encode())
    return files


def stock_qm(kernel: Kernel, what: str, context: Context | None = None, into: str = ";") -> Path:
    """This kernel's own hisi_qm.ko with something else in place of a statement, or nothing."""
    files = _changed(what, "drivers/crypto/hisilicon/qm.c", into, kernel)
    files["Kbuild"] = b"obj-m := hisi_qm.o\nhisi_qm-objs := qm.o sgl.o debugfs.o\n"
    return _module(files, "hisi_qm", kernel, context)


def looping_vfio(kernel: Kernel, context: Context | None = None) -> Path:
    """This kernel's own vfio.ko as before a26b499b757c, which is in all that can be had:
    the search for a way that is blocked never ends."""
    files = _changed("*next_fsm != VFIO_DEVICE_STATE_ERROR &&", "drivers/vfio/vfio_main.c", "", kernel)
    parts = re.findall(r"^vfio-.*\n", (kernel.source / "drivers/vfio/Makefile").read_text(encoding="utf-8"), re.M)
    files["Kbuild"] = "".join(["obj-m := vfio.o\n", *parts]).encode()
    return _module(files, "vfio", kernel, context)
