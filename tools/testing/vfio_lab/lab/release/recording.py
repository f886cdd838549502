# SPDX-License-Identifier: GPL-2.0
"""Records a command as an SVG animation.

``vlab generate demo`` runs and records the demo; a viewer without animation shows the
last frame.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path
from xml.sax.saxutils import escape

from ..core import paths
from ..core.errors import LabError

FIGURE = paths.LAB / "demo.svg"
DEMO = ["make", "demo"]
README = paths.ROOT / "README.md"
#: how the demo's last part begins
BEGIN = "What ran where"
SUMMARY = re.compile(rf"^```\n{BEGIN}\n.*?^```\n", re.M | re.S)
COLUMNS, LINE, WIDTH, MARGIN = 100, 17, 7.85, 14
#: no pause in the picture is longer than this (seconds)
PAUSE = 1.5

STYLE = """\
text { font: 13px "DejaVu Sans Mono", monospace; fill: #d0d0d0; white-space: pre; }
.said { fill: #80c0ff; }
.good { fill: #90e090; }
.line { animation: come 0.01s both; }
@keyframes come { from { opacity: 0; } to { opacity: 1; } }
@media (prefers-reduced-motion: reduce) { .line { animation: none; } }"""


def record(command: list[str]) -> list[tuple[float, str]]:
    """Run the command; its lines, each with the second at which it came."""
    begun = time.monotonic()
    lines: list[tuple[float, str]] = []
    with subprocess.Popen(command, cwd=paths.ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, encoding="utf-8",
                          env={**os.environ, "COLUMNS": str(COLUMNS)}) as process:
        assert process.stdout
        for line in process.stdout:
            # Hide the path of this clone
            lines.append((time.monotonic() - begun, line.rstrip().replace(f"{paths.ROOT}/", "")))
    if process.returncode:
        raise LabError(f"{' '.join(command)} failed with status {process.returncode}: no picture is made of it.")
    return lines


def quicker(lines: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """The same with pauses cut short."""
    at, last, found = 0.0, 0.0, []
    for when, text in lines:
        at += min(when - last, PAUSE)
        last = when
        found.append((at, text))
    return found


def _kind(text: str) -> str:
    if text.startswith("$ "):
        return " said"
    return " good" if text.startswith(("PASS", "  ok")) else ""


def picture(command: str, lines: list[tuple[float, str]]) -> str:
    """The run as SVG."""
    shown = [(0.0, f"$ {command}"), *((at, text) for at, text in quicker(lines) if not text.startswith("  ... "))]
    width, height = int(COLUMNS * WIDTH) + 2 * MARGIN, len(shown) * LINE + 2 * MARGIN
    rows = [f'<text class="line{_kind(text)}" style="animation-delay:{at:.2f}s" x="{MARGIN}" '
            f'y="{MARGIN + LINE * (n + 1) - 4}" xml:space="preserve">{escape(text[:COLUMNS])}</text>'
            for n, (at, text) in enumerate(shown)]
    return "\n".join(["<!-- SPDX-License-Identifier: GPL-2.0 -->",
                      f"<!-- a run of '{escape(command)}', recorded by lab/release/recording.py -->",
                      f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
                      f'height="{height}">', f"<style>\n{STYLE}\n</style>",
                      f'<rect width="{width}" height="{height}" rx="6" fill="#1c1c24"/>', *rows, "</svg>", ""])


def summary(lines: list[tuple[float, str]]) -> str:
    """The end of the demo's output, for README."""
    texts = [text for _, text in lines]
    last = next(number for number, text in enumerate(texts) if text.startswith("PASS"))
    return "\n".join(texts[texts.index(BEGIN):last + 1])


def write() -> list[Path]:
    """Run the demo; update its recording and its output in README; returns the files."""
    lines = record(DEMO)
    FIGURE.write_text(picture(" ".join(DEMO), lines), encoding="utf-8")
    text = README.read_text(encoding="utf-8")
    README.write_text(SUMMARY.sub(lambda found: f"```\n{summary(lines)}\n```\n", text, count=1), encoding="utf-8")
    return [FIGURE, README]
