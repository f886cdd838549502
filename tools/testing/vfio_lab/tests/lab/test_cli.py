# SPDX-License-Identifier: GPL-2.0
"""Wrong use of vlab's command line must print one line with the known values, and exit with status 2."""

import os
import pathlib
import pty
import re
import shlex
import subprocess

import pytest

from lab.core import paths, versions
from lab.core.cache import Cache
from lab.build import kernel, parts
from lab.cli import hosts, main as cli, testing
from lab.cli.arguments import model_properties, model_property
from lab.scenario.config import MODEL
from conftest import slow_steps

COMMANDS = [command for group in cli.GROUPS.values() for command in group]
VLAB = pathlib.Path(__file__).resolve().parents[2] / "vlab"


def vlab(*argv: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run vlab; returns the completed process."""
    return subprocess.run([VLAB, *argv], capture_output=True, text=True, check=False, env={**os.environ, **variables})


@pytest.mark.parametrize("argv, words", [
    ((), "COMMAND"),
    (("fly",), "choose from"),
    (("--bogus",), "unrecognized arguments: --bogus"),
    (("-v", "-z"), "unrecognized arguments: -z"),
    (("-v",), "required: COMMAND"),
    (("run",), "required: COMMAND"),
    (("check", "--quick", "--all"), "--quick and --all contradict each other"),
    (("run", "--bogus"), "unrecognized arguments: --bogus"),
    (("run", "--bogus", "--", "true"), "unrecognized arguments: --bogus"),
    (("run", "--kernel", "5.10", "--", "true"), f"unknown '5.10'; known: {', '.join(versions.SERIES)}"),
    (("run", "--kernel", "/nowhere", "--", "true"), "There is no /nowhere."),
    (("run", "--kernel", "/etc", "--", "true"), "/etc is neither a kernel's source tree, nor a directory that one was built in."),
    (("migrate", "--to-kernel", "/nowhere"), "argument --to-kernel: There is no /nowhere."),
    (("migrate", "--guest-kernel", "/nowhere"), "argument --guest-kernel: There is no /nowhere."),
    (("run", "--config", "/nowhere", "--", "true"), "no such file: /nowhere"),
    (("run", "--module", "hisi_qm", "--", "true"), "must be a file NAME.ko, got 'hisi_qm'"),
    (("run", "--module", "/nowhere.ko", "--", "true"), "no such file: /nowhere.ko"),
    (("run", "--cpus", "9", "--", "true"), "must be 1..8, got '9'"),
    (("run", "--memory", "1G", "--", "true"), "must be 2048M..64G, got '1G'"),
    (("run", "--memory", "4T", "--", "true"), "must be 2048M..64G, got '4T'"),
    (("run", "--qemu", "/proc/version", "--", "true"), "not a program: /proc/version"),
    (("run", "--qemu-opts", "-d 'int", "--", "true"), "no closing quotation: -d 'int"),
    (("run", "--pull", "log:/tmp/log", "--", "true"), "must be REMOTE:LOCAL with an absolute path as REMOTE, got 'log:/tmp/log'"),
    (("run", "--pull", "/log:/nowhere/log", "--", "true"), "no such directory: /nowhere"),
    (("run", "--dry-run", "--keep", "--", "true"), "--dry-run boots nothing, so there is nothing for --keep"),
    (("run", "--dry-run", "--gdb", "--", "true"), "--dry-run boots nothing, so there is nothing for --gdb"),
    (("run", "--vmm", "4.2", "--", "true"), f"invalid choice: 4.2 (choose from {', '.join(versions.VMM)})"),
    (("migrate", "--to-vmm", "4.2"), f"invalid choice: 4.2 (choose from {', '.join(versions.VMM)})"),
    (("demo", "--vmm", "4.2"), "invalid choice: 4.2"),
    (("matrix", "--backend", "vdpa"), "unknown 'vdpa'; known: iommufd, container"),
    (("run", "--driver", "theirs", "--", "true"), "unknown 'theirs'; known: tree, checkout, in-tree, stock"),
    (("run", "--engines", "sec,gpu", "--", "true"), "unknown engine 'gpu'; known: sec, zip, hpre"),
    (("run", "--vfs", "64", "--", "true"), "0..63"),
    (("run", "--vfs", "two", "--", "true"), "0..63"),
    (("run", "--push", "/nowhere/x:/x", "--", "true"), "no such file: /nowhere/x"),
    (("run", "--push", "/etc/hostname", "--", "true"), "LOCAL:REMOTE"),
    (("run", "--model", "latency", "--", "true"), "NAME=VALUE"),
    (("run", "--dry-run", "--model", "latency=1", "--", "true"), "unknown 'latency'; known: aeq-depth, bus-master-off"),
    (("shell", "--dry-run", "--model", "hw-version=v6"), "unknown hw-version 'v6'; known: v3, v4, v5"),
    (("shell", "--dry-run", "--model", "queues=many"), "queues must be a number, got 'many'"),
    (("shell", "--dry-run", "--model", "vfs=3"), "the number of VFs is an option: --vfs"),
    (("migrate", "--from-driver", "stock"), "unknown 'stock'; known: tree, checkout, in-tree"),
    (("migrate", "--vfs", "1", "--guest-vfs", "2"), "--guest-vfs 2 exceeds --vfs 1"),
    (("migrate", "--guest-vfs", "0"), "must be 1..63, got '0'"),
    (("bisect",), "required: GOOD, BAD, COMMAND"),
    (("bisect", "HEAD", "HEAD"), "required: COMMAND"),
    (("bisect", "HEAD", "HEAD", "--", "migrate"), "is not a kernel's source tree: name one with --kernel"),
    (("bisect", "--kernel", "/", "HEAD", "HEAD", "--", "migrate"), "/ is not in a git repository: name a kernel's with --kernel"),
    (("series",), "required: TREE"),
    (("series", "--bogus"), "unrecognized arguments: --bogus"),
    (("series", "/nowhere"), "no such directory: /nowhere"),
    (("series", "/etc/hostname"), "no such directory: /etc/hostname"),
    (("series", "/dev"), "/dev is not a kernel's source tree"),
    (("migrate", "--no-httu"), "--allow-data-loss"),
    (("migrate", "--link", "0"), "MBIT[,MS[,PERCENT]], such as 100,20,1"),
    (("migrate", "--link", "100,20,1%"), "got '100,20,1%'"),
    (("migrate", "--no-httu", "--backend", "iommufd"), "--allow-data-loss"),
    (("migrate", "--patch", "/nowhere.patch"), "no such file: /nowhere.patch"),
    (("migrate", "--dry-run", "--report", "/dev"), "cannot write to /dev"),
    (("migrate", "--dry-run", "--report", "/etc/hostname/x.json"), "cannot write to /etc/hostname/x.json"),
    (("fleet", "--report", "/etc/hostname"), "cannot write to /etc/hostname"),
    (("conformance", "--driver", "tree", "--report", "/etc/hostname/x"), "cannot write to /etc/hostname/x"),
    (("migrate", "--engines", "edu,sec"), "edu is used alone"),
    (("migrate", "--engines", "edu", "--from-driver", "in-tree"), "the kernel has no driver for edu"),
    (("migrate", "--engines", "edu", "--backend", "container"), "the driver for edu needs --backend iommufd"),
    (("conformance",), "one of --driver and --driver-module is needed; known drivers: tree, in-tree, mtty, edu"),
    (("conformance", "--driver", "edu", "--driver-module", "x.ko"), "one of --driver and --driver-module is needed"),
    (("conformance", "--driver-module", "/etc"), "--driver-module and --device belong together"),
    (("conformance", "--driver-module", "/etc/hostname", "--device", "edu"), "neither a module (.ko) nor a directory"),
    (("conformance", "--driver-module", "/etc", "--device", "edu,,x"), "must be DEVICE[,PROPERTY=VALUE...], got 'edu,,x'"),
    (("conformance", "--driver", "tree", "--patch", "/etc/hostname"), "--patch is for a driver that is built from a directory"),
    (("conformance", "--driver", "edu", "--expect", "/nowhere"), "no such file: /nowhere"),
    (("check", "-k", "window"), "arguments for pytest go after --: vlab check -- -k window"),
    (("check", "--", "--co", "test_nothing.py::test_it"), "no such file of tests: test_nothing.py::test_it"),
    (("check", "--", "--co", "test_cli.py", "lab/test_nothing.py"), "no such file of tests: lab/test_nothing.py"),
    (("check", "--all", "--", "-k", "x"), "--all runs all tests, or all of some files, without --asan"),
    (("check", "--all", "--asan"), "--all runs all tests, or all of some files, without --asan"),
    (("check", "--restart"), "--restart is for --all"),
    (("demo", "-v", "-q"), "not allowed with"),
    (("generate", "tables"), "unknown 'tables'; known: tests, states, overview, demo"),
    (("build", "everything"), "qemu"),
    (("bench", "speed"), "unknown 'speed'; known: registers, latency"),
    (("bench", "endurance", "--migrations", "0"), "1..10000"),
    (("bench", "--rounds", "many"), "1..1000"),
    (("fuzz", "--count", "9" * 5000), "1..1000000000"),
])
def test_wrong_use(argv, words):
    """Each wrong use must print its message and exit with status 2."""
    done = vlab(*argv)
    assert done.returncode == 2
    # argparse quotes the choices before Python 3.12
    said = re.sub(r"invalid choice: .*", lambda line: line[0].replace("'", ""), done.stderr)
    assert words in said and "Traceback" not in said
    assert done.stderr.startswith(f"usage: vlab {argv[0] if argv and argv[0] in COMMANDS else '[-h]'} ")


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_rejects_what_it_does_not_know(command):
    """A command must name an unknown option, also if it lacks an argument, and print its usage."""
    for words in (("--bogus",), ("--bogus=3", "-z")):
        done = vlab(command, *words)
        assert done.returncode == 2 and done.stderr.startswith(f"usage: vlab {command} ")
        (said,) = [line for line in done.stderr.splitlines() if line.startswith("vlab ")]
        assert said.endswith(" ".join(words))


def test_the_models_properties_are_known():
    """--model must accept each property that the model's README describes, and the lab's defaults."""
    tables = (paths.MODEL / "README.md").read_text().partition("### The SMMU")[0]
    rows = re.findall(r"^\| ((?:`[a-z0-9-]+`(?:, )?)+) \| [^|]*\|[^|]*\|", tables, re.M)
    described = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    # those of a device that exists, and values
    assert described - set(model_properties()) <= {"abnormal-error", "engine-error", "function-error", "fail", "wait", "reset"}
    for name, value in MODEL.items():
        assert model_property(f"{name}={value}") == (name, value)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(command):
    """Each command's help must fit into 80 columns and have a valid example."""
    done = vlab(command, "--help", COLUMNS="80")
    assert done.returncode == 0 and f"usage: vlab {command}" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    (example,) = [line for line in done.stdout.splitlines() if line.startswith("example: ")]
    words = shlex.split(example.removeprefix("example: ").replace(". <(vlab completion)", "vlab completion"))
    assert words[:2] == ["vlab", command]
    assert cli.parsed(words[1:]).command == command


def test_the_list_of_commands_is_whole():
    """vlab --help must list each command once, in 80 columns, below its group."""
    done = vlab("--help", COLUMNS="80")
    assert done.returncode == 0 and max(map(len, done.stdout.splitlines())) <= 80
    for title, commands in cli.GROUPS.items():
        assert f"\n{title}:\n" in done.stdout
        assert all(done.stdout.count(f"\n  {command} ") == 1 for command in commands)
    (choices,) = (a.choices for a in cli.parser()._actions if a.dest == "command")
    assert sorted(choices) == sorted(COMMANDS)


@pytest.mark.parametrize("old, new", [
    (("run", "--driver", "ours", "--", "true"), ("run", "--driver", "tree", "--", "true")),
    (("run", "--driver", "mainline", "--", "true"), ("run", "--driver", "in-tree", "--", "true")),
    (("run", "--driver", "none", "--", "true"), ("run", "--driver", "stock", "--", "true")),
    (("migrate", "--moves", "3", "--lose-pages"), ("migrate", "--migrations", "3", "--allow-data-loss")),
    (("migrate", "--backend", "legacy"), ("migrate", "--backend", "container")),
    (("matrix", "--backend", "legacy"), ("matrix", "--backend", "container")),
    (("fuzz", "streams"), ("fuzz", "data")),
    (("bench", "blackout", "moves", "--moves", "2"), ("bench", "downtime", "endurance", "--migrations", "2")),
])
def test_names_of_earlier_releases_are_taken(old, new):
    """Command names of earlier releases must work, and --help must not list them."""
    def values(words):
        return {name: value for name, value in vars(cli.parsed(words)).items() if name not in ("top", "parser")}

    assert values(old) == values(new)
    assert not {"legacy", "--lose-pages", "--moves", "mainline"} & set(vlab(old[0], "--help").stdout.split())


def test_versions_are_printed():
    """--version must print the project's version and those available in hosts."""
    done = vlab("--version")
    assert done.returncode == 0
    assert all(name in done.stdout for name in (*versions.SERIES, *versions.VMM))


@pytest.fixture(scope="module")
def built() -> None:
    """What the demo needs is in the cache."""
    parts.build(parts.USUAL, slow_steps())


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("argv, hosts_, guests", [(("run", "--", "true"), 1, 0), (("migrate", "--vfs", "4", "--guest-vfs", "2"), 2, 2)])
def test_a_dry_run_prints_what_would_be_started(argv, hosts_, guests):
    """--dry-run must print each QEMU's command line, with the guest's VFs, and boot nothing."""
    done = vlab(*argv[:1], "--dry-run", *argv[1:])
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("-machine") + done.stdout.count("-M virt,virtualization=on") == hosts_
    assert done.stdout.count("-device vfio-pci,host=0000:00:08.1") == guests
    assert done.stdout.count("-device vfio-pci,host=0000:00:08.2") == guests
    assert "boot" not in done.stderr


def test_a_dry_run_builds_nothing(tmp_path):
    """With an empty cache, --dry-run must print what would be built."""
    done = vlab("migrate", "--dry-run", VFIO_LAB_CACHE=str(tmp_path))
    assert done.returncode == 0 and f"kernel-{versions.DEFAULT}" in done.stdout
    assert Cache(tmp_path).entries() == [] and not (tmp_path / "apt").exists()


@pytest.mark.slow("boots two hosts")
@pytest.mark.usefixtures("built")
def test_verbose_and_quiet(tmp_path):
    """-v must print the programs that are started, -q must print no step, before and after the command."""
    for words, shown in ((("-v", "check"), True), (("check", "-v"), True), (("check",), False)):
        done = vlab(*words, "--", "test_load.py", VFIO_LAB_CACHE=str(tmp_path))
        assert done.returncode == 0, done.stdout + done.stderr
        assert (" -m pytest " in done.stderr) == shown
    for words in (("-q", "run", "--dry-run"), ("run", "-q", "--dry-run")):
        done = vlab(*words, "--", "true")
        assert done.returncode == 0 and done.stderr == ""
    assert "ok " in vlab("run", "--dry-run", "--", "true").stderr


def test_the_defects_are_looked_for_on_all_drivers(tmp_path):
    """`vlab defects` must run its tests, and not show an earlier table if it fails."""
    table = tmp_path / "defects/defects.rst"
    table.parent.mkdir()
    table.write_text("of an earlier run")
    done = vlab("defects", VFIO_LAB_BUILD=str(tmp_path), PYTEST_ADDOPTS="--collect-only")
    assert done.returncode == 0, done.stderr
    for driver in (f"{which} {series}" for which in ("tree", "in-tree") for series in versions.SERIES):
        assert f"test_all_drivers[{driver}]" in done.stdout
    assert "of an earlier run" not in done.stdout


@pytest.fixture
def cache(tmp_path) -> Cache:
    """A cache with an entry."""
    made = Cache(tmp_path / "cache")
    folder = made.root / "entries/thing__1__key"
    folder.mkdir()
    (folder / ".about").write_text('["thing", "1", "key"]')
    (folder / ".used").touch()
    return made


def test_clean_asks_first(cache):
    """Without a terminal and without --yes, clean must remove nothing and say why."""
    done = subprocess.run([VLAB, "clean"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                          env={**os.environ, "VFIO_LAB_CACHE": str(cache.root)})
    assert done.returncode == 2 and "usage: vlab clean " in done.stderr and "--yes" in done.stderr
    assert len(cache.entries()) == 1
    done = vlab("clean", "--yes", VFIO_LAB_CACHE=str(cache.root))
    assert done.returncode == 0 and done.stdout.startswith("Removed 1 of the cache's parts")
    assert cache.entries() == []


@pytest.mark.parametrize("answer, status, left", [("\n", 1, 1), ("n\n", 1, 1), ("\x04", 1, 1), ("y\n", 0, 0)],
                         ids=["return", "no", "end", "yes"])
def test_clean_takes_no_for_an_answer(cache, answer, status, left):
    """On a terminal, clean must name the directory and remove entries only after yes."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([VLAB, "clean"], stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env={**os.environ, "VFIO_LAB_CACHE": str(cache.root)}) as process:
        os.write(ours, answer.encode())
        out, err = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == status and f"{cache.root}? [y/N]" in out and "Traceback" not in err
    assert len(cache.entries()) == left


@pytest.mark.parametrize("line, guests", [
    (("run", "--", "true"), False), (("shell",), False), (("run", "--guest", "--", "true"), True), (("migrate",), True)])
def test_a_guests_kernel_is_built_only_for_a_guest(line, guests):
    """`vlab run -- lspci` must not build what only a guest needs."""
    names = hosts.needed(cli.parser().parse_args(line))
    assert {f"kernel-{versions.DEFAULT}", f"driver-{versions.DEFAULT}", "rootfs", "qemu"} <= set(names)
    assert (f"kernel-{kernel.GUEST}" in names, "programs" in names) == (guests, guests)


def test_what_a_command_needs_follows_its_options():
    """A command must build the kernels of both hosts, and modules only where they are used."""
    other = next(series for series in versions.SERIES if series != versions.DEFAULT)
    names = hosts.needed(cli.parser().parse_args(["migrate", "--to-kernel", other]))
    assert {f"{part}-{series}" for part in ("kernel", "driver") for series in (versions.DEFAULT, other)} <= set(names)
    for options in (["run", "--driver", "in-tree", "--", "true"], ["migrate", "--patch", "/any"]):
        assert f"driver-{versions.DEFAULT}" not in hosts.needed(cli.parser().parse_args(options))


@pytest.mark.parametrize("arguments, whole", [
    ((), True), (("-x",), True), (("--long",), True), (("--maxfail", "1"), True), (("test_splats.py",), False),
    (("test_cli.py::test_wrong_use", "--long"), False), (("-k", "model"), False), (("--collect-only",), False), (("--co",), False)])
def test_only_a_whole_check_builds_everything(arguments, whole, monkeypatch):
    """Only a check of all tests must build everything first; named tests build what they need."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    assert testing.to_build(arguments, False) == whole
    none = arguments in (("--collect-only",), ("--co",))
    assert testing.runs_none(arguments) == none and testing.to_build(arguments, True) != none


@pytest.mark.parametrize("arguments, missing", [
    ((), ""), (("-x", "test_cli.py"), ""), (("test_cli.py::test_wrong_use",), ""), (("lab/test_cli.py",), ""), (("lab",), ""),
    (("-k", "test_nothing.py"), ""), (("--ignore=test_nothing.py",), ""), (("test_cli.py", "test_nothing.py"), "test_nothing.py")])
def test_a_file_of_tests_that_is_missing_is_found(arguments, missing):
    """Only an argument for pytest that names a file of tests must be one that exists."""
    assert testing.lost(arguments) == missing


def test_a_test_that_is_named_runs_from_an_empty_cache(tmp_path):
    """`vlab check -- FILE` of a test that needs nothing must build nothing."""
    done = vlab("check", "--", "test_splats.py", VFIO_LAB_CACHE=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert Cache(tmp_path).entries() == [] and not (tmp_path / "apt").exists()


def test_what_is_missing_is_found_without_building_it(tmp_path):
    """Listing missing parts must neither download nor build; with an empty cache all are missing,
    each after its dependencies."""
    missing = parts.missing(parts.ALL, Cache(tmp_path))
    assert set(parts.ALL) <= set(missing)
    for name in missing:
        for other in parts.WHAT[name].after:
            assert missing.index(other) < missing.index(name)
    assert Cache(tmp_path).entries() == [] and not (tmp_path / "apt").exists()
