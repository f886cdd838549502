# SPDX-License-Identifier: GPL-2.0
"""vlab check, defects, fuzz, bench: tests and measurements."""

from __future__ import annotations

import argparse
import itertools
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence

import benchmarks
from ..core import machine, paths, versions
from ..core.context import Context
from ..core.process import tied
from ..core.progress import Steps
from ..core.run import output, show
from ..build import kernel, parts, qemu
from ..scenario import profile, report
from ..probe import fuzz
from ..release import results, results_page
from . import arguments, logs

BENCHMARKS = arguments.Named(benchmarks.WHAT, {"blackout": "downtime", "moves": "endurance"})
FUZZERS = arguments.Named(fuzz.WHAT.keys(), {"streams": "data"})
# pytest's exit status if it had no test to run
NONE_LEFT = 5
# Memory of the hosts of one process that runs tests, in MiB
HOSTS_MEMORY = 3 << 10


def found(word: str) -> str:
    """An argument for pytest; adds the directory to the name of a test file."""
    name, colons, rest = word.partition("::")
    files = list((paths.LAB / "tests").rglob(name)) if re.fullmatch(r"\w+\.py", name) else []
    return f"{files[0].relative_to(paths.LAB / 'tests')}{colons}{rest}" if len(files) == 1 else word


def lost(words: Sequence[str]) -> str:
    """The first argument for pytest that names a file of tests, and there is none of that name."""
    options = ("-k", "-m", "-p", "-W", "--deselect", "--ignore", "--ignore-glob")
    return next((word for before, word in zip(["", *words], words) if before not in options and
                 re.fullmatch(r"[\w/.-]+\.py(::.*)?", word) and not word.startswith("-") and
                 not (paths.LAB / "tests" / found(word).partition("::")[0]).is_file()), "")


def workers() -> int:
    """How many processes run tests, each a file at a time.  Half of their time they wait for
    something: two do not keep two processors busy."""
    return 3 if machine.free_memory() >= 3 * HOSTS_MEMORY else 2


def _words(arguments_: Sequence[str]) -> list[str]:
    """All arguments that pytest gets."""
    return [*shlex.split(os.environ.get("PYTEST_ADDOPTS", "")), *arguments_]


def runs_none(arguments_: Sequence[str]) -> bool:
    """Whether pytest with these arguments only prints something, such as a list of tests."""
    return any(word in ("--co", "-h") or word.startswith(("--collect", "--fixtures", "--markers", "--help", "--version"))
               for word in _words(arguments_))


def to_build(arguments_: Sequence[str], everything: bool) -> bool:
    """Whether to build all parts before running pytest with these arguments: not if pytest
    runs no tests, and not if they select some, unless ``everything`` is set."""
    words = _words(arguments_)
    return not runs_none(arguments_) and (everything or not any(
        word.startswith(("-k", "-m")) or
        not word.startswith("-") and (paths.LAB / "tests" / found(word).partition("::")[0]).exists() for word in words))


def tests(words: Sequence[str], asan: bool, steps: Steps, everything: bool = False) -> int:
    """Run all tests, or those that the arguments for pytest select; selected tests build
    what they need themselves, unless ``everything`` is set."""
    # Install all packages first: tests have no terminal for sudo to ask for a password
    machine.prepare(Context(steps=steps), machine.PYTEST if runs_none(words) else machine.CHECK)
    if to_build(words, everything):
        parts.build(["qemu-asan" if asan and name == "qemu" else name for name in parts.ALL], steps)
    elif not runs_none(words):
        parts.prepare(steps)
    if asan:
        os.environ[qemu.SANITIZED] = "1"
    argv = [sys.executable, "-B", "-m", "pytest", "-p", "no:cacheprovider", "-q", "--durations=20",
            "-n", str(workers()), "--dist", "loadfile", *map(found, words)]
    # pytest captures output of tests; their steps are shown here
    show(shlex.join(argv))
    return subprocess.run(argv, cwd=paths.LAB / "tests", env={
        **os.environ, "VFIO_LAB_BUILD": str(paths.BUILD), "VFIO_LAB_TERMINAL": f"/proc/{os.getpid()}/fd/2"},
        check=False, **tied()).returncode


