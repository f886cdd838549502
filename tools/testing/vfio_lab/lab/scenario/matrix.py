# SPDX-License-Identifier: GPL-2.0
"""Table of kernels, QEMUs and IOMMU backends; each cell is a migration under load."""

from __future__ import annotations

import dataclasses
import datetime
import json
import pathlib
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from ..core import versions
from ..core.context import Context
from ..core.errors import LabError
from ..core.progress import Steps
from ..build import kernel, rootfs
from . import report
from .config import BACKENDS, HostConfig, MigrationConfig
from .migration import Outcome
from .session import Session

#: whether each backend is tested on an SMMU with dirty tracking (HTTU)
HTTU = {"iommufd": True, "container": False}
#: names of the backends in the tables
NAMES = {"iommufd": "iommufd, SMMU with HTTU", "container": "container (type1), SMMU without HTTU"}
#: maximum length of a quoted message
QUOTED = 200


@dataclasses.dataclass(frozen=True)
class End:
    """Kernel and QEMU of a host."""

    kernel: str
    vmm: str

    def __str__(self) -> str:
        return f"Linux {self.kernel}, QEMU {self.vmm}"


@dataclasses.dataclass(frozen=True)
class Cell:
    """One migration, from one host to another."""

    source: End
    destination: End
    backend: str

    @property
    def name(self) -> str:
        """Name of its log directory."""
        ends = dict.fromkeys(f"{end.kernel}-qemu-{end.vmm}" for end in (self.source, self.destination))
        return "-to-".join((*ends, self.backend))


@dataclasses.dataclass(frozen=True)
class Result:
    """Result of a cell: "passes", "refused", "fails" or "not available", the message, and
    whether versions.py expects it.  `where` has the exact versions."""

    verdict: str
    words: str
    expected: bool
    where: Mapping[str, str] = dataclasses.field(default_factory=dict)
    seconds: float = 0

    def __str__(self) -> str:
        text = f"{self.verdict}: {self.words}" if self.words else self.verdict
        return text if self.expected else f"{text} (NOT EXPECTED)"


def same(kernels: Iterable[str], vmms: Iterable[str], backends: Iterable[str]) -> list[Cell]:
    """The cells between hosts with the same kernel and QEMU."""
    return [Cell(End(series, vmm), End(series, vmm), backend)
            for series in kernels for vmm in vmms for backend in backends]


def directions(kernels: Iterable[str], vmms: Iterable[str], backends: Iterable[str]) -> list[Cell]:
    """The cells between hosts with different kernels and one QEMU, and between hosts
    with one kernel and different QEMUs."""
    ends = [End(series, vmm) for series in kernels for vmm in vmms]
    return [Cell(source, destination, backend) for source in ends for destination in ends for backend in backends
            if (source.kernel == destination.kernel) != (source.vmm == destination.vmm)]


def missing(cell: Cell, context: Context) -> str:
    """What neither the cache nor the mirror has, or ""."""
    for end in (cell.source, cell.destination):
        if kernel.available(end.kernel, context) is None:
            return f"this machine's mirror has no kernel {end.kernel}"
        if not rootfs.has_vmm(versions.VMM[end.vmm], context):
            return f"this machine's mirror has no QEMU {end.vmm}"
    return ""


def judge(cell: Cell, outcome: Outcome) -> tuple[str, str, bool]:
    """Verdict and message of a cell, and whether versions.py expects them."""
    wanted = versions.refusal(versions.SERIES[cell.source.kernel], versions.VMM[cell.source.vmm],
                              versions.SERIES[cell.destination.kernel], versions.VMM[cell.destination.vmm])
    if outcome.held:
        return "passes", "", wanted is None
    if outcome.refusal:
        return "refused", _quoted(outcome.refusal), wanted is not None and wanted in outcome.refusal
    return "fails", _quoted(outcome.failures[0]), False


def _quoted(words: str) -> str:
    """QEMU's message without what differs between runs."""
    words = " ".join(re.sub(r"\bqemu-system-\S+: ", "", words).split())
    return words if len(words) <= QUOTED else words[:QUOTED - 1] + "…"


