# SPDX-License-Identifier: GPL-2.0
"""The cache builds each thing once, and trusts nothing that is half-built."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench import wait_until
from lab.cache import Cache, digest
from lab.paths import LAB

#: A builder that tells when it began and takes its time.
BUILDER = """
import sys, time, pathlib
sys.path.insert(0, sys.argv[1])
from lab.cache import Cache
from lab.run import run, stop_on_sigterm
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


def test_two_ask_one_builds(tmp_path: Path) -> None:
    both = [builder(tmp_path, 0.7), builder(tmp_path, 0.7)]
    paths = {one.communicate(timeout=30)[0].strip() for one in both}
    assert [one.returncode for one in both] == [0, 0]
    assert (tmp_path / "began").read_text() == "x"
    assert len(paths) == 1 and Path(paths.pop()).read_text() == "whole"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_interrupted_build_is_not_trusted(tmp_path: Path, how: signal.Signals) -> None:
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
        # The command was told; nobody was left to end its own children.
        wait_until("the command's child alone is left", lambda: len(processes_of(first.pid)) == 1)
        os.killpg(int(processes_of(first.pid)[0].split()[1]), signal.SIGKILL)
    else:
        assert processes_of(first.pid) == []

    second = builder(tmp_path, 0)
    assert Path(second.communicate(timeout=30)[0].strip()).read_text() == "whole"
    assert (tmp_path / "began").read_text() == "xx"


def test_running_build_is_left_alone(tmp_path: Path) -> None:
    """Another process that starts meanwhile sweeps and cleans around it."""
    first = builder(tmp_path, 1)
    wait_until("the build has begun", (tmp_path / "log").exists)
    cache = Cache(tmp_path / "cache")
    assert len(list((tmp_path / "cache" / "tmp").iterdir())) == 1
    cache.clean()
    first.communicate(timeout=30)
    assert first.returncode == 0
    assert [(entry.kind, entry.version) for entry in cache.entries()] == [("thing", "1:2~3")]


def test_failed_build_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError("no")

    cache = Cache(tmp_path)
    with pytest.raises(OSError):
        cache.entry("thing", "1", "key", fail)
    assert cache.entries() == [] and list((tmp_path / "tmp").iterdir()) == []


def test_tree_survives_an_error_but_no_interrupt(tmp_path: Path) -> None:
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
    cache = Cache(tmp_path)
    for kind in ("one", "two"):
        cache.entry(kind, "1", "key", lambda folder: None)
    gone, in_use = cache.clean(lambda entry: entry.kind == "two")
    assert [entry.kind for entry in gone] == ["one"] and in_use == []
    assert [entry.kind for entry in cache.entries()] == ["two"]
