# SPDX-License-Identifier: GPL-2.0
"""vlab build, status, clean, completion: the cache, and the shell."""

from __future__ import annotations

import argparse
import sys

from ..core.cache import default_root
from ..core.progress import Steps
from ..build import parts
from . import completion
from .arguments import Named


def build(args: argparse.Namespace, steps: Steps) -> int:
    """Build into the cache."""
    parts.build(args.what or parts.USUAL, steps)
    return 0


def status(args: argparse.Namespace, steps: Steps) -> int:
    """List the cache."""
    print(parts.status())
    return 0


def clean(args: argparse.Namespace, steps: Steps) -> int:
    """Empty the cache after confirmation."""
    if not args.yes:
        what = "entries that the current sources do not use" if args.old else "all entries"
        if not sys.stdin.isatty():
            args.parser.error("needs confirmation, but there is no terminal: use --yes")
        print(f"Remove {what} in {default_root()}? [y/N] ", end="", flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            return 1
    print(parts.clean(old_only=args.old))
    return 0


def complete(args: argparse.Namespace, steps: Steps) -> int:
    """Print the completion script."""
    print(completion.script(args.top), end="")
    return 0


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    """Add build, status, clean and completion to the command line."""
    make = commands.add_parser("build", parents=[common], help="build what is not cached",
                               description="Build missing parts into the cache.",
                               epilog="example: vlab build qemu kunit")
    make.add_argument("what", nargs="*", type=Named(parts.WHAT.keys()), metavar="WHAT",
                      help=f"any of {', '.join(parts.WHAT)} (default: what the demo needs)")
    make.set_defaults(func=build, parser=make)
    listed = commands.add_parser("status", parents=[common], help="list what is cached",
                                 description="List the entries of the cache, with their sizes.", epilog="example: vlab status")
    listed.set_defaults(func=status, parser=listed)
    empty = commands.add_parser("clean", parents=[common], help="empty the cache",
                                description="Empty the cache after confirmation, except entries that a running "
                                            "command uses. Old entries are removed automatically.", epilog="example: vlab clean --old")
    empty.add_argument("--yes", action="store_true", help="do not ask")
    empty.add_argument("--old", action="store_true", help="remove only entries that the current sources do not use")
    empty.set_defaults(func=clean, parser=empty)
    shell = commands.add_parser("completion", parents=[common], help="print completion for bash",
                                description="Print a script that completes the commands and options of vlab in bash.",
                                epilog="example: . <(vlab completion)")
    shell.set_defaults(func=complete, parser=shell)