def migrated(cell: Cell, engines: tuple[str, ...], steps: Steps, folder: pathlib.Path) -> Outcome:
    """Boot the cell's hosts and migrate; the logs go to the directory."""
    source, destination = (HostConfig(kernel=end.kernel, vmm=end.vmm, httu=HTTU[cell.backend], engines=engines)
                           for end in (cell.source, cell.destination))
    with Session(steps, folder / cell.name) as session:
        return session.migrate(source, destination, migration=MigrationConfig(backend=cell.backend))


def run(cells: Iterable[Cell], absent: Callable[[Cell], str], migrate: Callable[[Cell], Outcome],
        tell: Callable[[str], None]) -> Iterator[tuple[Cell, Result]]:
    """Run the cells one after another; a failed cell does not end the run."""
    for cell in cells:
        reason = absent(cell)
        if reason:
            yield cell, Result("not available", reason, True)
            continue
        tell(f"{cell.source} to {cell.destination}, {cell.backend}")
        began = time.monotonic()
        try:
            outcome = migrate(cell)
        except LabError as e:
            outcome = Outcome(failures=[str(e)])
        verdict, words, expected = judge(cell, outcome)
        yield cell, Result(verdict, words, expected, outcome.where, round(time.monotonic() - began, 1))


def ran(results: Mapping[Cell, Result]) -> list[str]:
    """The exact versions of the cells' series."""
    found: set[str] = set()
    for result in results.values():
        for name in ("source", "destination"):
            found |= set(re.findall(r"Linux [^ ,]+|QEMU [^ ,]+", result.where.get(name, "")))
    return sorted(found)


def tables(results: Mapping[Cell, Result]) -> list[tuple[list[str], list[list[str]]]]:
    """Header and rows of the one or two tables of the results."""
    backends = [name for name in BACKENDS if any(cell.backend == name for cell in results)]
    rows: dict[bool, dict[tuple[str, str], dict[str, Result]]] = {True: {}, False: {}}
    for cell, result in results.items():
        alike = cell.source == cell.destination
        row = (cell.source.kernel, cell.source.vmm) if alike else (str(cell.source), str(cell.destination))
        rows[alike].setdefault(row, {})[cell.backend] = result
    found = []
    for alike, head in ((True, ["kernel", "QEMU"]), (False, ["source", "destination"])):
        if rows[alike]:
            found.append(([*head, *(NAMES[name] for name in backends)],
                          [[*row, *(str(cells[name]) if name in cells else "" for name in backends)]
                           for row, cells in rows[alike].items()]))
    return found


def markdown(results: Mapping[Cell, Result]) -> str:
    """The tables as Markdown, for a terminal."""
    lines: list[str] = []
    for head, rows in tables(results):
        lines += ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)] + [""]
    lines += [f"{_today()}: {'; '.join(ran(results))}"]
    return "\n".join(lines)


PAGE = """\
.. SPDX-License-Identifier: GPL-2.0

===================
What migrates where
===================

Made by ``vlab matrix`` on {date}, with:

{versions}

Each cell is a migration of a guest with one VF ({engines}) under load that passed every
check of ``vlab demo``, or what QEMU said. Between hosts with different QEMUs the guest
has the machine type of the older one.
"""


def page(results: Mapping[Cell, Result], engines: Iterable[str]) -> str:
    """The tables as a page of the documentation."""
    lines = [PAGE.format(date=_today(), versions="\n".join(f"- {version}" for version in ran(results)), engines=", ".join(engines))]
    for head, rows in tables(results):
        lines += [".. list-table::", "   :header-rows: 1", "   :widths: 1 1 2 2", ""]
        for row in (head, *rows):
            lines += [f"   {'*' if not n else ' '} - {text}".rstrip() for n, text in enumerate(row)]
        lines += [""]
    return "\n".join(lines)


def _today() -> str:
    return datetime.date.today().isoformat()


def write(results: Mapping[Cell, Result], engines: tuple[str, ...], folder: pathlib.Path) -> None:
    """matrix.json and matrix.rst."""
    data = {"date": _today(), "engines": engines, "versions": ran(results),
            "cells": [{**dataclasses.asdict(cell), **dataclasses.asdict(result)} for cell, result in results.items()]}
    report.replace(folder / "matrix.json", json.dumps(data, indent=2) + "\n")
    report.replace(folder / "matrix.rst", page(results, engines))
