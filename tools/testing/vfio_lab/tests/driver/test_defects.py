# SPDX-License-Identifier: GPL-2.0
"""Defects of the in-tree driver: each must be found by a test where the driver has it, and this
driver must be free of it.

`vlab defects` runs all tests on the drivers of all kernels; otherwise they run on this driver and
one kernel.
"""

from __future__ import annotations

import functools
import io
import json
import re
import traceback
from collections.abc import Iterator

import pytest

import bench
import defects
import tap
from lab.core import paths, versions
from lab.core.errors import LabError
from lab.core.progress import Steps
from lab.build.kernel import kernel
from lab.release.series_patches import FIXES
from lab.scenario import watch
from lab.scenario.session import Session
from lab.scenario.splats import is_splat

pytestmark = pytest.mark.slow("each defect of the in-tree driver, on this one")

COLUMNS = {f"{driver} {series}": (series, driver) for driver in ("in-tree", "tree") for series in versions.SERIES}
OUT = paths.BUILD / "defects"
ROWS = {row.name: row for row in defects.ROWS}
#: time for the kselftests of a row, on an idle machine
ROW_SECONDS = 120
#: the patches for the in-tree driver, and the row that each fixes
FIXED = {"0001-bounds": "D1", "0002-match-data": "D2", "0003-failed-save": "D6", "0004-precopy-ioctl": "D7", "0005-ioeventfd": "D14"}


class Run:
    """All tests on one driver; the host is rebooted after a test has broken it. With `fixes` the in-tree driver has the
    patches of series/fixes."""

    def __init__(self, session: Session, version: str, driver: str, fixes: bool = False) -> None:
        self.session, self.version, self.driver, self.fixes = session, version, driver, fixes
        self.results: dict[str, str] = {}
        self.reasons: dict[str, str] = {}
        self.slow = True
        #: unexpected kernel messages outside of scenarios
        self.beside: list[str] = []
        self._boots = 0

    def _bench(self, vfs: int = 2, version: str = "", **model: str):
        self._boots += 1
        context, version = self.session.context, version or self.version
        modules = (FIXES.built_module(kernel(version, context), context),) if self.fixes else ()
        return bench.bench(self.session, context, version, self.driver, name=f"{'fixed' if self.fixes else 'host'}{self._boots}",
                           vfs=vfs, modules=modules, **model)

    def _judge(self, name: str, *benches: bench.Bench) -> bool:
        """Run a scenario; returns whether the hosts can be used for the next one."""
        self.beside += self._trouble()
        try:
            defects.SCENARIOS[name][1](*benches)
            self.results[name] = tap.PASSED
        except (AssertionError, LabError, ValueError, IndexError) as e:
            self.results[name] = "fails"
            self.reasons[name] = (str(e) or traceback.format_exc().splitlines()[-2]).splitlines()[0]
        trouble = self._trouble(passed=name not in self.reasons)
        splats = [line for line in trouble if is_splat(line)]
        if trouble:
            self.results[name] = "fails" if not splats else "hangs" if "blocked" in splats[0] else "oops"
            self.reasons[name] = "; ".join(filter(None, (self.reasons.get(name), (splats or trouble)[0])))
        return self.results[name] == tap.PASSED or not splats and all(self._mend(b) for b in benches)

    def _trouble(self, passed: bool = False) -> list[str]:
        """New kernel messages of the hosts, and those that are unexpected. The in-tree driver logs
        more, also about its own failures, which the scenarios report."""
        found, missing = watch.end()
        if self.driver != "tree":
            return [line for line in found if is_splat(line)]
        return found + [f"expected, and not there: {pattern}" for pattern in missing if passed]

    @staticmethod
    def _mend(one: bench.Bench) -> bool:
        if not one.host.alive():
            return False
        try:
            one.sound()
            one.host.ssh.run("echo 0 > /sys/module/qm_rival/parameters/hold; rmmod qm_rival; true", check=False)
            one.enable(one.host.spec.config.vfs)
            one.bind()
        except LabError:
            return False
        return True

    def scenarios(self, where: str, **model: str) -> None:
        """Scenarios that share a host."""
        left = [name for name, (place, _) in defects.SCENARIOS.items()
                if place == where and (self.slow or name != defects.SLOW)]
        while left:
            with self._bench(defects.MANY_VFS if where == defects.MANY else 2, **model) as one:
                if where != defects.ALONE:
                    one.bring_up(one.host.spec.config.vfs)
                while left:
                    if not self._judge(left.pop(0), one) or where == defects.ALONE:
                        break

    def pair(self) -> None:
        """Scenarios between two hosts of different hardware. Linux 6.12 treats V4 as V3 and gives a
        guest the same registers, so the hosts do not differ there."""
        for name, (place, _) in defects.SCENARIOS.items():
            if place == defects.PAIR and versions.SERIES[self.version].has("hw-v4"):
                with self._bench() as older, self._bench(hw_version="v4") as newer:
                    older.bring_up()
                    newer.bring_up()
                    self._judge(name, older, newer)

    def kselftest(self, *names: str, timeout: float = 600) -> None:
        """Run the kselftests, or the tests that run by name only."""
        with self._bench() as one:
            one.bring_up()
            watch.expect(*(defects.KSELFTEST_ALONE.get(names, ()) if names else (tap.PROVOKED,)))
            try:
                said = one.kselftest(*names, timeout=timeout)
            except LabError as e:
                said = "".join(f"not ok 1 global.{name}\n" for name in names)
                self.reasons[" ".join(names)] = str(e)
            self.results |= tap.verdicts(said)
            (OUT / f"{self.driver}-{self.version}{''.join(names[:1])}.tap").write_text(said)

    def watched(self) -> None:
        """Scenarios that need a debug kernel; only the default series has one."""
        for name, version in defects.WATCHED.items():
            self.results.pop(name, None)
            if self.version == versions.DEFAULT:
                self._scenario(name, version)

    def _scenario(self, name: str, version: str = "") -> None:
        """A scenario on a host of its own."""
        with self._bench(version=version) as one:
            one.bring_up()
            self._judge(name, one)

    def row(self, row: defects.Row) -> str:
        """Result of the tests of a row; a scenario runs on the kernel that shows the defect."""
        kselftests = [name for name in row.tests if name not in defects.SCENARIOS]
        if kselftests:
            self.kselftest(*kselftests, timeout=ROW_SECONDS)
            # the host of a driver that overwrites kernel memory may not answer any more
            self.results = {name: "hangs" for name in kselftests} | self.results
        for name in set(row.tests) - set(kselftests):
            self._scenario(name, defects.WATCHED.get(name, self.version))
        self.beside += self._trouble()
        return defects.verdict(row, self.results)

    def all(self) -> None:
        """Run everything."""
        for part in (self.kselftest, lambda: self.scenarios(defects.SHARED), lambda: self.scenarios(defects.MANY),
                     lambda: self.scenarios(defects.V4, hw_version="v4"), lambda: self.scenarios(defects.ALONE),
                     self.pair, *(functools.partial(self.kselftest, *names) for names in defects.KSELFTEST_ALONE),
                     self.watched):
            part()
            self.beside += self._trouble()
            self.keep()

    def keep(self) -> None:
        """Write the results so far, and the table of all runs."""
        (OUT / f"{self.driver} {self.version}.json").write_text(
            json.dumps({"results": self.results, "reasons": self.reasons}, indent=1))
        found = {name: json.loads(path.read_text())["results"] for name in COLUMNS
                 if (path := OUT / f"{name}.json").exists()}
        (OUT / "defects.rst").write_text(defects.table(found))


