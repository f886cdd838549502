# SPDX-License-Identifier: GPL-2.0
"""vlab: the lab's command line."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from ..core import hardware, machine, paths, terminal, versions
from ..core.cache import default_root
from ..core.context import Context
from ..core.errors import LabError
from ..core.process import tied
from ..core.progress import Steps
from ..core.run import stop_on_sigterm
from ..build import kernel, parts, qemu
from ..scenario import accelerator, guest, matrix, report
from ..scenario.session import MODEL, Choice, Session
from ..probe import fuzz
from ..release import deb, docs, series
from . import completion

DRIVERS = ("ours", "mainline", "none")
BENCHMARKS = ("registers", "latency", "scale", "memory", "blackout", "moves")
INTERRUPTED = 130
# Two processes with a share of the test files each, as most tests keep one core busy
BESIDE_EACH_OTHER = ("-n", "2", "--dist", "loadfile")

EPILOG = """\
The cache lies in $VFIO_LAB_CACHE, or vfio-lab in the user's cache folder. The
first run on a machine installs Debian packages and builds QEMU and a kernel:
13 minutes on two processors. Then everything starts in seconds.
"""


def engine_list(text: str) -> tuple[str, ...]:
    """argparse type: a comma-separated list of engines."""
    names = tuple(dict.fromkeys(text.split(",")))
    unknown = [n for n in names if n not in hardware.ENGINES]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown engine '{unknown[0]}'; known: {', '.join(hardware.ENGINES)}")
    return names


def one_of(known: Iterable[str]) -> Callable[[str], str]:
    """argparse type: a word from a list; choices= would not do for none at all."""
    def one(text: str) -> str:
        if text not in known:
            raise argparse.ArgumentTypeError(f"unknown '{text}'; known: {', '.join(known)}")
        return text
    return one


def number(low: int, high: int) -> Callable[[str], int]:
    """argparse type: a number from `low` to `high`."""
    def one(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"'{text}' is not a number from {low} to {high}")
        return int(text)
    return one


vf_count = number(0, 63)


def pushed(text: str) -> tuple[str, pathlib.Path]:
    """argparse type: LOCAL:REMOTE, as remote name and local file."""
    local, colon, remote = text.rpartition(":")
    if not colon or not local or not remote.startswith("/") or remote.endswith("/"):
        raise argparse.ArgumentTypeError(f"'{text}' is not LOCAL:REMOTE with a full name of a file as REMOTE")
    if not pathlib.Path(local).is_file():
        raise argparse.ArgumentTypeError(f"there is no file {local}")
    return remote, pathlib.Path(local)


def model_property(text: str) -> tuple[str, str]:
    """argparse type: NAME=VALUE for the device model."""
    name, equals, value = text.partition("=")
    if not equals or not name or "," in text:
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=VALUE")
    return name, value


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(prog="vlab", description="Emulated arm64 servers with HiSilicon accelerators: boot "
                                  "them, run on them, migrate guests between them.", epilog=EPILOG,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    host = argparse.ArgumentParser(add_help=False)
    host.add_argument("--kernel", choices=kernel.HOSTS, default=versions.DEFAULT,
                      help=f"kernel of the hosts (default {versions.DEFAULT}); {kernel.flavoured('debug')} watches memory "
                           f"and locks, {kernel.flavoured('kcsan')} data races, {kernel.flavoured('64k')} has larger pages")
    host.add_argument("--guest-kernel", choices=tuple(versions.SERIES), default=versions.GUEST,
                      help=f"kernel of the guest (default {versions.GUEST}: in later ones, programs cannot reach an "
                           "accelerator without the lab's module)")
    host.add_argument("--vmm", choices=tuple(versions.VMM), default=versions.DEFAULT_VMM,
                      help=f"QEMU in the hosts (default {versions.DEFAULT_VMM})")
    host.add_argument("--engines", type=engine_list, default=("sec",), metavar="LIST",
                      help=f"accelerators, of {','.join(hardware.ENGINES)} (default sec)")
    host.add_argument("--vfs", type=vf_count, default=2, metavar="N", help="virtual functions of each (default 2)")
    host.add_argument("--model", type=model_property, action="append", default=[], metavar="NAME=VALUE",
                      help="a property of the device model, e.g. request-latency=2000; see qemu/README.md")

    one = argparse.ArgumentParser(add_help=False, parents=[host])
    one.add_argument("--driver", choices=DRIVERS, default="ours",
                     help="what the virtual functions are bound to: this tree's variant driver, the kernel's own, "
                          "or none of both, but the stock accelerator driver (default ours)")
    one.add_argument("--push", type=pushed, action="append", default=[], metavar="LOCAL:REMOTE",
                     help="put a file into the host before it boots")
    one.add_argument("--guest", action="store_true",
                     help="put a guest's kernel and root file system into /lab: Image and guest.cpio")

    run = commands.add_parser("run", parents=[one], help="boot one host, run a command in it as root",
                              usage="vlab run [OPTIONS] -- COMMAND [ARGUMENT...]",
                              description="Boot one host, create and bind virtual functions, run COMMAND as root, "
                                          "stream its output, exit with its status.")
    run.add_argument("argv", nargs="+", metavar="COMMAND", help="the command and its arguments, after --")
    commands.add_parser("shell", parents=[one], help="boot one host and open a shell in it",
                        description="Boot one host as 'run' does, and open a shell in it.")

    move = commands.add_parser("migrate", parents=[host], help="migrate a guest under load between two hosts",
                               description="Boot two hosts, start a guest with a virtual function on the first, and "
                                           "migrate it to the second while it works.")
    for end, what in (("from", "source"), ("to", "destination")):
        move.add_argument(f"--{end}-driver", choices=DRIVERS[:2], default="ours",
                          help=f"variant driver of the {what} (default ours)")
    move.add_argument("--guest-vfs", type=vf_count, default=1, metavar="N",
                      help="virtual functions of each accelerator that the guest gets (default 1)")
    move.add_argument("--moves", type=number(1, 1000), default=1, metavar="N",
                      help="how often to move the guest, there and back (default 1)")
    move.add_argument("--to-kernel", choices=kernel.HOSTS, help="kernel of the destination, if another: QEMU may "
                      "refuse the guest then, whose processor has other registers")
    move.add_argument("--to-vmm", choices=tuple(versions.VMM), help="QEMU in the destination, if another: the guest "
                      "then has the older release's machine type")
    move.add_argument("--backend", choices=guest.BACKENDS, default=Choice.backend,
                      help=f"how the guest's QEMU reaches the IOMMU (default {Choice.backend})")
    move.add_argument("--no-httu", action="store_true", help="hosts whose SMMU does not track dirty pages")
    move.add_argument("--lose-pages", action="store_true", help="allow --backend iommufd with --no-httu")
    move.add_argument("--patch", type=pathlib.Path, action="append", default=[], metavar="FILE",
                      help="a patch on this tree's driver, to see what breaks")
    move.add_argument("--report", type=pathlib.Path, metavar="FILE", help="write the outcome there as JSON")

    demo = commands.add_parser("demo", help="what 'make demo' runs: migrate with every default",
                               description="Install what is missing, build, and migrate a guest with every default; "
                                           "the outcome goes to build/demo/report.json.")
    demo.add_argument("--vmm", choices=tuple(versions.VMM), default=versions.DEFAULT_VMM,
                      help=f"QEMU in the hosts (default {versions.DEFAULT_VMM})")
    table = commands.add_parser("matrix", help="which kernels, QEMUs and IOMMU backends migrate: a table, each cell run",
                                description="Migrate a guest under load for each kernel, QEMU and IOMMU backend, and "
                                            "print what became of it as a table; also to build/matrix/matrix.json. "
                                            "Exits 0 only if every cell is as lab/core/versions.py expects.")
    for option, known in (("kernel", tuple(versions.SERIES)), ("vmm", tuple(versions.VMM)), ("backend", guest.BACKENDS)):
        table.add_argument(f"--{option}", choices=known, action="append", metavar="NAME",
                           help=f"only this one of {', '.join(known)}; may be given again")
    table.add_argument("--directions", action="store_true",
                       help="also between hosts with different kernels, and with different QEMUs")
    table.add_argument("--engines", type=engine_list, default=("sec",), metavar="LIST",
                       help=f"accelerators, of {','.join(hardware.ENGINES)} (default sec)")
    check = commands.add_parser("check", help="run all tests", description="Install and build what is missing, and run "
                                "all tests; the last line says how many passed and failed.")
    check.add_argument("--asan", action="store_true", help="on an outer QEMU that ends at the first access out of "
                       "bounds, leak or undefined result (its first build takes ten minutes)")
    check.add_argument("pytest", nargs="*", metavar="PYTEST", help="arguments for pytest, after --, e.g. -k window")
    commands.add_parser("defects", help="look for known defects in the kernel's own driver and in ours",
                        description="Run the tests of tests/support/defects.py on the kernel's own driver of both series and "
                                    "on this tree's, each in a boot of its own where it may end one, and print a table.")
    commands.add_parser("docs", help="build the documentation",
                        description="Build the documentation's pages as HTML by the kernel's own tools, into build/docs; "
                                    "anything that warns is a failure.")
    commands.add_parser("deb", help="build Debian packages",
                        description="Build the driver's DKMS package into build/deb, and have lintian look at it.")
    patches = commands.add_parser("series", help="make patches for a kernel's tree",
                                  description="Turn the driver, its documentation and tests into patches for a pristine "
                                              f"tree of Linux {' or '.join(versions.BASES)}, in "
                                              "build/series; apply, check and build them.")
    patches.add_argument("tree", type=pathlib.Path, metavar="TREE", help="the kernel's source tree, which is only read")
    patches.add_argument("--no-build", action="store_true", help="do not build the driver at each step")
    bench = commands.add_parser("bench", help="measure this tree's driver beside the kernel's own",
                                description="Measure this tree's driver beside the kernel's own, on one host and in "
                                            "one boot of each kernel, and with guests that move; only ratios mean "
                                            "something. Tables, "
                                            "report.json and plots go to build/bench/.")
    bench.add_argument("--rounds", type=number(1, 1000), default=40, metavar="N",
                       help="saves and restores for each figure (default 40)")
    bench.add_argument("--runs", type=number(1, 1000), default=5, metavar="N",
                       help="migrations for each blackout (default 5)")
    bench.add_argument("--moves", type=number(1, 10000), default=200, metavar="N",
                       help="migrations of the long run (default 200)")
    bench.add_argument("what", nargs="*", type=one_of(BENCHMARKS), metavar="WHAT",
                       help=f"of {', '.join(BENCHMARKS)} (default: all)")
    random = commands.add_parser("fuzz", help="give the driver what nobody would, at random",
                                 description="Give the driver's decoder and functions in a host what nobody would, at "
                                             "random; what goes wrong is printed with its seed, and ends it.")
    random.add_argument("--count", type=number(1, 10**9), metavar="N",
                        help=f"of each (default {', '.join(f'{n} {w}' for w, n in fuzz.WHAT.items())})")
    random.add_argument("--seed", type=number(0, 2**24 - 1), metavar="N", help="to have the same again (default: any)")
    random.add_argument("what", nargs="*", type=one_of(fuzz.WHAT), metavar="WHAT", help=f"of {', '.join(fuzz.WHAT)} (default: all)")
    make = commands.add_parser("build", help="build into the cache what is missing",
                               description="Build into the cache what is missing.")
    make.add_argument("what", nargs="*", type=one_of(parts.WHAT), metavar="WHAT",
                      help=f"of {', '.join(parts.WHAT)} (default: what the demo needs)")
    commands.add_parser("completion", help="print completion for bash: . <(vlab completion)")
    commands.add_parser("status", help="what is cached, which versions")
    clean = commands.add_parser("clean", help="empty the cache",
                                description="Ask, and empty the cache but for what a running command uses. What is "
                                            "old goes by itself.")
    clean.add_argument("--yes", action="store_true", help="do not ask")
    clean.add_argument("--old", action="store_true", help="remove only what the present sources no longer use")
    return top


@contextlib.contextmanager
def log_folder(command: str) -> Iterator[pathlib.Path]:
    """build/COMMAND, or build/COMMAND-PID while another run uses that."""
    folder = paths.BUILD / command
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            folder = folder.with_name(f"{command}-{os.getpid()}")
            folder.mkdir()
        yield folder


def choice(args: argparse.Namespace, driver: str, version: str | None = None, vmm: str | None = None) -> Choice:
    """The command line's choice for one host."""
    return Choice(kernel=version or args.kernel, guest_kernel=kernel.flavoured(kernel.GUEST_FLAVOUR, args.guest_kernel), driver=driver, engines=args.engines, vfs=args.vfs,
                  vmm=vmm or args.vmm,
                  guest_vfs=getattr(args, "guest_vfs", 1), moves=getattr(args, "moves", 1),
                  patches=tuple(p.resolve() for p in getattr(args, "patch", ())),
                  backend=getattr(args, "backend", Choice.backend), httu=not getattr(args, "no_httu", False),
                  push=dict(getattr(args, "push", ())), model={**MODEL, **dict(args.model)})


