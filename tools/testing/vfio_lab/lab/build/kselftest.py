# SPDX-License-Identifier: GPL-2.0
"""The kernel's selftests of VFIO and those of this clone, built for the hosts.

The kernel's directory, its library libvfio and its way to build, install and run
tests are taken from the sources of the newest kernel, as they are; this clone's directory
of the same name is laid over it, and one patch adds these to the kernel's Makefile.
All of it is built against this clone's <linux/vfio.h>.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from ..core import paths, processors, versions
from ..core.apt import Apt
from ..core.cache import digest
from ..core.context import Context, shared
from ..core.errors import LabError
from ..core.run import output, run
from .kernel import CROSS, MAKE, Kernel, kernel, sources

RECIPE = 2
#: the kernel's harness, its timeout of a test, and seconds for emulated hosts beside other work
HARNESS = "kselftest_harness.h"
_TIMEOUT, _EMULATED_TIMEOUT = re.compile(r"^(#define TEST_TIMEOUT_DEFAULT) \d+$", re.M), 300
#: of the kernel's tree, what building one directory of selftests takes
PARTS = ("scripts/subarch.include", "tools/include", "tools/arch/arm64/include", "tools/testing/selftests/kselftest",
         "tools/testing/selftests/vfio")
FOLDER = Path("tools/testing/selftests/vfio")
TREE = paths.ROOT / FOLDER
HOOK = "hook.patch"
_PATCH = ("patch", "-p1", "--batch", "--forward", "--fuzz=0")
HEADER = paths.UAPI / "linux/vfio.h"
#: what a test shares with a sample
SHARED = Path("samples/edu_vfio_pci/edu.h")
COMPAT = paths.LAB / "programs/libuuid_compat.c"
#: where the tests lie in a host
REMOTE = "/lab/kselftest"


def headers(source: Kernel, context: Context) -> Path:
    """The uAPI headers of a kernel, as user space gets them; a directory for -isystem."""
    def build(folder: Path) -> None:
        log = context.cache.log(f"headers-{source.version}")
        with context.steps.step(f"make the headers of kernel {source.version}", log):
            run([*MAKE, "-C", source.source, f"O={folder / 'build'}", "headers"], log=log,
                failure=f"The headers of kernel {source.version} cannot be made.")
            (folder / "build/usr/include").rename(folder / "include")
            shutil.rmtree(folder / "build")

    return context.cache.entry(f"headers-{source.version}", source.package,
                               digest({"recipe": RECIPE, "source": source.source.name}), build,
                               context.waiting) / "include"


def libuuid(context: Context) -> Path:
    """Debian's arm64 package of what libvfio links with."""
    return context.package("uuid-dev", apt=Apt(context.cache, "arm64"))


def _overlay() -> dict[str, bytes]:
    """This clone's files by their place in the directory of tests."""
    return {str(path.relative_to(TREE)): path.read_bytes() for path in sorted(TREE.rglob("*"))
            if path.is_file() and path.suffix not in (".o", ".d")}


def _scale_timeout(harness: Path) -> None:
    """Lengthen the harness's timeout: vfio_pci_driver_test maps 1 GiB page by page."""
    text, count = _TIMEOUT.subn(rf"\1 {_EMULATED_TIMEOUT}", harness.read_text())
    if count != 1:
        raise LabError(f"The kernel's {HARNESS} does not define TEST_TIMEOUT_DEFAULT once; see lab/build/kselftest.py.")
    harness.write_text(text)


def _lay_out(tree: Path, source: Path, header: Path, files: Mapping[str, bytes]) -> None:
    """The part of a kernel tree that the tests are built in, with these files of it."""
    for part in PARTS:
        (tree / part).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (source / part).is_dir() else shutil.copy
        copy(source / part, tree / part)
    for path in (source / "tools/testing/selftests").iterdir():
        if path.is_file():
            shutil.copy(path, tree / "tools/testing/selftests")
    _scale_timeout(tree / "tools/testing/selftests" / HARNESS)
    shutil.copytree(header, tree / "usr/include")
    shutil.copy(HEADER, tree / "usr/include/linux")
    (tree / SHARED).parent.mkdir(parents=True)
    shutil.copy(paths.ROOT / SHARED, tree / SHARED)
    for name, content in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(content)


