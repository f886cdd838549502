# SPDX-License-Identifier: GPL-2.0
"""Machines that differ from the developers': other packages, settings, disks, terminals, umasks and
directory names."""

from __future__ import annotations

import errno
import io
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.core import git, hardware, machine, paths, processors, temporary, versions
from lab.core.cache import Cache
from lab.core.context import Context
from lab.core.errors import LabError
from lab.core.progress import Steps
from lab.core.run import run
from lab.build import cpio
from lab.build.kernel import kernel
from lab.scenario import accelerator
from lab.scenario.config import HostConfig
from lab.scenario.session import Session
from lab.release import series
from registers import Model

VLAB = paths.LAB / "vlab"
#: vlab with a command of the test
COMMAND = "import sys; sys.path.insert(0, sys.argv[1]); from lab.cli import main as cli, store; store.status = lambda args, steps: {}; " \
          "sys.exit(cli.main(['status']))"


def vlab_that(does: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Run vlab with something else as its command."""
    return subprocess.run([sys.executable, "-B", "-c", COMMAND.format(does), paths.LAB], capture_output=True, check=False,
                          env={**os.environ, **variables})


def in_mounts_of_its_own(script: str, *words: str | pathlib.Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script in a mount namespace of its own."""
    if subprocess.run(["unshare", "--map-root-user", "--mount", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine allows users no namespaces of their own")
    return subprocess.run(["unshare", "--map-root-user", "--mount", "sh", "-euc", script, "sh", *words], text=True,
                          capture_output=True, check=False, env={**os.environ, **variables})


#: the directory "$1" can only be read
READ_ONLY = 'mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"; cd "$1"; '


# Packages

@pytest.fixture
def apt_get(tmp_path, monkeypatch):
    """Replace apt-get by a script that needs no root; $HERE is its directory."""
    def put(script: str) -> None:
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin/apt-get").write_text(f"#!/bin/sh\nHERE={tmp_path}\n{script}\n")
        (tmp_path / "bin/apt-get").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
        monkeypatch.setattr(machine, "as_root", list)
        monkeypatch.setattr(machine, "ask_for_root", lambda purpose: None)
        monkeypatch.setattr(machine, "_without_candidate", lambda packages: [])
        monkeypatch.setattr(machine, "missing", list)
    return put


def test_what_would_remove_a_package_is_refused_and_both_are_named(apt_get, tmp_path):
    """Installing packages must not remove any of the user's, as apt alone would; the error must name both."""
    apt_get("""case "$*" in
*--simulate*cross*) printf 'Remv multilib [1]\\nInst cross (1 Debian)\\n' ;;
*--simulate*) echo 'Inst other (1 Debian)' ;;
*) touch $HERE/installed ;;
esac""")
    context = Context(Cache(tmp_path / "cache"), Steps(io.StringIO()))
    with pytest.raises(LabError, match="^To install cross, this machine's apt would remove multilib; the lab removes "
                                       "nothing: remove it yourself"):
        machine.install(["other", "cross"], context)
    assert not (tmp_path / "installed").exists()


def test_packages_that_cannot_be_installed_are_named(apt_get, tmp_path):
    """The error must have apt's reason, not only its status."""
    apt_get("echo 'The following packages have unmet dependencies:'; echo ' cross : Depends: libc (>= 3) but 2 is to be "
            "installed'; echo 'E: Unable to correct problems, you have held broken packages.' >&2; exit 100")
    with pytest.raises(LabError, match="cannot install what the lab needs: cross : Depends: libc"):
        machine.install(["cross"], Context(Cache(tmp_path / "cache"), Steps(io.StringIO())))


def test_packages_are_listed_before_anything_happens(apt_get, tmp_path, monkeypatch):
    """Packages must be listed before sudo asks for a password, and apt must be run with --no-remove."""
    apt_get("""case "$*" in
*--simulate*) printf 'Inst one (1 Debian)\\nInst needed (1 Debian)\\nInst two [1] (2 Debian)\\n' ;;
*) echo "$*" > $HERE/installed ;;
esac""")
    out, told = io.StringIO(), []
    monkeypatch.setattr(machine, "ask_for_root", lambda purpose: told.append(out.getvalue()))
    machine.install(["one", "two"], Context(Cache(tmp_path / "cache"), Steps(out)))
    assert "installing 2 missing Debian packages with apt-get: one two" in told[0]
    assert "2 new packages, 1 upgraded (two), none removed" in out.getvalue()
    assert "install --no-remove --no-install-recommends one two" in (tmp_path / "installed").read_text()


@pytest.mark.parametrize("words, who", [
    ("E: Could not get lock /var/lib/apt/lists/lock. It is held by process 42 (apt-get)", "process 42 (apt-get)"),
    ("E: Could not get lock /var/lib/apt/lists/lock - open (11: Resource temporarily unavailable)", "another program"),
])
def test_another_apt_at_work_is_waited_for(apt_get, tmp_path, monkeypatch, words, who):
    """Installing must wait for another apt, such as a new machine's daily update; apt itself waits
    only for dpkg's lock."""
    monkeypatch.setattr(machine, "LOCK_INTERVAL", 0.01)
    apt_get(f"""case "$*" in
*--simulate*) echo 'Inst one (1 Debian)' ;;
*) echo x >> $HERE/tries
   if [ $(wc -l < $HERE/tries) -lt 4 ]; then echo "{words}" >&2; exit 100; fi ;;
esac""")
    out = io.StringIO()
    machine.install(["one"], Context(Cache(tmp_path / "cache"), Steps(out)))
    assert (tmp_path / "tries").read_text() == "x\n" * 5       # three locked, one downloads, one installs
    assert out.getvalue().count(f"{who} is changing this machine's packages: waiting") == 1


def test_an_interruption_waits_for_dpkg(apt_get, tmp_path):
    """Ctrl-C while packages are installed must end vlab, but not dpkg before it is done: apt would do
    nothing on this machine until it was repaired."""
    apt_get("""case "$*" in
*--simulate*) echo 'Inst one (1 Debian)' ;;
*--download-only*) ;;
*) touch $HERE/begun; while [ ! -e $HERE/go ]; do sleep 0.05; done; touch $HERE/ended ;;
esac""")
    out = io.StringIO()

    def wait(seen: Callable[[], bool]) -> None:
        until = time.monotonic() + 60
        while not seen():
            assert time.monotonic() < until
            time.sleep(0.01)

    def interrupt() -> None:
        wait((tmp_path / "begun").exists)
        os.kill(os.getpid(), signal.SIGINT)
        wait(lambda: "waiting for dpkg to end" in out.getvalue())
        os.kill(os.getpid(), signal.SIGINT)
        (tmp_path / "go").touch()

    with ThreadPoolExecutor(1) as other:
        done = other.submit(interrupt)
        with pytest.raises(KeyboardInterrupt):
            machine.install(["one"], Context(Cache(tmp_path / "cache"), Steps(out)))
        done.result(60)
    assert (tmp_path / "ended").exists() and out.getvalue().count("waiting for dpkg") == 1


def test_an_earlier_interruption_of_dpkg_is_reported_with_its_remedy(apt_get, tmp_path):
    """The error must be what to do, once; apt's own words are in the log."""
    apt_get("""case "$*" in
*--simulate*) echo 'Inst one (1 Debian)' ;;
*) echo x >> $HERE/tries
   echo "E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem." >&2; exit 100 ;;
esac""")
    with pytest.raises(LabError, match='^dpkg was interrupted earlier on this machine: run "dpkg --configure -a" as root'):
        machine.install(["one"], Context(Cache(tmp_path / "cache"), Steps(io.StringIO())))
    assert (tmp_path / "tries").read_text() == "x\n"


@pytest.fixture
def sudo(tmp_path, monkeypatch):
    """A fake sudo that prints its process group, and ends on a signal."""
    (tmp_path / "sudo").write_text("#!/bin/sh\n[ $2 != kill ] || exec $2 $3 $4\nps -o pgid= -p $$\n"
                                   "trap 'echo told; exit 1' TERM\n[ $3 = true ] || while :; do read nothing; done\n")
    (tmp_path / "sudo").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path / "log"


def test_sudo_stays_in_the_terminals_foreground(sudo):
    """sudo must stay in the terminal's foreground: Debian 13's runs its command in a terminal of
    its own, and is stopped otherwise."""
    seen: list[str] = []
    run(["sudo", "-n", "--", "true"], log=sudo, on_line=seen.append, check=False)
    assert [int(line) for line in seen] == [os.getpgrp()]


def test_sudo_is_ended(sudo):
    """An interrupt must end what sudo runs, and vlab must wait for that end."""
    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(["sudo", "-n", "--", "sleep"], log=sudo, on_line=interrupt)
    done = subprocess.run(["ps", "-e", "-o", "args="], capture_output=True, text=True, check=True)
    assert f"{sudo.parent}/sudo" not in done.stdout


def test_all_packages_are_named_in_one_place():
    """All packages must be named in one place: tests, without a terminal for a password, install
    nothing that make check did not; the demo needs no more than its own; only installing needs
    root."""
    for part in (machine.PACKAGES, machine.DOCS, machine.DEB, machine.FUZZ, machine.STATIC, machine.SERIES):
        assert set(part) <= set(machine.CHECK)
    assert "dkms" not in machine.CHECK
    assert not {"python3-sphinx", "lintian", "python3-pytest"} & set(machine.PACKAGES)
    here = pathlib.Path(__file__)
    sources = {f"{path.parent.name}/{path.name}": path.read_text() for folder in ("lab", "tests", "benchmarks")
               for path in (paths.LAB / folder).rglob("*.py") if path != here}
    assert {name for name, text in sources.items() if "as_root(" in text} == {"core/run.py", "core/machine.py"}
    assert {name for name, text in sources.items() if "machine.install" in text} <= {"lab/test_machine.py"}


# Terminals

@pytest.mark.parametrize("variables, seen", [
    ({"PYTHONIOENCODING": "iso-8859-1"}, "##| ... é".encode("iso-8859-1")),
    ({"LC_ALL": "POSIX"}, b"##| ... ?"),
    ({"LC_ALL": "C.UTF-8"}, "██▏ … é".encode()),
], ids=["latin-1", "posix", "utf-8"])
def test_a_terminal_gets_what_it_can_show(variables, seen):
    """Characters that the terminal cannot show must be replaced, and must not fail the command."""
    done = vlab_that("print('██▏ … é')", **{"LC_ALL": "", **variables})
    assert done.stderr == b"" and done.returncode == 0
    assert done.stdout.strip() == seen


# Disks

@pytest.mark.parametrize("number, words", [
    (errno.ENOSPC, b"vlab: No space left to write /some/file: free space in "),
    (errno.EROFS, b"vlab: /some/file cannot be written: Read-only file system."),
])
def test_an_error_of_the_disk_is_a_sentence(number, words):
    """A disk error must be reported by one line instead of a traceback, wherever it happens."""
    done = vlab_that(f"(_ for _ in ()).throw(OSError({number}, os.strerror({number}), '/some/file'))".replace(
        "os.", "__import__('os')."))
    assert done.returncode == 1 and done.stderr.startswith(words) and done.stderr.count(b"\n") == 1


def test_a_small_tmpdir_is_refused_before_anything_is_built(tmp_path):
    """A small TMPDIR must be rejected before anything is built; the message must name the directory
    and the variable."""
    done = in_mounts_of_its_own('mount -t tmpfs -o size=4m none "$1"; TMPDIR=$1 "$2" build library', tmp_path, VLAB)
    assert done.returncode == 1, done.stderr
    assert re.fullmatch(rf"vlab: Not enough disk for temporary files: {tmp_path} has .* free and .* needed; free some space, or "
                        rf"set TMPDIR to a directory on a larger disk\.\n", done.stderr)


@pytest.mark.parametrize("folder, words", [
    ("not-there", "TMPDIR is .*not-there, which is not a directory that can be written to"),
    ("a b", "takes no space and no colon in a path, and .*a b has one: set TMPDIR"),
])
def test_a_tmpdir_that_cannot_serve_is_refused(tmp_path, monkeypatch, folder, words):
    """An unusable TMPDIR must be rejected before a build."""
    (tmp_path / "a b").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / folder))
    with pytest.raises(LabError, match=words):
        temporary.check()


def test_a_checkout_that_cannot_be_written_to_serves(tmp_path):
    """In a read-only checkout, results must go elsewhere."""
    script = READ_ONLY + 'python3 -B -c "import sys; sys.path.insert(0, \\"tools/testing/vfio_lab\\"); ' \
        'from lab.core import paths; print(paths.BUILD)"'
    done = in_mounts_of_its_own(script, paths.ROOT, VFIO_LAB_CACHE=str(tmp_path), VFIO_LAB_BUILD="")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"{tmp_path}/build"


def test_make_module_reports_where_it_cannot_write(context):
    """make module must name the variable to set if it cannot write."""
    done = in_mounts_of_its_own(READ_ONLY + 'make -s module KDIR="$2" OUT=build/nowhere', paths.ROOT,
                                kernel(versions.DEFAULT, context).build)
    assert done.returncode and "set OUT to another directory" in done.stderr, done.stderr


def test_tests_write_where_outcomes_go():
    """Tests of the installed package must not write next to their files."""
    bad = [path.name for folder in ("lab", "tests", "benchmarks") for path in (paths.LAB / folder).rglob("*.py")
           if re.search(r"ROOT / f?\"build|parents\[[56]\]", path.read_text()) and path.name != pathlib.Path(__file__).name]
    assert bad == []


# Names, umasks, processors

@pytest.mark.slow("one more build")
def test_the_driver_is_built_where_a_path_has_a_space(context, tmp_path):
    """make module must work in a checkout with a space in its path, although the kernel's build does not."""
    top = tmp_path / "check out"
    top.mkdir()
    for name in ("dkms", "drivers"):
        (top / name).symlink_to(paths.ROOT / name)
    done = subprocess.run([top / "dkms/build.sh", kernel(versions.DEFAULT, context).build, top / "build/module"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (top / "build/module/hisi_acc_vfio_pci.ko").is_file()


def test_a_mask_does_not_reach_a_hosts_root(tmp_path):
    """With umask 077, a host's /usr/lib must be readable for its users."""
    (tmp_path / "lib").mkdir(mode=0o700)
    for name, mode in (("data", 0o600), ("program", 0o700)):
        (tmp_path / "lib" / name).touch(mode)
    assert {name: entry.mode & 0o777 for name, entry in cpio.tree(tmp_path).items()} == {
        "lib": 0o755, "lib/data": 0o644, "lib/program": 0o755}
    os.umask(0o077)
    try:
        done = vlab_that("__import__('pathlib').Path(__import__('os').environ['HERE'], 'made').touch()", HERE=str(tmp_path))
    finally:
        os.umask(0o022)
    assert done.stderr == b"" and (tmp_path / "made").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("files, own, most", [
    ({"box/cpu.max": "150000 100000\n", "cpu.max": "max 100000\n"}, "0::/box/inner\n", 2),
    ({"box/cpu.max": "50000 100000\n", "box/inner/cpu.max": "max 100000\n"}, "0::/box/inner\n", 1),
    ({"cpu,cpuacct/box/cpu.cfs_quota_us": "100000\n", "cpu,cpuacct/box/cpu.cfs_period_us": "100000\n"},
     "4:cpu,cpuacct:/box\n1:memory:/box\n", 1),
    ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, "4:cpu,cpuacct:/\n", 64),
    ({}, "0::/\n", 64),
])
def test_processors_are_counted_as_a_control_group_gives_them(tmp_path, monkeypatch, files, own, most):
    """In a container with one of 64 processors, one compiler must run."""
    monkeypatch.setattr(processors.os, "sched_getaffinity", lambda pid: set(range(64)))
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "own").write_text(own)
    assert processors.count(tmp_path, tmp_path / "own") == most


def test_processors_are_counted_by_affinity():
    """taskset must limit the number of processors, and nothing in the lab may count them otherwise."""
    one = min(os.sched_getaffinity(0))
    done = subprocess.run(["taskset", "-c", str(one), sys.executable, "-B", "-c",
                           "from lab.core import processors; print(processors.count())"], cwd=paths.LAB, text=True,
                          capture_output=True, check=True)
    assert done.stdout == "1\n"


# git

@pytest.fixture
def settings(tmp_path, monkeypatch):
    """A user whose git signs, runs hooks, formats patches differently and has no name; and
    checkouts of another owner."""
    for folder in ("hooks", "template/hooks"):
        (tmp_path / folder).mkdir(parents=True)
        for name in ("pre-commit", "commit-msg", "applypatch-msg", "post-commit"):
            (tmp_path / folder / name).write_text("#!/bin/sh\nexit 1\n")
            (tmp_path / folder / name).chmod(0o755)
    (tmp_path / ".gitconfig").write_text(f"""[commit]
	gpgsign = true
[gpg]
	program = /bin/false
[core]
	hooksPath = {tmp_path}/hooks
[init]
	templateDir = {tmp_path}/template
[diff]
	noprefix = true
[format]
	suffix = .other
[user]
	useConfigOnly = true
""")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.delenv(f"GIT_{role}_NAME", raising=False)
        monkeypatch.delenv(f"GIT_{role}_EMAIL", raising=False)


def test_gits_settings_do_not_matter_to_a_series(settings, tmp_path):
    """Patches must not depend on the user's git settings."""
    repo = series.Repository(tmp_path / "tree", git.NOBODY)
    for number, text in enumerate(("one\n", "two\n")):
        repo.put({"file": text}, {"file"})
        repo.commit(f"commit {number}\n")
    repo.git("format-patch", "-q", "-o", tmp_path / "out", "HEAD~1")
    (patch,) = (tmp_path / "out").glob("*.patch")
    assert "--- a/file" in patch.read_text() and f"Signed-off-by: {git.NOBODY[0]}" in patch.read_text()
    repo.git("checkout", "-q", "-b", "again", "HEAD~1")
    repo.git("am", "-q", patch)


def test_a_checkout_of_anothers_is_listed(settings):
    """root must be able to build packages and pages in a checkout of another user, which git
    reports as dubious ownership."""
    if not (paths.ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    assert subprocess.run(["git", "ls-files"], cwd=paths.ROOT, capture_output=True, check=False).returncode != 0
    assert "README.md" in git.git(paths.ROOT, "ls-files").splitlines()


def test_the_sign_off_is_the_users(settings, tmp_path, monkeypatch):
    """Sign-offs must have the user's name; a missing name must be reported, not invented."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    assert git.identity() is None
    with (tmp_path / ".gitconfig").open("a") as out:
        out.write("\tname = Somebody\n\temail = somebody@example.org\n")
    assert git.identity() == ("Somebody", "somebody@example.org")
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Another")
    assert git.identity() == ("Another", "somebody@example.org")


# QEMU and its sockets

def seccomp(pid: int) -> str:
    """The seccomp mode of a process; 2 is filters."""
    return re.search(r"^Seccomp:\t(\d)$", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)[1]


def test_the_model_is_in_a_sandbox(outer, tmp_path):
    """The tests' machines must run in the sandbox, like hosts."""
    with Model(outer, tmp_path) as model:
        assert seccomp(model._process.pid) == "2"


def test_a_host_is_in_a_sandbox_and_its_sockets_below_a_short_name(tmp_path, monkeypatch, context):
    """A host's QEMU must not be able to start a program, as its device model handles untrusted
    input; and its sockets must work with a TMPDIR longer than a socket's address."""
    long = tmp_path / ("long" * 30)
    long.mkdir()
    monkeypatch.setenv("TMPDIR", str(long))
    with Session(Steps(io.StringIO()), tmp_path / "logs") as session:
        (host,) = session.boot([session.spec("host", HostConfig())])
        assert [path.name[:5] for path in long.iterdir()] == ["vlab-"]
        assert len(str(host.folder)) < temporary.LONGEST + 20
        assert seccomp(host._process.pid) == "2"
        accelerator.bring_up(host.ssh, hardware.ENGINES["sec"], 1)
    assert list(long.iterdir()) == []
