# SPDX-License-Identifier: GPL-2.0
"""The kselftests of these devices, hisi_acc_migration_*: how they are run in a host,
and the result of each test."""

from __future__ import annotations

import re

from collections.abc import Iterable
from pathlib import Path

from lab.core import versions
from lab.core.context import Context
from lab.build import kselftest

#: in the order in which they are run: the last may break a device with a driver that fails it
PROGRAMS = tuple(f"hisi_acc_migration_{theme}_test" for theme in ("bar", "states", "data", "reject", "reset"))
#: run only by the name of its test
ALONE = "hisi_acc_migration_pf_reset"
PASSED, SKIPPED = "passes", "-"

#: what all of it provokes: it reads the last word of the guest's half of the BAR
PROVOKED = r"sec 1: the device counted \d+ times: undefined-register"

# The BAR of hardware of V4 has no other half
_WITHOUT_A_HALF = {"reach_of_read_and_write", "reach_of_mmap", "reach_of_ioeventfd"}


def tests() -> dict[str, str]:
    """Each test, and the program that has it."""
    return {name: program for program in (*PROGRAMS, ALONE)
            for name in re.findall(r"^TEST\((\w+)\)$", (kselftest.OURS / f"{program}.c").read_text(encoding="utf-8"), re.M)}


def files(context: Context) -> dict[str, Path]:
    """What to push into a host (Choice.push)."""
    return {f"/lab/{program}": kselftest.program(program, context) for program in (*PROGRAMS, ALONE)}


def command(functions: Iterable[str], *names: str) -> str:
    """The line of shell that runs all tests on two VFs, or those that are named."""
    where = tests()
    programs = list(dict.fromkeys(where[name] for name in names)) or PROGRAMS
    arguments = " ".join((*(f"-t {name}" for name in names), *functions))
    return f"( failed=0; for test in {' '.join(programs)}; do /lab/$test {arguments} || failed=1; done; exit $failed ) 2>&1"


def verdicts(tap: str) -> dict[str, str]:
    """For each test that it passes, was skipped, fails or hangs."""
    found, hangs = {}, False
    for line in tap.splitlines():
        result = re.match(r"(not ok|ok) \d+ \w+\.(\w+)( # SKIP)?", line)
        if result:
            bad = "hangs" if hangs else "fails"
            found[result[2]] = bad if result[1] == "not ok" else SKIPPED if result[3] else PASSED
        hangs = not result and (hangs or line.endswith("Test terminated by timeout"))
    return found


def skips(version: str, layout: str = "v3") -> set[str]:
    """The tests that have nothing to say of our driver on a kernel and such hardware."""
    series = versions.SERIES[version.partition("-")[0]]
    return _WITHOUT_A_HALF if layout != "v3" and series.has("hw-v4") else set()


def wrong(tap: str, version: str, layout: str = "v3") -> dict[str, str]:
    """What is not as it has to be of our driver: all tests that were planned pass, and
    of a run of all of them those are skipped that have nothing to say, and no others."""
    found = verdicts(tap)
    planned = sum(map(int, re.findall(r"^1\.\.(\d+)$", tap, re.M)))
    if not found or len(found) != planned:
        return {"all": f"{len(found)} tests of {planned}", **found}
    left = skips(version, layout) if len(found) > 1 else set()
    return {name: verdict for name, verdict in found.items() if verdict != (SKIPPED if name in left else PASSED)} | \
        {name: "is not there" for name in left - set(found)}
