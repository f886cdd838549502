# SPDX-License-Identifier: GPL-2.0
"""Steps as a person sees them: name, state, elapsed time, and why one failed."""

from __future__ import annotations

import collections
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

TAIL_LINES = 15
#: A step that takes longer than this many seconds tells how far it is.
QUIET_SECONDS = 10


def duration(seconds: float) -> str:
    """Elapsed time in words short enough for a line: 0.4 s, 63 s, 4 min 42 s."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def tail(path: Path, lines: int = TAIL_LINES) -> list[str]:
    """The last lines of a log; none if it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as log:
            return [line.rstrip() for line in collections.deque(log, lines)]
    except OSError:
        return []


class Step:
    """One step under way; handed out by Steps.step()."""

    def __init__(self, name: str, log: Path | None) -> None:
        self.name = name
        self.log = log
        self.started = time.monotonic()
        self.told = self.started
        self._text = ""
        self._watch: Callable[[], str] | None = None

    def progress(self, text: str) -> None:
        """Say how far the step is; shown at the next tick, so cheap to call often."""
        self._text = text

    def watch(self, look: Callable[[], str] | None) -> None:
        """Let the display itself ask how far the step is, once a tick.

        For work that reports nothing, like a download: look at its file's size.
        """
        self._watch = look

    @property
    def elapsed(self) -> float:
        """Seconds since the step began."""
        return time.monotonic() - self.started

    def line(self, width: int = 1000) -> str:
        """The step, its time and how far it is, in one line; the name gives way."""
        text = self._text
        if self._watch is not None:
            try:
                text = self._watch()
            except OSError:
                # What is being looked at may come and go while we look.
                pass
        rest = f" … {duration(self.elapsed)}{', ' + text if text else ''}"
        return f"{self.name[:max(width - len(rest), 10)]}{rest}"[:width]


class Steps:
    """Shows steps one after the other; a step inside a step takes the line over.

    On a terminal the running step's line is rewritten in place, otherwise a
    line is added every ten seconds.  Exceptions pass through: whoever ends the
    program prints the LabError's own sentence.
    """

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out if out is not None else sys.stderr
        self._tty = self._out.isatty()
        self._stack: list[Step] = []
        self._lock = threading.RLock()
        self._ticker: threading.Thread | None = None
        self._drawn = False

    @contextmanager
    def step(self, name: str, log: Path | None = None) -> Iterator[Step]:
        """Run the body as a step; on failure show the end of its log and its path."""
        step = Step(name, log)
        with self._lock:
            self._stack.append(step)
            self._start_ticker()
            self._draw()
        try:
            yield step
        except KeyboardInterrupt:
            self._end(step, "stopped")
            raise
        except BaseException as error:
            self._fail(step, error)
            raise
        else:
            self._end(step, "ok")

    def note(self, text: str) -> None:
        """One line for the reader, beside the steps."""
        with self._lock:
            self._print(f"  note     {text}")
            self._draw()

    def _start_ticker(self) -> None:
        if self._ticker is None or not self._ticker.is_alive():
            self._ticker = threading.Thread(target=self._tick, name="steps", daemon=True)
            self._ticker.start()

    def _tick(self) -> None:
        while True:
            time.sleep(0.5)
            with self._lock:
                if not self._stack:
                    return
                step = self._stack[-1]
                if self._tty:
                    self._draw()
                elif time.monotonic() - step.told >= QUIET_SECONDS:
                    step.told = time.monotonic()
                    self._print(f"  ...      {step.line()}")

    def _draw(self) -> None:
        if not self._tty or not self._stack:
            return
        head = "  ...      "
        width = shutil.get_terminal_size().columns - len(head) - 1
        self._out.write(f"\r\x1b[K{head}{self._stack[-1].line(width)}")
        self._out.flush()
        self._drawn = True

    def _print(self, line: str) -> None:
        if self._drawn:
            self._out.write("\r\x1b[K")
            self._drawn = False
        self._out.write(line + "\n")
        self._out.flush()

    def _end(self, step: Step, state: str) -> None:
        with self._lock:
            if step in self._stack:
                self._stack.remove(step)
            self._print(f"  {state:<8} {step.name} ({duration(step.elapsed)})")
            self._draw()

    def _fail(self, step: Step, error: BaseException) -> None:
        # Of nested steps only the innermost, which failed first, shows a log.
        told = getattr(error, "step_told", False)
        log = getattr(error, "log", None) or step.log
        with self._lock:
            self._end(step, "FAILED")
            if log is not None and not told:
                for line in tail(log):
                    self._print(f"           | {line}")
                self._print(f"           the whole log: {log}")
        try:
            error.step_told = True  # type: ignore[attr-defined]
            if log is not None and getattr(error, "log", log) is None:
                error.log = log  # type: ignore[attr-defined]
        except AttributeError:
            pass


_shared: Steps | None = None


def shared() -> Steps:
    """The steps of this process, for callers that were given none."""
    global _shared
    if _shared is None:
        _shared = Steps()
    return _shared
