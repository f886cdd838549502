# SPDX-License-Identifier: GPL-2.0
"""The outer QEMU: Debian 13's sources with the device model in them.

QEMU is configured and compiled in one working tree that stays in the cache.
A changed model is copied into it and only what depends on it is compiled
again; the finished program becomes an entry of its own, keyed by the model's
files, so two clones with different models share the tree and not the result.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ..core import disk, paths, processors, versions
from ..core.apt import machine_codename
from ..core.cache import digest
from ..core.context import Context, shared
from ..core.errors import LabError
from ..core.run import clean_environment, output, run

RECIPE = 1
PROGRAM = "qemu-system-aarch64"
SERIES = re.compile(rf"(?:\d+:)?{re.escape(versions.OUTER_QEMU)}\.")
#: where the model lies in QEMU's sources
PLACE = Path("hw/misc/hisi_acc")
#: patches to QEMU's own files; this one hooks the model in, and what all
#: of them together changed is kept beside the sources under its name
HOOK = "hook.patch"
#: types that only the model brings
MODEL_TYPES = ("hisi-sec2", "hisi-zip", "hisi-hpre")
#: which of QEMU's devices are built, and where QEMU looks for that list
DEVICES = paths.MODEL / "vfio-lab.mak"
DEVICES_PLACE = Path("configs/devices/aarch64-softmmu")
CONFIGURE = (
    "--python=/usr/bin/python3", "--target-list=aarch64-softmmu", "--without-default-devices",
    f"--with-devices-aarch64={DEVICES.stem}", "--without-default-features", "--enable-tcg",
    "--enable-slirp", "--enable-nettle", "--enable-seccomp", "--enable-fdt=system",
    "--disable-docs", "--disable-tools", "--disable-debug-info", "--disable-install-blobs")
#: what finds accesses out of bounds, leaks and undefined arithmetic in the model,
#: with lines in its reports
SANITIZE = ("--enable-asan", "--enable-ubsan", "--extra-cflags=-g1")
#: set to 1, the lab runs on the outer QEMU that checks itself
SANITIZED = "VFIO_LAB_ASAN"
#: how that one ends at the first thing it finds. Leaks are looked for where a
#: machine quits; hosts are killed. Freed memory is kept for a while, but no more than
#: tests of the model's memory allow for
SANITIZER_OPTIONS = {"ASAN_OPTIONS": "detect_leaks=1:halt_on_error=1:abort_on_error=0:quarantine_size_mb=4",
                     "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}


def _archive(context: Context) -> tuple[Path, str]:
    """The directory of Debian's source package, and its version."""
    cached = context.cache.newest("qemu-source")
    if cached is not None:
        context.cache.peek(cached.kind, cached.version, cached.key)
        return cached.path, cached.version
    log = context.cache.log("qemu-source")
    with context.steps.step("fetch the sources of QEMU", log) as step:
        fitting = [version for version in context.apt.source_versions("qemu")
                   if SERIES.match(version)]
        if not fitting:
            raise LabError(f"This machine's mirror has no source package of QEMU {versions.OUTER_QEMU}, "
                           "which the device model is made for.")
        version = fitting[0]
        for other in fitting[1:]:
            newer = subprocess.run(["dpkg", "--compare-versions", other, "gt", version],
                                   check=False)
            version = other if newer.returncode == 0 else version

        def fetch(folder: Path) -> None:
            context.apt.source("qemu", version, folder, step.watch)

        path = context.cache.entry("qemu-source", version,
                                   digest({"recipe": 1, "version": version}), fetch,
                                   context.waiting)
    return path, version


def _meson(context: Context) -> Path:
    """The directory of the meson that builds QEMU; Debian 12's own is older than QEMU 10 takes."""
    return context.package("meson") / "usr/lib/python3/dist-packages"


def _environment(context: Context) -> dict[str, str]:
    return {"PYTHONPATH": str(_meson(context))}


def sources(context: Context | None = None) -> Path:
    """All that the outer QEMU is built from, fetched if it is not cached; the directory of
    Debian's source package."""
    context = context or shared()
    _meson(context)
    return _archive(context)[0]


def checkpatch(context: Context) -> Path:
    """QEMU's own judge of style, scripts/checkpatch.pl."""
    _, version = _archive(context)
    place = "scripts/checkpatch.pl"
    return context.cache.entry("qemu-checkpatch", version, digest({"recipe": 2, "version": version}),
                               lambda folder: unpacked([place], folder, context), context.waiting) / place


def unpacked(places: Iterable[str], folder: Path, context: Context) -> Path:
    """Files of QEMU's sources, at their places in this directory."""
    (tar,) = _archive(context)[0].glob("*.orig.tar.xz")
    run(["tar", "-xJf", tar, "-C", folder, "--strip-components=1", "--no-wildcards-match-slash", "--wildcards",
         *(f"*/{place}" for place in sorted(places))], log=context.cache.log("qemu-files"), failure="QEMU's files cannot be unpacked.")
    return folder


