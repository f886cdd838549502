# SPDX-License-Identifier: GPL-2.0
"""Mutation tests of the device model: without one of its rules, one of its own tests must fail, as `make check` runs them.

Each mutant is another outer QEMU, which takes some seconds to build on top of the usual one.
"""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from lab.build import qemu
from lab.core import paths

#: for each mutant: what is replaced in the model, and the file that must fail
MUTANTS: dict[str, tuple[dict[str, str], str]] = {
    # QEMU divides by zero: a queue loses its context in the middle of its use
    "a-vf-reaches-the-device": ({
        "    pf->dma_refused |= pf->dma_active;\n    return pf->dma_active;": "    return false;",
        "    return f->resets == resets;\n}\n\nbool hisi_acc_dma_read": "    return f->resets >= resets;\n}\n\nbool hisi_acc_dma_read",
    }, "model/test_model_fuzz.py"),
    "pause-does-not-wait": ({"command == MB_FLUSH ||\n           command == MB_PAUSE;": "command == MB_FLUSH;"}, "model/test_model.py"),
    "sq-tail-goes-back": ({"    if (hisi_acc_distance(sq->ctx.head, db->index, sq->ctx.depth) <":
                           "    if (false && hisi_acc_distance(sq->ctx.head, db->index, sq->ctx.depth) <"},
                          "model/test_model_guest_errors.py"),
    "cq-head-overtakes": ({"    if (hisi_acc_distance(cq->ctx.head, db->index, cq->ctx.depth) >":
                           "    if (false && hisi_acc_distance(cq->ctx.head, db->index, cq->ctx.depth) >"},
                          "model/test_model_guest_errors.py"),
    "cq-overrun": ({"    if ((cq->ctx.tail + 1) % cq->ctx.depth == cq->ctx.head) {": "    if (false) {"}, "model/test_model_guest_errors.py"),
    "phase-stays": ({"        cq->phase = !cq->phase;\n": ""}, "model/test_model.py"),
    "mask-is-ignored": ({"    if (eq->mask & 1) {": "    if (false) {"}, "model/test_model.py"),
    "any-tag": ({"            (tag != HISI_ACC_ANY_TAG && lduw_le_p(raw + XQC_TAG) != tag)) {": "            (tag & 0)) {"},
                "model/test_model.py"),
    "arming-is-not-saved": ({"             (cq->armed ? DW6_ARMED : 0));": "             0);"}, "model/test_model.py"),
    "closed-bus-works": ({"    if (hisi_acc_bus_closed(f->pf)) {\n        hisi_acc_count(f, HISI_ACC_EV_BUS_CLOSED, 1);":
                          "    if (false) {\n        hisi_acc_count(f, HISI_ACC_EV_BUS_CLOSED, 1);"}, "model/test_model_faults.py"),
    "works-in-d3hot": ({"    return bus_master(f) && !hisi_acc_asleep(f);": "    return bus_master(f);"}, "model/test_model_power.py"),
    "mailbox-survives-a-reset": ({"    f->mailbox_running = false;\n    f->mailbox_draining = false;\n": ""}, "model/test_model.py"),
    "message-is-for-all": ({"        pf->message_to[dest] = message;": "        for (unsigned n = 1; n <= pf->cfg.vfs; n++) {\n"
                            "            pf->message_to[n] = message;\n        }"}, "model/test_model.py"),
    "dropped-contexts": ({"    hisi_acc_cache_reset(f);\n": ""}, "model/test_model.py"),
}


@pytest.mark.long("builds another QEMU for each")
@pytest.mark.parametrize("name", MUTANTS)
def test_a_test_fails(context, name):
    """The tests in the file of the mutant must fail with it."""
    mutation, where = MUTANTS[name]
    done = subprocess.run([sys.executable, "-B", "-m", "pytest", "-p", "no:cacheprovider", "-q", "-x", "--quick",
                           f"--outer={qemu.outer(context, mutation)}", where],
                          cwd=paths.LAB / "tests", capture_output=True, text=True, check=False)
    assert re.search(r"^FAILED |^ERROR ", done.stdout, re.M), f"{name} survives: {done.stdout[-2000:]}"
