# SPDX-License-Identifier: GPL-2.0
"""Results of a run of all tests, which are kept so that the run can continue."""

import re
import subprocess
import sys

import pytest

import probe_sweep
from inner import use_conftest
from lab.cli import testing
from lab.core import paths
from lab.release import results, results_page

pytest_plugins = "pytester"

INNER = """
import pytest

def test_passes():
    pass

def test_fails():
    assert False

@pytest.fixture
def bad_end():
    yield
    raise OSError

def test_fails_at_its_end(bad_end):
    pass

def test_is_skipped():
    pytest.skip("no such kernel")

@pytest.mark.long("takes an hour")
def test_takes_long():
    pass
"""


@pytest.fixture
def run(pytester, monkeypatch):
    """Run these tests with this directory's conftest.py; returns the counts of outcomes."""
    monkeypatch.setenv("VFIO_LAB_BUILD", str(pytester.path))
    use_conftest(pytester)
    pytester.makepyfile(INNER)
    file = pytester.path / "results.jsonl"

    def once(*options):
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", f"--results={file}", *options).parseoutcomes(), \
            results.read(file)

    return once


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "workers"])
def test_what_failed_runs_again(run, workers):
    """A test that failed, in its body or in a fixture, must run again, and no other; the results of
    all must be kept."""
    counts, found = run("--long", *workers)
    assert counts == {"passed": 3, "failed": 1, "errors": 1, "skipped": 1}
    outcomes = {name.partition("::")[2]: result.outcome for name, result in found.items()}
    assert outcomes == {"test_passes": "passed", "test_fails": "failed", "test_fails_at_its_end": "failed",
                        "test_is_skipped": "skipped", "test_takes_long": "passed"}
    assert {name.partition("::")[2]: result.why for name, result in found.items() if result.why} == {
        "test_fails": "assert False", "test_fails_at_its_end": "OSError", "test_is_skipped": "Skipped: no such kernel"}
    counts, again = run("--long", *workers)
    assert (counts.get("passed", 0), counts["failed"], counts["errors"]) == (1, 1, 1) and "skipped" not in counts
    assert set(again) == set(found)


def test_on_another_tree_all_run_again(tmp_path):
    """Results of other files than today's must not count; the last result of a test does."""
    file = tmp_path / "results.jsonl"
    results.append(file, "a.py::x", "passed", 60, "old")
    results.append(file, "a.py::y", "failed", 1, "new")
    results.append(file, "a.py::y", "passed", 3599, "new")
    results.append(file, "a.py::z", "skipped", 0, "new", "no such kernel")
    with open(file, "a", encoding="utf-8") as log:
        log.write('{"test": "a.py::v", "outc')
    found = results.read(file)
    assert results.done(found.values(), "new") == {"a.py::y", "a.py::z"}
    assert results.summary(found, "new") == "All tests: 1 passed, 0 failed, 1 skipped; 1 h 0 min of tests on tree new"


def result(name, outcome="passed", seconds=60.0, why=""):
    """The results of one test, as results.read() has them."""
    return {name: results.Result(name, outcome, seconds, "2026-12-01", "tree", why)}


def test_a_run_replaces_the_rows_of_its_files():
    """A file all tests of which ran must get a new row; others must keep theirs, with its commit and
    versions, and what is on the page must be read again as it was written."""
    page = results_page.Page()
    page.replace(result("x/a.py::a") | result("x/a.py::b", "skipped", 0, 'no "such", kernel') | result("x/b.py::a", "failed", 90),
                 {"x/a.py": {"x/a.py::a", "x/a.py::b"}, "x/b.py": {"x/b.py::a"}}, "c1", "Linux 1, QEMU 2")
    text = page.text(["x/b.py", "x/a.py", "x/c.py"])
    assert results_page.read(text) == page and results_page.read("") == results_page.Page()
    page = results_page.read(text)
    page.replace(result("x/b.py::a") | result("x/a.py::a", "failed"), {"x/a.py": {"x/a.py::a", "x/a.py::b"}, "x/b.py": {"x/b.py::a"}},
                 "c2", "Linux 3")
    text = page.text(["x/a.py", "x/b.py", "x/c.py"])
    assert "x/a.py,1,0,1,1.0,2026-12-01,c1\n   x/b.py,1,0,0,1.0,2026-12-01,c2\n   x/c.py,,,,,not run,\n" in text
    assert 'x/a.py::b,skipped,"no ""such"", kernel"\n' in text and "failed,\n" not in text
    assert 'c1,"Linux 1, QEMU 2"\n' in text and "c2,Linux 3\n" in text
    assert " ".join(text.split("run again.")[1].split("\n\n")[1].split()) == (
        "Of 3 files 2 have a row: 2 tests passed, 0 failed, 1 were skipped; they took 0 h 2 min, one after another.")


def test_a_row_goes_with_its_file():
    """A file of tests that there is no longer must leave nothing on the page."""
    page = results_page.Page()
    page.replace(result("x/a.py::a", "skipped", 0, "no kernel"), {"x/a.py": {"x/a.py::a"}}, "c1", "Linux 1")
    assert "a.py" not in page.text(["x/b.py"]) and "c1" not in page.text(["x/b.py"])