def _extract(source: Path, devices: bytes, log: Path, context: Context) -> None:
    """Debian's sources of QEMU, with a list of the devices to build."""
    run(["dpkg-source", "--no-check", "--extract", next(_archive(context)[0].glob("*.dsc")), source], log=log,
        failure="The sources of QEMU cannot be unpacked.")
    (source / DEVICES_PLACE / DEVICES.name).write_bytes(devices)


def _configure(source: Path, options: Sequence[str], log: Path, context: Context) -> None:
    """Configure sources that were extracted, for a build in their directory `build`."""
    (source / "build").mkdir()
    run(["../configure", *options], log=log, cwd=source / "build", env=_environment(context),
        failure="QEMU cannot be configured on this machine.")


def compile_files(files: Mapping[str, str], folder: Path, log: Path, context: Context) -> None:
    """Compile the C files among these with all of them in place of QEMU's own, in a directory that is kept for the
    next call; warnings are errors."""
    source, build = folder / "src", folder / "src/build"
    if not source.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _extract(source, b"".join(line for line in DEVICES.read_bytes().splitlines(keepends=True) if b"HISI" not in line), log, context)
        _configure(source, (*CONFIGURE, "--enable-werror"), log, context)
    for place, text in files.items():
        (source / place).write_text(text, encoding="utf-8")
    known = output(["ninja", "-C", build, "-t", "targets", "all"])
    objects = [name for place in files if place.endswith(".c")
               for name in re.findall(rf"^(\S+/{re.escape(place.replace('/', '_'))}\.o):", known, re.M)]
    if not objects:
        raise LabError("No file of the patches is compiled in this QEMU.", log)
    run(["ninja", f"-j{processors.count()}", *objects], log=log, cwd=build, env=_environment(context),
        failure="A step of the series cannot be built.")


def _model() -> tuple[dict[str, bytes], bytes]:
    """The files that become QEMU's, and the patches to QEMU's own, joined.

    Read once: someone may edit them while we build, and the result's key must
    be that of what was built.
    """
    hook = paths.MODEL / HOOK
    if not hook.is_file() or not (paths.MODEL / "meson.build").is_file():
        raise LabError(f"This clone has no device model in {paths.MODEL}.")
    files = {path.name: path.read_bytes() for path in sorted(paths.MODEL.iterdir())
             if path.name in ("Kconfig", "meson.build", "trace-events") or path.suffix in (".c", ".h")}
    return files, b"\n".join(patch.read_bytes() for patch in sorted(paths.MODEL.glob("*.patch")))


def _mutated(files: dict[str, bytes], hook: bytes, mutation: Mapping[str, str]) -> tuple[dict[str, bytes], bytes]:
    """The files and patches with some of their text replaced.  What is not there
    exactly once is an error: a mutant that no longer changes anything proves nothing."""
    files = dict(files)
    for old, new in mutation.items():
        plain = [name for name, content in files.items() if old.encode() in content]
        added, instead = (re.sub("^", "+", text, flags=re.M).encode() for text in (old, new))
        if sum(files[name].count(old.encode()) for name in plain) + hook.count(added) != 1:
            raise LabError(f"The text that is to be mutated is not there exactly once: {old}")
        if not plain and old.count("\n") != new.count("\n"):
            raise LabError(f"A patch is mutated line by line: {old}")
        for name in plain:
            files[name] = files[name].replace(old.encode(), new.encode())
        hook = hook.replace(added, instead)
    return files, hook


@contextlib.contextmanager
def _unchanged_keep_their_time(source: Path, patch: bytes) -> Iterator[None]:
    """Files of a patch that are the same after the block look so to ninja, too."""
    places = [source / name.decode() for name in re.findall(rb"^\+\+\+ b/(\S+)", patch, re.M)]
    before = {path: (path.read_bytes(), path.stat()) for path in places if path.exists()}
    yield
    for path, (content, stat) in before.items():
        if path.exists() and path.read_bytes() == content:
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def _place_model(source: Path, files: dict[str, bytes], hook: bytes, log: Path) -> None:
    """Make the tree's model this one, touching only the files that differ."""
    place = source / PLACE
    place.mkdir(exist_ok=True)
    for old in place.iterdir():
        if old.name not in files:
            old.unlink()
    for name, content in files.items():
        target = place / name
        if not target.exists() or target.read_bytes() != content:
            target.write_bytes(content)
    with _unchanged_keep_their_time(source, hook):
        _patch(source, hook, log)


def _patch(source: Path, hook: bytes, log: Path) -> None:
    """Make the tree's patches these.  Each is tried first: one that is applied or taken
    out in part would corrupt the tree.  None may fit only roughly: it could not be
    taken out again."""
    applied = source.parent / HOOK
    if applied.exists() and applied.read_bytes() != hook:
        for trial in (["--dry-run"], []):
            run(["patch", "-p1", "--batch", "--reverse", "--fuzz=0", *trial, "-d", source, "-i", applied],
                log=log, failure="Former patches cannot be taken out of QEMU.")
        applied.unlink()
    if not applied.exists():
        wanted = source.parent / "wanted.patch"
        wanted.write_bytes(hook)
        for trial in (["--dry-run"], []):
            run(["patch", "-p1", "--batch", "--forward", "--fuzz=0", *trial, "-d", source, "-i", wanted],
                log=log, failure="The patches do not apply to this QEMU.")
        wanted.rename(applied)