def one_host(args: argparse.Namespace, steps: Steps) -> int:
    """run and shell."""
    with log_folder(args.command) as logs, Session(steps, logs) as session:
        picked = choice(args, args.driver)
        with steps.step("put the host's image together"):
            spec = session.spec("host", picked, guest=args.guest)
        (host,) = session.boot([spec])
        with steps.step(f"accelerators: {', '.join(picked.engines)}, {picked.vfs} virtual functions each, "
                        f"driver {picked.driver}", host.console):
            # All first: the variant driver brings the stock ones with it, without parameters
            for name in picked.engines:
                accelerator.bring_up(host.ssh, hardware.ENGINES[name], picked.vfs)
            for name in picked.engines:
                engine = hardware.ENGINES[name]
                accelerator.bind(host.ssh, accelerator.functions(host.ssh, engine),
                                 engine.driver if picked.driver == "none" else hardware.VARIANT_DRIVER)
        if args.command == "shell":
            return subprocess.run(host.ssh.argv("exec sh -l", terminal=True), check=False, **tied()).returncode
        command = args.argv[0] if len(args.argv) == 1 else shlex.join(args.argv)
        status = subprocess.run(host.ssh.argv(command), check=False, **tied()).returncode
        if status == 255 and not host.alive():
            raise LabError("the host went down while the command ran", host.console)
        return status


