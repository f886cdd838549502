# SPDX-License-Identifier: GPL-2.0
"""The documentation must build without warnings, and must match the sources that it describes."""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path

import pytest

from lab.core import machine, paths, versions
from lab.core.errors import LabError
from lab.build import kernel_tree
from lab.build.kernel import sources
from lab.release import arc_figure, docs, test_table

GUIDE = paths.ROOT / "Documentation/admin-guide/hisi-acc-vfio-pci"
DATA_PAGE = paths.ROOT / "Documentation/driver-api/hisi-acc-vfio-pci/migration-data.rst"


def test_the_pages_are_built_without_a_warning(context, tmp_path):
    """The kernel's tools must build the pages without warnings."""
    assert docs.build(tmp_path / "docs", context).is_file()
    assert (tmp_path / "docs/dev-tools/vfio-lab/index.html").is_file()
    (figure,) = (tmp_path / "docs").glob("driver-api/*/_images/*.svg")
    assert "PRE_COPY_P2P" in figure.read_text()


def test_without_sphinx_the_error_is_one_sentence(context, tmp_path, monkeypatch):
    """If Sphinx is missing and cannot be installed, one line must say so before the build starts."""
    monkeypatch.setattr(machine, "missing", lambda packages: [p for p in packages if "sphinx" in p])
    monkeypatch.setattr(machine.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(machine.shutil, "which", lambda name: None)
    with pytest.raises(LabError, match="^To install python3-sphinx the lab must be root, and there is no sudo here.$"):
        docs.build(tmp_path / "docs", context)


def test_pages_for_a_kernels_tree_link_to_such_pages_only():
    """A page in the series must not link to one that is not."""
    pages = {Path(place): text for place, text in kernel_tree.driver_files(lab=False).items() if place.endswith(".rst")}
    stays = set(map(Path, kernel_tree.driver_files())) - set(pages)
    labels = {label for text in pages.values() for label in re.findall(r"^\.\. _([\w-]+):$", text, re.M)}
    for place, text in pages.items():
        for link in re.findall(r":doc:`([\w-]+)`", text) + re.findall(r"^   ([\w-]+)$", text, re.M):
            assert place.with_name(f"{link}.rst") not in stays, f"{place} links to {link}"
        assert set(re.findall(r":ref:`([\w-]+)`", text)) <= labels, place


def test_the_figure_is_the_tables():
    """The figure must match the driver's table of states."""
    arcs = arc_figure.arcs()
    assert len(arcs) == 15
    assert arc_figure.FIGURE.read_text() == arc_figure.dot(arcs), "vlab generate states writes it"


def test_each_test_has_a_docstring():
    """Each test of the driver and each file of tests must have a description; the generated pages
    must be up to date."""
    tests = [*test_table.generic(), *test_table.special(), *test_table.kunit()]
    files = [file for folder in test_table.lab().values() for file in folder]
    assert len(tests) > 180 and len(files) > 80
    assert [test.name for test in tests + files if not test.verifies] == []
    for page, text in test_table.pages().items():
        assert page.read_text() == text, "vlab generate tests writes it"


def test_the_table_of_migration_data_matches_the_source():
    """The table of migration data must match the offsets in the source."""
    source = (paths.DRIVER / "vf_data.c").read_text()
    placed = dict(re.findall(r"static_assert\(offsetof\(struct acc_vf_data, (\w+)\) == (\w+)\)", source))
    rows = re.findall(r"^   \* - (\d+)\n     - (\d+)\n     - (\w+)\n", DATA_PAGE.read_text(), re.M)
    offsets = {name: int(offset) for offset, _, name in rows}
    assert {n: int(o.replace("HISI_ACC_MATCH_SIZE", "40")) for n, o in placed.items()}.items() <= offsets.items()
    position = 0
    for offset, size, _ in rows:
        assert int(offset) == position
        position += int(size)
    assert position == 176


def test_the_abi_of_migration_data_matches_the_table():
    """The ABI document must have the same fields as the table."""
    page = (paths.ROOT / "Documentation/ABI/testing/vfio-hisi-acc-migration-data").read_text()
    rows = [(int(at), int(size)) for at, size in re.findall(r"^\t\t +(\d+) +(\d+)  \S", page, re.M)]
    starts = {int(at) for at in re.findall(r"^   \* - (\d+)\n     - \d+\n", DATA_PAGE.read_text(), re.M)}
    assert {at for at, _ in rows} <= starts
    assert [at + size for at, size in rows] == [at for at, _ in rows[1:]] + [176]


def test_messages_of_the_driver_are_its_own():
    """A message or a field that the guide quotes must be one that the driver prints."""
    source = "".join(place.read_text() for place in sorted(paths.DRIVER.glob("*.c")))
    printed = [re.sub(r"%\w+", "*", text) for text in re.findall(r'"([^"]+)\\n"', source)]
    _, fields, others = re.split(r"\n=====+\n", (GUIDE / "messages.rst").read_text())[-3:]
    alerts = re.search(r"^Alerts\n(.*)^Tracepoints\n", (GUIDE / "monitoring.rst").read_text(), re.M | re.S)
    quoted = re.findall(r"``([^`]+)``", "".join(re.findall(r"^   \* - (.+)$", others + alerts[1], re.M)))
    assert len(quoted) > 12 and [q for q in quoted if not fnmatch.filter(printed, f"*{q}*")] == []
    named = re.findall(r"^   \* - ([^,\n]+)$", fields, re.M)
    assert len(named) == 4 and [name for name in named if f'"{name}"' not in source] == []


@pytest.mark.parametrize("error", ["EBADMSG", "EPROTONOSUPPORT", "EOPNOTSUPP", "ERANGE", "EPROTO", "EFBIG", "ENODATA"])
def test_each_refusal_is_described(error):
    """Each errno for rejected data must be documented."""
    assert f"-{error}" in (paths.DRIVER / "vf_data.c").read_text()
    assert f"-{error}" in DATA_PAGE.read_text()


def test_a_kernel_without_the_places_for_the_pages_is_refused(context):
    """A kernel tree without the parent pages must be rejected."""
    with pytest.raises(LabError, match="has no page vfio"):
        kernel_tree.with_index("Documentation/driver-api/index.rst", "nothing\n")
    base = sources(versions.DEFAULT, context)
    text = kernel_tree.with_maintainers((base / "MAINTAINERS").read_text())
    assert text.count("VFIO MIGRATION LAB\n") == 1
