# SPDX-License-Identifier: GPL-2.0
"""`make deb`: Debian's source package, and packages of the driver, which DKMS builds, of tests for
servers, and of the lab."""

from __future__ import annotations

import shutil
from pathlib import Path

from ..core import files, machine, paths, scratch
from ..core.context import Context
from ..core.errors import LabError
from ..core.run import run
from ..build import kselftest


#: the builds: those of packages for arm64 and of the source, and that of the lab's
BUILDS = (("--build=source,any", "--host-arch=arm64", "--build-profiles=cross,pkg.hisi-acc-vfio-pci.kselftest"),
          ("--build=any",))
#: all of lintian's tags but these: debian/control follows the policy of Debian 13, which lintian of
#: Debian 12 does not know
LINTIAN = ("--display-info", "--pedantic", "--display-experimental", "--allow-root",
           "--suppress-tags", "newer-standards-version")


def build(target: Path, context: Context) -> list[Path]:
    """Build the packages into `target` and check them with lintian; returns them."""
    machine.check()
    if paths.PACKAGED:
        raise LabError("Packages are made from a clone; this is the lab's own package.")
    machine.prepare(context, machine.DEB)
    tests = kselftest.installed(context)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    log = target / "build.log"
    with context.steps.step("build Debian packages", log), scratch.folder("deb-") as work:
        source = work / "build/source"
        for place in files.listed():
            (source / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(paths.ROOT / place, source / place)
        for options in BUILDS:
            run(["dpkg-buildpackage", "--unsigned-source", "--unsigned-changes", *options], cwd=source, log=log,
                env={"KSELFTEST": str(tests)}, failure="The packages cannot be built.")
        for file in source.parent.glob("*.*"):
            if file.is_file():
                shutil.copy(file, target)
        said: list[str] = []
        run(["lintian", *LINTIAN, *sorted(source.parent.glob("*.changes"))], log=log, check=False, on_line=said.append)
        if said:
            raise LabError(f"lintian reports {len(said)} problems, the first: {said[0]}", log)
    return sorted(target.glob("*.deb"))
