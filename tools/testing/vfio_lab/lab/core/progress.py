# SPDX-License-Identifier: GPL-2.0
"""Progress display of steps: name, state, elapsed time, reason of a failure."""

from __future__ import annotations

import collections
import json
import math
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

TAIL_LINES = 15
#: A step that takes longer than this many seconds shows its progress.
QUIET_SECONDS = 10


def elapsed_text(seconds: float) -> str:
    """Elapsed time, short: 0.4 s, 63 s, 4 min 42 s."""
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
        self.printed = self.started
        self._text = ""
        self._watch: Callable[[], str] | None = None
        #: lines to show as they are when the step ends: what a compiler says
        self.quoted: list[str] = []

    def progress(self, text: str) -> None:
        """Set the progress text; shown at the next tick, so cheap to call often."""
        self._text = text

    def watch(self, look: Callable[[], str] | None) -> None:
        """Let the display call a function for the progress text once a tick.

        For work without progress reports, like a download: take its file's size.
        """
        self._watch = look

    @property
    def elapsed(self) -> float:
        """Seconds since the step began."""
        return time.monotonic() - self.started

    def shown(self) -> tuple[str, str]:
        """The step's name, and its time and how far it is."""
        text = self._text
        if self._watch is not None:
            try:
                text = self._watch()
            except OSError:
                # Files can appear and disappear meanwhile.
                pass
        return self.name, f" … {elapsed_text(self.elapsed)}{', ' + text if text else ''}"


class _Elsewhere:
    """The current step of another process, as that process reports it."""

    def __init__(self, name: str, rest: str) -> None:
        self.name = name
        self.rest = rest
        self.printed = time.monotonic()

    def shown(self) -> tuple[str, str]:
        """As Step.shown()."""
        return self.name, self.rest


def fitted(shown: tuple[str, str], width: int = 1000) -> str:
    """A step in one line of this width; the name gives way."""
    name, rest = shown
    return f"{name[:max(width - len(rest), 10)]}{rest}"[:width]


