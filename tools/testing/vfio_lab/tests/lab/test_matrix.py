# SPDX-License-Identifier: GPL-2.0
"""The table of migrations between kernels, QEMU releases and backends: contents of each cell, and
the overall result."""

from __future__ import annotations

import json
import pathlib

import pytest

from lab.core import versions
from lab.core.errors import LabError
from lab.scenario import matrix
from lab.scenario.config import BACKENDS
from lab.scenario.matrix import Cell, End
from lab.scenario.migration import Outcome
from lab.cli import main as cli, migrations

NEW, OLD = versions.VMMS[-1].name, versions.VMMS[0].name
HERE = End(versions.DEFAULT, OLD)
ALIKE = Cell(HERE, HERE, "iommufd")
#: between kernels that this QEMU cannot migrate a guest across
ACROSS = Cell(End(versions.LTS, OLD), HERE, "iommufd")
WHERE = dict.fromkeys(("source", "destination"), "Linux 7.9.1, QEMU 9.9.9, this driver on 0000:00:08.1")


def results(cells, outcomes, absent=lambda cell: ""):
    """The matrix of these cells, with the outcomes of each cell's backend and hosts."""
    def migrate(cell):
        outcome = outcomes[cell]
        if isinstance(outcome, LabError):
            raise outcome
        return outcome

    return dict(matrix.run(cells, absent, migrate, lambda text: None))


def test_each_cell_is_there_once():
    """The table must have every kernel, QEMU and backend, and each pair of hosts must differ in
    exactly one of kernel and QEMU."""
    cells = matrix.same(versions.SERIES, versions.VMM, BACKENDS)
    assert len(set(cells)) == len(versions.KERNELS) * len(versions.VMMS) * len(BACKENDS)
    assert all(cell.source == cell.destination for cell in cells)
    others = matrix.directions(versions.SERIES, versions.VMM, ("iommufd",))
    kernels, vmms = len(versions.KERNELS), len(versions.VMMS)
    assert len(set(others)) == kernels * (kernels - 1) * vmms + vmms * (vmms - 1) * kernels
    assert not any((cell.source.kernel != cell.destination.kernel) and (cell.source.vmm != cell.destination.vmm)
                   for cell in others)
    assert len({cell.name for cell in (*cells, *others)}) == len(cells) + len(others)


def test_a_cell_passes_only_if_every_check_did():
    """One error must make a cell fail; between equal hosts only a passing cell is expected."""
    found = results([ALIKE], {ALIKE: Outcome()})
    assert (found[ALIKE].verdict, found[ALIKE].expected) == ("passes", True)
    found = results([ALIKE], {ALIKE: Outcome(failures=["lane 3 differs", "more"])})
    assert (found[ALIKE].verdict, found[ALIKE].words, found[ALIKE].expected) == ("fails", "lane 3 differs", False)
    found = results([ALIKE], {ALIKE: LabError("the host went down")})
    assert (found[ALIKE].verdict, found[ALIKE].words, found[ALIKE].expected) == ("fails", "the host went down", False)


def test_a_refusal_is_expected_with_its_message_only():
    """A refusal must be expected only with the text of versions.py; neither another text nor a pass may be."""
    words = versions.VMMS[0].lacks["guest-of-older-kernel"]
    said = f"qemu-system-aarch64: {words}\nqemu-system-aarch64: load of migration failed"
    found = results([ACROSS], {ACROSS: Outcome(failures=["x"], refusal=said)})[ACROSS]
    assert found.expected and str(found) == f"refused: {words} load of migration failed"
    found = results([ACROSS], {ACROSS: Outcome(failures=["x"], refusal="out of memory")})[ACROSS]
    assert not found.expected and str(found) == "refused: out of memory (NOT EXPECTED)"
    assert not results([ACROSS], {ACROSS: Outcome()})[ACROSS].expected
    assert not results([ALIKE], {ALIKE: Outcome(failures=["x"], refusal=said)})[ALIKE].expected


def test_what_the_mirror_lacks_is_skipped_with_a_note():
    """A cell whose kernel or QEMU is missing must not run with another one."""
    found = results([ALIKE, ACROSS], {ALIKE: Outcome()}, lambda cell: "no kernel" if cell is ACROSS else "")
    assert str(found[ACROSS]) == "not available: no kernel" and found[ACROSS].expected
    assert found[ALIKE].verdict == "passes"


