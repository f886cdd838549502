# SPDX-License-Identifier: GPL-2.0
"""Draws which guest of a fleet ran where and when, from a run of ``vlab fleet``."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from ..scenario.fleet import Member, Move, Stay, Story

WIDTH, LEFT, RIGHT, TOP = 900, 150, 40, 40
#: of a guest's bar, of the space between hosts, and of the legend
BAR, GAP, LEGEND = 20, 14, 44
COLOURS = ("#4e79a7", "#f28e2b", "#59a14f", "#b07aa1", "#76b7b2", "#9c755f", "#edc948", "#e15759")
KINDS = {"older": "in-tree driver", "newer": "this driver", "dead": "host is dead", "move": "migration",
         "failed": "failed migration"}
STYLE = """\
text { font: 12px "DejaVu Sans", Arial, sans-serif; fill: #202020; }
.name { font-weight: bold; font-size: 14px; }
.guest { fill: #ffffff; }
.older { fill: #ececec; }
.newer { fill: #d6ecd6; }
.dead { fill: #505050; }
.move { stroke: #202020; stroke-width: 1.5; fill: none; }
.failed { stroke: #c00000; stroke-width: 1.5; stroke-dasharray: 4 3; fill: none; }
.tick { stroke: #b0b0b0; }"""


def _rows(stays: Sequence[Stay]) -> dict[int, int]:
    """The row of each stay on its host, by the stay's id: the first that is free when it begins."""
    rows: dict[int, int] = {}
    ends: list[float] = []
    for stay in sorted(stays, key=lambda one: one.start):
        row = next((n for n, end in enumerate(ends) if end <= stay.start), len(ends))
        ends[row:row + 1] = [stay.end]
        rows[id(stay)] = row
    return rows


class _Drawing:
    """The elements of a picture, from top to bottom."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self._span = max(story.seconds, 1e-9)
        self._guests = list(dict.fromkeys(stay.guest for stay in story.stays))
        #: the middle of each stay's bar, by its id
        self._middles: dict[int, float] = {}
        self.elements: list[str] = []
        self.top = float(TOP)

    def _x(self, seconds: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * seconds / self._span, 1)

    def _background(self, member: Member, height: float) -> None:
        """Which driver the host has, and when it dies."""
        dead = self._story.deaths.get(member.name, self._story.seconds)
        newer = 0.0
        if member.driver == "in-tree":
            newer = self._story.upgrades[member.name][1] if member.name in self._story.upgrades else dead
        for kind, start, stop in (("older", 0.0, newer), ("newer", newer, dead), ("dead", dead, self._story.seconds)):
            if stop > start:
                self.elements.append(f'<rect class="{kind}" x="{self._x(start)}" y="{self.top}" '
                                     f'width="{round(self._x(stop) - self._x(start), 1)}" height="{height}"/>')

    def host(self, member: Member) -> None:
        """A host's band, with a bar for each stay of a guest."""
        stays = [stay for stay in self._story.stays if stay.host == member.name]
        rows = _rows(stays)
        height = (max(rows.values(), default=0) + 1) * (BAR + 4) + 8
        self._background(member, height)
        self.elements += [f'<text class="name" x="8" y="{self.top + 18}">{escape(member.name)}</text>',
                          f'<text x="8" y="{self.top + 34}">QEMU {escape(member.vmm.name)}</text>']
        if member.name in self._story.deaths:
            at = self._x(self._story.deaths[member.name])
            self.elements.append(f'<text class="guest" x="{at + 6}" y="{self.top + 18}">dies</text>')
        for stay in stays:
            y = self.top + 6 + rows[id(stay)] * (BAR + 4)
            self._middles[id(stay)] = y + BAR / 2
            left, width = self._x(stay.start), round(self._x(stay.end) - self._x(stay.start), 1)
            colour = COLOURS[self._guests.index(stay.guest) % len(COLOURS)]
            self.elements.append(f'<rect fill="{colour}" x="{left}" y="{y}" width="{width}" height="{BAR}" rx="3"/>')
            if width > 7 * len(stay.guest):
                self.elements.append(f'<text class="guest" x="{left + 4}" y="{y + 15}">{escape(stay.guest)}</text>')
        self.top += height + GAP

    def move(self, move: Move) -> None:
        """A migration, from the guest's bar to its next one, or to the host that it did not reach."""
        stays = self._story.stays
        before = next(stay for stay in reversed(stays) if stay.guest == move.guest and stay.host == move.source and stay.start <= move.start)
        after = next((stay for stay in stays if stay.host == move.destination and
                      (not move.completed or stay.guest == move.guest and stay.start >= move.end)), None)
        if after:
            self.elements.append(f'<path class="{"move" if move.completed else "failed"}" d="M {self._x(move.start)} '
                                 f'{self._middles[id(before)]} L {self._x(move.end)} {self._middles[id(after)]}"/>')

    def scale(self) -> None:
        """Minutes and seconds since the start."""
        step = next((n for n in (10, 30, 60, 120, 300, 600, 1800) if self._span / n <= 12), 3600)
        for seconds in range(0, int(self._span) + 1, step):
            x = self._x(seconds)
            self.elements += [f'<line class="tick" x1="{x}" y1="{TOP - 8}" x2="{x}" y2="{self.top}"/>',
                              f'<text x="{x + 2}" y="{TOP - 12}">{seconds // 60}:{seconds % 60:02d}</text>']

    def legend(self) -> None:
        """What the colours and lines are."""
        for number, (kind, words) in enumerate(KINDS.items()):
            left, y = LEFT + 146 * number, self.top
            self.elements += [f'<path class="{kind}" d="M {left} {y + 15} L {left + 22} {y + 15}"/>' if kind in ("move", "failed") else
                              f'<rect class="{kind}" x="{left}" y="{y + 8}" width="22" height="14"/>',
                              f'<text x="{left + 28}" y="{y + 20}">{words}</text>']


def picture(story: Story, members: Sequence[Member]) -> str:
    """The picture as SVG: a band for each host, in it a bar for each guest, a line for each migration."""
    drawing = _Drawing(story)
    for member in members:
        drawing.host(member)
    for move in story.moves:
        drawing.move(move)
    drawing.scale()
    drawing.legend()
    height = round(drawing.top + LEGEND)
    return "\n".join(["<!-- SPDX-License-Identifier: GPL-2.0 -->", "<!-- made by vlab fleet -->",
                      f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">',
                      f"<style>\n{STYLE}\n</style>", f'<rect fill="#ffffff" x="0" y="0" width="{WIDTH}" height="{height}"/>',
                      *drawing.elements, "</svg>", ""])
