# SPDX-License-Identifier: GPL-2.0
"""The arm64 root file systems, as archives for the kernel to unpack into memory."""

from __future__ import annotations

import gzip
import posixpath
import re
import stat
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from ..core import apt, disk
from ..core.cache import digest
from ..core.context import Context, shared
from ..core.errors import LabError
from ..core.progress import Step
from ..core.run import output
from ..core.versions import LIBVIRTS, VMMS, Release, Vmm
from . import cpio

R = TypeVar("R", bound=Release)
RECIPE = 1
HOST_PACKAGES = ("busybox-static", "coreutils", "dash", "kmod", "qemu-system-arm", "iproute2", "dropbear-bin", "pciutils")
PACKAGES = (*HOST_PACKAGES, "kcapi-tools", "cryptsetup-bin", "keyutils", "openssl")
HOST_PROGRAMS = (
    "usr/bin/busybox", "usr/bin/dash", "usr/bin/kmod", "usr/bin/qemu-system-aarch64",
    "usr/bin/ip", "usr/bin/ss",
    # busybox's has no --foreground, which run_kselftest.sh needs
    "usr/bin/timeout",
    "usr/bin/lspci", "usr/bin/setpci", "usr/bin/dbclient", "usr/bin/dropbearkey",
    "usr/sbin/dropbear", "usr/sbin/tc", "usr/sbin/bridge")
#: What programs open by name: QEMU's modules, lspci's names.
HOST_DATA = re.compile(r"usr/lib/[^/]+/qemu/.*[.]so|usr/share/misc/pci[.]ids|"
                       r"usr/share/qemu/keymaps/en-us")
#: The guest needs a shell and modules, no more: kmod would bring 10 MB of libraries, which a guest that is emulated
#: twice has to unpack.
GUEST_PROGRAMS = ("usr/bin/busybox",)
#: Third-party users of accelerators, for guests that run scripts.
TOOLS = ("usr/bin/kcapi-enc", "usr/sbin/cryptsetup", "usr/bin/keyctl", "usr/bin/openssl")
#: libvirt's daemon as Debian starts it, its client and the way to another host's: all of
#: them from the suite that has the release
LIBVIRT_PACKAGES = ("libvirt0", "libvirt-common", "libvirt-daemon", "libvirt-daemon-common", "libvirt-daemon-log",
                    "libvirt-daemon-driver-qemu", "libvirt-daemon-driver-nodedev", "libvirt-clients")
#: and what an operator keeps drivers bound with; on top of the host's own root
LIBVIRT_ALSO = ("openssh-client", "udev", "driverctl", "bash")
LIBVIRT_PROGRAMS = ("usr/sbin/libvirtd", "usr/lib/libvirt/libvirt_iohelper", "usr/sbin/virtlogd", "usr/bin/virsh",
                    "usr/bin/virt-ssh-helper", "usr/bin/ssh", "usr/bin/udevadm", "usr/lib/systemd/systemd-udevd",
                    "usr/sbin/driverctl", "usr/bin/bash")
LIBVIRT_DATA = re.compile(r"usr/lib/[^/]+/libvirt/connection-driver/libvirt_driver_(qemu|nodedev)[.]so|"
                          r"usr/share/libvirt/(cpu_map/(index|arm_.*)[.]xml|schemas/.*[.]rng)|etc/libvirt/[^/]*[.]conf|"
                          r"usr/lib/udev/rules[.]d/(05-driverctl|50-udev-default|80-drivers)[.]rules")
#: what confines libvirt's QEMUs, with a kernel that has AppArmor
APPARMOR_PROGRAMS = ("usr/sbin/apparmor_parser", "usr/lib/libvirt/virt-aa-helper")
APPARMOR_DATA = re.compile(r"etc/apparmor[.]d/(abi|abstractions|tunables|libvirt)/.*|etc/apparmor/parser[.]conf|"
                           r"usr/share/apparmor-features/features|etc/apparmor[.]d/usr[.](lib[.]libvirt[.]virt-aa-helper|sbin[.]libvirtd)")
#: a service manager as the host's first process, with udev and driverctl's services
SYSTEMD_PACKAGES = ("systemd", "udev", "driverctl", "bash")
SYSTEMD_PROGRAMS = ("usr/lib/systemd/systemd", "usr/lib/systemd/systemd-executor", "usr/lib/systemd/systemd-udevd",
                    "usr/bin/systemctl", "usr/bin/udevadm", "usr/sbin/driverctl", "usr/bin/bash")
SYSTEMD_DATA = re.compile(
    r"usr/lib/systemd/system/([a-z-]+[.](target|slice)|(driverctl@|systemd-udevd|systemd-udev-trigger)[.]service|"
    r"systemd-udevd-[a-z]+[.]socket|(sysinit|sockets)[.]target[.]wants/systemd-udev.*)|"
    r"usr/lib/udev/rules[.]d/(05-driverctl|50-udev-default|80-drivers|99-systemd)[.]rules")
