# SPDX-License-Identifier: GPL-2.0
"""C programs of the lab for the emulated arm64 machines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..core import paths
from ..core.cache import digest
from ..core.context import Context, shared
from ..core.run import output, run

COMPILER = "aarch64-linux-gnu-gcc"
SELFTESTS = paths.ROOT / "tools/testing/selftests/vfio"
#: of the selftests, what programs include that link none of their sources
SHARED_HEADERS = (SELFTESTS / "migration_random.h",)
#: of the selftests, what programs link that use VFIO
VFIO_PARTS = ("hisi_acc_guest", "migration_ioctl", "vfio_open")
FLAGS = ("-O2", "-static", "-pthread", "-Wall", "-Wextra", "-Werror")


def vfio_program(name: str, context: Context | None = None) -> Path:
    """A program of programs/ that uses VFs by VFIO, linked with what the selftests have without libvfio."""
    return static_program([paths.LAB / f"programs/{name}.c", paths.LAB / "programs/vfio_device.c",
                           *(SELFTESTS / f"{part}.c" for part in VFIO_PARTS)], context)


def static_program(source: Path | Sequence[Path], context: Context | None = None) -> Path:
    """The static arm64 program of one or more C files, compiled if it is not cached.

    Headers beside and below the files count as part of them, as do those of the lab's
    kernel modules, those that programs share with the selftests, and this clone's of the
    uAPI, which go before the machine's.
    """
    context = context or shared()
    sources = [source] if isinstance(source, Path) else list(source)
    name = sources[0].stem

    def build(folder: Path) -> None:
        log = context.cache.log(f"program-{name}")
        with context.steps.step(f"compile {name} for arm64", log):
            run([COMPILER, *FLAGS, f"-I{paths.UAPI}", "-o", folder / name, *sources], log=log,
                failure=f"{name} cannot be compiled for arm64.")

    headers = sorted({header for one in sources for header in one.parent.rglob("*.h")}
                     | {*paths.UAPI.rglob("*.h"), *SHARED_HEADERS, *(paths.LAB / "modules").rglob("*.h")})
    inputs = {"flags": FLAGS, "compiler": output([COMPILER, "-dumpfullversion"]).strip(),
              "files": [[file.name, file.read_text(encoding="utf-8")]
                        for file in (*sources, *headers)]}
    return context.cache.entry(f"program-{name}", "arm64", digest(inputs), build,
                               context.waiting) / name
