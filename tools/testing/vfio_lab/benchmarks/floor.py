# SPDX-License-Identifier: GPL-2.0
"""The floor: how many register accesses the content of an image itself asks for.

Counted by hand from what the device offers, for a driver that trusts it
blindly: a register of the image costs one access, a command of the mailbox one
store and one load of its 16 bytes, which bring the answer along, too. Nothing is
asked twice, and no condition is looked at that the state to be saved or loaded
does not depend on.
"""

from __future__ import annotations

#: accesses by what they are for
ITEMS = {
    "stop-copy": {
        "pause: a command": 2,
        "nothing of the function is at work any more: four registers (two of them the PF's)": 4,
        "write-back: start, done": 2,
        "a driver is there: VF_STATE": 1,
        "masks of EQ, AEQ and messages, page size": 4,
        "EQC and AEQC, seven words each": 14,
        "tables of SQC and CQC: a command each": 4,
        "interrupts outstanding: doorbells of EQ and AEQ": 2,
    },
    "load": {
        "masks of EQ, AEQ and messages, page size": 4,
        # A word of the image, though it is this host's that is written: they are equal
        "isolation of queues": 1,
        "EQC and AEQC, seven words each": 14,
        "tables of SQC and CQC: a command each": 4,
        "a driver is there: VF_STATE": 1,
        "every queue told to go on (8 of them): a doorbell each": 8,
        "interrupts outstanding: doorbells of EQ and AEQ": 2,
    },
}
ITEMS["pre-copy"] = ITEMS["stop-copy"]
#: accesses in all, by way
TOTALS = {way: sum(items.values()) for way, items in ITEMS.items()}