class Mirror:
    """A context with an empty cache and a mirror with these sources only."""

    def __init__(self, **sources: str) -> None:
        self.sources = sources
        self.cache, self.apt = self, self

    newest = peek = staticmethod(lambda *_: None)

    def candidate(self, package: str) -> str | None:
        """Of kernel sources."""
        return self.sources.get(package.removeprefix("linux-source-").replace(".", "_"))

    def source_versions(self, package: str) -> list[str]:
        """Of QEMU."""
        return self.sources[package].split()


def test_the_reason_names_what_is_missing():
    """The reason must name the kernel or QEMU that the mirror lacks."""
    new = Cell(End(versions.DEFAULT, NEW), End(versions.DEFAULT, NEW), "iommufd")
    kernel = f"k{versions.DEFAULT}".replace(".", "_").removeprefix("k")
    assert matrix.missing(ALIKE, Mirror(qemu="")) == f"this machine's mirror has no kernel {versions.DEFAULT}"
    mirror = Mirror(qemu=f"1:{OLD}.13+ds-0", **{kernel: "1"})
    assert matrix.missing(ALIKE, mirror) == ""
    assert matrix.missing(new, mirror) == f"this machine's mirror has no QEMU {NEW}"
    assert matrix.missing(new, Mirror(qemu=f"1:{NEW}.3+ds-1", **{kernel: "1"})) == ""
    assert matrix.missing(new, Mirror(qemu=f"1:{NEW}0.3+ds-1", **{kernel: "1"})) != ""


def test_tables_and_files_have_every_cell(tmp_path):
    """Markdown, page and JSON must agree, with the exact versions that ran."""
    container = Cell(HERE, HERE, "container")
    found = results([ALIKE, container, ACROSS], {
        ALIKE: Outcome(where=WHERE), container: Outcome(failures=["lost"], where=WHERE),
        ACROSS: Outcome(failures=["x"], refusal=versions.VMMS[0].lacks["guest-of-older-kernel"])})
    text = matrix.markdown(found)
    assert f"| {HERE.kernel} | {HERE.vmm} | passes | fails: lost (NOT EXPECTED) |" in text
    assert f"| {ACROSS.source} | {HERE} | refused: Failed to load" in text
    assert "Linux 7.9.1; QEMU 9.9.9" in text
    matrix.write(found, ("sec",), tmp_path)
    told = json.loads((tmp_path / "matrix.json").read_text())
    assert [cell["verdict"] for cell in told["cells"]] == ["passes", "fails", "refused"]
    assert [cell["expected"] for cell in told["cells"]] == [True, False, True]
    page = (tmp_path / "matrix.rst").read_text()
    assert page.count("list-table") == 2 and "     - passes\n     - fails: lost (NOT EXPECTED)\n" in page


@pytest.mark.parametrize("outcome, status", [(Outcome(), 0), (Outcome(failures=["lost"]), 1)])
def test_the_status_is_that_of_all_cells(monkeypatch, tmp_path, capsys, outcome, status):
    """`vlab matrix` must run the cells that its options select, and exit 0 only if every cell is as
    expected."""
    ran = []

    def migrated(cell, *_):
        ran.append(cell)
        return outcome if cell.backend == "container" else Outcome()

    monkeypatch.setattr(matrix, "missing", lambda *_: "")
    monkeypatch.setattr(matrix, "migrated", migrated)
    monkeypatch.setattr(migrations.parts, "build", lambda *_: None)
    monkeypatch.setattr(cli.paths, "BUILD", pathlib.Path(tmp_path))
    assert cli.main(["matrix", "--kernel", versions.LTS, "--vmm", NEW]) == status
    end = End(versions.LTS, NEW)
    assert ran == [Cell(end, end, backend) for backend in BACKENDS]
    assert f"| {versions.LTS} | {NEW} | passes |" in capsys.readouterr().out


@pytest.mark.long("migrates six times or more")
def test_every_cell_is_as_expected():
    """Every cell must be as versions.py expects."""
    assert cli.main(["matrix", "--directions", "--backend", "iommufd"]) == 0
    assert cli.main(["matrix", "--backend", "container"]) == 0
