# SPDX-License-Identifier: GPL-2.0
"""The lab's arm64 kernels, from Debian's kernel sources and the configuration in configs/."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core import disk, paths, processors, versions
from ..core.apt import machine_codename
from ..core.cache import digest
from ..core.context import Context, shared
from ..core.errors import LabError
from ..core.progress import Step
from ..core.run import output, run

RECIPE = 1
#: flavours of the default series for debugging hosts, by the name of their fragment
FLAVOURS = ("debug", "kcsan", "64k")
#: the build for a guest: without KVM, IOMMU and VFIO, and with more users of accelerators
GUEST_FLAVOUR = "guest"
#: timeout scaling for hosts that run one
TIMEOUT_SCALE = {"debug": 8.0, "kcsan": 10.0, "64k": 2.0}
#: kernel command line: without it, KCSAN is off
PARAMETERS = {"kcsan": "kcsan.early_enable=1"}


def flavoured(flavour: str, series: str = versions.DEFAULT) -> str:
    """The name of a flavour of a series: SERIES-FLAVOUR."""
    return f"{series}-{flavour}"


#: what a host may run
HOSTS = (*versions.SERIES, *map(flavoured, FLAVOURS))
#: what a guest runs by default
GUEST = flavoured(GUEST_FLAVOUR, versions.GUEST)
#: all that can be built
NAMES = (*HOSTS, *(flavoured(GUEST_FLAVOUR, series) for series in versions.SERIES))
CROSS = "aarch64-linux-gnu-"
#: arguments of each make that concerns an arm64 kernel
MAKE = ("make", "ARCH=arm64", f"CROSS_COMPILE={CROSS}")
#: A build does not depend on the machine it ran on, and is reproducible.
BUILD_ENV = {"KBUILD_BUILD_USER": "vlab", "KBUILD_BUILD_HOST": "vlab",
             "KBUILD_BUILD_TIMESTAMP": "1970-01-01", "KBUILD_BUILD_VERSION": "1",
             "LOCALVERSION": ""}


@dataclass(frozen=True)
class Kernel:
    """A built kernel.

    ``version`` is the series it really is, with its flavour if it is one (see
    flavoured()), ``release`` what uname -r says.  Below ``modules`` lies
    lib/modules/RELEASE with its modules.dep; ``build`` is the KDIR that modules
    are built against, ``source`` the tree it came from.  ``key`` names all of it in keys of
    what is built for it.
    """

    version: str
    release: str
    package: str
    image: Path
    modules: Path
    source: Path
    build: Path
    key: str
    flavour: str = ""

    @property
    def timeout_scale(self) -> float:
        """Timeout scaling for hosts with this kernel."""
        return TIMEOUT_SCALE.get(self.flavour, 1.0)

    @property
    def parameters(self) -> str:
        """Additional arguments of its command line."""
        return PARAMETERS.get(self.flavour, "")


def known(name: str) -> versions.Series:
    """The line of the table for a series; for an unknown one, that of the next newer one, or
    of the newest."""
    wanted = tuple(map(int, name.split(".")))
    return min((series for series in versions.KERNELS if series.version >= wanted), key=lambda series: series.version,
               default=versions.KERNELS[0])


def fragment_text(series: str, flavour: str = "", more: Sequence[str] = ()) -> str:
    """The configuration of a series, with more fragments; an unknown series is configured as
    known() has it.

    A later fragment overrides symbols of an earlier one.
    """
    names = ("base", "guest" if flavour == GUEST_FLAVOUR else "host", "trouble")
    texts = [(paths.KERNEL_CONFIGS / f"{name}.config").read_text(encoding="utf-8") for name in names]
    texts.append("".join(f"{line}\n" for line in known(series).config))
    if flavour in FLAVOURS:
        texts.append((paths.KERNEL_CONFIGS / f"{flavour}.config").read_text(encoding="utf-8"))
    texts += [re.sub(r"^# (CONFIG_\w+) is not set$", r"\1=n", fragment, flags=re.M) for fragment in more]
    text = ""
    for later in texts:
        named = set(re.findall(r"^(CONFIG_\w+)=", later, re.MULTILINE))
        text = "".join(line for line in text.splitlines(keepends=True)
                       if line.partition("=")[0] not in named) + later
    return text


def unmet(wanted: str, config: str) -> list[str]:
    """The lines of a fragment that are not in a .config."""
    have = dict(re.findall(r"^(CONFIG_\w+)=(.*)$", config, re.MULTILINE))
    lines = re.findall(r"^(CONFIG_\w+)=(.*)$", wanted, re.MULTILINE)
    return [f"{name}={value}" for name, value in lines if have.get(name, "n") != value]


def available(series: str, context: Context) -> str | None:
    """The package's version of a series' sources, or None where neither the cache nor
    the mirror has them.

    Sources that are cached are good enough; only others need the network.
    """
    cached = context.cache.newest(f"linux-source-{series}")
    return cached.version if cached else context.apt.candidate(f"linux-source-{series}")


def _choose(series: str, context: Context) -> tuple[str, str]:
    """The series to take for the given one, and its package's version: the same, or
    else the newest that the mirror has, which a note reports."""
    if series not in versions.SERIES:
        raise LabError(f"There is no lab kernel {series}; known are {', '.join(NAMES)}.")
    package = available(series, context)
    if package is not None:
        return series, package
    names = [name.removeprefix("linux-source-") for name in context.apt.names(r"linux-source-\d+\.\d+")]
    taken = max(names, key=lambda name: tuple(map(int, name.split("."))), default=None)
    if taken is None:
        raise LabError("This machine's mirror has no package linux-source.")
    context.steps.note(f"This machine's mirror has no kernel {series}; the lab takes {taken} instead.")
    return taken, context.apt.candidate(f"linux-source-{taken}") or ""


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


def configure(name: str, text: str, source: Path, build: Path, log: Path) -> list[str]:
    """Configure a build directory; returns the lines that did not take effect."""
    fragment = build / "fragment"
    fragment.write_text(text, encoding="utf-8")
    run([*MAKE, "-C", source, f"O={build}", f"KCONFIG_ALLCONFIG={fragment}", "allnoconfig"],
        log=log, env=BUILD_ENV, failure=f"Kernel {name} cannot be configured.")
    return unmet(text, (build / ".config").read_text(encoding="utf-8"))


def not_accepted(name: str, lines: Sequence[str]) -> str:
    """The sentence about lines that configure() returned."""
    return f"Kernel {name} does not accept these lines of its configuration: {', '.join(lines)}."


def _configure(name: str, text: str, source: Path, build: Path, log: Path, context: Context) -> None:
    """Configure a kernel of the lab; a series that the lab does not know may have other symbols."""
    missed = configure(name, text, source, build, log)
    if missed and name.partition("-")[0] in versions.SERIES:
        raise LabError(not_accepted(name, missed), log)
    if missed:
        context.steps.note(not_accepted(name, missed))


def release_of(build: Path) -> str:
    """What uname -r says of the kernel in a build directory."""
    return (build / "include/config/kernel.release").read_text(encoding="utf-8").strip()


def install(name: str, build: Path, folder: Path, log: Path) -> None:
    """Copy the kernel and its modules from the directory that it was built in to another."""
    # Its default path of depmod is not that of each distribution.
    depmod = shutil.which("depmod", path="/usr/sbin:/sbin:/usr/bin:/bin") or "depmod"
    run([*MAKE, f"-j{processors.count()}", "-C", build, f"INSTALL_MOD_PATH={folder}/modules", "INSTALL_MOD_STRIP=1",
         f"DEPMOD={depmod}", "modules_install"], log=log, env=BUILD_ENV,
        failure=f"The modules of kernel {name} cannot be installed.")
    shutil.copyfile(build / "arch/arm64/boot/Image", folder / "Image")
    installed = folder / "modules" / "lib" / "modules" / release_of(build)
    if not (installed / "modules.dep").exists():
        raise LabError("depmod wrote no modules.dep: is kmod installed?", log)
    for link in ("build", "source"):
        (installed / link).unlink(missing_ok=True)


def _make_relocatable(build: Path, source: Path) -> None:
    """Make the build directory one that modules are built against, wherever it lies.

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
    """The kernel of a series for a host, or a flavour of it such as GUEST; built if it is
    not cached.

    For a series that Debian no longer has, the newest that it has is taken: a note
    reports it, and the Kernel has its name.  A `patch` changes the kernel itself.
    """
    context = context or shared()
    series, _, flavour = version.partition("-")
    if flavour and version not in NAMES:
        raise LabError(f"There is no lab kernel {version}; known are {', '.join(NAMES)}.")
    series, package = _choose(series, context)
    source = _source(series, package, context)
    config = fragment_text(series, flavour)
    version = flavoured(flavour, series) if flavour else series
    kind = f"kernel-{version}"
    if patch:
        source = _patched(source, package, patch.read_bytes(), context)
        kind = f"patched-{kind}"

    def build(folder: Path) -> None:
        disk.require(context.cache.root, 2 * disk.GB, f"kernel {version}")
        log = context.cache.log(kind)
        tree = folder / "build"
        tree.mkdir()
        jobs = f"-j{processors.count()}"
        with context.steps.step(f"build kernel {version}", log) as step:
            _configure(version, config, source, tree, log, context)
            run([*MAKE, jobs, "-C", source, f"O={tree}", "Image", "modules"], log=log,
                env=BUILD_ENV, on_line=counter(step, "files"),
                failure=f"Kernel {version} cannot be built.")
            install(version, tree, folder, log)
            _make_relocatable(tree, source)

    inputs = {"recipe": RECIPE, "package": package, "source": source.name,
              "machine": machine_codename(),
              "compiler": output([f"{CROSS}gcc", "-dumpfullversion"]).strip(),
              # a comment in a fragment is no reason to build a kernel again
              "config": re.findall(r"^CONFIG_.*", config, re.M)}
    path = context.cache.entry(kind, package, digest(inputs), build,
                               context.waiting)
    return Kernel(version, release_of(path / "build"), package, path / "Image", path / "modules", source, path / "build",
                  path.name, flavour)
