# SPDX-License-Identifier: GPL-2.0
"""What the device's kselftest, hisi_acc_migration_test, said of each of its tests."""

from __future__ import annotations

import re

from lab.core import versions

PASSED, SKIPPED = "passes", "-"

#: what all of it provokes: it reads the last word of the guest's half of the BAR
PROVOKED = r"sec 1: the device counted \d+ times: undefined-register"

# The BAR of hardware of V4 has no other half
_WITHOUT_A_HALF = {"reach_of_read_and_write", "reach_of_mmap", "reach_of_ioeventfd"}


def verdicts(tap: str) -> dict[str, str]:
    """For each test that it passes, was skipped, fails or hangs."""
    found, notes = {}, []
    for line in tap.splitlines():
        told = re.match(r"(not ok|ok) \d+ (\w+)( # SKIP)?", line)
        if not told:
            notes.append(line.removeprefix("# "))
            continue
        bad = "hangs" if "did not end" in notes else "fails"
        found[told[2]] = bad if told[1] == "not ok" else SKIPPED if told[3] else PASSED
        notes = []
    return found


def skips(version: str, layout: str = "v3") -> set[str]:
    """The tests that have nothing to say of our driver on a kernel and such hardware."""
    series = versions.SERIES[version.partition("-")[0]]
    return (set() if series.has("precopy-v2") else {"precopy_info_v2"}) | \
        (_WITHOUT_A_HALF if layout != "v3" and series.has("hw-v4") else set())


def wrong(tap: str, version: str, layout: str = "v3") -> dict[str, str]:
    """What is not as it has to be of our driver: all tests that were planned pass, and
    of a run of all of them those are skipped that have nothing to say, and no others."""
    found = verdicts(tap)
    planned = re.search(r"^1\.\.(\d+)$", tap, re.M)
    if not planned or len(found) != int(planned[1]) or not found:
        return {"all": f"{len(found)} tests of {planned[1] if planned else 'no plan'}", **found}
    left = skips(version, layout) if len(found) > 1 else set()
    return {name: verdict for name, verdict in found.items() if verdict != (SKIPPED if name in left else PASSED)} | \
        {name: "is not there" for name in left - set(found)}