def refuse(args: argparse.Namespace) -> None:
    """Say of a migration what cannot be, before anything is built for it."""
    missing = next((p for p in args.patch if not p.is_file()), None)
    if missing:
        raise LabError(f"there is no patch {missing}")
    if args.vfs < 1:
        raise LabError("a migration needs at least one virtual function: --vfs 1")
    if not 1 <= args.guest_vfs <= args.vfs:
        raise LabError(f"the guest cannot get {args.guest_vfs} of {args.vfs} virtual functions")
    if args.backend == "iommufd" and args.no_httu and not args.lose_pages:
        raise LabError("iommufd on an SMMU that tracks no dirty pages loses what only the device wrote: take "
                       "--backend legacy there, or say --lose-pages to see it")


def migrate(args: argparse.Namespace, steps: Steps) -> int:
    """migrate and demo."""
    started = time.monotonic()
    with log_folder(args.command) as logs, Session(steps, logs) as session:
        outcome = session.migrate(choice(args, args.from_driver),
                                  choice(args, args.to_driver, args.to_kernel, args.to_vmm))
        seconds = time.monotonic() - started
        print(report.text(outcome, seconds), flush=True)
        target = args.report or logs / "report.json"
        report.write_json(outcome, seconds, target)
        print(f"report: {target}\nlogs:   {logs}", flush=True)
        return 0 if outcome.held else 1