#: what installs a package, and what that calls
DPKG_PACKAGES = ("dpkg", "tar", "libc-bin", "diffutils")
DPKG_PROGRAMS = ("usr/bin/dpkg", "usr/bin/dpkg-deb", "usr/bin/dpkg-query", "usr/bin/dpkg-split", "usr/bin/tar", "usr/bin/diff",
                 "usr/sbin/ldconfig", "usr/sbin/start-stop-daemon")
MERGED = ("bin", "sbin", "lib")
FOLDERS = ("dev", "proc", "sys", "tmp", "run", "root", "mnt", "etc", "var/log", "var/lib")


@dataclass(frozen=True)
class Roots:
    """The archives, and what went into them."""

    host: Path
    guest: Path
    #: on top of the guest's
    tools: Path
    #: lines "package version" of what the host holds
    packages: Path


def _aliased(name: str) -> str:
    """The name in a merged /usr, where /bin, /sbin and /lib are links."""
    name = name.lstrip("/")
    return f"usr/{name}" if name.startswith(tuple(f"{top}/" for top in MERGED)) else name


def laid_out(tar: tarfile.TarFile) -> dict[str, cpio.Entry]:
    """The files and links of Debian's root, under their names in a merged /usr."""
    found: dict[str, cpio.Entry] = {}
    for member in tar:
        name = _aliased(str(PurePosixPath(member.name)))
        if member.issym():
            found[name] = cpio.symlink(member.linkname)
        elif member.isreg():
            found[name] = cpio.file(_reader(tar, member), member.mode & 0o7777)
        elif member.islnk():
            found[name] = found[_aliased(str(PurePosixPath(member.linkname)))]
    return found


