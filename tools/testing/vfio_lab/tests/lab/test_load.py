# SPDX-License-Identifier: GPL-2.0
"""Evaluation of the reports of a guest's load."""

import json

import pytest

from lab.core.errors import LabError
from lab.scenario.load import LoadRecord


def line(seq: int, **changes: object) -> bytes:
    """A report of the load, valid unless changed."""
    report = {"seq": seq, "ms": seq * 100, "boot": "b", "pid": 7, "in_flight": 4, "oldest_ms": 1, "submitted": 10,
              "verified": 10, "mismatched": 0, "failed": 0, "final": False, "lanes": [5, 5]}
    return (json.dumps({**report, **changes}) + "\n").encode()


def failures(*lines: bytes) -> str:
    """Errors found in these reports."""
    record = LoadRecord()
    record.follow("here", lines)
    return "; ".join(record.failures())


def test_a_complete_load_over_two_hosts_has_no_failure():
    """A valid load on two hosts must have no error."""
    record = LoadRecord()
    record.follow("here", [b'{"ready":"hisi_sec2"}\n', line(0), line(1)])
    record.follow("there", [line(2), line(3, final=True), b'{"exit":0}\n'])
    assert record.failures() == []
    assert record.ready and record.exit_status == 0


@pytest.mark.parametrize("lines, words", [
    ((), "never reported"),
    ((line(0), line(1, boot="c")), "rebooted"),
    ((line(0), line(1, pid=8)), "another process"),
    ((line(0), line(2)), "missing, duplicated"),
    ((line(0), line(0)), "missing, duplicated"),
    ((line(0, mismatched=1),), "differ from software"),
    ((line(0, failed=2),), "2 requests failed"),
    ((line(0, pages=480, stale=3),), "3 of 480 pages that only the device writes were stale"),
    ((line(0, submitted=11, final=True),), "1 requests were lost"),
    ((line(0, final=True), b'{"exit":1}\n'), "status 1"),
    ((line(0), b'{"seq":1,"boo\n'), "garbled"),
    ((line(0), b'{"error":"no device"}\n'), "no device"),
])
def test_each_kind_of_harm_is_named(lines, words):
    """Each kind of error must be reported."""
    assert words in failures(*lines)


def test_a_lane_that_hangs_is_named():
    """A lane that hangs must be named."""
    record = LoadRecord()
    record.follow("here", [line(0)])
    with pytest.raises(LabError, match="lanes without an answer: 1"):
        def more() -> bool:
            record.follow("here", [line(1, lanes=[50, 5])])
            return True
        record.wait_progress("on it goes", 20, 0.2, more)


def test_waiting_ends_when_the_guest_is_gone():
    """Waiting must end when the guest has ended."""
    with pytest.raises(LabError, match="ended before"):
        LoadRecord().wait("anything", lambda: False, 30, lambda: False)