def run_matrix(args: argparse.Namespace, steps: Steps) -> int:
    """The table of what migrates."""
    chosen = (args.kernel or tuple(versions.SERIES), args.vmm or tuple(versions.VMM), args.backend or guest.BACKENDS)
    cells = matrix.same(*chosen) + (matrix.directions(*chosen) if args.directions else [])
    context = Context(steps=steps)
    absent = {cell: matrix.missing(cell, context) for cell in cells}
    there = {end for cell, reason in absent.items() if not reason for end in (cell.source, cell.destination)}
    parts.build([name for name in parts.WHAT if name in {
        "rootfs", "library", "programs", "qemu", f"kernel-{kernel.GUEST}",
        *(f"{part}-{end.kernel}" for end in there for part in ("kernel", "driver")),
        *(f"rootfs-{end.vmm}" for end in there)}], steps)
    with log_folder("matrix") as folder:
        results = {}
        for cell, result in matrix.run(cells, absent.__getitem__,
                                       lambda cell: matrix.migrated(cell, args.engines, steps, folder), steps.note):
            results[cell] = result
            steps.note(str(result))
            # What is known so far survives an interruption
            matrix.write(results, args.engines, folder)
        print(matrix.markdown(results), flush=True)
        print(f"report: {folder / 'matrix.json'}\nlogs:   {folder}", flush=True)
    return 0 if all(result.expected for result in results.values()) else 1


