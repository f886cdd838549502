# SPDX-License-Identifier: GPL-2.0
"""The cache must build each entry once, and must not use a partial build."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench import wait_until
from lab.core import scratch
from lab.core.cache import DAY, Cache, digest
from lab.core.paths import LAB
from lab.build import parts

#: A builder that reports its start and waits.
BUILDER = """
import sys, time, pathlib
sys.path.insert(0, sys.argv[1])
from lab.core.cache import Cache
from lab.core.run import run, stop_on_sigterm
stop_on_sigterm()
top = pathlib.Path(sys.argv[2])
def build(folder):
    (folder / "half").write_text("half")
    with open(top / "began", "a") as out: out.write("x")
    run(["sh", "-c", f"sleep {sys.argv[3]} & wait"], log=top / "log")
    (folder / "whole").write_text("whole")
print(Cache(top / "cache").entry("thing", "1:2~3", "key", build) / "whole")
"""


def builder(top: Path, seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", BUILDER, str(LAB), str(top), str(seconds)],
                            stdout=subprocess.PIPE, text=True, start_new_session=True)


def processes_of(group: int) -> list[str]:
    shown = subprocess.run(["ps", "-e", "-o", "pid=,pgid=,sid=,stat=,args="], text=True,
                           capture_output=True, check=True)
    return [line for line in shown.stdout.splitlines()
            if line.split()[2] == str(group) and "Z" not in line.split()[3]]


def test_of_two_processes_one_builds(tmp_path: Path) -> None:
    """Of two processes that need an entry, one must build it."""
    both = [builder(tmp_path, 0.7), builder(tmp_path, 0.7)]
    paths = {one.communicate(timeout=30)[0].strip() for one in both}
    assert [one.returncode for one in both] == [0, 0]
    assert (tmp_path / "began").read_text() == "x"
    assert len(paths) == 1 and Path(paths.pop()).read_text() == "whole"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_interrupted_build_is_not_trusted(tmp_path: Path, how: signal.Signals) -> None:
    """An interrupted build must leave no entry, and the next process must build it."""
    first = builder(tmp_path, 60)
    wait_until("the build has begun", (tmp_path / "log").exists)
    wait_until("its command runs", lambda: len(processes_of(first.pid)) == 3)
    first.send_signal(how)
    first.wait(timeout=20)
    assert first.returncode != 0
    cache = Cache(tmp_path / "cache")
    assert cache.entries() == []
    assert list((tmp_path / "cache" / "tmp").iterdir()) == []
    if how == signal.SIGKILL:
        # The command was ended, but not its own children.
        wait_until("the command's child alone is left", lambda: len(processes_of(first.pid)) == 1)
        os.killpg(int(processes_of(first.pid)[0].split()[1]), signal.SIGKILL)
    else:
        assert processes_of(first.pid) == []

    second = builder(tmp_path, 0)
    assert Path(second.communicate(timeout=30)[0].strip()).read_text() == "whole"
    assert (tmp_path / "began").read_text() == "xx"


def test_running_build_is_left_alone(tmp_path: Path) -> None:
    """clean() in another process must not remove a build in progress."""
    first = builder(tmp_path, 1)
    wait_until("the build has begun", (tmp_path / "log").exists)
    cache = Cache(tmp_path / "cache")
    assert len(list((tmp_path / "cache" / "tmp").iterdir())) == 1
    cache.clean()
    first.communicate(timeout=30)
    assert first.returncode == 0
    assert [(entry.kind, entry.version) for entry in cache.entries()] == [("thing", "1:2~3")]


def test_failed_build_leaves_nothing(tmp_path: Path) -> None:
    """A failed build must leave nothing in the cache."""
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError("no")

    cache = Cache(tmp_path)
    with pytest.raises(OSError):
        cache.entry("thing", "1", "key", fail)
    assert cache.entries() == [] and list((tmp_path / "tmp").iterdir()) == []
    assert cache.peek("thing", "1", "key") is None


def test_tree_survives_an_error_but_no_interrupt(tmp_path: Path) -> None:
    """A tree must be kept after an error, and be prepared again after an interrupt."""
    prepared = []

    def prepare(folder: Path) -> None:
        prepared.append(folder)
        (folder / "file").touch()

    cache = Cache(tmp_path)
    for error, times in ((None, 1), (ValueError, 1), (None, 1), (KeyboardInterrupt, 1),
                         (None, 2)):
        try:
            with cache.tree("tree", "1", "key", prepare) as tree:
                assert (tree / "file").exists()
                if error:
                    raise error
        except (ValueError, KeyboardInterrupt):
            pass
        assert len(prepared) == times


def test_key_follows_content(tmp_path: Path) -> None:
    """The key must depend on contents and names of files only."""
    (tmp_path / "a").write_text("1")
    first = digest({"folder": tmp_path, "version": "1"})
    assert digest({"version": "1", "folder": tmp_path}) == first
    os.utime(tmp_path / "a", (0, 0))
    assert digest({"folder": tmp_path, "version": "1"}) == first
    (tmp_path / "a").write_text("2")
    second = digest({"folder": tmp_path, "version": "1"})
    (tmp_path / "a").rename(tmp_path / "b")
    third = digest({"folder": tmp_path, "version": "1"})
    assert len({first, second, third, digest({"folder": tmp_path, "version": "2"})}) == 4


def test_clean_keeps_what_is_wanted(tmp_path: Path) -> None:
    """clean() must keep the entries that are wanted."""
    cache = Cache(tmp_path)
    for kind in ("one", "two"):
        cache.entry(kind, "1", "key", lambda folder: None)
    gone, in_use = cache.clean(lambda entry: entry.kind == "two")
    assert [entry.kind for entry in gone] == ["one"] and in_use == []
    assert [entry.kind for entry in cache.entries()] == ["two"]


USER = """
import sys, pathlib
sys.path.insert(0, sys.argv[1])
from lab.core.cache import Cache
print(Cache(pathlib.Path(sys.argv[2])).peek("used", "1", "key"), flush=True)
sys.stdin.read()
"""


def test_clean_leaves_what_a_running_command_uses(tmp_path: Path) -> None:
    """An entry in use by another process must be kept, with logs and lists, and clean must name it;
    later it can be removed."""
    cache = Cache(tmp_path)
    for kind in ("used", "unused"):
        cache.entry(kind, "1", "key", lambda folder: None)
    cache.log("some").touch()
    with subprocess.Popen([sys.executable, "-c", USER, str(LAB), str(tmp_path)], text=True, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as user:
        assert user.stdout and user.stdin
        assert user.stdout.readline().startswith(str(tmp_path))
        assert "Kept what a running command uses: used 1." in parts.clean(cache)
        assert [entry.kind for entry in cache.entries()] == ["used"] and (tmp_path / "logs/some.log").exists()
        # It keeps the entry after the first clean, too
        assert parts.clean(cache).startswith("Removed 0")
        user.stdin.close()
    assert "Kept" not in parts.clean(cache)
    assert cache.entries() == [] and not (tmp_path / "logs").exists()


def test_an_entry_that_is_being_removed_is_not_returned(tmp_path: Path) -> None:
    """peek() of an entry that is being removed must wait, and then find nothing."""
    cache = Cache(tmp_path)
    path = tmp_path / "entries/used__1__key"
    path.mkdir()
    with ThreadPoolExecutor(1) as other:
        with cache._try_unused(path.name) as unused:
            asks = other.submit(cache.peek, "used", "1", "key")
            with pytest.raises(TimeoutError):
                asks.result(0.3)
            assert unused
            path.rmdir()
        assert asks.result(30) is None


def age(cache: Cache, kind: str, version: str, days: float) -> None:
    """Make an entry, last used so many days ago."""
    path = cache.entry(kind, version, "key", lambda folder: None)
    os.utime(path / ".used", (time.time() - days * DAY,) * 2)


def test_old_entries_go_by_themselves(tmp_path: Path) -> None:
    """Entries unused for 14 days must be removed; of each kind, all but the two last used after one day."""
    cache = Cache(tmp_path)
    for version, days in (("now", 0), ("today", 0.5), ("also-today", 0.6), ("yesterday", 1.1), ("last-week", 7)):
        age(cache, "many", version, days)
    for version, days in (("last-week", 7), ("long-ago", 14.1)):
        age(cache, "few", version, days)
    assert sorted(entry.version for entry in cache.evict()) == ["last-week", "long-ago", "yesterday"]
    assert sorted((entry.kind, entry.version) for entry in cache.entries()) == [
        ("few", "last-week"), ("many", "also-today"), ("many", "now"), ("many", "today")]


def test_waiting_for_another_build_is_shown(tmp_path: Path) -> None:
    """A process that waits for another one's build must say which."""
    first = builder(tmp_path, 2)
    wait_until("the build has begun", (tmp_path / "log").exists)
    said: list[str] = []
    Cache(tmp_path / "cache").entry("thing", "1:2~3", "key", lambda folder: None, said.append)
    assert said == ["waiting for another process that builds thing"]
    assert first.wait(30) == 0


