# SPDX-License-Identifier: GPL-2.0
"""A migration's phases as bars in a terminal."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Phase:
    """A phase of a migration, in seconds of time.monotonic()."""

    name: str
    where: str
    start: float
    end: float

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.end - self.start


def duration(seconds: float) -> str:
    """A duration with a suitable unit: 12.3 s, 45.6 ms, 789 us."""
    if seconds >= 1:
        return f"{seconds:.2f} s"
    if seconds >= 1e-3:
        return f"{seconds * 1e3:.1f} ms"
    return f"{seconds * 1e6:.0f} us"


def bars(phases: list[Phase], width: int = 40) -> list[str]:
    """Lines of text: a bar for each phase, all on one scale from the first start
    to the last end.  A phase shorter than a cell is shown as a mark."""
    if not phases:
        return []
    start = min(p.start for p in phases)
    span = max(max(p.end for p in phases) - start, 1e-9)
    name_width = max(len(p.name) for p in phases)
    where_width = max(len(p.where) for p in phases)
    lines = []
    for p in phases:
        left = min(int((p.start - start) / span * width), width - 1)
        cells = int(round(p.seconds / span * width))
        bar = "█" * min(cells, width - left) if cells else "▏"
        lines.append(f"{p.name:<{name_width}}  {p.where:<{where_width}}  "
                     f"{' ' * left}{bar}".ljust(name_width + where_width + width + 4)
                     + f"  {duration(p.seconds):>9}")
    return lines