def names() -> dict[str, set[str]]:
    """The names of all tests, also of those that take long, by file."""
    said = output([sys.executable, "-B", "-m", "pytest", "-p", "no:cacheprovider", "-q", "--collect-only"],
                  cwd=paths.LAB / "tests")
    return {file: set(some) for file, some in itertools.groupby(
        sorted(line for line in said.splitlines() if "::" in line), lambda line: line.partition("::")[0])}


def every(files: Sequence[str], restart: bool, steps: Steps) -> int:
    """Run every test, or every test of some files; not those that have a result for this tree
    already.  Write the page of results."""
    with logs.folder("check-all") as folder:
        file = folder / "results.jsonl"
        if restart:
            file.unlink(missing_ok=True)
        tree, commit = results.tree(), results.commit()
        status = tests([f"--results={file}", "--long", "--defects", *files], False, steps, everything=not files)
        known, page = results.read(file), results_page.read(results.PAGE.read_text(encoding="utf-8") if results.PAGE.exists() else "")
        here = {name: result for name, result in known.items() if result.tree == tree}
        series = [f"Linux {package}" for name in versions.SERIES if (package := kernel.available(name, Context(steps=steps)))]
        page.replace(here, names(), commit, ", ".join([*series, *(f"QEMU {name}" for name in versions.VMM)]))
        every_file = (f"{test.parent.name}/{test.name}" for test in (paths.LAB / "tests").glob("*/test_*.py"))
        report.replace(folder / results.PAGE.name, page.text(every_file))
        print(f"{results.summary(known, tree)}\nresults: {folder / results.PAGE.name}", flush=True)
    return 0 if status == NONE_LEFT else status


def check(args: argparse.Namespace, steps: Steps) -> int:
    """The tests."""
    if args.restart and not args.all:
        args.parser.error("--restart is for --all")
    if args.quick and args.all:
        args.parser.error("--quick and --all contradict each other")
    if args.all:
        if args.asan or args.profile or not all(re.fullmatch(r"[\w/.-]+\.py", word) for word in args.pytest):
            args.parser.error("--all runs all tests, or all of some files, without --asan, --profile or other arguments for pytest")
        if not lost(args.pytest):
            return every(list(map(found, args.pytest)), args.restart, steps)
    if lost(args.pytest):
        args.parser.error(f"no such file of tests: {lost(args.pytest)}")
    if args.profile:
        os.environ[profile.VARIABLE] = str(args.profile[0])
    return tests([*(["--quick"] if args.quick else []), *args.pytest], args.asan, steps)


def defects(args: argparse.Namespace, steps: Steps) -> int:
    """Run the tests for known defects on all drivers and print a table."""
    table = paths.BUILD / "defects/defects.rst"
    table.unlink(missing_ok=True)
    status = tests(["test_defects.py", "--defects", "--dist", "load"], False, steps, everything=True)
    if table.exists():
        print(table.read_text(encoding="utf-8"))
    return status


def run_fuzz(args: argparse.Namespace, steps: Steps) -> int:
    """Random input."""
    machine.prepare(Context(steps=steps), (*machine.PACKAGES, *machine.FUZZ))
    parts.build(parts.HOST, steps)
    with logs.folder("fuzz") as folder:
        fuzz.fuzz(tuple(args.what) or tuple(fuzz.WHAT), args.count, args.seed, folder, Context(steps=steps))
    return 0


