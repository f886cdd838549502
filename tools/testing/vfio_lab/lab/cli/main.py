# SPDX-License-Identifier: GPL-2.0
"""vlab: the lab's command line."""

from __future__ import annotations

import argparse
import math
import os
import sys
import textwrap
from collections.abc import Sequence

from ..core import paths, run, terminal, versions
from ..core.errors import LabError, UsageError
from ..core.progress import Steps
from . import arguments, bisect, conformance, fleet, hosts, migrations, release, store, testing

INTERRUPTED, BROKEN_PIPE = 130, 141
#: commands by purpose, as --help shows them
GROUPS = {
    "Migrate": ("demo", "migrate", "matrix", "fleet"),
    "Use a host": ("run", "shell"),
    "Test and measure": ("check", "conformance", "bisect", "defects", "fuzz", "bench"),
    "Publish": ("docs", "deb", "series", "generate"),
    "Cache and shell": ("build", "status", "clean", "completion"),
}
EPILOG = """\
Examples:
  vlab demo                            the first migration
  vlab run --vfs 4 -- lspci -k         run a command on a host with accelerators
  vlab migrate --from-driver in-tree   migrate from the in-tree driver
  vlab check -- test_kunit.py          run some of the tests

'vlab COMMAND --help' shows a command's options. The cache is $VFIO_LAB_CACHE,
or vfio-lab in the user's cache directory. The first run builds QEMU and
a kernel, 13 minutes on two processors; in a clone, it first installs Debian
packages.
"""


class Version(argparse.Action):
    """--version: versions of the project, and of the lab's kernels and QEMUs."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        changes = (paths.ROOT / "debian/changelog").read_text(encoding="utf-8")
        released = changes.partition("(")[2].partition(")")[0]
        print(f"vlab {released}\nLinux {', '.join(versions.SERIES)} (default: {versions.DEFAULT})\n"
              f"QEMU {', '.join(versions.VMM)} (default: {versions.DEFAULT_VMM})")
        parser.exit()


class _Help(argparse.RawDescriptionHelpFormatter):
    """Breaks lines at blanks only: names and values have hyphens."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(text, width, break_on_hyphens=False)


class _Subcommand(argparse.ArgumentParser):
    """Keeps the line breaks of an example."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, formatter_class=_Help, **options)    # type: ignore[arg-type]
        if self.description:
            self.description = textwrap.fill(self.description, 80, break_on_hyphens=False)


def _operands(command: argparse.ArgumentParser) -> list[argparse.Action]:
    """The arguments of a command that are not options."""
    return [action for action in command._actions if not action.option_strings]


def parser() -> argparse.ArgumentParser:
    """The argument parser."""
    common = arguments.verbosity()
    top = argparse.ArgumentParser(prog="vlab", parents=[common], usage="vlab [-h] [--version] [-v | -q] COMMAND ...",
                                  epilog=EPILOG, formatter_class=_Help)
    top.add_argument("--version", action=Version, nargs=0, help="print versions and exit")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", prog="vlab", parser_class=_Subcommand,
                                  help=argparse.SUPPRESS)
    for module in (migrations, fleet, hosts, bisect, testing, conformance, release, store):
        module.register(commands, common)
    for name, command in commands.choices.items():
        if command.usage is None:
            operands = [f"[{a.metavar}...]" if a.nargs else str(a.metavar) for a in _operands(command)]
            command.usage = " ".join([f"vlab {name} [OPTIONS]", *operands])
        # parsed() checks for missing ones after unknown options, which argparse does not report otherwise
        for operand in _operands(command):
            operand.required = False
    words = {action.dest: action.help for action in commands._choices_actions}
    groups = "".join(f"\n{title}:\n" + "".join(f"  {name:<12}{words[name]}\n" for name in names)
                     for title, names in GROUPS.items())
    top.description = ("Emulated arm64 servers with HiSilicon accelerators: boot them, run commands on\n"
                       f"them, migrate guests between them.\n{groups}")
    top.set_defaults(top=top)
    return top


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the arguments; unknown and missing ones are an error with the usage of the command."""
    args, left = parser().parse_known_args(argv)
    command: argparse.ArgumentParser = getattr(args, "parser", args.top)
    if left and args.command == "check":
        command.error(f"arguments for pytest go after --: vlab check -- {' '.join([*left, *args.pytest])}")
    if left:
        command.error(f"unrecognized arguments: {' '.join(left)}")
    missing = [a.metavar for a in _operands(command) if a.nargs != "*" and getattr(args, a.dest) is None]
    if missing:
        command.error(f"the following arguments are required: {', '.join(map(str, missing))}")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Parse and run a command; print errors as one message.  Exit status: 1 for a failure, 2
    for wrong usage, 130 if interrupted, 141 if the reader of the output has ended."""
    try:
        try:
            return _main(argv)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        if not terminal.lost_reader(sys.stdout):
            raise
        # or what is left in the buffer is reported at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE


def _main(argv: Sequence[str] | None) -> int:
    terminal.fit(sys.stdout, sys.stderr)
    # Files in hosts' root file systems and packages must be readable
    os.umask(0o022)
    args = parsed(argv)
    steps = Steps(after=math.inf if getattr(args, "quiet", False) else 0)
    if getattr(args, "verbose", False):
        run.echo = steps.command
        os.environ[run.VERBOSE] = "1"
    run.stop_on_sigterm()
    try:
        return args.func(args, steps) or 0
    except UsageError as e:
        args.parser.error(str(e))
    except LabError as e:
        print(f"vlab: {e}", file=sys.stderr)
        if e.log and not getattr(e, "step_logged", False):
            print(f"vlab: log: {e.log}", file=sys.stderr)
        return 1
    except OSError as e:
        said = terminal.sentence(e)
        if not said:
            raise
        print(f"vlab: {said}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("vlab: interrupted: all processes stopped, partial builds discarded", file=sys.stderr)
        return INTERRUPTED
