# SPDX-License-Identifier: GPL-2.0
"""Model check: all paths through the driver's states, with each failure of each action."""

import pytest

from lab.core import paths, versions
from lab.build.kernel import sources

from state_model import STATES, Wrong, arcs, core, explore


@pytest.fixture(scope="module")
def step(context):
    """The next state of the VFIO core."""
    return core((sources(versions.DEFAULT, context) / "drivers/vfio/vfio_main.c").read_text())


@pytest.fixture(scope="module")
def source():
    """The driver's own table."""
    return (paths.DRIVER / "migrate.c").read_text()


def test_each_path_leads_to_a_valid_state(source, step):
    """No path may lead to two migration files, a VF that runs in a stopped state, a failure that
    leaves neither the previous state nor ERROR, or a transition without a handler."""
    states, walked = explore(arcs(source), step)
    assert walked == 15 and states > len(STATES)


RECEIVE = "\t[STATE(STOP)][STATE(RESUMING)] = {\n\t\t.action = hisi_acc_arc_start_resuming,\n\t},\n"


@pytest.mark.parametrize("old, new, word", [
    (RECEIVE, "", "no action for STOP -> RESUMING"),
    (RECEIVE, "\t[STATE(STOP)][STATE(RUNNING)] = {\n\t\t.action = hisi_acc_arc_noop,\n\t},\n" + RECEIVE, "no path has"),
    ("\t\t.undo = hisi_acc_qm_undo_stop,\n", "", "stopped in RUNNING"),
    (".action = hisi_acc_arc_restart", ".action = hisi_acc_arc_noop", "stopped in RUNNING"),
    ("STATE(STOP)] = {\n\t\t.action = hisi_acc_arc_noop", "STATE(STOP)] = {\n\t\t.action = hisi_acc_arc_restart", "running in STOP"),
    ("\t\t.undo = hisi_acc_arc_load_undo,\n", "", "half of the data"),
    (".action = hisi_acc_arc_end_session", ".action = hisi_acc_arc_noop", "migration file"),
    ("STATE(PRE_COPY_P2P)] = {\n\t\t.action = hisi_acc_arc_start_saving", "STATE(PRE_COPY_P2P)] = {\n\t\t.action = hisi_acc_arc_noop", "migration file ''"),
    ("STATE(STOP_COPY)] = {\n\t\t.action = hisi_acc_arc_save", "STATE(STOP_COPY)] = {\n\t\t.action = hisi_acc_arc_start_saving", "second migration file"),
    (".action = hisi_acc_arc_load", ".action = unheard_of", "does not know what unheard_of"),
])
def test_a_wrong_table_fails(source, step, old, new, word):
    """The model check must detect a changed table."""
    assert old in source
    with pytest.raises(Wrong, match=word):
        explore(arcs(source.replace(old, new, 1)), step)
