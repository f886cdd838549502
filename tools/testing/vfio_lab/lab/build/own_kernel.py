# SPDX-License-Identifier: GPL-2.0
"""A user's own kernel, named by a path: a source tree, a build directory (O=), or an Image with
its modules.

A source tree is only read. It is built in a directory of the cache that belongs to its path,
where make compiles what has changed. What was built is copied to an entry of the cache, so
that a host boots one kernel however the tree changes meanwhile.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ..core import disk, paths, processors
from ..core.cache import digest, hash_path
from ..core.context import Context
from ..core.errors import LabError
from ..core.hardware import ENGINES, VARIANT_DRIVER, Engine
from ..core.progress import Step
from ..core.run import run
from .kernel import (BUILD_ENV, FLAVOURS, GUEST_FLAVOUR, MAKE, Kernel, configure, counter, flavoured, fragment_text,
                     install, not_accepted, release_of)

IMAGE = Path("arch/arm64/boot/Image")
#: what a kernel built in a directory of its own leaves in a source tree that was built in place
IN_PLACE = (".config", "include/config", "arch/arm64/include/generated")
#: the line of make for a step that went well, and what it says of directories
_ROUTINE = re.compile(r"^(  [A-Z][A-Z0-9_]* .*|make(\[\d+\])?: (Entering|Leaving) directory .*|#.*|\s*)$")
#: symbols whose kernels are as slow as a flavour of the lab's
SLOW = {"debug": "CONFIG_KASAN=y", "kcsan": "CONFIG_KCSAN=y", "64k": "CONFIG_ARM64_64K_PAGES=y"}
SIZE = 3 * disk.GB


class NotBuilt(LabError):
    """A source tree cannot be configured or built."""


def is_path(name: str) -> bool:
    """Whether a kernel is named by a path, not by its series."""
    return "/" in name


def form(path: Path) -> str:
    """What a path names: "tree", "build" or "image"; LabError if none of them."""
    if path.is_file():
        return "image"
    if not path.is_dir():
        raise LabError(f"There is no {path}.")
    if (path / ".config").is_file() and (path / IMAGE).is_file():
        return "build"
    if (path / "Kconfig").is_file() and (path / "arch/arm64/Kconfig").is_file():
        if any((path / name).exists() for name in IN_PLACE):
            raise LabError(f"{path} is configured in place, and then the kernel's make takes no other build directory: run "
                           "'make mrproper' there, or name a git worktree of it, or build its Image and modules for arm64.")
        if re.search(r"[\s:]", str(path)):
            raise LabError(f"The kernel's make takes no space and no colon in a path: {path}")
        return "tree"
    if (path / ".config").is_file():
        raise LabError(f"{path} has no {IMAGE}: build its Image and modules for arm64 first.")
    raise LabError(f"{path} is neither a kernel's source tree, nor a directory that one was built in.")


def _series(tree: Path) -> str:
    """The series of a source tree, such as 6.12."""
    makefile = (tree / "Makefile").read_text(encoding="utf-8")
    numbers = [re.search(rf"^{name} = (\d+)$", makefile, re.M) for name in ("VERSION", "PATCHLEVEL")]
    if not all(numbers):
        raise LabError(f"{tree}/Makefile names no version.")
    return ".".join(number[1] for number in numbers if number)


def _name(path: Path) -> str:
    """A short name for messages, logs and the cache."""
    return re.sub(r"[^A-Za-z0-9.+-]", "-", path.name)[-40:]


def _symbols(text: str) -> dict[str, str]:
    """The symbols of a .config or fragment, with their values."""
    return dict(re.findall(r"^(CONFIG_\w+)=(.*)$", text, re.M))


def lacking(config: str, engines: Iterable[Engine], in_tree: bool = False, host: bool = True) -> list[str]:
    """What a .config lacks for a host with these accelerators, and with the kernel's own variant
    driver, or for a guest: symbols with the least value."""
    needs = _symbols((paths.KERNEL_CONFIGS / "needs.config").read_text(encoding="utf-8")) if host else {}
    needs |= {f"CONFIG_CRYPTO_DEV_{engine.driver.upper()}": "m" for engine in engines}
    if in_tree:
        needs["CONFIG_HISI_ACC_VFIO_PCI"] = "m"
    have = _symbols(config)
    return [f"{name}={value}" for name, value in needs.items()
            if have.get(name) not in (("y",) if value == "y" else ("y", "m"))]


def _config_of(kernel: Kernel) -> str:
    """The .config of a kernel, or "" where it is not known."""
    places = (kernel.build / ".config", kernel.image.with_name(f"config-{kernel.release}"),
              kernel.modules / f"lib/modules/{kernel.release}/config")
    return next((place.read_text(encoding="utf-8") for place in places if place.is_file()), "")


def check(kernel: Kernel, engines: Iterable[Engine], in_tree: bool) -> None:
    """Raise LabError if a host needs what this kernel lacks."""
    config = _config_of(kernel)
    missing = lacking(config, engines, in_tree) if config else []
    if missing:
        raise LabError(f"Kernel {kernel.version} lacks what the lab needs: {', '.join(missing)}.")
    modules = kernel.modules / "lib/modules" / kernel.release
    listed = "".join((modules / name).read_text(encoding="utf-8") for name in ("modules.dep", "modules.builtin")
                     if (modules / name).is_file())
    if in_tree and not re.search(rf"(^|/){VARIANT_DRIVER.replace('_', '[-_]')}\.ko", listed, re.M):
        raise LabError(f"Kernel {kernel.version} has no {VARIANT_DRIVER}: set CONFIG_HISI_ACC_VFIO_PCI, or use "
                       "--driver checkout.")


def _flavour(config: str) -> str:
    """The flavour of the lab's kernels that one with this .config is like."""
    return next((name for name in FLAVOURS if f"\n{SLOW[name]}\n" in config), "")


