# SPDX-License-Identifier: GPL-2.0
"""Results of a run of all tests, which are kept so that the run can continue."""

import subprocess
import sys

import pytest

import probe_sweep
from lab.core import paths
from lab.release import results

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


def use_conftest(pytester):
    """Give pytester's tests this directory's conftest.py."""
    pytester.makeconftest((paths.LAB / "tests/conftest.py").read_text(encoding="utf-8").replace(
        "pathlib.Path(__file__).resolve().parents[1]", f"pathlib.Path({str(paths.LAB)!r})"))


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
    assert [result.why for result in found.values() if result.why] == ["Skipped: no such kernel"]
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
    text = results.page(found, "new", "Linux 7.3")
    assert "a.py::x" not in text and "- ``a.py::z``: no such kernel" in text
    assert "   * - ``a.py``\n     - 1\n     - 0\n     - 1\n     - 60.0\n" in text


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
