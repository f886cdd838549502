# SPDX-License-Identifier: GPL-2.0
"""UEFI for a host: what boots it with ACPI tables, as servers are, in place of a
device tree. It takes seconds, so only tests that need the tables use it."""

from __future__ import annotations

from pathlib import Path

from ..core.context import Context

PACKAGE = "qemu-efi-aarch64"
#: the one file that is kept of the package, which has several images of 64 MB
IMAGE = "usr/share/qemu-efi-aarch64/QEMU_EFI.fd"


def uefi(context: Context) -> Path:
    """The firmware's image, from the cache or else from Debian."""
    return context.package(PACKAGE, keep=IMAGE) / IMAGE