class Steps:
    """Shows steps: one after the other, or of several threads and processes side by
    side; a step inside a step takes its line over.

    On a terminal the running steps' lines are rewritten in place, otherwise a line
    for all of them is added every ten seconds.  Exceptions pass through: the caller
    that ends the program prints the LabError's own sentence.

    With ``after``, a step is reported only once it has taken so many seconds:
    for tests, whose steps are of interest only if they take long. With
    math.inf only failures are reported.
    """

    #: if set, how far the whole is, of which the steps are parts
    whole: Callable[[], str] | None = None

    def __init__(self, out: TextIO | None = None, after: float = 0) -> None:
        self._out = out if out is not None else sys.stderr
        self._tty = self._out.isatty() and not after
        self._after = after
        self._stacks: dict[object, list[Step]] = {}
        self._elsewhere: dict[str, _Elsewhere] = {}
        self._noted: set[str] = set()
        self._lock = threading.RLock()
        self._ticker: threading.Thread | None = None
        self._drawn = 0

    @contextmanager
    def step(self, name: str, log: Path | None = None) -> Iterator[Step]:
        """Run the body as a step; on failure show the end of its log and its path."""
        step = Step(name, log)
        lane = threading.get_ident()
        with self._lock:
            self._stacks.setdefault(lane, []).append(step)
            self._start_ticker()
            self._draw()
        try:
            yield step
        except KeyboardInterrupt:
            self._end(lane, step, "stopped")
            raise
        except BaseException as error:
            self._fail(lane, step, error)
            raise
        else:
            self._end(lane, step, "ok")

    def note(self, text: str) -> None:
        """One line for the reader, beside the steps."""
        with self._lock:
            self._print(f"  note     {text}")
            self._draw()

    # Steps of another process

    def command(self, text: str) -> None:
        """The command line of a program that is started."""
        with self._lock:
            self._print(f"  $        {text}")
            self._draw()

    def relay(self, lane: str, message: Mapping[str, object]) -> None:
        """Show what Relay sent from another process, which ``lane`` names.  Several
        processes may have the same note to give: it is shown once."""
        with self._lock:
            if "line" in message:
                self._print(str(message["line"]))
            elif "note" in message:
                note = str(message["note"])
                if note not in self._noted:
                    self._noted.add(note)
                    self.note(note)
            elif message["now"] is None:
                self._elsewhere.pop(lane, None)
            else:
                name, rest = message["now"]  # type: ignore[misc]
                there = self._elsewhere.setdefault(lane, _Elsewhere(name, rest))
                if (there.name, there.rest) != (name, rest):
                    there.name, there.rest = name, rest
                    return      # drawn at the next tick
                self._start_ticker()
            self._draw()

    def stopped(self, lane: str) -> None:
        """Another process was stopped in whatever it was at."""
        with self._lock:
            step = self._elsewhere.pop(lane, None)
            if step:
                self._print(f"  stopped  {step.name}")
                self._draw()

    # The display

    def _running(self) -> list[Step | _Elsewhere]:
        return [*(stack[-1] for stack in self._stacks.values()), *self._elsewhere.values()]

    def _start_ticker(self) -> None:
        if self._ticker is None or not self._ticker.is_alive():
            self._ticker = threading.Thread(target=self._tick, name="steps", daemon=True)
            self._ticker.start()

    def _tick(self) -> None:
        while True:
            time.sleep(0.5)
            with self._lock:
                if not self._running():
                    return
                if self._tty:
                    self._draw()
                else:
                    self._print_running(time.monotonic())

    def _print_running(self, now: float) -> None:
        running = self._running()
        if any(now - step.printed >= max(QUIET_SECONDS, self._after) for step in running):
            for step in running:
                step.printed = now
            whole = f" ({self.whole()})" if self.whole else ""
            self._print(f"  ...      {'; '.join(fitted(step.shown()) for step in running)}{whole}")

    def _draw(self) -> None:
        running = self._running()
        if not self._tty or not running:
            return
        head = "  ...      "
        size = shutil.get_terminal_size()
        width = max(size.columns - len(head) - 1, 1)
        lines = [fitted(step.shown(), width) for step in running]
        if self.whole:
            lines.append(self.whole()[:width])
        self._clear()
        lines = lines[-max(size.lines - 1, 1):]
        self._out.write("\n".join(head + line for line in lines))
        self._out.flush()
        self._drawn = len(lines)

    def _clear(self) -> None:
        if self._drawn:
            self._out.write("\r\x1b[K" + "\x1b[A\x1b[K" * (self._drawn - 1))
            self._drawn = 0

    def _print(self, line: str) -> None:
        self._clear()
        self._out.write(line + "\n")
        self._out.flush()

    def _end(self, lane: object, step: Step, state: str) -> None:
        with self._lock:
            stack = self._stacks.get(lane, [])
            if step in stack:
                stack.remove(step)
            if not stack:
                self._stacks.pop(lane, None)
            for line in step.quoted if state == "FAILED" or self._after != math.inf else ():
                self._print(line)
            if step.elapsed >= self._after:
                self._print(f"  {state:<8} {step.name} ({elapsed_text(step.elapsed)})")
            self._draw()

    def _fail(self, lane: object, step: Step, error: BaseException) -> None:
        # Of nested steps only the innermost, which failed first, shows a log.
        logged = getattr(error, "step_logged", False)
        log = getattr(error, "log", None) or step.log
        with self._lock:
            self._end(lane, step, "FAILED")
            if log is not None and not logged and (step.elapsed >= self._after or self._after == math.inf):
                for line in tail(log) if not step.quoted else ():
                    self._print(f"           | {line}")
                self._print(f"           the whole log: {log}")
        try:
            error.step_logged = True  # type: ignore[attr-defined]
            if log is not None and getattr(error, "log", log) is None:
                error.log = log  # type: ignore[attr-defined]
        except AttributeError:
            pass


class Relay(Steps):
    """The steps of a process that another one shows: each line of ``out`` is a JSON
    message for its Steps.relay()."""

    def __init__(self, out: TextIO) -> None:
        super().__init__(out)
        self._tty = True        # the current step is printed at each tick

    def send(self, **message: object) -> None:
        """One message; lost if the reader is gone."""
        with self._lock:
            try:
                self._out.write(json.dumps(message) + "\n")
                self._out.flush()
            except OSError:
                pass

    def note(self, text: str) -> None:
        """As Steps.note()."""
        self.send(note=text)

    def command(self, text: str) -> None:
        """As Steps.command()."""
        self.send(line=f"  $        {text}")

    def _draw(self) -> None:
        running = self._running()
        self.send(now=running[-1].shown() if running else None)

    def _print(self, line: str) -> None:
        self.send(line=line)


_shared: Steps | None = None


def shared() -> Steps:
    """The steps of this process, for callers that were given none."""
    global _shared
    if _shared is None:
        _shared = Steps()
    return _shared
