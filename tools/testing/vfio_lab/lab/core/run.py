# SPDX-License-Identifier: GPL-2.0
"""Run commands of builds.

Every command runs in its own process group and writes to a log; it is killed with its
children when the lab is interrupted, unless it must not end half way.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .errors import LabError

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)

#: user:password@ of an address, which must not reach a log
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")


#: set for child processes of vlab -v
VERBOSE = "VFIO_LAB_VERBOSE"
#: with -v, gets the command line of each program that is started
echo: Callable[[str], None] | None = None


def show(command: str) -> None:
    """Show a command line with -v."""
    if echo is not None:
        echo(redact(command))


def redact(text: str) -> str:
    """The text without the user and password of any address in it."""
    return _CREDENTIALS.sub("***@", text)


def stop_on_sigterm() -> None:
    """Let SIGTERM and SIGHUP end the lab as Ctrl-C does: with its children."""
    def stop(signum: int, _frame: object) -> None:
        raise KeyboardInterrupt(signal.Signals(signum).name)

    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, stop)


def as_root(argv: Sequence[str]) -> list[str]:
    """The command to run as root: itself, or through sudo without a password prompt."""
    return list(argv) if os.geteuid() == 0 else ["sudo", "-n", "--", *argv]


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for tools: untranslated, without variables that affect builds."""
    drop = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "ARCH", "CROSS_COMPILE",
            "KBUILD_OUTPUT", "CFLAGS", "LDFLAGS", "APT_CONFIG", "PYTHONPATH", "PYTHONHOME",
            "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "LANGUAGE")
    env = {name: value for name, value in os.environ.items() if name not in drop}
    env["LC_ALL"] = "C.UTF-8"
    env.update(extra or {})
    return env


def tie_to_parent() -> Callable[[], None]:
    """For subprocess' preexec_fn: if the lab itself is killed, the command gets SIGTERM.
    The tie is to the thread that starts it."""
    parent = os.getpid()

    def tie() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:      # it died before the line above
            os._exit(1)
    return tie


def _signal_group(group: int, signum: int) -> bool:
    """Signal a process group; False once nothing of it is left."""
    try:
        os.killpg(group, signum)
    except ProcessLookupError:
        return False
    except PermissionError:
        # Only root's processes are left in it: those that sudo started.
        # The shell's own kill: the program of that name is not everywhere.
        done = subprocess.run(["sudo", "-n", "sh", "-c", f"kill -{signum} -{group}"],
                              stdin=subprocess.DEVNULL, capture_output=True, check=False)
        return done.returncode == 0
    return True


def kill_group(process: subprocess.Popen[bytes], timeout: float = 3.0) -> None:
    """End a command and its children; return when they have exited."""
    group = process.pid
    until = time.monotonic() + timeout
    alive = _signal_group(group, signal.SIGTERM)
    while alive and time.monotonic() < until:
        process.poll()
        time.sleep(0.05)
        alive = _signal_group(group, 0)
    if alive:
        _signal_group(group, signal.SIGKILL)
    process.wait()


def _end_as_root(process: subprocess.Popen[bytes], timeout: float = 60.0) -> None:
    """End a command of sudo's, which is root's: sudo passes the signal on.  apt is given
    time to leave its database whole."""
    for name in ("TERM", "KILL"):
        subprocess.run(["sudo", "-n", "kill", f"-{name}", str(process.pid)], stdin=subprocess.DEVNULL,
                       capture_output=True, check=False)
        try:
            process.wait(timeout)
            return
        except subprocess.TimeoutExpired:
            continue


def run(argv: Sequence[str | Path], *, log: Path, cwd: Path | None = None,
        env: Mapping[str, str] | None = None, on_line: Callable[[str], None] | None = None,
        check: bool = True, failure: str | None = None, held: Callable[[], None] | None = None) -> int:
    """Run a command to its end, its output appended to ``log`` without credentials.

    ``env`` adds to clean_environment().  ``on_line`` sees each line as it
    comes.  With ``check`` a failing command raises LabError with ``failure``
    as its sentence.  ``held`` is for commands that must not end half way, in a
    session of their own if sudo starts them: an interruption calls it, and
    is raised when the command has ended.  Returns the exit status.
    """
    command = [str(word) for word in argv]
    full = False
    show(shlex.join(command))
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "a", encoding="utf-8") as out:
        out.write(redact(f"$ {' '.join(command)}\n"))
        out.flush()
        # sudo's ticket belongs to the terminal's session, and sudo itself to its foreground:
        # in another group it is stopped as soon as its command touches the terminal.
        sudo = command[0] == "sudo"
        try:
            process = subprocess.Popen(
                command, cwd=cwd, env=clean_environment(env), stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, process_group=None if sudo else 0,
                preexec_fn=None if held else tie_to_parent())
        except FileNotFoundError as error:
            raise LabError(f"The program {command[0]} does not exist.", log) from error
        try:
            assert process.stdout is not None
            interruption: KeyboardInterrupt | None = None
            ended = False
            while not ended:
                try:
                    for raw in process.stdout:
                        line = redact(raw.decode("utf-8", "replace"))
                        full = full or os.strerror(errno.ENOSPC) in line
                        out.write(line)
                        out.flush()
                        if on_line is not None:
                            on_line(line.rstrip())
                    status = process.wait()
                    ended = True
                except KeyboardInterrupt as error:
                    if held is None:
                        raise
                    if interruption is None:
                        held()
                    interruption = error
            if interruption is not None:
                raise interruption
        except BaseException:
            if sudo:
                _end_as_root(process)
            else:
                kill_group(process)
            raise
        finally:
            process.stdout.close()
        if status != 0:
            out.write(f"exit status {status}\n")
    if status != 0 and check:
        sentence = failure or f"{Path(command[0]).name} failed with status {status}."
        raise LabError(f"{sentence[:-1]}: the disk is full." if full else sentence, log)
    return status


def output(argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None,
           cwd: Path | None = None) -> str:
    """The output of a short command; LabError with its last line if it fails."""
    command = [str(word) for word in argv]
    try:
        done = subprocess.run(command, cwd=cwd, env=clean_environment(env), check=False,
                              stdin=subprocess.DEVNULL, capture_output=True)
    except FileNotFoundError as error:
        raise LabError(f"The program {command[0]} does not exist.") from error
    if done.returncode != 0:
        words = redact(done.stderr.decode("utf-8", "replace")).strip().splitlines()
        raise LabError(f"{Path(command[0]).name} failed with status {done.returncode}"
                       f"{': ' + words[-1] if words else ''}.")
    return done.stdout.decode("utf-8", "replace")
