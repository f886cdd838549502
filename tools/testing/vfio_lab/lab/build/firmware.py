# SPDX-License-Identifier: GPL-2.0
"""UEFI for a host: what boots it with ACPI tables, as servers are, in place of a
device tree. It takes seconds, so only tests that need the tables use it."""

from __future__ import annotations

import shutil
from pathlib import Path

from ..core.apt import unpack
from ..core.cache import digest
from ..core.context import Context

PACKAGE = "qemu-efi-aarch64"
IMAGE = "QEMU_EFI.fd"
KIND = "firmware"


def uefi(context: Context) -> Path:
    """The firmware's image, from the cache or else from Debian."""
    cached = context.cache.newest(KIND)
    if cached is not None:
        context.cache.peek(cached.kind, cached.version, cached.key)
        return cached.path / IMAGE
    with context.steps.step(f"fetch Debian's {PACKAGE}") as step:
        version = context.apt.candidate(PACKAGE) or ""

        def fetch(folder: Path) -> None:
            deb = context.apt.download(PACKAGE, version or None, folder, step.watch)
            whole = folder / "whole"        # images of 64 MB each, but for the one
            unpack(deb, whole, context.cache.log(f"unpack-{PACKAGE}"))
            deb.unlink()
            shutil.move(whole / "usr/share/qemu-efi-aarch64" / IMAGE, folder / IMAGE)
            shutil.rmtree(whole)

        return context.cache.entry(KIND, version, digest({"recipe": 1, "version": version}), fetch,
                                   context.waiting) / IMAGE
