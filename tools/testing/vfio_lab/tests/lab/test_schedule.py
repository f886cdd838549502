# SPDX-License-Identifier: GPL-2.0
"""Parallel builds: order, stop on failure, and forecast."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import wait_until
from lab.core import durations, schedule
from lab.core.cache import Cache
from lab.core.errors import LabError
from lab.core.paths import LAB
from lab.core.progress import Relay, Steps
from lab.core.run import run
from lab.core.schedule import Forecast, Job

#: A job of this test: builds an entry of the cache in the directory of its third argument, by the
#: line of Python in the second.
JOB = """
import os, signal, sys, time, pathlib
sys.path.insert(0, "@LAB@")
from lab.core.apt import Apt
from lab.core.cache import Cache
from lab.core.errors import LabError
from lab.core.run import run, stop_on_sigterm
from lab.core import schedule
name, line, top = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
def wait(*others):
    until = time.monotonic() + 60
    while not all((top / f"{other}.began").exists() for other in others):
        assert time.monotonic() < until
        time.sleep(0.01)
def work(steps):
    with steps.step(f"build {name}", top / f"{name}.log"):
        def build(folder):
            (folder / "half").touch()
            (top / f"{name}.began").touch()
            exec(line)
        Cache(top / "cache").entry(name, "1", "key", build)
stop_on_sigterm()
sys.exit(schedule.report(int(sys.argv[4]), work))
""".replace("@LAB@", str(LAB))
FOR_EVER = 'run(["sleep", "1000"], log=top / f"{name}.log")'


def job(top: Path, name: str, line: str = "pass", after: tuple[str, ...] = (), heavy: bool = False) -> Job:
    """A job that runs a line of Python while it builds."""
    return Job(name, (sys.executable, "-B", "-c", JOB, name, line, str(top)), top / f"part-{name}.log", after, heavy)


def go(jobs: list[Job], steps: Steps | None = None) -> list[str]:
    """Run jobs; returns their names in the order of completion."""
    done: list[str] = []
    schedule.run(jobs, steps or Steps(io.StringIO()), {one.name: 1.0 for one in jobs},
                 lambda name, _: done.append(name))
    return done


def test_what_does_not_need_each_other_runs_at_once(tmp_path):
    """Independent jobs must run in parallel, dependent ones in order: two jobs here wait for each other."""
    done = go([job(tmp_path, "last", 'assert Cache(top / "cache").peek("one", "1", "key")', ("one", "two")),
               job(tmp_path, "one", 'wait("two")'), job(tmp_path, "two", 'wait("one")')])
    assert sorted(done[:2]) == ["one", "two"] and done[2] == "last"
    assert [entry.kind for entry in Cache(tmp_path / "cache").entries()] == ["last", "one", "two"]


def test_heavy_jobs_are_few_at_once():
    """No more heavy jobs may run than keep all processors busy; light ones must not wait."""
    jobs = {name: Job(name, (), Path(), (), name != "light") for name in ("a", "b", "c", "light")}
    begun = schedule.ready(jobs, [], set())
    assert [one.name for one in begun] == ["a", "b", "light"]
    assert schedule.ready({"c": jobs["c"]}, begun[1:], {"a"}) == [jobs["c"]]


def test_a_job_whose_dependency_no_job_builds_is_refused(tmp_path):
    """A dependency that no job builds must be an error."""
    with pytest.raises(LabError, match="No job builds what one needs"):
        go([job(tmp_path, "one", after=("nowhere",))])


@pytest.mark.parametrize("line, sentence", [
    ('run(["false"], log=top / "log", failure="It broke.")', r"^It broke\.$"),
    ('run(["sh", "-c", "cat /etc/os-release > /dev/full"], log=top / "log", failure="It broke.")',
     "^It broke: the disk is full.$"),
    ('pathlib.Path("/dev/full").write_text("much")', "^The disk is full: .*VFIO_LAB_CACHE"),
    ('(top / "apt").mkdir(); (top / "apt/sources.list").write_text("deb http://127.0.0.1:9/debian bookworm main\\n"'
     '"deb http://127.0.0.1:9/debian trixie main\\n"); Apt(Cache(top / "cache"), etc=top / "apt").candidate("dpkg")',
     "^This machine's Debian mirror"),
    ("os.kill(os.getpid(), signal.SIGKILL)", "^The build of bad was ended by SIGKILL"),
    ("1 / 0", "^The build of bad failed with status 1: ZeroDivisionError"),
], ids=["failed", "disk-full", "disk-full-in-python", "no-network", "killed", "broken"])
def test_the_first_failure_stops_the_rest(tmp_path, line, sentence):
    """If one job fails, by its tools, a full disk, an unreachable mirror or an exception, the
    others must be stopped, its message printed, and no partial build be in the cache."""
    out = io.StringIO()
    with pytest.raises(LabError, match=sentence):
        go([job(tmp_path, "other", FOR_EVER), job(tmp_path, "bad", f'wait("other"); {line}'),
            job(tmp_path, "never", after=("bad",))], Steps(out))
    assert "stopped  build other" in out.getvalue()
    assert not (tmp_path / "never.began").exists()
    cache = Cache(tmp_path / "cache")       # which removes the killed job's files
    assert cache.entries() == [] and list((tmp_path / "cache/tmp").iterdir()) == []


@pytest.fixture
def lab_process(tmp_path) -> Iterator[subprocess.Popen[str]]:
    """A process that builds two things for ever, as vlab would."""
    script = f"""