def _reader(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        stream = tar.extractfile(member)
        assert stream is not None
        return stream.read()
    return read


def _skeleton(shell: str) -> dict[str, cpio.Entry]:
    """What no package brings: links of the merged /usr, mount points, first devices."""
    found = {name: cpio.folder(0o1777 if name == "tmp" else 0o755) for name in FOLDERS}
    found |= {name: cpio.symlink(f"usr/{name}") for name in MERGED}
    found["usr/bin/sh"] = cpio.symlink(shell)
    found["dev/console"] = cpio.character_device(5, 1)
    found["dev/null"] = cpio.character_device(1, 3, 0o666)
    return found


def _closure(entries: Mapping[str, cpio.Entry], programs: tuple[str, ...],
             scratch: Path) -> dict[str, cpio.Entry]:
    """Programs with all libraries they need."""
    libraries = {PurePosixPath(name).name: name for name in entries
                 if name.startswith("usr/lib/")}
    found: dict[str, cpio.Entry] = {}
    todo = list(programs)
    while todo:
        name = todo.pop()
        if name in found:
            continue
        if name not in entries:
            raise LabError(f"Debian's arm64 root file system has no {name}.")
        entry = found[name] = entries[name]
        if stat.S_ISLNK(entry.mode):
            target = entry.content().decode()
            todo.append(_aliased(target) if target.startswith("/")
                        else posixpath.normpath(PurePosixPath(name).parent / target))
            continue
        content = entry.content()
        if not content.startswith(b"\x7fELF"):
            continue
        scratch.write_bytes(content)
        text = output(["aarch64-linux-gnu-readelf", "--dynamic", "--program-headers", "--wide",
                       scratch])
        wanted = re.findall(r"\(NEEDED\).*\[(.+)\]", text)
        wanted += [PurePosixPath(path).name
                   for path in re.findall(r"program interpreter: (.+)\]", text)]
        todo += [libraries[library] for library in wanted if library in libraries]
    scratch.unlink(missing_ok=True)
    return found


def _select(entries: Mapping[str, cpio.Entry], programs: tuple[str, ...],
            data: re.Pattern[str] | None, scratch: Path) -> dict[str, cpio.Entry]:
    """Programs, what they open by name, all libraries of both, and links to programs."""
    by_name = tuple(name for name in entries if data is not None and data.fullmatch(name))
    found = _closure(entries, programs + by_name, scratch)
    for name, entry in entries.items():
        # such as modprobe, a link to kmod
        if (name.startswith(("usr/bin/", "usr/sbin/")) and stat.S_ISLNK(entry.mode)
                and any(PurePosixPath(program).name == PurePosixPath(entry.content().decode()).name
                        for program in programs)):
            found[name] = entry
    return found


def versions(tar: tarfile.TarFile) -> str:
    """Lines "package version", by the packages' changelogs: nothing here was installed."""
    found = []
    for member in tar:
        place = re.search(r"usr/share/doc/([^/]+)/changelog(?:[.]Debian)?[.]gz$", member.name)
        if place and member.isreg():
            first = gzip.decompress(_reader(tar, member)()).partition(b"\n")[0].decode()
            version = re.match(r"\S+ \((\S+)\)", first)
            if version:
                found.append(f"{place[1]} {version[1]}\n")
    return "".join(sorted(found))


def _bootstrap(context: Context, packages: tuple[str, ...], tar: Path, step: Step) -> None:
    """Lay out Debian's arm64 packages, and all that these depend on, in one archive.  Nothing
    is unpacked to disk, and no program of theirs runs, so this needs no rights of root's,
    and the archive's modes are the packages', whatever the umask."""
    with tempfile.TemporaryDirectory(prefix="debs-", dir=tar.parent) as name:
        debs = apt.Apt(context.cache, "arm64").closure(packages, Path(name), step.watch)
        step.progress("unpacking")
        with tarfile.open(tar, "w") as whole:
            for deb in debs:
                with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as source:
                    with tarfile.open(fileobj=source.stdout, mode="r|") as part:
                        for member in part:
                            whole.addfile(member, part.extractfile(member) if member.isreg() else None)
                if source.returncode:
                    raise LabError(f"The package {deb.name} cannot be unpacked.")


def archives(name: str, title: str, packages: tuple[str, ...],
             made: Callable[[tarfile.TarFile, Path], Mapping[str, Mapping[str, cpio.Entry]]],
             context: Context, code: Path = Path(__file__), room: int = disk.GB) -> Path:
    """A directory of the cache with archives of what is in Debian's arm64 packages, and
    "packages" with their versions.  `made` gives each archive's entries by its name,
    from the packages' files and with a file to write to; `code` is the Python file
    that it stands in.  Raises LabError when `room` bytes are not free, or Debian
    cannot be reached."""
    def build(folder: Path) -> None:
        disk.require(context.cache.root, room, title)
        with context.steps.step(f"fetch {title}") as step:
            tar_path = folder / "root.tar"
            _bootstrap(context, packages, tar_path, step)
            step.progress("packing")
            with tarfile.open(tar_path) as tar:
                for archive, entries in made(tar, folder / "scratch").items():
                    cpio.archive(folder / f"{archive}.cpio", entries)
                (folder / "packages").write_text(versions(tar), encoding="utf-8")
            tar_path.unlink()

    return context.cache.entry(name, apt.RELEASE, _key(packages, code), build, context.waiting)


def _key(packages: tuple[str, ...], code: Path = Path(__file__)) -> str:
    return digest({"recipe": RECIPE, "packages": packages, "archives": Path(__file__), "code": code})


def roots(context: Context | None = None) -> Roots:
    """The host's and the guest's root file systems, built if they are not cached."""
    def made(tar: tarfile.TarFile, scratch: Path) -> Mapping[str, Mapping[str, cpio.Entry]]:
        entries = laid_out(tar)
        guest = _select(entries, GUEST_PROGRAMS, None, scratch)
        tools = _select(entries, TOOLS, None, scratch)
        return {"host": _host(entries, scratch),
                "guest": guest | _skeleton("busybox"),
                "tools": {name: tools[name] for name in tools.keys() - guest.keys()}}

    path = archives("rootfs", "the arm64 root file system", PACKAGES, made, context or shared())
    return Roots(path / "host.cpio", path / "guest.cpio", path / "tools.cpio", path / "packages")


def _host(entries: Mapping[str, cpio.Entry], scratch: Path) -> dict[str, cpio.Entry]:
    # Not busybox for the host's shell: it would run applets of its own in
    # place of real programs such as depmod
    return _select(entries, HOST_PROGRAMS, HOST_DATA, scratch) | _skeleton("dash")


@dataclass(frozen=True)
class HostRoot:
    """A host's root file system, and the release of QEMU that is in it."""

    archive: Path
    vmm: Vmm


def _has(name: str, packages: tuple[str, ...], source: str, release: Release, context: Context) -> bool:
    """Whether the cache has these archives, or the mirror this release of a source package."""
    return (context.cache.peek(name, apt.RELEASE, _key(packages)) is not None or
            any(re.match(rf"(\d+:)?{re.escape(release.name)}\.", version)
                for version in context.apt.source_versions(source)))


def _or_default(release: R, default: R, what: str, there: bool, context: Context) -> R:
    """The release, or the default one where it is not there, which a note then says."""
    if not there:
        context.steps.note(f"This machine's mirror has no {what} {release.name}; the lab takes {default.name} instead.")
    return release if there else default


def has_vmm(release: Vmm, context: Context | None = None) -> bool:
    """Whether the cache or this machine's mirror has a QEMU of this release."""
    return release == VMMS[0] or _has(_vmm_name(release), _vmm_packages(release), "qemu", release, context or shared())


def _vmm_name(release: Vmm) -> str:
    return f"rootfs-qemu-{release.name}"


def _vmm_packages(release: Vmm) -> tuple[str, ...]:
    return (*(name for name in HOST_PACKAGES if name not in release.packages),
            *(f"{name}/{release.suite}" for name in release.packages))


def host_root(release: Vmm = VMMS[0], context: Context | None = None) -> HostRoot:
    """The host's root: tools and a release of QEMU; an uncompressed cpio without /init.

    Where there is no such release, the default one is taken, and a note says so.
    """
    context = context or shared()
    release = _or_default(release, VMMS[0], "QEMU", has_vmm(release, context), context)
    if release == VMMS[0]:
        return HostRoot(roots(context).host, release)

    def made(tar: tarfile.TarFile, scratch: Path) -> Mapping[str, Mapping[str, cpio.Entry]]:
        return {"host": _host(laid_out(tar), scratch)}

    path = archives(_vmm_name(release), f"the hosts' root file system with QEMU {release.name}",
                    _vmm_packages(release), made, context)
    return HostRoot(path / "host.cpio", release)


def guest_root(context: Context | None = None) -> Path:
    """The guest's root: busybox; an uncompressed cpio without /init."""
    return roots(context).guest


def guest_tools(context: Context | None = None) -> Path:
    """An archive to add to the guest's root: tools of others that use accelerators."""
    return roots(context).tools


def _on_top(name: str, packages: tuple[str, ...], programs: tuple[str, ...], data: re.Pattern[str] | None,
            context: Context, also: Mapping[str, cpio.Entry] | None = None) -> Path:
    """An archive to add to the host's root: programs of more packages."""
    def made(tar: tarfile.TarFile, scratch: Path) -> Mapping[str, Mapping[str, cpio.Entry]]:
        return {name: {**_select(laid_out(tar), programs, data, scratch), **(also or {})}}

    return archives(f"rootfs-{name}", f"{name} for the hosts", packages, made, context) / f"{name}.cpio"


def has_libvirt(release: Release, context: Context | None = None) -> bool:
    """Whether the cache or this machine's mirror has a libvirt of this release."""
    return release == LIBVIRTS[0] or _has(f"rootfs-{_libvirt_name(release)}", _libvirt_packages(release), "libvirt",
                                          release, context or shared())


def _libvirt_name(release: Release) -> str:
    return f"libvirt-{release.name}"


def _libvirt_packages(release: Release) -> tuple[str, ...]:
    # apt prefers Debian 13's own to those of another suite
    suite = "" if release.suite == apt.RELEASE else f"/{release.suite}"
    return (*(f"{name}{suite}" for name in LIBVIRT_PACKAGES), *LIBVIRT_ALSO)


def libvirt(release: Release = LIBVIRTS[0], context: Context | None = None) -> Path:
    """An archive to add to the host's root: a release of libvirt, udev and driverctl.

    Where there is no such release, the default one is taken, and a note says so.
    """
    context = context or shared()
    release = _or_default(release, LIBVIRTS[0], "libvirt", has_libvirt(release, context), context)
    return _on_top(_libvirt_name(release), _libvirt_packages(release), LIBVIRT_PROGRAMS, LIBVIRT_DATA, context)


def apparmor(release: Release = LIBVIRTS[0], context: Context | None = None) -> Path:
    """An archive to add to a host's root with this libvirt: AppArmor's parser, and the profiles of libvirt's
    packages."""
    return _on_top(f"apparmor-{release.name}", (*_libvirt_packages(release), "apparmor"), APPARMOR_PROGRAMS, APPARMOR_DATA,
                   context or shared())


def dpkg(context: Context | None = None) -> Path:
    """An archive to add to the host's root: dpkg, of which nothing is installed yet."""
    also = {"var/lib/dpkg/status": cpio.file(""), "var/lib/dpkg/available": cpio.file(""),
            "var/lib/dpkg/info/format": cpio.file("1\n"),
            **{f"var/lib/dpkg/{name}": cpio.folder() for name in ("updates", "triggers", "alternatives")}}
    return _on_top("dpkg", DPKG_PACKAGES, DPKG_PROGRAMS, None, context or shared(), also)


def systemd(context: Context | None = None) -> Path:
    """An archive to add to the host's root: systemd, which programs/host/init then gives the host
    to, udev and driverctl."""
    also = {"etc/systemd/system/default.target": cpio.symlink("/usr/lib/systemd/system/multi-user.target"),
            # Without, each boot is the machine's first
            "etc/machine-id": cpio.file(f"{1:032x}\n")}
    return _on_top("systemd", SYSTEMD_PACKAGES, SYSTEMD_PROGRAMS, SYSTEMD_DATA, context or shared(), also)
