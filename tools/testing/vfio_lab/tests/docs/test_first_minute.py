# SPDX-License-Identifier: GPL-2.0
"""First contact: shell completion, the recorded demo, and README's links."""

from __future__ import annotations

import re
import subprocess
import xml.etree.ElementTree as xml

import pytest

from lab.core import paths
from lab.release import overview, recording

VLAB = paths.LAB / "vlab"


@pytest.mark.parametrize("typed, offered", [
    (("mi",), {"migrate"}),
    (("run", "--dri"), {"--driver"}),
    (("run", "--driver", ""), {"tree", "checkout", "in-tree", "stock"}),
    (("migrate", "--engines", "z"), {"zip"}),
    (("build", "fi"), {"firmware"}),
    (("run", "--", "l"), set()),
])
def test_bash_completes_what_vlab_knows(typed, offered):
    """bash must complete commands, options and values."""
    asks = ('. <("$1" completion); shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _vlab; '
            'printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", asks, "bash", VLAB, "vlab", *typed], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == offered and done.stderr == ""


def test_a_run_becomes_a_picture():
    """A recorded run must become an SVG with each line."""
    lines = recording.record(["printf", "one <1>\nPASS\n"])
    drawn = xml.fromstring(recording.picture("printf", lines))
    texts = ["".join(t.itertext()) for t in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["$ printf", "one <1>", "PASS"]
    assert recording.quicker([(1, "a"), (31, "b"), (31.5, "c")]) == [(1, "a"), (2.5, "b"), (3.0, "c")]


def test_the_demos_picture_is_of_a_run_that_passed():
    """The demo's picture must show a run that passed, with README's summary."""
    drawn = xml.parse(paths.LAB / "demo.svg")
    texts = ["".join(t.itertext()) for t in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[0] == "$ make demo" and [t for t in texts if t.startswith("PASS ")]
    assert not [t for t in texts if str(paths.ROOT) in t]
    assert len(texts) <= 40 and max(map(len, texts)) <= recording.COLUMNS == 100
    (summary,) = recording.SUMMARY.findall(recording.README.read_text(encoding="utf-8"))
    assert summary.strip("`\n").splitlines() == texts[texts.index(recording.BEGIN):][:len(summary.strip("`\n").splitlines())]


def test_the_overview_is_as_drawn():
    """overview.svg must be what its script draws, and must be well-formed."""
    xml.fromstring(overview.picture())
    assert overview.FIGURE.read_text(encoding="utf-8") == overview.picture(), "vlab generate overview writes it"


def test_readmes_links_lead_somewhere():
    """Each relative link must have a target."""
    for page in ("README.md", "CONTRIBUTING.md"):
        links = re.findall(r"\]\(([^)#:]+)\)", (paths.ROOT / page).read_text())
        assert links and [link for link in links if not (paths.ROOT / link).exists()] == []