def bench(args: argparse.Namespace, steps: Steps) -> int:
    """The benchmarks."""
    from benchmarks import run
    machine.prepare(Context(steps=steps), machine.BENCH)
    parts.build([*parts.USUAL, *(f"driver-{series}" for series in versions.CHECKED)], steps)
    with log_folder("bench") as folder:
        run.Bench(tuple(args.what) or BENCHMARKS, args.rounds, args.runs, args.moves, folder, steps).run()
        print(f"report: {folder / 'report.json'}\nplots:  {folder}", flush=True)
    return 0


def _found(word: str) -> str:
    """An argument for pytest; of a file of tests that is named without its folder, the whole name."""
    name, colons, rest = word.partition("::")
    found = list((paths.LAB / "tests").rglob(name)) if re.fullmatch(r"\w+\.py", name) else []
    return f"{found[0].relative_to(paths.LAB / 'tests')}{colons}{rest}" if len(found) == 1 else word


def _to_build(arguments: Sequence[str], everything: bool) -> bool:
    """Whether to build all that tests take before these arguments go to pytest: not if
    it is to run none, and not if they pick some, unless ``everything`` says so."""
    words = [*shlex.split(os.environ.get("PYTEST_ADDOPTS", "")), *arguments]
    none = ("--co", "--fixtures", "--markers", "--help", "--version")
    if any(word.startswith(none) or word == "-h" for word in words):
        return False
    return everything or not any(
        word.startswith(("-k", "-m")) or
        not word.startswith("-") and (paths.LAB / "tests" / _found(word).partition("::")[0]).exists() for word in words)


def check(arguments: Sequence[str], asan: bool, steps: Steps, everything: bool = False) -> int:
    """All tests, or those that the arguments for pytest pick: these build what they
    need themselves, unless ``everything`` is to be built before."""
    # All packages at once and before anything else: tests have no terminal to ask for a password on
    machine.prepare(Context(steps=steps), machine.CHECK)
    if _to_build(arguments, everything):
        parts.build(["qemu-asan" if asan and name == "qemu" else name for name in parts.ALL], steps)
    else:
        parts.prepare(steps)
    if asan:
        os.environ[qemu.SANITIZED] = "1"
    argv = [sys.executable, "-B", "-m", "pytest", "-p", "no:cacheprovider", "-q", "--durations=8",
            *BESIDE_EACH_OTHER, *map(_found, arguments)]
    # pytest keeps what its tests print; what they wait for is told here
    return subprocess.run(argv, cwd=paths.LAB / "tests", env={
        **os.environ, "VFIO_LAB_BUILD": str(paths.BUILD), "VFIO_LAB_TERMINAL": f"/proc/{os.getpid()}/fd/2"},
        check=False, **tied()).returncode