import sys
sys.path[:0] = {[str(LAB), str(LAB / "tests/support"), str(LAB / "tests/lab")]!r}
from pathlib import Path
import test_schedule as t
from lab.core.run import stop_on_sigterm
stop_on_sigterm()
top = Path({str(tmp_path)!r})
try:
    t.go([t.job(top, "one", t.FOR_EVER), t.job(top, "two", t.FOR_EVER)])
except KeyboardInterrupt:
    sys.exit(130)
"""
    process = subprocess.Popen([sys.executable, "-B", "-c", script], start_new_session=True, text=True)
    wait_until("both are at it", lambda: len(sleeping(process.pid)) == 2)
    yield process
    subprocess.run(["pkill", "-KILL", "-s", str(process.pid)], check=False)
    process.wait()


def members(session: int) -> list[str]:
    """Command lines of the processes of a session."""
    shown = subprocess.run(["ps", "-e", "-o", "sid=,stat=,args="], text=True, capture_output=True, check=True)
    found = [line.split(None, 2) for line in shown.stdout.splitlines()]
    return [line[2] for line in found if line[0] == str(session) and "Z" not in line[1]]


def sleeping(session: int) -> list[str]:
    """Processes that the jobs started."""
    return [line for line in members(session) if line.startswith("sleep")]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_an_interrupt_ends_all_of_them(tmp_path, lab_process, how):
    """Interrupted or killed, the lab must leave no process, and no partial build in the cache."""
    lab_process.send_signal(how)
    assert lab_process.wait(30) == (-how if how == signal.SIGKILL else 130)
    if how != signal.SIGKILL:
        assert members(lab_process.pid) == []
    wait_until("all are gone", lambda: members(lab_process.pid) == [])
    assert list((tmp_path / "cache/tmp").iterdir()) == []
    assert Cache(tmp_path / "cache").entries() == []


def test_the_forecast_plays_the_order_through():
    """The forecast must follow dependencies, the number of heavy jobs and the speed so far."""
    jobs = [Job("fetch", (), Path()), Job("a", (), Path(), ("fetch",), True), Job("b", (), Path(), (), True),
            Job("c", (), Path(), (), True), Job("light", (), Path())]
    forecast = Forecast(jobs, {"fetch": 60, "a": 300, "b": 120, "c": 600, "light": 900})
    # b and c start at once, a waits for b
    assert forecast.left() == 900 and forecast.text() == "0 of 5 done, about 15 min left"
    assert Forecast(jobs[:4], {"fetch": 60, "a": 600, "b": 120, "c": 600}).left() == 720
    assert Forecast(jobs[:1], {"fetch": 20}).text() == "0 of 1 done, less than a minute left"


def test_the_forecast_learns_the_machines_pace(monkeypatch):
    """A machine that took twice the expected time must get twice the forecast."""
    clock = [0.0]
    monkeypatch.setattr(schedule.time, "monotonic", lambda: clock[0])
    forecast = Forecast([Job("a", (), Path()), Job("b", (), Path(), ("a",))], {"a": 100, "b": 100})
    forecast.start("a")
    clock[0] = 150
    assert 100 < forecast.left() <= 110
    clock[0] = 200
    assert forecast.end("a") == 200
    assert forecast.left() == 200


def test_durations_are_remembered(tmp_path):
    """A job's duration must be its next forecast; a corrupt file must be ignored."""
    assert durations.known(tmp_path) == {}
    durations.keep(tmp_path, "qemu", 100.04)
    durations.keep(tmp_path, "rootfs", 20)
    assert durations.known(tmp_path) == {"qemu": 100.0, "rootfs": 20}
    (tmp_path / durations.FILE).write_text("[1]")
    assert durations.known(tmp_path) == {}
    assert durations.shipped("qemu", 4) * 2 == durations.shipped("qemu", 2)
    assert durations.shipped("rootfs", 4) == durations.shipped("rootfs", 2)


