# SPDX-License-Identifier: GPL-2.0
"""After each test, messages and errors of hosts, their devices and guests must fail it, unless the
test expects them."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

import bench as lab_bench
from bench import Bench
from lab.core import paths, versions
from lab.core.progress import Steps
from lab.scenario import watch
from lab.scenario.session import Session

pytest_plugins = "pytester"

#: mailbox commands: one makes the device read a context at an unmapped address; the other does not
#: exist
CONTEXT, UNKNOWN = 0x0, 0xf


@pytest.fixture(scope="module")
def bench(context) -> Iterator[Bench]:
    """One host for all tests here."""
    with Session(Steps(io.StringIO()), paths.BUILD / "check/watch") as session, \
            lab_bench.bench(session, context, versions.DEFAULT, "tree", ras="off") as one:
        one.bring_up()
        yield one


def test_an_error_in_the_log_is_seen_once(bench):
    """A message of KERN_ERR or worse, and a kernel warning by its text, must be reported once."""
    bench.host.ssh.run("echo '<3>lab: an error' > /dev/kmsg; echo '<4>lab: a warning' > /dev/kmsg; "
                       "echo '<4>WARNING: CPU: 0 at lab' > /dev/kmsg")
    assert sorted(bench.host.unexpected()) == ["host: WARNING: CPU: 0 at lab", "host: lab: an error"]
    assert bench.host.unexpected() == []


def test_a_guest_error_of_any_vf_is_seen_once(bench):
    """A guest error of any VF must be reported once, also without a guest."""
    with bench.open(1) as vf:
        vf.begin_command(UNKNOWN)
        vf.answer()
    assert bench.host.unexpected() == ["host sec 2: the device counted 1 times: mailbox-opcode"]
    assert bench.host.unexpected() == []


def test_an_access_that_the_smmu_refused_is_seen(bench):
    """DMA that the SMMU rejects must be reported: a VF that was not stopped, or a wrong address."""
    with bench.open() as vf:
        vf.begin_command(CONTEXT)
        vf.answer()
    said = bench.host.unexpected()
    assert [line for line in said if "arm-smmu-v3" in line and "event" in line] != [], said


def test_a_pf_whose_reset_stays_blocked_is_reported(bench):
    """A PF reset that stays blocked must be reported until it is unblocked."""
    with bench.rival():
        bench.tell("hold", 1)
        (said,) = bench.host.unexpected()
        assert said.startswith("host: the driver of sec: ") and "Resource temporarily unavailable" in said
        bench.tell("hold", 0)
    assert bench.host.unexpected() == []


def test_expected_messages_are_not_reported(bench):
    """An expected message must not be reported, but its absence must."""
    watch.expect("an error", "never said")
    watch.expect("a rumour", maybe=True)
    bench.host.ssh.run("echo '<3>lab: an error' > /dev/kmsg; echo '<3>lab: another' > /dev/kmsg")
    assert watch.end() == (["host: lab: another"], ["never said"])
    assert watch.end() == ([], [])


def test_a_stopped_host_is_read_once():
    """Messages of a host that was stopped must be reported, and the host then dropped."""
    class Stopped:
        """Its last words can still be read."""

        def unexpected(self):
            """The same at each call."""
            return ["lab: last words"]

        def alive(self):
            """Not any more."""
            return False

    watch.add(Stopped())
    assert (watch.take(), watch.take()) == (["lab: last words"], [])


#: a host whose log the test writes, and tests of it, two of which must fail
INNER = """
import pytest
from lab.scenario import watch

class Fake:
    said = []
    def unexpected(self):
        found, self.said = self.said, []
        return watch.unexpected(found)
    def alive(self):
        return True

fake = Fake()
watch.add(fake)

def test_that_names_nothing():
    fake.said.append("lab: an error")

@pytest.mark.expect("an error")
def test_that_names_it():
    fake.said.append("lab: an error")

@pytest.mark.expect("an error")
def test_that_names_what_does_not_come():
    pass

def test_that_fails_anyway():
    watch.expect("an error")
    assert False

@pytest.fixture(scope="module")
def held():
    yield
    fake.said.append("lab: at the end")

def test_with_a_fixture_of_the_module(held):
    pass
"""


def test_a_test_fails_for_it(pytester, monkeypatch):
    """The hook in conftest.py must fail any test for unexpected messages."""
    monkeypatch.setenv("VFIO_LAB_BUILD", str(pytester.path))
    pytester.makeconftest((paths.LAB / "tests/conftest.py").read_text(encoding="utf-8").replace(
        "pathlib.Path(__file__).resolve().parents[1]", f"pathlib.Path({str(paths.LAB)!r})"))
    pytester.makepyfile(INNER)
    done = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    done.assert_outcomes(passed=4, failed=1, errors=3)
    done.stdout.fnmatch_lines_random(["*not expected: lab: an error", "*expected, and not there: an error",
                                      "*not expected: lab: at the end"])