def _headers(source: Path) -> str:
    """A value that changes with the headers of a tree: modules are built with them."""
    found = [(str(path), info.st_size, info.st_mtime_ns) for top in ("include", "arch/arm64/include")
             for path in sorted((source / top).rglob("*.h")) for info in [path.stat()]]
    return digest({"headers": found})


def _taken(name: str, build: Path, log: Path, context: Context, flavour: str = "") -> Kernel:
    """What was built in a directory, copied to an entry of the cache."""
    release = release_of(build)
    link = build / "source"
    source = link.resolve() if link.exists() else build
    order = build / "modules.order"
    modules = [build / Path(place).with_suffix(".ko")
               for place in (order.read_text(encoding="utf-8").split() if order.is_file() else ())]
    lost = next((module for module in modules if not module.is_file()), None)
    if lost:
        raise LabError(f"{lost} was not built: make the modules for arm64, too.")
    key = digest({"recipe": 1, "image": build / IMAGE, "modules": [hash_path(module) for module in modules],
                  "config": hash_path(build / ".config"), "headers": _headers(source)})
    entry = context.cache.entry(f"kernel-of-{name}", release, key, lambda folder: install(name, build, folder, log),
                                context.waiting)
    config = (build / ".config").read_text(encoding="utf-8")
    return Kernel(name, release, release, entry / "Image", entry / "modules", source, build, entry.name,
                  flavour or _flavour(config))


class _Lines:
    """Counts the steps of a build for the display, and keeps what a compiler says."""

    def __init__(self, step: Step) -> None:
        self._count = counter(step, "files")
        self._quoted = step.quoted

    def __call__(self, line: str) -> None:
        self._count(line)
        if not _ROUTINE.match(line):
            self._quoted.append(line)


def _fragment(file: Path) -> str:
    """The text of a user's fragment of a configuration."""
    text = file.read_text(encoding="utf-8")
    if not re.search(r"^(# )?CONFIG_\w+(=| is not set$)", text, re.M):
        raise LabError(f"{file} has no line CONFIG_NAME=VALUE.")
    return text


