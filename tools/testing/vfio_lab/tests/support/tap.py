# SPDX-License-Identifier: GPL-2.0
"""The hisi_acc kselftests, and some of those for any device: how to run them in a host, and each
test's result."""

from __future__ import annotations

import re

from collections.abc import Iterable, Sequence
from pathlib import Path

from lab.core import versions
from lab.core.context import Context
from lab.build import kselftest
from lab.probe.conformance import MODES, only

#: in the order of execution: the last may break a device if the driver fails it
PROGRAMS = tuple(f"hisi_acc_migration_{theme}_test" for theme in ("bar", "states", "data", "reject", "reset"))
#: run only if named
ALONE = "hisi_acc_migration_pf_reset"
#: for any device, run only if named, on the first of the VFs
GENERIC = ("vfio_pci_migration_reset_test", "vfio_pci_migration_threads_test")
PASSED, SKIPPED = "passes", "-"

#: messages that all of them cause: they read the last word of the guest's part of BAR2
PROVOKED = r"sec \d+: the device counted \d+ times: undefined-register"

# On V4 the BAR has no other part
_WITHOUT_A_HALF = {"reach_of_read_and_write", "reach_of_mmap", "reach_of_ioeventfd", "reach_of_dma_buf"}


def tests() -> dict[str, str]:
    """Each test and its program. Of two of one name it is that for these devices."""
    return {name: program for program in (*GENERIC, *PROGRAMS, ALONE)
            for name in re.findall(r"^TEST(?:\(|_F\(migration, )(\w+)\)$",
                                   (kselftest.TREE / f"{program}.c").read_text(encoding="utf-8"), re.M)}


def files(context: Context) -> dict[str, Path]:
    """Files to push into a host (HostConfig.push)."""
    return {f"/lab/{program}": kselftest.program(program, context) for program in (*PROGRAMS, ALONE, *GENERIC)}


def _line(program: str, names: Sequence[str], vfs: Sequence[str]) -> str:
    """The command that runs a program, or the tests named."""
    selected = [f"-t {name}" for name in names]
    if program in GENERIC:
        return " ".join((f"/lab/{program}", only(MODES[0]), *selected, vfs[0]))
    return " ".join((f"/lab/{program}", *selected, *vfs))


def command(vfs: Iterable[str], *names: str) -> str:
    """The shell command that runs all hisi_acc tests, or those named, on two VFs."""
    where, vfs = tests(), list(vfs)
    programs = {where[name]: [other for other in names if where[other] == where[name]] for name in names} or \
        {program: [] for program in PROGRAMS}
    lines = " ".join(f"{_line(program, own, vfs)} || failed=1;" for program, own in programs.items())
    return f"( failed=0; {lines} exit $failed ) 2>&1"


def apart(vfs: Sequence[str]) -> str:
    """The shell command that runs all programs at once, each on two VFs of its own: they wait for
    resets most of the time."""
    lines = ["failed=0"]
    for program, pair in zip(PROGRAMS, zip(vfs[::2], vfs[1::2]), strict=True):
        lines.append(f"/lab/{program} {' '.join(pair)} > /run/{program}.tap 2>&1 & {program}=$!")
    lines += [f"wait ${program} || failed=1; cat /run/{program}.tap" for program in PROGRAMS]
    return "\n".join((*lines, "exit $failed"))


def verdicts(tap: str) -> dict[str, str]:
    """Result of each test: passed, skipped, failed or hanging."""
    found, hangs = {}, False
    for line in tap.splitlines():
        result = re.match(r"(not ok|ok) \d+ (?:\w+\.)+(\w+)( # SKIP)?", line)
        if result:
            bad = "hangs" if hangs else "fails"
            found[result[2]] = bad if result[1] == "not ok" else SKIPPED if result[3] else PASSED
        hangs = not result and (hangs or line.endswith("Test terminated by timeout"))
    return found


def skips(version: str, layout: str = "v3") -> set[str]:
    """Tests that do not apply to this driver, with this kernel and hardware."""
    series = versions.SERIES[version.partition("-")[0]]
    return _WITHOUT_A_HALF if layout != "v3" and series.has("hw-v4") else set()


def wrong(tap: str, version: str, layout: str = "v3") -> dict[str, str]:
    """Unexpected results for this driver: each planned test must pass, and exactly those that do
    not apply must be skipped."""
    found = verdicts(tap)
    planned = sum(map(int, re.findall(r"^1\.\.(\d+)$", tap, re.M)))
    if not found or len(found) != planned:
        return {"all": f"{len(found)} tests of {planned}", **found}
    left = skips(version, layout) if len(found) > 1 else set()
    return {name: verdict for name, verdict in found.items() if verdict != (SKIPPED if name in left else PASSED)} | \
        {name: "is not there" for name in left - set(found)}
