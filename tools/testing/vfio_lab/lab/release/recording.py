# SPDX-License-Identifier: GPL-2.0
"""Draws a command's run: a picture in which its lines come as they came.

``python3 -m lab.release.recording FILE.svg -- COMMAND…`` in the folder above runs the
command and writes the picture; a viewer without animation shows the end of it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from xml.sax.saxutils import escape

from ..core import paths

COLUMNS, LINE, WIDTH, MARGIN = 118, 17, 7.85, 14
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
            # Nobody cares where this clone lies
            lines.append((time.monotonic() - begun, line.rstrip().replace(f"{paths.ROOT}/", "")))
    if process.returncode:
        raise SystemExit(f"{command[0]} failed with {process.returncode}; no picture is made of that")
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
    return " good" if text.startswith(("PASSED", "  ok")) else ""


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


if __name__ == "__main__":
    if len(sys.argv) < 4 or sys.argv[2] != "--":
        sys.exit("usage: python3 -m lab.release.recording FILE.svg -- COMMAND...")
    Path(sys.argv[1]).write_text(picture(" ".join(sys.argv[3:]), record(sys.argv[3:])), encoding="utf-8")