class Terminal(io.StringIO):
    """A terminal, as far as Steps needs one."""

    def isatty(self) -> bool:
        return True


def screen(written: str) -> list[str]:
    """The lines that a terminal shows after this output."""
    lines, row = [""], 0
    for piece in written.replace("\x1b[K", "").replace("\x1b[A", "\0\x01").split("\0"):
        if piece.startswith("\x01"):
            piece, row = piece[1:], row - 1
            lines = lines[:row + 1]
            lines[row] = ""
        for number, line in enumerate(piece.split("\n")):
            if number:
                row += 1
                lines.append("")
            lines[row] = line[1:] if line.startswith("\r") else lines[row] + line
    return lines


def test_a_terminal_shows_all_that_is_under_way():
    """Each running job must have a line and the total the last; completed jobs stay above, and no
    line may be left over."""
    out = Terminal()
    steps = Steps(out)
    steps.whole = lambda: "1 of 3 done, about 4 min left"
    steps.relay("a", {"now": ("build a", " … 1 s")})
    steps.relay("b", {"now": ("build b", " … 2 s")})
    assert screen(out.getvalue()) == ["  ...      build a … 1 s", "  ...      build b … 2 s",
                                      "  ...      1 of 3 done, about 4 min left"]
    steps.relay("a", {"line": "  ok       build a (3 s)"})
    steps.relay("a", {"now": None})
    assert screen(out.getvalue()) == ["  ok       build a (3 s)", "  ...      build b … 2 s",
                                      "  ...      1 of 3 done, about 4 min left"]
    steps.stopped("b")
    assert screen(out.getvalue()) == ["  ok       build a (3 s)", "  stopped  build b", ""]


def test_without_a_terminal_one_line_shows_all(monkeypatch):
    """Without a terminal, a line every ten seconds must name each job's step and the total
    progress; the same message of several jobs must be printed once."""
    out = io.StringIO()
    steps = Steps(out)
    steps.whole = lambda: "1 of 3 done, about 4 min left"
    steps.relay("a", {"now": ("build a", " … 1 s")})
    steps.relay("b", {"now": ("build b", " … 2 s")})
    for lane in ("a", "b"):
        steps.relay(lane, {"note": "no kernel 7"})
    steps._print_running(time.monotonic() + 11)
    assert out.getvalue().splitlines() == [
        "  note     no kernel 7", "  ...      build a … 1 s; build b … 2 s (1 of 3 done, about 4 min left)"]


def test_a_step_reaches_the_process_that_shows_it():
    """Steps of a job must arrive as messages: begun, done, failed with its log."""
    out = io.StringIO()
    steps = Relay(out)
    with steps.step("one"):
        steps.note("look")
    with pytest.raises(LabError), steps.step("two"):
        raise LabError("no")
    said = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [m["now"] and m["now"][0] for m in said if "now" in m] == ["one", None, "two", None]
    assert [m["line"][:14] for m in said if "line" in m] == ["  ok       one", "  FAILED   two"]
    assert {"note": "look"} in said


def test_short_steps_of_tests_are_not_shown():
    """With `after`, a step must be printed only after that time."""
    out = io.StringIO()
    steps = Steps(out, after=30)
    with steps.step("short"):
        steps.note("look")
        steps._print_running(time.monotonic() + 29)
        assert out.getvalue() == "  note     look\n"
        steps._print_running(time.monotonic() + 31)
    assert "...      short" in out.getvalue() and "ok  " not in out.getvalue()


def test_a_full_disk_is_reported(tmp_path):
    """A command that fails for a full disk must be reported as that."""
    with pytest.raises(LabError, match="^sh failed with status 1: the disk is full.$"):
        run(["sh", "-c", "cat /etc/os-release > /dev/full"], log=tmp_path / "log")
