# SPDX-License-Identifier: GPL-2.0
"""A fleet of hosts with libvirt: where a guest goes, what is drawn, and a rolling upgrade in which a host dies."""

from __future__ import annotations

import io
import types
import xml.etree.ElementTree

import pytest

from lab.cli import fleet as command
from lab.core import paths, versions
from lab.core.errors import LabError
from lab.core.guide import blocks
from lab.core.progress import Steps
from lab.release import fleet_figure
from lab.scenario import fleet
from lab.scenario.fleet import MEMBERS, MORTAL, NEW, OLD, Fleet, Move, Stay, Story
from lab.scenario.session import Session

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def planned() -> Fleet:
    """A fleet of hosts that were not booted, with their first guests."""
    one = Fleet([types.SimpleNamespace(name=member.name, spec=types.SimpleNamespace(vmm=member.vmm)) for member in MEMBERS],
                Steps(io.StringIO()))
    for member in MEMBERS:
        for number in range(member.guests):
            one._guests[f"{member.name}-{number}"] = types.SimpleNamespace(host=one._hosts[member.name])
    return one


def test_a_guest_goes_where_it_can_come_back_from(planned):
    """A guest must migrate to a host with the same QEMU, if there is one; with several, to that with the fewest guests."""
    assert [planned._choose(name) for name in ("host1", "host2", "host3", "host4")] == ["host3", "host4", "host1", "host2"]
    planned.story.deaths["host4"] = 1
    assert planned._choose("host2") == "host3"


def test_a_guest_goes_nowhere_that_qemu_refuses(planned):
    """No guest may be sent to a host whose QEMU refuses it; if no other host is left, the error must say so."""
    planned.story.deaths["host3"] = 1
    assert versions.refusal(versions.SERIES[fleet.KERNEL], OLD, versions.SERIES[fleet.KERNEL], NEW)
    with pytest.raises(LabError, match="no host can take the guests of host1"):
        planned._choose("host1")


def test_a_run_in_which_no_host_dies_fails(planned, monkeypatch):
    """If no guest was on its way to the host that is to die, as where all hosts have one QEMU, the run must fail, and say why."""
    for name in ("set_up", "fill", "upgrade", "refill", "_judge"):
        monkeypatch.setattr(planned, name, lambda *_: None)
    monkeypatch.setattr(planned, "drain", lambda *_: {})
    assert planned.run().failures == ["host4 did not die: no guest was on its way to it"]


STORY = Story(
    [Stay("guest1", "host1", 0, "started", 20, "migrated"), Stay("guest2", "host2", 5, "started", 60, "ended"),
     Stay("guest3", "host4", 5, "started", 50, "lost"), Stay("guest1", "host3", 20, "migrated", 60, "ended"),
     Stay("guest4", "host1", 5, "started", 60, "ended")],
    [Move("guest1", "host1", "host3", 12, 20, True, 345), Move("guest2", "host2", "host4", 45, 55, False)],
    {"host1": (21, 25)}, {"host4": 50}, ["guest3"], {"guest1": 100, "guest2": 200, "guest3": 30}, [], 60)


def test_the_picture_shows_who_ran_where():
    """The picture must have a bar for each stay, one beside the other where they overlap, a line for each migration,
    and each host's driver and end."""
    root = xml.etree.ElementTree.fromstring(fleet_figure.picture(STORY, MEMBERS))
    bars = [bar for bar in root.iter(f"{SVG}rect") if "rx" in bar.attrib]
    assert len(bars) == len(STORY.stays)
    boxes = [[float(bar.get(name)) for name in ("x", "y", "width", "height")] for bar in bars]
    assert not any(a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]
                   for n, a in enumerate(boxes) for b in boxes[:n])
    # and one each in the legend
    assert [len([one for one in root.iter(f"{SVG}{what}") if one.get("class") == kind]) for what, kind in (
        ("path", "move"), ("path", "failed"), ("rect", "older"), ("rect", "newer"), ("rect", "dead"))] == [2, 2, 3, 4, 2]
    words = [text.text for text in root.iter(f"{SVG}text")]
    assert {member.name for member in MEMBERS} <= set(words) and "dies" in words and "1:00" in words


def test_the_summary():
    """The summary must name migrations with their downtime, lost guests, and each failure."""
    said = command.text(STORY)
    assert "guest1   host1 to host3: 8 s, downtime 345 ms" in said and "1 completed, 1 failed" in said
    assert "30, lost with its host" in said and "\nPASS in 60 s" in said
    said = command.text(Story(failures=["guest2: 3 requests were lost"]))
    assert "FAIL" in said and "  - guest2: 3 requests were lost" in said and "PASS" not in said


def test_the_pages_commands_are_all_of_the_plan():
    """The page may have no command that the fleet does not run."""
    assert set(blocks("sh", "fleet").values()) == {fleet.ABORT, fleet.UPGRADE}


@pytest.mark.long("four hosts and six guests")
def test_a_fleet_is_upgraded():
    """Each host with the in-tree driver must get this one, one of them while its guest's destination dies; only what ran on
    that host may be lost, and each other guest must run until the end, with no request lost."""
    with Session(Steps(io.StringIO()), paths.BUILD / "check/fleet") as session, Fleet(fleet.boot(session), session.context.steps) as one:
        story = one.run()
    assert story.failures == []
    assert set(story.upgrades) == {member.name for member in MEMBERS if member.driver == "in-tree"} and set(story.deaths) == {MORTAL}
    assert set(story.lost) == {stay.guest for stay in story.stays if stay.host == MORTAL}
    assert [move.destination for move in story.moves if not move.completed] == [MORTAL]
    last = {stay.guest: stay for stay in story.stays}
    assert {guest for guest, stay in last.items() if stay.went != "ended"} == set(story.lost)
    assert len(last) == fleet.GUESTS + len(story.lost) and all(story.verified[guest] for guest in last)
