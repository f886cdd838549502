# SPDX-License-Identifier: GPL-2.0
"""All ways through the driver's states, with each failure of each action."""

import pytest

from lab import paths, versions
from lab.kernel import sources

from state_model import STATES, Wrong, arcs, core, explore


@pytest.fixture(scope="module")
def step(context):
    """The core's own next step."""
    return core((sources(versions.DEFAULT, context) / "drivers/vfio/vfio_main.c").read_text())


@pytest.fixture(scope="module")
def source():
    """The driver's own table."""
    return (paths.DRIVER / "migrate.c").read_text()


def test_no_way_leads_to_a_lie(source, step):
    """Would catch: two data files; a function that runs where the state says it does
    not; a failure that leaves neither the state before nor ERROR; an arc unhandled."""
    functions, walked = explore(arcs(source), step)
    assert walked == 15 and functions > len(STATES)


QUIESCE = "quiesce, hisi_acc_qm_unquiesce,"


@pytest.mark.parametrize("old, new, word", [
    ("[STATE(STOP)][STATE(RESUMING)] = { receive, NULL, false },", "", "nobody handles STOP -> RESUMING"),
    ("[STATE(STOP)][STATE(RESUMING)]", "[STATE(STOP)][STATE(RUNNING)] = { nothing, NULL, false },\n"
     "\t[STATE(STOP)][STATE(RESUMING)]", "nobody asks for"),
    (QUIESCE, "quiesce, NULL,", "stopped in RUNNING"),
    ("restart, NULL, true", "nothing, NULL, true", "stopped in RUNNING"),
    ("STATE(STOP)] = { nothing", "STATE(STOP)] = { restart", "running in STOP"),
    ("load, load_undo, true", "load, NULL, true", "half an image"),
    ("discard, NULL", "nothing, NULL", "data file"),
    ("STATE(PRE_COPY_P2P)] = { announce", "STATE(PRE_COPY_P2P)] = { nothing", "data file ''"),
    ("STATE(STOP_COPY)] = { save", "STATE(STOP_COPY)] = { announce", "second data file"),
    ("load, load_undo, true", "unheard_of, load_undo, true", "does not know what unheard_of"),
])
def test_a_bent_table_is_found_out(source, step, old, new, word):
    """Would catch: an explorer that finds nothing."""
    assert old in source
    with pytest.raises(Wrong, match=word):
        explore(arcs(source.replace(old, new, 1)), step)
