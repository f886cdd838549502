# SPDX-License-Identifier: GPL-2.0
"""The driver's KUnit tests, run by the kernel's own kunit.py as a program of this
machine (User Mode Linux)."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from ..core import paths, processors, scratch, versions
from ..core.apt import machine_codename
from ..core.cache import digest
from ..core.context import Context
from ..core.errors import LabError
from ..core.run import run
from .kernel import BUILD_ENV, sources, unmet
from .overlay import FOLDER, overlay


#: the driver's suites, in the order in which they run; hisi_acc_kunit.ko has them
OF_DRIVER = ("hisi_acc_vf_data", "hisi_acc_migf", "hisi_acc_qm", "hisi_acc_qm_open", "hisi_acc_migrate", "hisi_acc_bar",
             "hisi_acc_debugfs", "hisi_acc_main")
#: and of what only builds out of tree need
SUITES = (*OF_DRIVER, "hisi_acc_compat_qm")

#: what kunit.py's kernel has by default and cannot do without: 64 bits, its output
ALSO = ("64BIT", "PRINTK", "STDERR_CONSOLE", "KUNIT_DEFAULT_ENABLED", "KUNIT_AUTORUN_ENABLED", "BUG", "KALLSYMS")


def _configure(tree: Path, build: Path, log: Path) -> None:
    """Configure the kernel before kunit.py does, which would turn on all that is "default
    y" and build twice as much.  Its own record of the last configuration, made here, keeps
    it from doing so."""
    wanted = "".join((tree / place).read_text(encoding="utf-8")
                     for place in ("tools/testing/kunit/configs/arch_uml.config", FOLDER / "tests/.kunitconfig"))
    lines = wanted + "".join(f"CONFIG_{name}=y\n" for name in ALSO)
    fragment = build / "fragment"
    if fragment.exists() and fragment.read_text(encoding="utf-8") == lines:
        return
    shutil.rmtree(build, ignore_errors=True)
    build.mkdir(parents=True)
    (build / "wanted").write_text(lines, encoding="utf-8")
    run(["make", "-s", "ARCH=um", "-C", tree, f"O={build}", f"KCONFIG_ALLCONFIG={build}/wanted", "allnoconfig"],
        log=log, env=BUILD_ENV, failure="User Mode Linux cannot be configured.")
    missed = unmet(lines, (build / ".config").read_text(encoding="utf-8"))
    if missed:
        raise LabError(f"User Mode Linux did not take these lines of its configuration: {', '.join(missed)}.", log)
    (build / "last_used_kunitconfig").write_text(wanted, encoding="utf-8")
    (build / "wanted").rename(fragment)


def _build(tree: Path, build: Path) -> list[str | Path]:
    return [sys.executable, "-B", tree / "tools/testing/kunit/kunit.py", "build", f"--kunitconfig={tree / FOLDER / 'tests'}",
            f"--build_dir={build}", f"--jobs={processors.count()}"]


def prepared(context: Context) -> Path:
    """Build the kernel that the tests run in, once, so that kunit() has only the driver
    to build; an entry of the cache that records that this was done."""
    source = sources(versions.DEFAULT, context)

    def build(folder: Path) -> None:
        log = context.cache.log("kunit-kernel")
        with overlay(context) as tree, context.steps.step("build User Mode Linux for KUnit", log):
            _configure(tree, tree.parent / "build/um", log)
            run(_build(tree, tree.parent / "build/um"), log=log, cwd=tree, env=BUILD_ENV,
                failure="User Mode Linux cannot be built.")

    config = (paths.DRIVER / "tests/.kunitconfig").read_text(encoding="utf-8")
    return context.cache.entry("kunit", source.name.split("__")[1], digest({
        "recipe": 1, "source": source.name, "config": config, "also": ALSO, "machine": machine_codename()}), build,
        context.waiting)


def kunit(context: Context, patches: Sequence[Path] = ()) -> str:
    """Build and run them; returns their output (KTAP).

    The tree is the one that the driver is built in, so only what changed since
    the last time is built again.  The tests wait more than they work: they run on
    a copy, when the tree is free for others.  ``patches`` mutate the driver for this
    run.  Raises LabError when they cannot be built.
    """
    log = context.cache.log("kunit")
    said: list[str] = []
    source = sources(versions.DEFAULT, context)
    with scratch.folder("kunit-") as copy, context.steps.step("KUnit, in User Mode Linux", log):
        _build_copy(context, patches, copy, log)
        run([sys.executable, "-B", source / "tools/testing/kunit/kunit.py", "exec", f"--build_dir={copy}",
             "--raw_output=kunit"], log=log, cwd=source, env=BUILD_ENV, on_line=said.append, check=False)
    text = "\n".join(said)
    if "KTAP version" not in text:
        raise LabError("The KUnit tests did not begin.", log)
    return text


def _build_copy(context: Context, patches: Sequence[Path], copy: Path, log: Path) -> None:
    with overlay(context) as tree:
        for patch in patches:
            run(["patch", "-p1", "--batch", "--forward", "--fuzz=0", "-d", tree, "-i", patch.resolve()], log=log,
                failure=f"{patch.name} does not apply to the driver.")
        build = tree.parent / "build/um"
        _configure(tree, build, log)
        run(_build(tree, build), log=log, cwd=tree, env=BUILD_ENV, failure="The KUnit tests cannot be built.")
        shutil.copy(build / "linux", copy)


def failures(text: str) -> list[str]:
    """The lines of KTAP about failures."""
    return re.findall(r"^(?:\[[ \d.]+\])?\s*not ok .*$", text, re.M)


def suites(text: str) -> list[str]:
    """The names of the suites that passed; the text may be a kernel's log."""
    return re.findall(r"^(?:\[[ \d.]+\] *)?ok \d+ (hisi_acc_\S+)", text, re.M)
