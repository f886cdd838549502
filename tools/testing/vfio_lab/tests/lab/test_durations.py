# SPDX-License-Identifier: GPL-2.0
"""How all tests are run: in which order, and beside what."""

import types
from collections import Counter

import pytest

import durations
from inner import use_conftest
from lab.core import paths, processors

pytest_plugins = "pytester"
#: how many busy loops a run has started; its tests run in the same process
LOOPS = """
import os, pathlib

def test_loops():
    stats = [file.read_text() for file in pathlib.Path("/proc").glob("[0-9]*/stat")]
    parents = [stat.rpartition(")")[2].split()[1] for stat in stats if "(sh)" in stat]
    assert parents.count(str(os.getpid())) == %d
"""


def test_the_longest_file_is_first(tmp_path, monkeypatch):
    """Tests of the longest file must come first, unknown files last, and tests of a file together."""
    monkeypatch.setattr(durations, "KEPT", tmp_path / "durations.txt")
    durations.KEPT.write_text("# a comment\n1.0 a.py\n20.0 b.py\n1.0 c.py\n", encoding="utf-8")
    items = [types.SimpleNamespace(nodeid=name) for name in ("a.py::2", "c.py::1", "a.py::1", "new.py::1", "b.py::1")]
    durations.sort(items)
    assert [item.nodeid for item in items] == ["b.py::1", "a.py::2", "a.py::1", "c.py::1", "new.py::1"]


def test_a_shuffled_run_keeps_files_together():
    """With --shuffle, files and the tests of each must come in another order, the same for a seed, and files whole: a host
    that a file's tests share is booted once."""
    names = [f"{file}.py::{number}" for file in "abc" for number in range(5)]

    def order(seed: int) -> list[str]:
        items = [types.SimpleNamespace(nodeid=name) for name in names]
        durations.shuffle(items, seed)
        return [item.nodeid for item in items]

    orders = [order(seed) for seed in range(10)]
    assert orders[3] == order(3) and len({tuple(one) for one in orders}) == 10
    for one in orders:
        assert sorted(one) == names and sum(a[0] != b[0] for a, b in zip(one, one[1:])) == 2
    assert len({one[0][0] for one in orders}) == 3 and all(one[:5] != sorted(one[:5]) for one in orders)


def test_what_is_kept_can_be_read(tmp_path, monkeypatch):
    """A run's table must be read back; without one, the table beside the tests must be used."""
    monkeypatch.setattr(durations, "KEPT", tmp_path / "check/durations.txt")
    monkeypatch.setattr(durations, "_spent", Counter())
    assert len(durations.known()) == len(durations.SHIPPED.read_text(encoding="utf-8").splitlines()) - 1 > 0
    for nodeid, seconds in (("a.py::1", 0.25), ("b.py::1", 3), ("a.py::2", 0.25)):
        durations.add(types.SimpleNamespace(nodeid=nodeid, duration=seconds))
    durations.keep()
    assert durations.known() == {"b.py": 3, "a.py": 0.5}


def test_the_table_names_files_that_exist():
    """A file that was moved must be moved in the table, too."""
    assert [name for name in durations.known() if not (paths.LAB / "tests" / name).is_file()] == []


@pytest.mark.parametrize("options, loops", [((), 0), (("--busy",), processors.count())], ids=["idle", "busy"])
def test_busy_loops(pytester, monkeypatch, options, loops):
    """With --busy, there must be a busy loop for each processor as long as the run lasts; otherwise none."""
    monkeypatch.setenv("VFIO_LAB_BUILD", str(pytester.path))
    use_conftest(pytester)
    pytester.makepyfile(LOOPS % loops)
    assert pytester.runpytest_subprocess("-p", "no:cacheprovider", *options).parseoutcomes() == {"passed": 1}