def check_model(program: Path, name: str = "The QEMU that was built", log: Path | None = None) -> None:
    """Raise LabError if a QEMU lacks the device model."""
    try:
        done = subprocess.run([program, "-M", "virt", "-device", "help"], check=False,
                              capture_output=True, text=True,
                              env=clean_environment({"ASAN_OPTIONS": "detect_leaks=0"}))
    except OSError as e:
        raise LabError(f"{name} is not a program for this machine: {e.strerror}.", log) from e
    if any(f'"{name}"' not in done.stdout for name in MODEL_TYPES):
        raise LabError(f"{name} does not have the device model in it"
                       f"{': ' + done.stderr.strip() if done.returncode else ''}.", log)


def sandbox() -> tuple[str, ...]:
    """Arguments that keep the outer QEMU, whose devices a guest's drivers drive, from what
    it never does: other programs, other users.  One that looks for its own leaks starts a
    process to do so."""
    spawn = "allow" if is_sanitized() else "deny"
    return ("-sandbox", f"on,obsolete=deny,elevateprivileges=deny,spawn={spawn},resourcecontrol=deny")


def is_sanitized() -> bool:
    """Is chosen() the outer QEMU that looks for its own errors?"""
    return os.environ.get(SANITIZED) == "1"


def chosen(context: Context | None = None) -> Path:
    """The outer QEMU that this run is to take: outer(), or sanitized() if the
    environment selects it, which then also gets that one's options."""
    if not is_sanitized():
        return outer(context)
    for name, value in SANITIZER_OPTIONS.items():
        os.environ.setdefault(name, value)
    return sanitized(context)


def outer(context: Context | None = None, mutation: Mapping[str, str] | None = None) -> Path:
    """The outer QEMU's program, built if it is not cached.  `mutation` replaces text in
    these files and patches: the tests' mutants."""
    return _built(context or shared(), "qemu", CONFIGURE, mutation)


def sanitized(context: Context | None = None) -> Path:
    """The same, but it looks for its own errors (-fsanitize=address,undefined)."""
    return _built(context or shared(), "qemu-asan", CONFIGURE + SANITIZE)


def _built(context: Context, kind: str, configure: tuple[str, ...], mutation: Mapping[str, str] | None = None) -> Path:
    _, version = _archive(context)
    # QEMU is linked against this machine's libraries, and compiled by its compiler.
    devices = DEVICES.read_bytes()
    base = {"recipe": RECIPE, "version": version, "configure": configure,
            "devices": devices.hex(), "machine": machine_codename()}
    name = "the outer QEMU" if kind == "qemu" else "the outer QEMU with sanitizers"
    files, hook = _mutated(*_model(), mutation or {})
    model = {name: content.hex() for name, content in {**files, HOOK: hook}.items()}

    def prepare(tree: Path) -> None:
        log = context.cache.log(f"{kind}-configure")
        with context.steps.step(f"configure {name}", log) as step:
            step.progress("unpacking")
            _extract(tree / "src", devices, log, context)
            step.progress("configuring")
            _place_model(tree / "src", files, hook, log)
            _configure(tree / "src", configure, log, context)

    def build(folder: Path) -> None:
        disk.require(context.cache.root, 2 * disk.GB, name)
        with context.cache.tree(f"{kind}-tree", version, digest(base), prepare,
                                context.waiting) as tree:
            log = context.cache.log(f"{kind}-build")
            with context.steps.step(f"build {name}", log) as step:
                _place_model(tree / "src", files, hook, log)

                warnings: list[str] = []

                def see(line: str) -> None:
                    if PLACE.as_posix() in line and "warning:" in line:
                        warnings.append(line)
                    count = re.match(r"\[(\d+)/(\d+)\]", line)
                    if count:
                        step.progress(f"{count[1]} of {count[2]} files")

                where = tree / "src" / "build"
                run(["ninja", f"-j{processors.count()}", PROGRAM], log=log, cwd=where,
                    env=_environment(context), on_line=see, failure="The outer QEMU cannot be built.")
                if warnings:
                    for file in files:      # to be compiled, and reported, again
                        (tree / "src" / PLACE / file).touch()
                    raise LabError(f"The device model has to compile without a warning: {warnings[0]}", log)
                if kind == "qemu":
                    run(["strip", "-o", folder / PROGRAM, where / PROGRAM], log=log)
                else:
                    shutil.copy(where / PROGRAM, folder)    # reports need line numbers
                check_model(folder / PROGRAM, log=log)

    path = context.cache.entry("qemu-mutant" if mutation else kind, version, digest({**base, "model": model}), build,
                               context.waiting)
    return path / PROGRAM

