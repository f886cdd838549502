# SPDX-License-Identifier: GPL-2.0
"""Modules of any directory of sources with a Makefile, such as a sample of this clone, for a kernel of the lab."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..core import hardware, paths, scratch
from ..core.context import Context, shared
from ..core.errors import LabError
from ..core.run import run
from . import module
from .kernel import Kernel

#: the sample of a driver with migration
EDU = paths.ROOT / hardware.OTHERS["edu"].sources


def _files(folder: Path) -> dict[str, bytes]:
    """What a module is built from; not what an earlier build left."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())
            if path.name in ("Makefile", "Kbuild") or path.suffix in (".c", ".h") and not path.name.endswith(".mod.c")}


def _patched(files: Mapping[str, bytes], patches: Sequence[Path], context: Context) -> dict[str, bytes]:
    """The files with patches (-p1) applied."""
    with scratch.folder() as work:
        for name, content in files.items():
            (work / name).write_bytes(content)
        for patch in patches:
            run(["patch", "-p1", "--batch", "--forward", "--fuzz=0", "-d", work, "-i", patch.resolve()],
                log=context.cache.log("sources"), failure=f"{patch.name} does not apply to the sources.")
        return _files(work)


def name(folder: Path) -> str:
    """The one module that a directory's Makefile makes."""
    makefile = next((folder / file for file in ("Kbuild", "Makefile") if (folder / file).is_file()), None)
    words = [word for line in makefile.read_text(encoding="utf-8").splitlines() if line.startswith("obj-m")
             for word in line.partition("=")[2].split()] if makefile else []
    if len(words) != 1:
        raise LabError(f"{folder} has no Makefile or Kbuild with a line 'obj-m := MODULE.o' for one module.")
    return words[0].removesuffix(".o")


def built(folder: Path, kernel: Kernel, context: Context | None = None, patches: Sequence[Path] = ()) -> Path:
    """The module of a directory for this kernel, with patches applied to a copy; built if it is not cached."""
    context = context or shared()
    files = _files(folder)
    if patches:
        files = _patched(files, patches, context)
    return module.build("sources", name(folder), files, kernel, context) / f"{name(folder)}.ko"