def _configure(label: str, tree: Path, build: Path, flavour: str, fragments: Sequence[Path], log: Path,
               context: Context) -> None:
    """Configure a source tree; LabError for what the user wanted or the lab needs and the tree
    has not."""
    added = {fragment: _fragment(fragment) for fragment in fragments}
    missed = configure(label, fragment_text(_series(tree), flavour, list(added.values())), tree, build, log)
    for fragment, text in added.items():
        lost = [line for line in missed if re.search(rf"\b{line.partition('=')[0]}\b", text)]
        if lost:
            raise LabError(f"{tree} does not accept these lines of {fragment}: {', '.join(lost)}; does an option that "
                           "they depend on lack?", log)
    missing = lacking((build / ".config").read_text(encoding="utf-8"), ENGINES.values(), host=flavour != GUEST_FLAVOUR)
    if missing:
        raise LabError(f"{tree} lacks what the lab needs: {', '.join(missing)}.", log)
    if missed:
        context.steps.note(not_accepted(label, missed))


def _from_tree(tree: Path, of_lab: bool, flavour: str, fragments: Sequence[Path], context: Context) -> Kernel:
    """Build a source tree, as far as it has changed."""
    name = _series(tree) if of_lab else _name(tree)
    label = flavoured(flavour, name) if flavour else name
    inputs: dict[str, object] = {"tree": str(tree), "flavour": flavour}
    if of_lab:
        # commands with other options have the same sources
        inputs["fragments"] = [hash_path(fragment) for fragment in fragments]
    log = context.cache.log(f"kernel-tree-{label}")

    def prepare(folder: Path) -> None:
        disk.require(context.cache.root, SIZE, f"the kernel of {tree}")
        (folder / "build").mkdir()

    with context.cache.tree(f"kernel-tree-{label}", str(tree)[-100:], digest(inputs),
                            prepare, context.waiting, resumes=True) as folder:
        build = folder / "build"
        with context.steps.step(f"build the kernel of {tree}", log) as step:
            try:
                _configure(label, tree, build, flavour, fragments, log, context)
                run([*MAKE, f"-j{processors.count()}", "-C", tree, f"O={build}", "Image", "modules"], log=log,
                    env=BUILD_ENV, on_line=_Lines(step), failure=f"The kernel of {tree} cannot be built.")
            except LabError as e:
                raise NotBuilt(str(e), e.log) from e
            return _taken(label, build, log, context, flavour)


def _release(image: Path) -> str:
    """What uname -r says of a kernel, by the text that it prints first."""
    content = image.read_bytes()
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    if content[0x38:0x3c] != b"ARM\x64":
        raise LabError(f"{image} is not an arm64 Image, nor a compressed one (Image.gz).")
    found = re.search(rb"Linux version (\S+) ", content)
    if not found:
        raise LabError(f"{image} does not say which release it is.")
    return found[1].decode()


def _from_image(image: Path) -> Kernel:
    """An Image, with the modules that were installed beside it."""
    release = _release(image)
    tops = (image.parent, image.parent / "modules", image.parent.parent, image.parent / "usr", image.parent.parent / "usr")
    modules = next((top for top in tops if (top / "lib/modules" / release).is_dir()), None)
    if modules is None:
        raise LabError(f"There are no modules of {release} beside {image}: install them with make modules_install "
                       f"INSTALL_MOD_PATH={image.parent}.")
    link = modules / "lib/modules" / release / "build"
    build = link.resolve() if link.exists() else image.parent / "build"
    source = (build / "source").resolve() if (build / "source").exists() else build
    kernel = Kernel(release, release, release, image, modules, source, build, f"{release}-{hash_path(image)}")
    return replace(kernel, flavour=_flavour(_config_of(kernel)))


def kernel(path: Path, context: Context, flavour: str = "", fragments: Sequence[Path] = (), of_lab: bool = False) -> Kernel:
    """The kernel that a path names, built if it is a source tree: for a host, or of the
    flavour for a guest; with the user's fragments of its configuration.  `of_lab` is for the sources
    of a series in the cache: each set of fragments has a build of its own."""
    kind = form(path)
    if kind == "tree":
        return _from_tree(path, of_lab, flavour, fragments, context)
    if fragments:
        raise LabError(f"{path} is built already: fragments of a configuration are for a source tree.")
    if kind == "image":
        return _from_image(path)
    with context.steps.step(f"take the kernel in {path}", context.cache.log("kernel-of-folder")) as step:
        return _taken(_name(path), path, step.log or path, context)