def bench(args: argparse.Namespace, steps: Steps) -> int:
    """The benchmarks."""
    from benchmarks import run
    machine.prepare(Context(steps=steps), machine.BENCH)
    parts.build([*parts.USUAL, *(f"driver-{series}" for series in versions.CHECKED)], steps)
    with logs.folder("bench") as folder:
        run.Bench(tuple(args.what) or tuple(BENCHMARKS.known), args.rounds, args.runs, args.migrations, folder, steps).run()
        print(f"report: {folder / 'report.json'}\nplots:  {folder}", flush=True)
    return 0


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    """Add check, defects, fuzz and bench to the command line."""
    test = commands.add_parser("check", parents=[common], help="run all tests", description="Install and build what is "
                               "missing, and run all tests; the last line has the counts.",
                               epilog="example: vlab check -- test_kunit.py -k migration")
    test.add_argument("--asan", action="store_true", help="with an outer QEMU built with AddressSanitizer, LeakSanitizer "
                      "and UBSan (the first build takes ten minutes)")
    test.add_argument("--quick", action="store_true", help="without the tests that are slow: ten minutes instead of an hour")
    test.add_argument("--all", action="store_true", help="also the tests that take long, which take hours; a run that was "
                      "interrupted continues when it is started again on the same tree")
    test.add_argument("--profile", type=arguments.server_profile, metavar="FILE",
                      help="with devices that do what hisi-acc-probe observed on a server")
    test.add_argument("--restart", action="store_true", help="with --all: forget the results of earlier runs")
    test.add_argument("pytest", nargs="*", metavar="PYTEST", help="arguments for pytest, after --, e.g. -k migration; with --all only files of tests")
    test.set_defaults(func=check, parser=test)

    known = commands.add_parser("defects", parents=[common], help="test for known defects, on each driver",
                                description="Run the tests of tests/support/defects.py on the in-tree driver of each kernel "
                                            "series and on this tree's, rebooting where a test can crash a host, and "
                                            "print a table.", epilog="example: vlab defects")
    known.set_defaults(func=defects, parser=known)

    random = commands.add_parser("fuzz", parents=[common], help="random migration data, operations and decoder input",
                                 description="Give the driver's decoder, and VFs in a host, random input. A failure "
                                             "ends the run and prints the seed.",
                                 epilog="example: vlab fuzz data --count 10000 --seed 7")
    random.add_argument("--count", type=arguments.Number(1, 10**9), metavar="N",
                        help=f"inputs of each kind (default: {', '.join(f'{n} {w}' for w, n in fuzz.WHAT.items())})")
    random.add_argument("--seed", type=arguments.Number(0, 2**24 - 1), metavar="N", help="repeat a run with its seed (default: random)")
    random.add_argument("what", nargs="*", type=FUZZERS, metavar="WHAT",
                        help=f"any of {', '.join(fuzz.WHAT)} (default: all)")
    random.set_defaults(func=run_fuzz, parser=random)

    measure = commands.add_parser("bench", parents=[common], help="compare this tree's driver with the in-tree driver",
                                  description="Compare this tree's driver with the in-tree driver, on one host and in one "
                                              "boot of each kernel, and with migrating guests. Only ratios are "
                                              "significant. Tables, report.json and plots go to build/bench/.",
                                  epilog="example: vlab bench latency downtime --runs 10")
    measure.add_argument("--rounds", type=arguments.Number(1, 1000), default=40, metavar="N",
                         help="saves and restores for each figure (default: 40)")
    measure.add_argument("--runs", type=arguments.Number(1, 1000), default=5, metavar="N",
                         help="migrations for each downtime (default: 5)")
    measure.add_argument("--migrations", type=arguments.Number(1, 10000), default=200, metavar="N",
                         help="migrations of the endurance run (default: 200)")
    measure.add_argument("--moves", type=arguments.Number(1, 10000), dest="migrations", default=argparse.SUPPRESS,
                         help=argparse.SUPPRESS)
    measure.add_argument("what", nargs="*", type=BENCHMARKS, metavar="WHAT",
                         help=f"any of {', '.join(BENCHMARKS.known)} (default: all)")
    measure.set_defaults(func=bench, parser=measure)
