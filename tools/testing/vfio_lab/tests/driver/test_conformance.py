# SPDX-License-Identifier: GPL-2.0
"""vlab conformance: the generic kselftests on the sample for QEMU's edu device and on the other drivers that
the lab knows, and the reports."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from lab.cli import main
from lab.core import versions
from lab.build import kernel, kselftest, sources
from lab.probe import conformance, conformance_report
from lab.probe.conformance import FAILED, PASSED, SKIPPED, Check, Report
from lab.probe.uapi_rules import RULES
from lab.release import test_table
from lab.scenario import expected

pytestmark = pytest.mark.slow("other migration drivers")

TAP = """\
TAP version 13
1..4
#  RUN           migration.iommufd.one ...
# a_test.c:7:one:Expected 1 (1) == 0 (0)
not ok 1 migration.iommufd.one
ok 2 migration.iommufd.two
ok 3 migration.iommufd.three # SKIP no <PRE_COPY>
"""
#: those that take seconds: the others save and load hundreds of times, and each takes 100 ms
SHORT = tuple(f"vfio_pci_migration_{theme}_test" for theme in ("features", "precopy", "reset", "states", "threads"))


def test_results_of_a_program():
    """A test that was planned and has no result must count as failed."""
    found = conformance.checks("a_test", TAP)
    assert [(check.name, check.result) for check in found] == [
        ("one", FAILED), ("two", PASSED), ("three", SKIPPED), ("a_test", FAILED)]
    assert found[0].said == ("# a_test.c:7:one:Expected 1 (1) == 0 (0)",) and found[2].said == ("# SKIP no <PRE_COPY>",)
    assert found[3].said[0] == "1 of 4 tests have no result"
    assert conformance.checks("a_test", "")[0].result == FAILED
    assert conformance.checks("a_test", "TAP version 13\n1..0 # SKIP no device\n")[0].result == SKIPPED


@pytest.mark.parametrize("known, held", [({}, False), ({"flags": "fails"}, True), ({"flags": "fails at random"}, True),
                                         ({"flags": "fails", "probes": "fails"}, False)])
def test_expected_results(known, held):
    """A failure that is not expected must fail the run, and so must one that is expected and does not come."""
    report = Report("a driver", "a device", "1.0", (Check("p", "flags", FAILED, ("<why>",)), Check("p", "probes", PASSED)), known)
    assert report.held == held
    assert not Report("a driver", "a device", "1.0", ()).held


def test_reports_name_the_broken_sentence():
    """KTAP, JUnit XML and HTML must have each failed check with its sentence, and what it said."""
    checks = (Check("p", "flags", FAILED, ("<why>",)), Check("p", "probes", PASSED), Check("", "read", "hangs"))
    report = Report("a & b", "d", "1.0", checks)
    tap = conformance_report.ktap(report)
    assert "  not ok 1 flags\n" in tap and f"  # breaks: {RULES['flags']}\n  # <why>\n" in tap and "  ok 1 read # SKIP hangs\n" in tap
    suite = ElementTree.fromstring(conformance_report.junit(report))
    failure = suite.find(".//failure")
    assert failure is not None and failure.get("message") == RULES["flags"] and failure.text == "<why>"
    assert suite[0].attrib == {"name": "p", "tests": "2", "failures": "1", "skipped": "0"}
    page = conformance_report.page(report)
    assert RULES["flags"] in page and "&lt;why&gt;" in page and "a &amp; b" in page
    assert conformance_report.summary(report) == "FAIL: a & b on d, Linux 1.0: 1 passed, 1 failed, 1 left out"
    known = Report("a", "d", "1.0", checks, {"flags": expected.FAILS})
    assert f"ok 1 flags # XFAIL {RULES['flags']}" in conformance_report.ktap(known)


def test_each_test_has_a_sentence_of_the_uapi(context):
    """Each generic test must name a sentence that is in the kernel's <linux/vfio.h>."""
    header = (kernel.kernel(versions.DEFAULT, context).source / "include/uapi/linux/vfio.h").read_text(encoding="utf-8")
    words = re.sub(r"[\s*]+", " ", header)
    assert [rule for rule in RULES.values() if re.sub(r"\s+", " ", rule) not in words] == []
    fail_nth = re.findall(r"^TEST_F_TIMEOUT\(migration, (\w+)", (kselftest.TREE / f"{conformance.FAIL_NTH}.c").read_text(), re.M)
    assert set(RULES) == {test.name for test in test_table.generic()} | set(fail_nth)


def test_the_sample_is_short():
    """What is about edu in the sample must fit into 400 lines."""
    assert len((sources.EDU / "edu.c").read_text(encoding="utf-8").splitlines()) <= 400


def conform(capsys, *arguments: str) -> tuple[int, str]:
    """Exit status and last lines of vlab conformance."""
    status = main.main(["-q", "conformance", *arguments])
    return status, capsys.readouterr().out


def test_the_sample_conforms(capsys, tmp_path):
    """The sample must pass the tests that take seconds, and the reports must be written."""
    status, said = conform(capsys, "--driver", "edu", "--report", str(tmp_path), *(word for test in SHORT for word in ("--test", test)))
    assert status == 0, said
    assert {path.name for path in tmp_path.iterdir()} == {"report.ktap", "report.xml", "report.html"}
    assert (tmp_path / "report.ktap").read_text(encoding="utf-8") in said


@pytest.mark.long("three minutes each")
# the in-tree driver logs some of the migration data that it rejects
@pytest.mark.parametrize("driver", ["tree", "mtty", "edu", pytest.param(
    "in-tree", marks=pytest.mark.expect(r"hisi_acc_vfio_pci \S+ ", maybe=True))])
def test_known_drivers(capsys, driver):
    """Each driver that the lab knows must have the results of its list."""
    status, said = conform(capsys, "--driver", driver)
    assert status == 0, said
