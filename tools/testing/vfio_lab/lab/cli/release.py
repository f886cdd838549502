# SPDX-License-Identifier: GPL-2.0
"""vlab docs, deb, series, generate: documentation, packages, patches, generated files."""

from __future__ import annotations

import argparse
import pathlib
from collections.abc import Callable

from ..core import machine, paths, versions
from ..core.context import Context
from ..core.progress import Steps
from ..release import arc_figure, deb, docs, overview, recording, series, series_steps, test_table
from .arguments import Named

#: generated files of this checkout
GENERATED: dict[str, Callable[[], list[pathlib.Path]]] = {
    "tests": test_table.write, "states": arc_figure.write, "overview": overview.write, "demo": recording.write}


def build_docs(args: argparse.Namespace, steps: Steps) -> int:
    """The documentation."""
    print(docs.build(paths.BUILD / "docs", Context(steps=steps)))
    return 0


def build_deb(args: argparse.Namespace, steps: Steps) -> int:
    """Debian packages."""
    print("\n".join(map(str, deb.build(paths.BUILD / "deb", Context(steps=steps)))))
    return 0


def make_series(args: argparse.Namespace, steps: Steps) -> int:
    """Patches."""
    if not args.tree.is_dir():
        args.parser.error(f"no such directory: {args.tree}")
    series.ALL[args.what].project.release(args.tree)
    machine.prepare(Context(steps=steps), machine.SERIES)
    print("\n".join(map(str, series.make(args.tree.resolve(), paths.BUILD / "series", Context(steps=steps),
                                         not args.no_build, series.ALL[args.what]))))
    return 0


def generate(args: argparse.Namespace, steps: Steps) -> int:
    """vlab generate."""
    for name in args.what or ("tests", "states", "overview"):
        for path in GENERATED[name]():
            print(path.relative_to(paths.ROOT))
    return 0


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    """Add docs, deb, series and generate to the command line."""
    pages = commands.add_parser("docs", parents=[common], help="build the documentation",
                                description="Build the documentation as HTML with the kernel's tools, into build/docs; "
                                            "warnings are errors.", epilog="example: vlab docs")
    pages.set_defaults(func=build_docs, parser=pages)
    package = commands.add_parser("deb", parents=[common], help="build Debian packages",
                                  description="Build the driver's DKMS package and the lab's package into build/deb, and "
                                              "check them with lintian.", epilog="example: vlab deb")
    package.set_defaults(func=build_deb, parser=package)
    patches = commands.add_parser("series", parents=[common], help="make patches for a kernel's tree, or QEMU's",
                                  description="Turn the driver, its documentation and tests, the selftests for any "
                                              "device alone, or fixes of the in-tree driver or of the SMMU's, "
                                              f"into patches for a pristine tree of Linux {' or '.join(versions.BASES)}, in "
                                              "build/series; apply, check and build them. qemu-httu is for QEMU's tree.",
                                  epilog=f"example: vlab series ~/src/linux-{versions.BASES[0]}")
    patches.add_argument("tree", type=pathlib.Path, metavar="TREE", help="the source tree, it is not modified")
    patches.add_argument("--what", choices=tuple(series.ALL), default=series_steps.DRIVER.name,
                         help="which series (default: %(default)s)")
    patches.add_argument("--no-build", action="store_true", help="do not build the driver at each step")
    patches.set_defaults(func=make_series, parser=patches)
    files = commands.add_parser("generate", parents=[common], help="update generated files",
                                description="Update generated files of this checkout: the tables of tests, the "
                                            "figures of the driver's states and of the lab, the recording of a demo "
                                            "(runs the demo).", epilog="example: vlab generate tests")
    files.add_argument("what", nargs="*", type=Named(GENERATED.keys()), metavar="WHAT",
                       help=f"any of {', '.join(GENERATED)} (default: tests, states, overview)")
    files.set_defaults(func=generate, parser=files)
