# SPDX-License-Identifier: GPL-2.0
"""vlab bisect: find the commit of a kernel's tree from which on a command fails.

git chooses the commits, in a worktree of its own: the user's tree, and a bisection that is
under way there, stay as they are. The worktree stays in the cache, and with it what was
built, so that the next step and the next bisection compile only what differs.
"""

from __future__ import annotations

import argparse
import contextlib
import pathlib
import re
import shutil
import subprocess
from collections.abc import Iterator

from ..core.cache import digest
from ..core.context import Context
from ..core.errors import LabError, UsageError
from ..core.git import environment, git
from ..core.progress import Steps
from ..core.run import clean_environment
from ..build import own_kernel, parts
from . import logs

#: commands whose outcome can be bisected
COMMANDS = ("run", "migrate")
#: exit status of a command for a commit that it cannot judge, as for `git bisect run`
SKIP = 125
NO_HOOKS = ("-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false")


def _top(folder: pathlib.Path) -> pathlib.Path:
    """The kernel's tree that a directory belongs to."""
    try:
        top = pathlib.Path(git(folder, "rev-parse", "--show-toplevel").strip())
    except LabError as e:
        raise UsageError(f"{folder} is not in a git repository: name a kernel's with --kernel") from e
    if not (top / "arch/arm64/Kconfig").is_file():
        raise UsageError(f"{top} is not a kernel's source tree: name one with --kernel")
    return top


def _commit(tree: pathlib.Path, name: str) -> str:
    try:
        return git(tree, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}").strip()
    except LabError as e:
        raise UsageError(f"{tree} has no commit {name}") from e


def _inner(args: argparse.Namespace, worktree: pathlib.Path | None = None) -> argparse.Namespace:
    """The command that judges a commit, parsed."""
    words = args.argv[1:] if args.argv[0] == "vlab" else args.argv
    if not words or words[0] not in COMMANDS:
        raise UsageError(f"the command must be one of vlab's: {' or '.join(COMMANDS)}")
    # argparse takes abbreviations, too
    if any(len(word) > 3 and "--kernel".startswith(word.partition("=")[0]) for word in words):
        raise UsageError("the kernel is that of each commit: --kernel TREE goes before --")
    inner: argparse.Namespace = args.top.parse_args([words[0], *(("--kernel", str(worktree)) if worktree else ()), *words[1:]])
    if inner.dry_run or inner.keep or inner.gdb:
        raise UsageError("a command with --dry-run, --keep or --gdb does not judge a commit")
    return inner


def _check_out(tree: pathlib.Path, worktree: pathlib.Path, commit: str) -> None:
    """Make the worktree, or take the one of an earlier bisection."""
    if (worktree / ".git").is_file():
        with contextlib.suppress(LabError):
            git(worktree, *NO_HOOKS, "bisect", "reset")
            git(worktree, *NO_HOOKS, "checkout", "--quiet", "--force", "--detach", commit)
            git(worktree, "clean", "-ffdxq")
            return
    shutil.rmtree(worktree, ignore_errors=True)
    # Forced: git may know it as one that was removed
    git(tree, *NO_HOOKS, "worktree", "add", "--force", "--detach", worktree, commit)


def _say(worktree: pathlib.Path, *words: str) -> str:
    """What git says to a step of a bisection, whatever its exit status."""
    done = subprocess.run(["git", "-C", worktree, *NO_HOOKS, "bisect", *words], capture_output=True, text=True, check=False,
                          env=clean_environment(environment()))
    return done.stdout + done.stderr


def _judge(args: argparse.Namespace, worktree: pathlib.Path, steps: Steps) -> str:
    """Build the commit that is checked out, run the command on it: good, bad or skip."""
    inner = _inner(args, worktree)
    try:
        status = inner.func(inner, steps) or 0
    except own_kernel.NotBuilt as e:
        steps.note(f"not built: {e}")
        status = SKIP
    except LabError as e:
        steps.note(f"failed: {e}")
        status = 1
    return "good" if status == 0 else "skip" if status == SKIP else "bad"


@contextlib.contextmanager
def _worktree(tree: pathlib.Path, bad: str, context: Context) -> Iterator[pathlib.Path]:
    """A worktree of a tree, for one bisection at a time."""
    with context.cache.tree(f"bisect-{tree.name}", str(tree)[-100:], digest({"tree": str(tree)}), lambda folder: None,
                            context.waiting, resumes=True) as folder:
        worktree = folder / tree.name
        with context.steps.step(f"check out a worktree of {tree}"):
            _check_out(tree, worktree, bad)
        try:
            yield worktree
        finally:
            _say(worktree, "reset")


def bisect(args: argparse.Namespace, steps: Steps) -> int:
    """vlab bisect."""
    tree = _top(args.kernel.resolve())
    good, bad = _commit(tree, args.good), _commit(tree, args.bad)
    if good == bad or git(tree, "merge-base", good, bad).strip() != good:
        args.parser.error(f"{args.good} is not an ancestor of {args.bad}")
    _inner(args)
    parts.prepare(steps)
    with logs.folder("bisect") as folder, _worktree(tree, bad, Context(steps=steps)) as worktree:
        said = _say(worktree, "start", bad, good)
        while not (found := re.search(r"^([0-9a-f]{40}) is the first bad commit$", said, re.M)):
            left = re.search(r"^Bisecting: (\d+) revisions? left .*\(roughly (\d+) steps?\)$", said, re.M)
            if not left:
                raise LabError(f"git cannot go on: {' '.join(said.split())[-300:]}")
            name = git(worktree, "log", "-1", "--format=%h %s").strip()
            steps.note(f"{name}: {left[1]} commits after this one, about {left[2]} steps")
            verdict = _judge(args, worktree, steps)
            steps.note(f"{name}: {verdict}")
            said = _say(worktree, verdict)
            # Kept if the next step is interrupted
            (folder / "bisect.log").write_text(_say(worktree, "log"), encoding="utf-8")
        print(f"first bad commit: {git(tree, 'log', '-1', '--format=%H%n  %s%n  %an, %ad', found[1]).strip()}\n"
              f"log: {folder / 'bisect.log'}", flush=True)
    return 0


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    """Add bisect to the command line."""
    command = commands.add_parser("bisect", parents=[common], help="find the commit of a kernel that breaks a command",
                                  usage="vlab bisect [OPTIONS] GOOD BAD -- run|migrate [ARGUMENT...]",
                                  description="Find the first commit of a kernel's tree, after GOOD and up to BAD, on which a "
                                              "command of vlab fails. git bisects in a worktree of its own; each commit is "
                                              "built and becomes the command's --kernel. A commit that cannot be built is "
                                              "skipped, and one for which the command exits with 125.",
                                  epilog="example: vlab bisect --kernel ../linux v7.2 v7.3 -- migrate --vfs 1")
    command.add_argument("--kernel", type=pathlib.Path, default=pathlib.Path(), metavar="TREE",
                         help="the kernel's source tree (default: that of the current directory)")
    command.add_argument("good", metavar="GOOD", help="a commit on which the command passes")
    command.add_argument("bad", metavar="BAD", help="a later one, on which it fails")
    command.add_argument("argv", nargs="+", metavar="COMMAND", help="run or migrate, with options, after --")
    command.set_defaults(func=bisect, parser=command)