@pytest.fixture
def run(request) -> Iterator:
    """Runs on any driver."""
    with Session(Steps(io.StringIO()), paths.BUILD / "check/defects" / request.node.name) as session:
        OUT.mkdir(parents=True, exist_ok=True)
        yield functools.partial(Run, session)


def test_every_row_has_its_test():
    """Each row must have a test, each test a row, and each name must exist."""
    assert [r.name for r in defects.ROWS] == [
        f"{kind}{n}" for kind, last in (("R", 20), ("D", 24), ("T", 19)) for n in range(1, last + 1)]
    known = set(tap.tests()) | set(defects.SCENARIOS)
    for row in defects.ROWS:
        assert row.tests or row.elsewhere, f"{row.name} has no test"
        assert not row.elsewhere or any((paths.LAB / "tests").rglob(row.elsewhere)), f"{row.name}: {row.elsewhere}"
        assert set(row.tests) <= known, f"{row.name}: {set(row.tests) - known} is nowhere"
    used = {name for row in defects.ROWS for name in row.tests}
    assert set(defects.SCENARIOS) <= used


def test_the_page_has_every_row():
    """The page must list each row, with the same title and tests."""
    page = defects.PAGE.read_text()
    assert re.findall(r"^([RDT]\d+) +(.+?)  .*$", page.partition("Tests of each row")[0], re.M) == [
        (row.name, row.what) for row in defects.ROWS]
    assert page.endswith(defects.tests())


def test_this_driver_has_none_of_them(request, run):
    """This driver must pass each scenario. test_uapi.py runs the kselftests."""
    ours = run(versions.DEFAULT, "tree")
    ours.slow = request.config.getoption("--long")
    ours.scenarios(defects.SHARED)
    ours.scenarios(defects.MANY)
    ours.scenarios(defects.V4, hw_version="v4")
    ours.scenarios(defects.ALONE)
    ours.pair()
    assert ours.reasons == {} and ours.beside == []


def test_each_fix_is_for_a_row():
    """Each patch for the in-tree driver must have the row that it fixes, which the in-tree driver of its base has."""
    assert [step.name for step in FIXES.steps] == list(FIXED)
    assert {name for name in FIXED.values() if versions.SERIES[versions.DEFAULT].driver in ROWS[name].said} == set(FIXED.values())


@pytest.mark.long("boots hosts for each defect, with and without its fix, one with KASAN")
@pytest.mark.parametrize("patch, name", FIXED.items())
def test_the_in_tree_driver_has_a_defect_until_it_is_patched(run, patch, name):
    """The tests of a row must find its defect in the in-tree driver, and none in the same driver with the patches of
    series/fixes."""
    before, after = run(versions.DEFAULT, "in-tree"), run(versions.DEFAULT, "in-tree", fixes=True)
    assert before.row(ROWS[name]) not in (tap.PASSED, tap.SKIPPED), before.results
    assert after.row(ROWS[name]) == tap.PASSED and after.beside == [], (after.results, after.reasons)


@pytest.mark.parametrize("column", COLUMNS)
def test_all_drivers(request, run, column):
    """Run the matrix of drivers; its table is build/defects/defects.rst."""
    if not request.config.getoption("--defects"):
        pytest.skip("a column of the table; vlab defects runs it")
    one = run(*COLUMNS[column])
    one.all()
    if column.startswith("tree"):
        left = tap.skips(one.version)
        assert {n: r for n, r in one.results.items() if r != (tap.SKIPPED if n in left else tap.PASSED)} == {}, one.reasons
        assert one.beside == []