RUN = """
import sys, pathlib
sys.path.insert(0, sys.argv[1])
from lab.core import scratch
with scratch.folder(where=pathlib.Path(sys.argv[2])) as folder:
    (folder / "left").touch()
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_directories_of_killed_runs_go(tmp_path: Path) -> None:
    """A run must remove the temporary directory of a killed run, but not that of a running one, nor
    a directory of the same name that is not the lab's."""
    (tmp_path / "vlab-of-somebody").mkdir()
    runs = [subprocess.Popen([sys.executable, "-c", RUN, str(LAB), str(tmp_path)], text=True, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE) for _ in range(2)]
    alive, killed = (Path(run.stdout.readline().strip()) for run in runs if run.stdout)
    runs[1].kill()
    runs[1].wait()
    assert killed.exists()
    with scratch.folder(where=tmp_path) as ours:
        assert {path.name for path in tmp_path.iterdir()} == {"vlab-of-somebody", alive.name, ours.name}
        assert (alive / "left").exists()
    runs[0].communicate()
    assert [path.name for path in tmp_path.iterdir()] == ["vlab-of-somebody"]


def test_a_tests_clock_stands_still_while_it_builds(tmp_path: Path) -> None:
    """The time limit of a test must not count builds or waiting for them, and nested builds must count once."""
    seen: list[float] = []

    def inner(folder: Path) -> None:
        seen.append(signal.getitimer(signal.ITIMER_REAL)[0])

    def outer(folder: Path) -> None:
        Cache(tmp_path).entry("inner", "1", "key", inner)
        seen.append(signal.getitimer(signal.ITIMER_REAL)[0])

    before, _ = signal.setitimer(signal.ITIMER_REAL, 1000)
    try:
        Cache(tmp_path).entry("outer", "1", "key", outer)
        after, _ = signal.getitimer(signal.ITIMER_REAL)
    finally:
        signal.setitimer(signal.ITIMER_REAL, before)
    assert len(seen) == 2 and all(left > 5000 for left in seen)
    assert 990 < after <= 1000


def test_an_entry_that_shares_files_with_another_leaves_it_alone(tmp_path):
    """An entry of hard links to another one must not change it: a kernel's patched sources are
    links to the unpatched ones."""
    cache = Cache(tmp_path / "cache")
    source = cache.entry("source", "1", "key", lambda folder: (folder / "file").touch())

    def linked(folder):
        for path in source.iterdir():
            os.link(path, folder / path.name)

    cache.entry("patched", "1", "key", linked)
    assert [(entry.kind, cache.newest(entry.kind)) for entry in cache.entries()] == [
        (entry.kind, entry) for entry in cache.entries()]
    assert {entry.kind for entry in cache.entries()} == {"source", "patched"}
