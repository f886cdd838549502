# SPDX-License-Identifier: GPL-2.0
"""Register accesses of each arc, from the device model's trace."""

from __future__ import annotations

import dataclasses
import pathlib
import tempfile

from lab.core.errors import LabError
from lab.probe import accesses
from lab.probe.accesses import Access

from .rig import Rig

#: kinds of accesses, in the order of the table
KINDS = ("pf reads", "pf writes", "reads", "writes", "mailboxes", "doorbells")


@dataclasses.dataclass(frozen=True)
class Arc:
    """One step of the program: accesses by kind, and accesses to the VF and the PF by
    direction and size."""

    way: str
    arc: str
    totals: dict[str, int]
    widths: dict[str, int]

    @property
    def all(self) -> int:
        """All accesses; writes include mailboxes and doorbells."""
        return sum(self.totals[k] for k in KINDS[:4])


def _widths(found: list[Access]) -> dict[str, int]:
    out: dict[str, int] = {}
    for a in found:
        # All VFs count as one
        key = f"{'vf' if a.vf else 'pf'} {'write' if a.write else 'read'} {a.size}"
        out[key] = out.get(key, 0) + 1
    return dict(sorted(out.items()))


def measure(rig: Rig) -> list[Arc]:
    """Run two saves and a restore between the first two VFs."""
    arcs: list[Arc] = []
    with tempfile.TemporaryDirectory(prefix="vlab-trace-") as folder:
        trace = pathlib.Path(folder) / "trace"
        process = rig.popen(f"walk {rig.vfs[0]} {rig.vfs[1]}")
        assert process.stdin and process.stdout
        step = ""
        for raw in process.stdout:
            line = raw.decode().strip()
            if line == "done":
                rig.host.set_model("sec", "access-trace", "")
                arcs.append(_arc(step, accesses.read(trace)))
            else:
                step = line
                rig.host.set_model("sec", "access-trace", str(trace))
            process.stdin.write(b"\n")
            process.stdin.flush()
        if process.wait(60):
            raise LabError(f"the program ended at step '{step}'")
    return arcs


def _arc(step: str, found: list[Access]) -> Arc:
    way, name = step.split()
    mine = {a.vf for a in found} - {0}
    if len(mine) > 1:
        raise LabError(f"{step}: accesses to VFs {sorted(mine)}, expected one VF")
    as_first = [dataclasses.replace(a, vf=min(a.vf, 1)) for a in found]
    return Arc(way, name, accesses.totals(as_first), _widths(found))
