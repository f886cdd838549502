# SPDX-License-Identifier: GPL-2.0
"""The lab's arm64 kernels, from Debian's kernel sources and our own configuration."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import disk, paths
from .apt import machine_codename
from .cache import digest
from .context import Context, shared
from .errors import LabError
from .progress import Step
from .run import output, run

RECIPE = 1
#: what a user may ask for
VERSIONS = ("7.2", "6.12")
LTS = "6.12"
#: builds of 7.2 for a host that is to be watched, by their fragment's name
FLAVOURS = ("debug", "kcsan", "64k")
#: how many times longer than usual to wait for a host that runs one
PATIENCE = {"debug": 8.0, "kcsan": 10.0, "64k": 2.0}
#: what the kernel wants to be told at its start: without it, it looks for no races
PARAMETERS = {"kcsan": "kcsan.early_enable=1"}
#: what a host may run
HOSTS = (*VERSIONS, *(f"7.2-{flavour}" for flavour in FLAVOURS))
CROSS = "aarch64-linux-gnu-"
#: arguments of each make that concerns an arm64 kernel
MAKE = ("make", "ARCH=arm64", f"CROSS_COMPILE={CROSS}")
#: A build says nothing about the machine it ran on, and is the same twice.
BUILD_ENV = {"KBUILD_BUILD_USER": "vlab", "KBUILD_BUILD_HOST": "vlab",
             "KBUILD_BUILD_TIMESTAMP": "1970-01-01", "KBUILD_BUILD_VERSION": "1",
             "LOCALVERSION": ""}


@dataclass(frozen=True)
class Kernel:
    """A built kernel.

    ``version`` is the series it really is, with its flavour ("7.2",
    "7.2-debug"), ``release`` what uname -r says.  Below ``modules`` lies
    lib/modules/RELEASE with its modules.dep; ``build`` is the KDIR that modules
    are built against, ``source`` the tree it came from.
    """

    version: str
    release: str
    package: str
    image: Path
    modules: Path
    source: Path
    build: Path

    @property
    def patience(self) -> float:
        """How many times longer than usual all takes under it, at most."""
        return PATIENCE.get(self.version.partition("-")[2], 1.0)

    @property
    def parameters(self) -> str:
        """What its command line has more than another's."""
        return PARAMETERS.get(self.version.partition("-")[2], "")


def fragment_text(version: str, flavour: str = "") -> str:
    """The configuration asked of a series; a newer 7.x is configured as 7.2 is.

    What a later fragment says of a symbol replaces what an earlier one did.  The
    flavours are for hosts, and do without what only a guest needs.
    """
    series = version if version == LTS else "7.2"
    # Guests run the older one
    hosts_only = () if series == LTS else ("libvirt",)
    text = ""
    for name in (("base", "trouble", series, flavour) if flavour else
                 ("base", "users", "power", *hosts_only, "trouble", series)):
        later = (paths.KERNEL_CONFIGS / f"{name}.config").read_text(encoding="utf-8")
        named = set(re.findall(r"^(CONFIG_\w+)=", later, re.MULTILINE))
        text = "".join(line for line in text.splitlines(keepends=True)
                       if line.partition("=")[0] not in named) + later
    return text


def unmet(wanted: str, config: str) -> list[str]:
    """The lines of a fragment that did not take effect in a .config."""
    have = dict(re.findall(r"^(CONFIG_\w+)=(.*)$", config, re.MULTILINE))
    lines = re.findall(r"^(CONFIG_\w+)=(.*)$", wanted, re.MULTILINE)
    return [f"{name}={value}" for name, value in lines if have.get(name, "n") != value]


