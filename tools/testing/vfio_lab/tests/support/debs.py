# SPDX-License-Identifier: GPL-2.0
"""Debian packages that were built: their fields, and their next version."""

from __future__ import annotations

import subprocess
from pathlib import Path

FIRST, SECOND = "0.1", "0.2"
DRIVER, LAB = "hisi-acc-vfio-pci-dkms", "vfio-migration-lab"


def field(package: Path, name: str) -> str:
    """A field of a package's control file, on one line."""
    done = subprocess.run(["dpkg-deb", "--field", package, name], capture_output=True, text=True, check=True)
    return " ".join(done.stdout.split())


def names(package: Path, *fields: str) -> set[str]:
    """The packages in fields such as Depends, without their versions."""
    found = {part.split()[0] for name in fields for part in field(package, name).split(",") if part.strip()}
    return {name.partition(":")[0] for name in found}


def as_newer(package: Path, folder: Path) -> Path:
    """The package as its next version."""
    subprocess.run(["dpkg-deb", "--raw-extract", package, folder], check=True)
    for old in folder.glob(f"usr/src/*-{FIRST}"):
        old.rename(old.with_name(old.name.replace(FIRST, SECOND)))
    control = folder / "DEBIAN/control"
    for file in [*(file for file in (folder / "DEBIAN").iterdir() if file != control), *folder.glob("usr/src/*/dkms.conf"),
                 *folder.glob("usr/share/*/debian/changelog")]:
        file.write_text(file.read_text().replace(FIRST, SECOND))
    control.write_text(control.read_text().replace(f"\nVersion: {FIRST}\n", f"\nVersion: {SECOND}\n"))
    (folder / "DEBIAN/md5sums").unlink()
    newer = folder.parent / package.name.replace(FIRST, SECOND)
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", folder, newer], check=True)
    return newer
