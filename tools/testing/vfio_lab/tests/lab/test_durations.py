# SPDX-License-Identifier: GPL-2.0
"""The order in which test files are started."""

import json
import types

import durations
from lab.core import paths


def test_the_longest_file_is_first(tmp_path, monkeypatch):
    """Tests of the longest file must come first, unknown files last, and tests of a file together."""
    monkeypatch.setattr(durations, "KEPT", tmp_path / "durations.json")
    durations.KEPT.write_text(json.dumps({"a.py": 1, "b.py": 20, "c.py": 1}), encoding="utf-8")
    items = [types.SimpleNamespace(nodeid=name) for name in ("a.py::2", "c.py::1", "a.py::1", "new.py::1", "b.py::1")]
    durations.sort(items)
    assert [item.nodeid for item in items] == ["b.py::1", "a.py::2", "a.py::1", "c.py::1", "new.py::1"]


def test_a_broken_table_is_no_obstacle(tmp_path, monkeypatch):
    """Without a readable table of this clone, the one beside the tests must be used."""
    monkeypatch.setattr(durations, "KEPT", tmp_path / "durations.json")
    durations.KEPT.write_text("{", encoding="utf-8")
    assert durations.known() == json.loads(durations.SHIPPED.read_text(encoding="utf-8"))


def test_the_table_names_files_that_exist():
    """A file that was moved must be moved in the table, too."""
    assert [name for name in durations.known() if not (paths.LAB / "tests" / name).is_file()] == []