def clean(args: argparse.Namespace) -> int:
    """Empty the cache, if that is meant."""
    if not args.yes:
        what = "all that the present sources no longer use" if args.old else "all that is cached"
        if not sys.stdin.isatty():
            print("vlab clean: asks before it removes, and there is no terminal to ask on: say --yes", file=sys.stderr)
            return 2
        print(f"Remove {what} in {default_root()}? [y/N] ", end="", flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            return 1
    print(parts.clean(old_only=args.old))
    return 0


def defects(steps: Steps) -> int:
    """The tests of the table of defects on all drivers, then the table."""
    table = paths.BUILD / "defects/defects.rst"
    table.unlink(missing_ok=True)
    status = check(["test_defects.py", "--defects", "--dist", "load"], False, steps, everything=True)
    if table.exists():
        print(table.read_text(encoding="utf-8"))
    return status


def needed(args: argparse.Namespace) -> list[str]:
    """The parts that run, shell, migrate and demo take with these options; what they
    need besides is made in seconds."""
    hosts = {args.kernel, getattr(args, "to_kernel", None) or args.kernel}
    roots = {f"rootfs-{vmm}" for vmm in (args.vmm, getattr(args, "to_vmm", None))}
    ours = "ours" in (getattr(args, name, "") for name in ("driver", "from_driver", "to_driver"))
    names = {"rootfs", "library", "qemu-asan" if qemu.is_sanitized() else "qemu"} | {f"kernel-{one}" for one in hosts} | roots
    if ours and not getattr(args, "patch", ()):
        names |= {f"driver-{one}" for one in hosts}
    if getattr(args, "guest", True):
        names |= {"programs", f"kernel-{kernel.flavoured(kernel.GUEST_FLAVOUR, args.guest_kernel)}"}
    return [name for name in parts.WHAT if name in names]


def dispatch(args: argparse.Namespace, steps: Steps) -> int:
    """Run the chosen command; returns the exit status."""
    if args.command == "completion":
        print(completion.script(parser()), end="")
        return 0
    if args.command == "status":
        print(parts.status())
        return 0
    if args.command == "clean":
        return clean(args)
    if args.command == "build":
        parts.build(args.what, steps)
        return 0
    if args.command == "check":
        return check(args.pytest, args.asan, steps)
    if args.command == "matrix":
        return run_matrix(args, steps)
    if args.command == "defects":
        return defects(steps)
    if args.command == "series":
        machine.prepare(Context(steps=steps), machine.SERIES)
        print("\n".join(map(str, series.make(args.tree.resolve(), paths.BUILD / "series", Context(steps=steps),
                                             not args.no_build))))
        return 0
    if args.command == "deb":
        print("\n".join(map(str, deb.build(paths.BUILD / "deb", Context(steps=steps)))))
        return 0
    if args.command == "docs":
        print(docs.build(paths.BUILD / "docs", Context(steps=steps)))
        return 0
    if args.command == "bench":
        return bench(args, steps)
    if args.command == "fuzz":
        machine.prepare(Context(steps=steps), (*machine.PACKAGES, *machine.FUZZ))
        parts.build(parts.HOST, steps)
        with log_folder("fuzz") as folder:
            fuzz.fuzz(tuple(args.what) or tuple(fuzz.WHAT), args.count, args.seed, folder, Context(steps=steps))
        return 0
    if args.command in ("migrate", "demo"):
        refuse(args)
    parts.build(needed(args), steps)
    if args.command in ("run", "shell"):
        return one_host(args, steps)
    return migrate(args, steps)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, run, and turn what goes wrong into a sentence and a status: 1 for
    what failed, 2 for wrong use, 130 when interrupted."""
    terminal.fit(sys.stdout, sys.stderr)
    # What is built goes into hosts' root file systems and packages, and is no secret
    os.umask(0o022)
    args = parser().parse_args(argv)
    if args.command == "demo":
        args = parser().parse_args(["migrate", "--vmm", args.vmm])
        args.command = "demo"
    steps = Steps()
    stop_on_sigterm()
    try:
        return dispatch(args, steps)
    except LabError as e:
        print(f"vlab: {e}", file=sys.stderr)
        if e.log and not getattr(e, "step_told", False):
            print(f"vlab: the log: {e.log}", file=sys.stderr)
        return 1
    except OSError as e:
        said = terminal.sentence(e)
        if not said:
            raise
        print(f"vlab: {said}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("vlab: interrupted; nothing runs any more, and nothing half-built is kept", file=sys.stderr)
        return INTERRUPTED
