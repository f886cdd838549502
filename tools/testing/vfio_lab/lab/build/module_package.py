# SPDX-License-Identifier: GPL-2.0
"""A Debian package of this driver's module for one kernel, as a site builds it for its servers without compilers."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from ..core import paths
from ..core.context import Context
from ..core.run import run
from . import driver
from .kernel import Kernel

CONTROL = """\
Package: hisi-acc-vfio-pci-modules-{release}
Version: {version}
Architecture: arm64
Section: kernel
Priority: optional
Maintainer: {maintainer}
Description: live migration of HiSilicon accelerator VFs, for Linux {release}
"""
SCRIPT = "#!/bin/sh\nset -e\ndepmod {release}\n"


def build(kernel: Kernel, folder: Path, context: Context) -> Path:
    """Build the package in a directory; returns it."""
    tree = folder / "module-package"
    place = tree / "usr/lib/modules" / kernel.release / "updates"
    place.mkdir(parents=True)
    shutil.copy(driver.module(kernel, context), place)
    changes = (paths.ROOT / "debian/changelog").read_text(encoding="utf-8")
    maintainer = re.search(r"^ -- (.*>)", changes, re.M)
    about = {"release": kernel.release, "version": changes.partition("(")[2].partition(")")[0],
             "maintainer": maintainer[1] if maintainer else ""}
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN/control").write_text(CONTROL.format(**about), encoding="utf-8")
    for script in ("postinst", "postrm"):
        (tree / "DEBIAN" / script).write_text(SCRIPT.format(**about), encoding="utf-8")
        (tree / "DEBIAN" / script).chmod(0o755)
    package = folder / "hisi-acc-vfio-pci-modules.deb"
    run(["dpkg-deb", "--root-owner-group", "--build", tree, package], log=context.cache.log("module-package"),
        failure="The package of the module cannot be built.")
    shutil.rmtree(tree)
    return package
