# SPDX-License-Identifier: GPL-2.0
"""Draws the lab for README: what runs where, and which of it is the project's.

``vlab generate overview`` writes the picture.
"""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

from ..core import paths

FIGURE = paths.LAB / "overview.svg"
WIDTH, HEIGHT = 830, 408
#: left edges of the two hosts, and their width
HOSTS, HOST_WIDTH = {"source": 30, "destination": 455}, 345
STYLE = """\
text { font: 14px "DejaVu Sans", Arial, sans-serif; fill: #202020; }
.small { font-size: 12px; }
.title { font-weight: bold; }
rect { stroke: #606060; }
.machine { fill: #f4f4f4; }
.host { fill: #e2e8f0; }
.stock { fill: #ffffff; }
.project { fill: #cfe8cf; stroke: #2e7d32; stroke-width: 2; }
line { stroke: #2e7d32; stroke-width: 3; }"""


def _box(x: int, y: int, width: int, height: int, kind: str, *lines: str) -> list[str]:
    """A box; its first line is larger."""
    drawn = [f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="5"/>']
    for number, line in enumerate(lines):
        drawn.append(f'<text class="{"title" if not number else "small"}" x="{x + 10}" y="{y + 20 + 17 * number}">{escape(line)}</text>')
    return drawn


def _host(name: str, left: int) -> list[str]:
    inner, width = left + 12, HOST_WIDTH - 24
    return [
        *_box(left, 60, HOST_WIDTH, 298, "host", f"Host {name}: emulated arm64 server"),
        *_box(inner, 92, width, 80, "stock", "Guest: stock Linux", "stock driver of SEC, ZIP or HPRE on a VF,",
              "load that compares each result with software,", "in stock Debian QEMU with KVM, -device vfio-pci"),
        *_box(inner, 182, width, 48, "project", "hisi_acc_vfio_pci: the driver", "stop, save, load and restart of VFs"),
        *_box(inner, 240, width, 48, "stock", "Stock Linux: VFIO, iommufd, hisi_qm", "PF with the accelerator's own driver"),
        *_box(inner, 298, width, 48, "project", "Device model: PF with up to 63 VFs",
              "and an SMMUv3 with HTTU; outer QEMU, by TCG"),
    ]


def picture() -> str:
    """The picture as SVG."""
    middle = HOSTS["source"] + HOST_WIDTH
    rows = [*_box(8, 8, WIDTH - 16, HEIGHT - 16, "machine", "This machine: vlab boots both hosts, migrates the guest, "
                                                           "and judges what arrived")]
    for name, left in HOSTS.items():
        rows += _host(name, left)
    rows += [f'<line x1="{middle - 12}" y1="132" x2="{HOSTS["destination"] + 2}" y2="132" marker-end="url(#tip)"/>',
             f'<text class="small" x="{HOSTS["source"] + 12}" y="382">Green: this project. White: as released by Debian and '
             'the kernel.</text>',
             f'<text class="small" x="{HOSTS["destination"] + 12}" y="382">Arrow: memory, and migration data of each VF</text>']
    return "\n".join(["<!-- SPDX-License-Identifier: GPL-2.0 -->", "<!-- made by lab/release/overview.py -->",
                      f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">',
                      f"<style>\n{STYLE}\n</style>",
                      '<defs><marker id="tip" viewBox="0 0 10 10" refX="7" refY="5" markerWidth="5" markerHeight="5" orient="auto">'
                      '<path d="M 0 0 L 10 5 L 0 10 z" fill="#2e7d32"/></marker></defs>', *rows, "</svg>", ""])


def write() -> list[Path]:
    """Update the picture; which file it is."""
    FIGURE.write_text(picture(), encoding="utf-8")
    return [FIGURE]
