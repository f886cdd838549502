# SPDX-License-Identifier: GPL-2.0
"""The floor: the number of register accesses that migration data requires.

Counted by hand, for a driver without any checks of the device: a register costs one
access, a mailbox command one store and one load of its 16 bytes, which include the
answer. Nothing is read twice, and only state that is saved or loaded is read.
"""

from __future__ import annotations

#: accesses by purpose
ITEMS = {
    "stop-copy": {
        "pause: a command": 2,
        "VF is idle: four registers (two of them of the PF)": 4,
        "write-back: start, done": 2,
        "guest driver is loaded: VF_STATE": 1,
        "masks of EQ, AEQ and mailbox messages, page size": 4,
        "EQC and AEQC, seven words each": 14,
        "tables of SQC and CQC: a command each": 4,
        "pending interrupts: doorbells of EQ and AEQ": 2,
    },
    "load": {
        "masks of EQ, AEQ and mailbox messages, page size": 4,
        # A word of the migration data; the host's own, equal value is written
        "queue isolation": 1,
        "EQC and AEQC, seven words each": 14,
        "tables of SQC and CQC: a command each": 4,
        "guest driver is loaded: VF_STATE": 1,
        "restart of 8 queues: a doorbell each": 8,
        "pending interrupts: doorbells of EQ and AEQ": 2,
    },
}
ITEMS["pre-copy"] = ITEMS["stop-copy"]
#: sums
TOTALS = {way: sum(items.values()) for way, items in ITEMS.items()}
