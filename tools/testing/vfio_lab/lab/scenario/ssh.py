# SPDX-License-Identifier: GPL-2.0
"""SSH to a host: OpenSSH's client, with one shared connection."""

import pathlib
import shlex
import subprocess

from ..core.errors import LabError
from ..core.process import kept_apart, killed_after

#: timeout of the first connection to a booted host
OPEN_SECONDS = 60


class Ssh:
    """Runs commands as root in one host.  `folder` is private to the host and short: the
    path of the control socket has to fit into a socket address.  `timeout_scale` scales all
    timeouts, for a slow host."""

    def __init__(self, name: str, port: int, key: pathlib.Path, folder: pathlib.Path,
                 timeout_scale: float = 1) -> None:
        self.name = name
        self._timeout_scale = timeout_scale
        self._base = ["ssh", "-F", "none", "-i", str(key), "-p", str(port),
                      "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                      "-o", "LogLevel=ERROR", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes",
                      "-o", f"ControlPath={folder}/ssh", "-o", "ServerAliveInterval=10",
                      "-o", "ServerAliveCountMax=6"]
        self._master = subprocess.Popen([*self._base, "-o", "ControlMaster=yes", "-T", "root@127.0.0.1",
                                         "echo open; cat"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, **kept_apart())
        assert self._master.stdout and self._master.stderr
        with killed_after(OPEN_SECONDS * timeout_scale, self._master):
            said = self._master.stdout.readline()
        if said != "open\n":
            self._master.kill()
            words = self._master.communicate()[1].strip()
            raise LabError(f"host {name}: SSH did not open: "
                           f"{words or f'no answer within {OPEN_SECONDS * timeout_scale:.0f} s'}")

    def argv(self, command: str, terminal: bool = False) -> list[str]:
        """The command line that runs `command` (a line of shell) in the host."""
        return [*self._base, "-tt" if terminal else "-T", "root@127.0.0.1", command]

    def login(self) -> str:
        """The command line of a shell in the host."""
        return shlex.join([*self._base, "root@127.0.0.1"])

    def run(self, command: str, timeout: float = 60, check: bool = True,
            stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a line of shell; its output is captured.  Raises LabError with the
        last lines of its output if it fails (unless check is False) or takes longer
        than `timeout` seconds, times the host's timeout scaling."""
        timeout *= self._timeout_scale
        try:
            done = subprocess.run(self.argv(command), input=stdin, capture_output=True, text=True,
                                  errors="replace", timeout=timeout, check=False, **kept_apart())
        except subprocess.TimeoutExpired as e:
            raise LabError(f"host {self.name}: not done within {timeout:.0f} s: {command}") from e
        if check and done.returncode:
            said = "; ".join((done.stderr + done.stdout).strip().splitlines()[-3:])
            raise LabError(f"host {self.name}: '{command}' failed with {done.returncode}: {said or 'no output'}")
        return done

    def out(self, command: str, timeout: float = 60) -> str:
        """The output of a line of shell, stripped; fails as run() does."""
        return self.run(command, timeout).stdout.strip()

    def popen(self, command: str, **kwargs: object) -> subprocess.Popen[bytes]:
        """Start a line of shell and return its process."""
        return subprocess.Popen(self.argv(command), **kept_apart(), **kwargs)  # type: ignore[call-overload]

    def close(self) -> None:
        """Close the connection and end the commands that use it."""
        self._master.kill()
        self._master.communicate()