def _choose(version: str, context: Context) -> tuple[str, str]:
    """The series to take for the one asked for, and its package's version.

    Sources that are cached are good enough; the network is asked only for
    what is not.
    """
    if version not in VERSIONS:
        raise LabError(f"There is no lab kernel {version}; known are {', '.join(VERSIONS)}.")
    cached = context.cache.newest(f"linux-source-{version}")
    if cached is not None:
        return version, cached.version
    candidate = context.apt.candidate(f"linux-source-{version}")
    if candidate is not None:
        return version, candidate
    if version == LTS:
        raise LabError(f"Debian's package linux-source-{LTS} is gone from this machine's mirror.")
    others = [name.removeprefix("linux-source-")
              for name in context.apt.names(r"linux-source-7\.\d+")]
    newer = [other for other in sorted(others, key=lambda name: int(name.split(".")[1]))
             if int(other.split(".")[1]) > int(version.split(".")[1])]
    taken = newer[-1] if newer else LTS
    context.steps.note(f"This machine's mirror has no kernel {version}; "
                       f"the lab takes {taken} instead.")
    return _choose(LTS, context) if taken == LTS else (
        taken, context.apt.candidate(f"linux-source-{taken}") or "")


def _source(version: str, package: str, context: Context) -> Path:
    """The unpacked kernel sources."""
    name = f"linux-source-{version}"

    def build(folder: Path) -> None:
        disk.require(context.cache.root, 3 * disk.GB, f"the sources of kernel {version}")
        log = context.cache.log(name)
        with context.steps.step(f"fetch the sources of kernel {version}", log) as step:
            deb = context.apt.download(name, package, folder, step.watch)
            step.progress("unpacking")
            pipe = 'dpkg-deb --fsys-tarfile "$1" | tar -xO "./usr/src/$2.tar.xz" | ' \
                   'tar -xJ -C "$3" --strip-components=1'
            run(["bash", "-o", "pipefail", "-c", pipe, "bash", deb, name, folder], log=log,
                failure=f"The sources of kernel {version} cannot be unpacked.")
            deb.unlink()

    return context.cache.entry(name, package, digest({"recipe": 1, "package": package}), build,
                               context.waiting)


def sources(version: str, context: Context | None = None) -> Path:
    """The sources of the kernel that kernel() builds, fetched if they are not cached."""
    context = context or shared()
    return _source(*_choose(version, context), context)


def counter(step: Step, unit: str, shape: str = r"^  [A-Z]") -> Callable[[str], None]:
    """A line reader that counts a build's steps in the display."""
    matches = re.compile(shape).match
    count = 0

    def see(line: str) -> None:
        nonlocal count
        if matches(line):
            count += 1
            step.progress(f"{count} {unit}")
    return see


def _configure(name: str, text: str, source: Path, build: Path, log: Path) -> None:
    fragment = build / "fragment"
    fragment.write_text(text, encoding="utf-8")
    run([*MAKE, "-C", source, f"O={build}", f"KCONFIG_ALLCONFIG={fragment}", "allnoconfig"],
        log=log, env=BUILD_ENV, failure=f"Kernel {name} cannot be configured.")
    missed = unmet(text, (build / ".config").read_text(encoding="utf-8"))
    if missed:
        raise LabError(f"Kernel {name} did not take these lines of its configuration: "
                       f"{', '.join(missed)}.", log)


def _settle(build: Path, source: Path) -> None:
    """Make the build folder one that modules are built against, wherever it lies.

    What only a further build of the kernel itself would need is dropped.
    """
    # The kernel wrote its present, temporary path here.
    (build / "Makefile").write_text(
        "export KBUILD_OUTPUT := $(realpath $(dir $(lastword $(MAKEFILE_LIST))))\n"
        f"include {source}/Makefile\n", encoding="utf-8")
    for path in build.rglob("*"):
        if path.suffix in (".o", ".a", ".ko") and "scripts" not in path.parts and path.is_file() \
                and path.name != "module-common.o":
            path.unlink()
    for pattern in ("vmlinux", "vmlinux.*", ".tmp_vmlinux*"):
        for path in build.glob(pattern):
            path.unlink()


