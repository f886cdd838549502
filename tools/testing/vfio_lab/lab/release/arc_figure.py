# SPDX-License-Identifier: GPL-2.0
"""Draws the driver's state machine from the table in migrate.c.

``vlab generate states`` writes the figure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ..core import paths
from ..core.errors import LabError

FIGURE = paths.ROOT / "Documentation/driver-api/hisi-acc-vfio-pci/states.dot"
#: one colour for each group of arcs
COLOURS = ("#b03030", "#808080", "#2060a0", "#208040")
#: what an arc without an undo of its own does when its action fails
NO_UNDO = "NULL"


@dataclass(frozen=True)
class Arc:
    """A row of the driver's table, and the comment that its group has."""

    start: str
    end: str
    action: str
    undo: str
    group: str


def arcs(source: Path = paths.DRIVER / "migrate.c") -> list[Arc]:
    """The rows of the driver's table, in its order."""
    table = re.search(r"^arcs\[[^\n]*\] = \{\n(.*?)^\};", source.read_text(encoding="utf-8"), re.M | re.S)
    if not table:
        raise LabError(f"{source} has no table of arcs any more.")
    found, group = [], ""
    for row in re.finditer(r"/\* (.+?) \*/|\[STATE\((\w+)\)\]\[STATE\((\w+)\)\] = \{\s+\.action = (\w+),"
                           r"(?:\s+\.undo = (\w+),)?(?:\s+\.needs = \w+,)?\s+\}", table[1]):
        group = row[1] or group
        if not row[1]:
            found.append(Arc(row[2], row[3], row[4], row[5] or "", group))
    if len(found) != table[1].count("STATE(") // 2:
        raise LabError(f"a row of the table of arcs in {source} has an unknown form.")
    return found


def dot(table: list[Arc]) -> str:
    """The figure, in graphviz' language."""
    groups = list(dict.fromkeys(arc.group for arc in table))
    lines = ["// SPDX-License-Identifier: GPL-2.0", "// Made by lab/release/arc_figure.py from the table in migrate.c",
             "digraph states {", '\tgraph [rankdir=TB, nodesep=0.7, ranksep=0.8, fontname="sans-serif", fontsize=11];',
             '\tnode [shape=box, style=rounded, fontname="sans-serif", fontsize=11];',
             '\tedge [fontname="sans-serif", fontsize=9];',
             "\t{ rank=same; RUNNING; PRE_COPY; }", "\t{ rank=same; RUNNING_P2P; PRE_COPY_P2P; }",
             "\t{ rank=same; STOP; STOP_COPY; }"]
    for arc in table:
        colour = COLOURS[groups.index(arc.group)]
        action = arc.action.removeprefix("hisi_acc_arc_").replace("_", " ")
        label = "" if action == "noop" else action
        lines.append(f'\t{arc.start} -> {arc.end} [label=" {label} ", color="{colour}", fontcolor="{colour}"];')
    return "\n".join([*lines, "}", ""])


def write() -> list[Path]:
    """Update the figure; which file it is."""
    FIGURE.write_text(dot(arcs()), encoding="utf-8")
    return [FIGURE]
