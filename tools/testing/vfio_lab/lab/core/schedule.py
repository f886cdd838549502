# SPDX-License-Identifier: GPL-2.0
"""Run independent jobs in parallel, each in its own process.

So each job is interrupted, and cleans up, as it would alone; and the processes that
it starts are tied to it (see run.py), not to a thread.  A job reports its steps and
its error through a pipe: see report().
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import LabError
from .progress import Relay, Steps, tail
from .run import tie_to_parent

#: Jobs at once that would each keep all processors busy.  A second one fills in where
#: the first has but one process, as while it is configured and linked.
HEAVY = 2
#: Longest time in seconds between updates of the display.
TICK = 0.5


@dataclass(frozen=True)
class Job:
    """Something to do once the jobs of ``after`` are done: a command, which gets a
    file descriptor for report() as its last argument, and a file for what else it
    says.  ``heavy`` jobs keep all processors busy."""

    name: str
    argv: tuple[str, ...]
    log: Path
    after: tuple[str, ...] = ()
    heavy: bool = False


class Forecast:
    """How far a run of jobs is, and how long the rest takes if each job takes as long
    as ``seconds`` says.  The same order is played through as in run()."""

    def __init__(self, jobs: Iterable[Job], seconds: Mapping[str, float]) -> None:
        self._jobs = {job.name: job for job in jobs}
        self._seconds = seconds
        self._started: dict[str, float] = {}
        self._took: dict[str, float] = {}

    def start(self, name: str) -> None:
        """A job begins."""
        self._started[name] = time.monotonic()

    def end(self, name: str) -> float:
        """A job is done; returns how long it took."""
        self._took[name] = time.monotonic() - self._started.pop(name)
        return self._took[name]

    def left(self) -> float:
        """Seconds until all is done."""
        # Completed jobs show how fast this machine is today
        due = sum(self._seconds[name] for name in self._took)
        pace = min(max(sum(self._took.values()) / due, 0.2), 5) if due >= 60 else 1.0
        now = time.monotonic()
        done = set(self._took)
        # One that takes longer than expected may do so for a while
        ends = {name: max(self._seconds[name] * pace - (now - since), self._seconds[name] * 0.05)
                for name, since in self._started.items()}
        waiting = {name: job for name, job in self._jobs.items() if name not in done and name not in ends}
        clock = 0.0
        while ends or waiting:
            for job in ready(waiting, [self._jobs[name] for name in ends], done):
                ends[job.name] = clock + self._seconds[job.name] * pace
                del waiting[job.name]
            name = min(ends, key=lambda one: ends[one])
            clock = ends.pop(name)
            done.add(name)
        return clock

    def text(self) -> str:
        """Progress text."""
        minutes = round(self.left() / 60)
        left = f"about {minutes} min left" if minutes else "less than a minute left"
        return f"{len(self._took)} of {len(self._jobs)} done, {left}"


def ready(waiting: Mapping[str, Job], running: Iterable[Job], done: set[str]) -> list[Job]:
    """The jobs to start now, in the given order."""
    heavy = sum(job.heavy for job in running)
    found = []
    for job in waiting.values():
        if done.issuperset(job.after) and not (job.heavy and heavy >= HEAVY):
            heavy += job.heavy
            found.append(job)
    return found


class _Process:
    """A running job."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.error: Mapping[str, object] | None = None
        self.pipe, theirs = os.pipe()
        self._text = b""
        try:
            job.log.parent.mkdir(parents=True, exist_ok=True)
            with open(job.log, "wb") as log:
                # A group of its own: Ctrl-C reaches us, and we end it in order
                self.process = subprocess.Popen(
                    [*job.argv, str(theirs)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[theirs],
                    process_group=0, preexec_fn=tie_to_parent())
        except BaseException:
            os.close(self.pipe)
            raise
        finally:
            os.close(theirs)

    def read(self, steps: Steps) -> bool:
        """Show its messages; False at the end."""
        chunk = os.read(self.pipe, 65536)
        *lines, self._text = (self._text + chunk).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "error" in message:
                self.error = message
            else:
                steps.relay(self.job.name, message)
        return bool(chunk)

    def finish(self) -> None:
        """Wait for its end; raises LabError if it failed."""
        os.close(self.pipe)
        status = self.process.wait()
        if self.error is not None:
            log = self.error.get("log")
            failure = LabError(str(self.error["error"]), Path(str(log)) if log else None)
            failure.step_logged = self.error.get("logged", False)  # type: ignore[attr-defined]
            raise failure
        if status:
            said = [line for line in tail(self.job.log, 1) if line]
            how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"failed with status {status}"
            raise LabError(f"The build of {self.job.name} {how}{': ' + said[0] if said else ''}.", self.job.log)
        with contextlib.suppress(OSError):      # vlab clean may have been quicker
            if not self.job.log.stat().st_size:
                self.job.log.unlink()

    def stop(self) -> None:
        """Have it end, with all that it started."""
        self.process.terminate()
        # It must not wait for us to read
        os.close(self.pipe)


def _stop(running: Iterable[_Process], steps: Steps) -> None:
    """End all jobs in order; return when they are gone."""
    left = list(running)
    for one in left:
        one.stop()
        steps.stopped(one.job.name)
    try:
        for one in left:
            one.process.wait()
    except KeyboardInterrupt:
        # Interrupted again: their children are tied to them, and incomplete entries are discarded
        for one in left:
            one.process.kill()
        for one in left:
            one.process.wait()
        raise


def run(jobs: Iterable[Job], steps: Steps, seconds: Mapping[str, float],
        done: Callable[[str, float], None] = lambda name, seconds: None) -> None:
    """Run jobs, each as soon as what it needs is there.

    The first that fails stops the others, and its LabError is raised; so does an
    interrupt.  ``seconds`` is what each is expected to take, ``done`` is called with what it
    took.  Call it from the thread that lives longest.
    """
    waiting = {job.name: job for job in jobs}
    forecast = Forecast(waiting.values(), seconds)
    running: dict[str, _Process] = {}
    finished: set[str] = set()
    steps.whole = forecast.text
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or running:
                for job in ready(waiting, [one.job for one in running.values()], finished):
                    running[job.name] = _Process(job)
                    selector.register(running[job.name].pipe, selectors.EVENT_READ, running[job.name])
                    forecast.start(job.name)
                    del waiting[job.name]
                if not running:
                    raise LabError(f"No job builds what {', '.join(waiting)} needs.")
                for key, _ in selector.select(TICK):
                    one: _Process = key.data
                    if one.read(steps):
                        continue
                    selector.unregister(one.pipe)
                    del running[one.job.name]
                    one.finish()
                    finished.add(one.job.name)
                    done(one.job.name, forecast.end(one.job.name))
        except BaseException:
            _stop(running.values(), steps)
            raise
        finally:
            steps.whole = None


def report(descriptor: int, work: Callable[[Steps], object]) -> int:
    """The job's side: do the work, report its steps and its error; returns the exit status."""
    os.set_inheritable(descriptor, False)
    with open(descriptor, "w", encoding="utf-8", closefd=False) as out:
        steps = Relay(out)
        try:
            work(steps)
        except LabError as error:
            steps.send(error=str(error), log=str(error.log) if error.log else None,
                       logged=getattr(error, "step_logged", False))
            return 1
        except KeyboardInterrupt:
            return 130
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            steps.send(error=full(error))
            return 1
    return 0


def full(error: OSError) -> str:
    """The message for a full disk."""
    return f"The disk is full: {error.filename or 'a log'} cannot be written; free some space, or set VFIO_LAB_CACHE to a " \
           "directory on a larger disk."