def check_hook(context: Context, series: str = versions.DEFAULT) -> None:
    """Refuse a kernel whose selftests the hook does not apply to, before anything is
    built for hours: fetches its sources, and changes nothing."""
    where = sources(series, context)
    run([*_PATCH, "--dry-run", "-d", where, "-i", TREE / HOOK], log=context.cache.log("kselftest-hook"),
        failure=f"{HOOK} does not apply to the selftests of kernel {series}.")


def static_variables(folder: Path, uuid: Path, log: Path) -> dict[str, str]:
    """Variables of make for programs that need no library of a host; an object file goes to `folder`."""
    compat = folder / "compat.o"
    run([f"{CROSS}gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-c", "-o", compat, COMPAT], log=log)
    return {"EXTRA_CFLAGS": f"-O2 -I{uuid}/usr/include",
            "USERLDFLAGS": f"-static -L{uuid}/usr/lib/aarch64-linux-gnu {compat}"}


def _install(tree: Path, target: Path, uuid: Path, log: Path, on_line: Callable[[str], None] | None = None) -> None:
    """Build and install the tests of a tree."""
    static = static_variables(tree, uuid, log)
    run([*MAKE, f"-j{processors.count()}", "-C", tree / "tools/testing/selftests",
         "TARGETS=vfio", "FORCE_TARGETS=1", *(f"{name}={value}" for name, value in static.items()),
         f"KSFT_INSTALL_PATH={target}", "install"], log=log, failure="The selftests of VFIO cannot be built.",
        on_line=on_line)


def check_files(files: Mapping[str, str], source: Kernel, folder: Path, log: Path, context: Context) -> None:
    """Build the selftests of a kernel with these files of its tree, in an empty directory.  Raises LabError if they
    cannot be built, or with a warning."""
    warned: list[str] = []
    _lay_out(folder / "tree", source.source, headers(source, context), {name: text.encode() for name, text in files.items()})
    _install(folder / "tree", folder / "installed", libuuid(context), log,
             lambda line: warned.append(line) if "warning:" in line else None)
    if warned:
        raise LabError(f"The selftests build with a warning: {warned[0]}", log)


def installed(context: Context | None = None, source: Kernel | None = None) -> Path:
    """The installed tests: run_kselftest.sh, and a directory vfio with the programs."""
    context = context or shared()
    source = source or kernel(versions.DEFAULT, context)
    header, uuid, files = headers(source, context), libuuid(context), _overlay()

    def build(folder: Path) -> None:
        log = context.cache.log("kselftest")
        tree = folder / "tree"
        with context.steps.step("build the selftests of VFIO, the kernel's and this project's", log):
            _lay_out(tree, source.source, header, {str(FOLDER / name): content for name, content in files.items()})
            run([*_PATCH, "-d", tree, "-i", tree / FOLDER / HOOK], log=log,
                failure=f"{HOOK} does not apply to the kernel's selftests.")
            _install(tree, folder / "installed", uuid, log)
            shutil.rmtree(tree)

    inputs = {"recipe": RECIPE, "source": source.source.name, "uuid": uuid.name,
              "compiler": output([f"{CROSS}gcc", "-dumpfullversion"]).strip(),
              "compat": COMPAT, "header": HEADER, "shared": paths.ROOT / SHARED, "files": {name: content.hex() for name, content in files.items()}}
    return context.cache.entry("kselftest", source.package, digest(inputs), build,
                               context.waiting) / "installed"


def program(name: str, context: Context | None = None) -> Path:
    """One of the installed programs."""
    return installed(context) / FOLDER.name / name


def files(where: Path, remote: str = REMOTE) -> dict[str, Path]:
    """What to push into a host (HostConfig.push) for the installed tests to lie in `remote`."""
    return {f"{remote}/{path.relative_to(where)}": path
            for path in sorted(where.rglob("*")) if path.is_file()}
