# SPDX-License-Identifier: GPL-2.0
"""A host's root that packages are installed on: dpkg, DKMS with a compiler, and
kernels' modules and headers as a machine has them that builds modules for itself."""

from __future__ import annotations

import re
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path

from ..core import apt, disk
from ..core.cache import digest
from ..core.context import Context, shared
from ..core.run import run
from . import cpio, rootfs
from .cross import COMPILER
from .kernel import Kernel

PACKAGES = ("base-files", "bash", "coreutils", "debconf", "debianutils", "diffutils", "dkms", "dpkg", "findutils", "gcc",
            "grep", "gzip", "kmod", "libc-bin", "libc6-dev", "make", "mawk", "patch", "perl", "python3", "sed", "tar",
            "xz-utils", "zstd")
#: what is not used there: documentation, locales, and large parts of the compiler that C does without
LEAVE = re.compile(r"usr/share/(doc|man|locale|info|i18n|lintian|zoneinfo)/.*|usr/lib/gcc/.*/(lto1|lto-wrapper)|"
                   r"usr/lib/[^/]*/(gconv/.*|lib(asan|tsan|hwasan|ubsan|lsan).*)|usr/lib/gcc/.*/lib(asan|tsan|hwasan|"
                   r"ubsan|lsan).*|(dev|proc|sys)/.*")
#: of a package's description, what dpkg keeps
KEPT = re.compile(r"^(?:Package|Version|Architecture|Multi-Arch|Maintainer|Depends|Pre-Depends|Provides|Conflicts|"
                  r"Breaks|Replaces|Description): .*\n", re.M)
#: programs that a kernel runs on the machine that builds a module: their sources
HOST_PROGRAMS = {
    "scripts/basic/fixdep": ("scripts/basic/fixdep.c",),
    "scripts/mod/modpost": tuple(f"scripts/mod/{n}.c" for n in ("modpost", "file2alias", "sumversion", "symsearch")),
    "scripts/tracepoint-update": ("scripts/tracepoint-update.c", "scripts/elf-parse.c"),
}
RECIPE = 1


def _status(stanzas: str) -> str:
    """dpkg's list of what is installed, of packages' descriptions."""
    found = []
    for stanza in re.split(r"\n\n+", stanzas.strip()):
        if "Package: " in stanza:
            kept = "".join(KEPT.findall(stanza + "\n"))
            found.append(kept.replace("\n", "\nStatus: install ok installed\n", 1))
    return "\n".join(found)


def _database(tar: tarfile.TarFile, context: Context) -> dict[str, cpio.Entry]:
    """dpkg's database: the packages, each with a directory of its name, were laid out, not
    installed."""
    names = [m[1] for m in (re.search(r"usr/share/doc/([^/]+)$", name) for name in tar.getnames()) if m]
    status = _status(apt.Apt(context.cache, "arm64").describe(names))
    found = {"var/lib/dpkg/status": cpio.file(status), "var/lib/dpkg/available": cpio.file(""),
             "var/lib/dpkg/info/format": cpio.file("1\n"), "var/lib/dpkg/updates": cpio.folder(),
             # Empty directories of packages
             "var/lib/dkms": cpio.folder(), "usr/src": cpio.folder(), "var/tmp": cpio.folder(0o1777),
             "var/lib/dpkg/triggers": cpio.folder(), "var/lib/dpkg/alternatives": cpio.folder()}
    for stanza in status.split("\n\n"):
        fields = dict(re.findall(r"^(\S+): (.*)$", stanza, re.M))
        name = fields["Package"] + (f":{fields['Architecture']}" if fields.get("Multi-Arch") == "same" else "")
        found[f"var/lib/dpkg/info/{name}.list"] = cpio.file("")
    return found


def system(context: Context | None = None) -> Path:
    """An archive on top of the host's root: Debian with dpkg, DKMS and a compiler."""
    context = context or shared()

    def made(tar: tarfile.TarFile, _: Path) -> Mapping[str, Mapping[str, cpio.Entry]]:
        entries = {name: entry for name, entry in rootfs.laid_out(tar).items() if not LEAVE.fullmatch(name)}
        # What their scripts would have chosen
        entries["usr/bin/awk"] = cpio.symlink("mawk")
        return {"system": entries | _database(tar, context)}

    return rootfs.archives("rootfs-installed", "a system to install packages on", PACKAGES, made, context,
                           Path(__file__), 2 * disk.GB) / "system.cpio"


def _programs(kernel: Kernel, tree: Path, log: Path) -> None:
    """Those of the kernel's programs that were built for this machine, for arm64."""
    for name, sources in HOST_PROGRAMS.items():
        if (tree / sources[0]).is_file() and (kernel.build / name).is_file():
            include = "tools/include" if "tracepoint" in name else "scripts/include"
            run([COMPILER, "-O2", "-static", f"-I{tree / include}", f"-I{(tree / name).parent}", "-o", tree / name,
                 *[tree / source for source in sources if (tree / source).is_file()]], log=log,
                failure=f"{name} of kernel {kernel.version} cannot be compiled for arm64.")


def headers(kernel: Kernel, context: Context | None = None) -> Path:
    """An archive with a kernel's modules and what others are built against, in the
    places where an arm64 system has them."""
    context = context or shared()

    def build(folder: Path) -> None:
        log = context.cache.log(f"headers-arm64-{kernel.version}")
        tree = folder / "tree"
        source, built = kernel.source, kernel.build
        with context.steps.step(f"gather arm64 headers of kernel {kernel.version}", log):
            for part in ("include", "scripts", "arch/arm64/include", "tools/include"):
                shutil.copytree(source / part, tree / part, symlinks=True)
            for pattern in ("Makefile", "Kbuild", "Kconfig", "arch/arm64/Makefile", "arch/arm64/Kbuild"):
                shutil.copy(source / pattern, tree / pattern)
            for part in ("include", "arch/arm64/include", "scripts"):
                shutil.copytree(built / part, tree / part, symlinks=True, dirs_exist_ok=True)
            for name in (".config", "Module.symvers"):
                shutil.copy(built / name, tree / name)
            # Programs and objects of this machine's
            for path in [p for p in (tree / "scripts").rglob("*") if p.is_file() and not p.is_symlink()]:
                if path.suffix in (".o", ".cmd") or path.read_bytes()[:4] == b"\x7fELF":
                    path.unlink()
            _programs(kernel, tree, log)
            place = f"usr/src/linux-headers-{kernel.release}"
            entries = cpio.tree(tree, prefix=place)
            entries[f"usr/lib/modules/{kernel.release}/build"] = cpio.symlink(f"/{place}")
            cpio.archive(folder / "headers.cpio", cpio.tree(kernel.modules, prefix="usr") | entries)
            shutil.rmtree(tree)

    return context.cache.entry(f"headers-arm64-{kernel.version}", kernel.package,
                               digest({"recipe": RECIPE, "kernel": kernel.build.parent.name, "code": Path(__file__)}),
                               build, context.waiting) / "headers.cpio"