def test_names_of_all_tests_by_file():
    """Tests that take long, and those of defects, must be among the tests of a file."""
    found = testing.names()
    assert any("each_setting" in name for name in found["operations/test_probe.py"])
    assert any("all_drivers" in name for name in found["driver/test_defects.py"])
    assert all(name.startswith(file) for file, some in found.items() for name in some)
    assert set(found) == {f"{file.parent.name}/{file.name}" for file in (paths.LAB / "tests").glob("*/test_*.py")}


@pytest.mark.parametrize("options", [(), ("--long", "--quick")])
def test_what_was_left_out_has_no_result(run, options):
    """A test that this run leaves out must run in the next one that does not."""
    assert not any("takes_long" in name for name in run()[1])
    counts, found = run(*options)
    assert any("takes_long" in name for name in found) == bool(options), counts


def test_what_only_vlab_defects_runs_has_no_result(pytester, monkeypatch):
    """A column of the table of defects, which `vlab check` leaves out, must have no result from it."""
    monkeypatch.setenv("VFIO_LAB_BUILD", str(pytester.path))
    (why,) = re.findall(r'pytest\.skip\("(.*vlab defects.*)"\)', (paths.LAB / "tests/driver/test_defects.py").read_text(encoding="utf-8"))
    use_conftest(pytester)
    pytester.makepyfile(f"import pytest\n\ndef test_column():\n    pytest.skip({why!r})\n")
    file = pytester.path / "results.jsonl"
    pytester.runpytest_subprocess("-p", "no:cacheprovider", f"--results={file}")
    assert results.read(file) == {}


def test_the_tree_is_all_that_git_would_have(tmp_path, monkeypatch):
    """A change of a file, or a new one, must make another tree; what git ignores must not."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / ".gitignore").write_text("build\n", encoding="utf-8")
    seen = {results.tree()}
    for name, text in (("a", "1"), ("a", "2"), ("b", "2")):
        (tmp_path / name).write_text(text, encoding="utf-8")
        seen.add(results.tree())
    assert len(seen) == 4
    (tmp_path / "build").write_text("x", encoding="utf-8")
    monkeypatch.setattr(results, "PAGE", tmp_path / "results.rst")
    results.PAGE.write_text("x", encoding="utf-8")
    assert results.tree() in seen


def test_without_git_the_tree_is_all_but_builds(tmp_path, monkeypatch):
    """An installed lab is no clone, and its machine may have no git."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setattr(paths, "BUILD", tmp_path / "build")
    monkeypatch.setenv("PATH", str(tmp_path))
    paths.BUILD.mkdir()
    (tmp_path / "a").write_text("1", encoding="utf-8")
    first = results.tree()
    (paths.BUILD / "log").write_text("x", encoding="utf-8")
    assert results.tree() == first
    (tmp_path / "a").write_text("2", encoding="utf-8")
    assert results.tree() != first


@pytest.mark.parametrize("options, counts", [((), "2 passed"), (("--quick",), "1 passed, 0 failed, 1 skipped")])
def test_slow_tests_are_left_out_by_quick(pytester, options, counts):
    """--quick must leave out tests that are marked slow, and only those."""
    use_conftest(pytester)
    pytester.makepyfile("import pytest\n\ndef test_quick():\n    pass\n\n@pytest.mark.slow('more')\ndef test_slow():\n    pass\n")
    assert counts in "\n".join(pytester.runpytest_subprocess("-q", *options).outlines)


def test_quick_has_a_test_of_each_part():
    """`make check` must run a test of each directory of tests."""
    said = subprocess.run([sys.executable, "-B", "-m", "pytest", "-p", "no:cacheprovider", "-q", "--collect-only",
                           "-m", "not slow and not long"], cwd=paths.LAB / "tests", capture_output=True, text=True, check=False).stdout
    assert {line.partition("/")[0] for line in said.splitlines() if "::" in line} == {
        file.parent.name for file in (paths.LAB / "tests").glob("*/test_*.py")}


def test_the_page_of_probe_sweeps(tmp_path, monkeypatch):
    """A value must have the number of its runs, those in which it was reported, or a dash; each sweep a column."""
    monkeypatch.setattr(probe_sweep, "FOLDER", tmp_path)
    monkeypatch.setattr(probe_sweep, "PAGE", tmp_path / "probe.rst")
    probe_sweep.keep("zip", "v4", [({"unpause": "kick", "ras": "on"}, {"unpause": "kick", "ras": None}),
                                   ({"unpause": "kick", "ras": "on"}, {"unpause": None, "ras": None}),
                                   ({"context-cache": 4}, {"context-cache": "4"})], 150, "6.1.1")
    probe_sweep.keep("sec", "v3", [({"unpause": "doorbell"}, {"unpause": "doorbell"})], 60, "6.1.1")
    page = (tmp_path / "probe.rst").read_text(encoding="utf-8")
    rows = {line[:22].strip(): line[22:].split("  ") for line in page.splitlines() if line.startswith(("unpause", "ras:", "context-cache"))}
    cells = {name: [cell.strip() for cell in row if cell.strip()] for name, row in rows.items()}
    assert cells["unpause: kick"] == ["-", "1 of 2"] and cells["unpause: doorbell"] == ["1", "-"]
    assert cells["ras: on"] == ["-", "-"] and cells["context-cache: 4"] == ["-", "1"]
    assert page.count("SEC V3") == page.count("ZIP V4") == 2 and len(page.splitlines()[3]) == len(page.splitlines()[2])