def _patched(source: Path, package: str, patch: bytes, context: Context) -> Path:
    """Kernel sources with a patch; files that it leaves alone are shared with the
    unpatched ones."""
    def build(folder: Path) -> None:
        log = context.cache.log("kernel-patch")
        run(["cp", "--recursive", "--link", f"{source}/.", folder], log=log,
            failure="The kernel's sources cannot be copied.")
        wanted = folder / "wanted.patch"
        wanted.write_bytes(patch)
        # It replaces a file by a new one, and so leaves the shared one as it is
        run(["patch", "-p1", "--batch", "--forward", "--fuzz=0", "-d", folder, "-i", wanted], log=log,
            failure="The patch does not apply to this kernel.")

    return context.cache.entry("linux-source-patched", package,
                               digest({"recipe": 1, "source": source.name, "patch": patch.hex()}), build,
                               context.waiting)


def kernel(version: str, context: Context | None = None, patch: Path | None = None) -> Kernel:
    """The kernel of a series, "7.2", or a flavour of it, "7.2-debug"; built if it is
    not cached.

    Asked for 7.2 where Debian has only a newer 7.x, that is taken; without
    any, 6.12: a note tells it, and the Kernel says what it is.  A `patch` changes
    the kernel itself.
    """
    context = context or shared()
    series, _, flavour = version.partition("-")
    if flavour and version not in HOSTS:
        raise LabError(f"There is no lab kernel {version}; known are {', '.join(HOSTS)}.")
    series, package = _choose(series, context)
    source = _source(series, package, context)
    config = fragment_text(series, flavour)
    version = f"{series}-{flavour}" if flavour else series
    kind = f"kernel-{version}"
    if patch:
        source = _patched(source, package, patch.read_bytes(), context)
        kind = f"patched-{kind}"

    def build(folder: Path) -> None:
        disk.require(context.cache.root, 2 * disk.GB, f"kernel {version}")
        log = context.cache.log(kind)
        tree = folder / "build"
        tree.mkdir()
        jobs = f"-j{os.cpu_count() or 1}"
        with context.steps.step(f"build kernel {version}", log) as step:
            _configure(version, config, source, tree, log)
            run([*MAKE, jobs, "-C", source, f"O={tree}", "Image", "modules"], log=log,
                env=BUILD_ENV, on_line=counter(step, "files"),
                failure=f"Kernel {version} cannot be built.")
            # Its default for depmod's path is not everybody's.
            depmod = shutil.which("depmod", path="/usr/sbin:/sbin:/usr/bin:/bin") or "depmod"
            run([*MAKE, jobs, "-C", source, f"O={tree}", f"INSTALL_MOD_PATH={folder}/modules",
                 "INSTALL_MOD_STRIP=1", f"DEPMOD={depmod}", "modules_install"], log=log,
                env=BUILD_ENV, failure=f"The modules of kernel {version} cannot be installed.")
            shutil.copyfile(tree / "arch/arm64/boot/Image", folder / "Image")
            release = (tree / "include/config/kernel.release").read_text().strip()
            installed = folder / "modules" / "lib" / "modules" / release
            if not (installed / "modules.dep").exists():
                raise LabError("depmod wrote no modules.dep: is kmod installed?", log)
            for name in ("build", "source"):
                (installed / name).unlink(missing_ok=True)
            _settle(tree, source)

    inputs = {"recipe": RECIPE, "package": package, "source": source.name,
              "machine": machine_codename(),
              "compiler": output([f"{CROSS}gcc", "-dumpfullversion"]).strip(),
              # a comment in a fragment is no reason to build a kernel again
              "config": re.findall(r"^CONFIG_.*", config, re.M)}
    path = context.cache.entry(kind, package, digest(inputs), build,
                               context.waiting)
    release = (path / "build/include/config/kernel.release").read_text().strip()
    return Kernel(version, release, package, path / "Image", path / "modules", source,
                  path / "build")
