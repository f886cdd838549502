# SPDX-License-Identifier: GPL-2.0
"""Conformance of a VFIO migration driver: the generic kselftests on its device, and the host's kernel log."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from ..core.errors import LabError
from ..build import kselftest
from ..scenario import expected
from ..scenario.host import Host
from . import leaks
from .uapi_rules import RULES

#: for any device and any driver
PROGRAMS = tuple(sorted(path.stem for path in kselftest.TREE.glob("vfio_pci_migration_*_test.c")))
#: needs a kernel with fault injection, and takes long
FAIL_NTH = "vfio_pci_migration_fail_nth"
#: libvfio's ways to an IOMMU, each a variant of a test
MODES = ("iommufd", "vfio_type1_iommu", "vfio_type1v2_iommu", "iommufd_compat_type1", "iommufd_compat_type1v2")
#: of the sample for QEMU's edu device, besides
OWN = {"edu": "edu_migration_test"}
#: the last check: what the host's kernel logged, and what it lost
HOST = "host"
PASSED, FAILED, SKIPPED = "ok", "not ok", "skip"
SECONDS = 900


@dataclasses.dataclass(frozen=True)
class Check:
    """One test, and its result: PASSED, FAILED, SKIPPED, or how it was left out (expected.HOW). `said` are the lines
    that explain it."""

    program: str
    name: str
    result: str
    said: tuple[str, ...] = ()

    @property
    def rule(self) -> str:
        """The sentence of the uAPI that a failure breaks."""
        return RULES.get(self.name, "")


@dataclasses.dataclass(frozen=True)
class Report:
    """All checks of a driver, and its list of expected results."""

    driver: str
    device: str
    kernel: str
    checks: tuple[Check, ...]
    known: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def surprise(self, check: Check) -> str:
        """How a result differs from what is expected, or ""."""
        how = self.known.get(check.name)
        if check.result == FAILED and how not in (expected.FAILS, expected.SOMETIMES):
            return "fails"
        if check.result == PASSED and how == expected.FAILS:
            return "passes, and is expected to fail"
        return ""

    @property
    def held(self) -> bool:
        """Whether every result is as expected, and there is one."""
        return bool(self.checks) and not any(map(self.surprise, self.checks))


def only(mode: str) -> str:
    """Options of the harness that select one mode."""
    return " ".join(f"-V {other}" for other in MODES if other != mode)


def checks(program: str, tap: str) -> list[Check]:
    """The results in a program's output; one check in place of those that are planned and absent."""
    found, said = [], []
    for line in tap.splitlines():
        match = re.match(r"((?:not )?ok) \d+ (?:\w+\.)+(\w+)(.*)$", line)
        if not match:
            said.append(line)
            continue
        verdict, name, rest = match.groups()
        result = SKIPPED if "# SKIP" in rest else verdict
        why = [text for text in said if text.startswith("# ") and not re.match(r"#  ?(RUN|Starting|PASSED|Totals| +OK)", text)]
        found.append(Check(program, name, result, tuple([rest.strip()] if result == SKIPPED else why if result == FAILED else ())))
        said = []
    plan = re.search(r"^1\.\.(\d+)(?: # SKIP (.*))?$", tap, re.M)
    if plan and plan[2]:
        return [Check(program, program, SKIPPED, (plan[2],))]
    planned = int(plan[1]) if plan else 1
    if len(found) < planned:
        last = tuple(tap.strip().splitlines()[-5:])
        found.append(Check(program, program, FAILED, (f"{planned - len(found)} of {planned} tests have no result", *last)))
    return found


def _log(host: Host, left: str) -> Check:
    """What the kernel logged that it should not, and memory that it lost."""
    said = [*host.unexpected(), *left.splitlines()]
    return Check(HOST, "kernel_log", FAILED if said else PASSED, tuple(said))


def run(host: Host, address: str, known: Mapping[str, str], programs: Sequence[str] = PROGRAMS, mode: str = MODES[0],
        note: Callable[[str], None] = lambda program: None) -> Iterable[Check]:
    """Run the programs on a bound device, a PCI address or a directory in sysfs, one after the other. Tests that
    `known` says hang are left out. `note` is called with each program before it runs."""
    skip = [name for name, how in known.items() if how in (expected.HANGS, expected.NOT_RUN)]
    leaks.forget(host)
    for program in programs:
        note(program)
        line = f"cd {kselftest.REMOTE}/vfio && ./{program} {' '.join(f'-T {name}' for name in skip)} {only(mode) if program not in OWN.values() else ''} {address} 2>&1"
        try:
            done = host.ssh.run(line, timeout=SECONDS, check=False)
        except LabError as e:
            # the device is in use, and the kernel may be stuck
            yield Check(program, program, FAILED, (str(e), *host.unexpected()))
            return
        yield from checks(program, done.stdout)
    yield from (Check("", name, known[name]) for name in skip)
    yield _log(host, leaks.lost(host))
