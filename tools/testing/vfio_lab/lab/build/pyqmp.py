# SPDX-License-Identifier: GPL-2.0
"""QEMU's own QMP library, which Debian packages for Debian 13 and later only."""

from __future__ import annotations

from pathlib import Path

from ..core.context import Context, shared
from ..core.errors import LabError

PACKAGE = "python3-qemu-qmp"


def path(context: Context | None = None) -> Path:
    """A directory for sys.path from which ``qemu.qmp`` can be imported.

    It is pure Python, so Debian 13's package serves Debian 12 as well.
    """
    folder = (context or shared()).package(PACKAGE) / "usr/lib/python3/dist-packages"
    if not (folder / "qemu" / "qmp" / "__init__.py").exists():
        raise LabError(f"Debian's package {PACKAGE} no longer brings qemu.qmp.")
    return folder
