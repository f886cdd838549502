# SPDX-License-Identifier: GPL-2.0
"""The guest's load (programs/load.c) on a host, with VFs bound to the stock driver."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

from lab.core import paths
from lab.core.context import Context
from lab.build import cross, kernel, load_module
from lab.scenario.host import Host
from lab.scenario.load import LoadRecord, Report

PROGRAM, MODULE = "/lab/load", "/lab/accel_load.ko"
#: shell command that reverts prepare()
FORGET = "rmmod accel_load"


def push(version: str, context: Context) -> dict[str, Path]:
    """Files to push into the host before it boots."""
    return {PROGRAM: cross.static_program(paths.LAB / "programs/load.c", context),
            MODULE: load_module.load_module(kernel.kernel(version, context), context)}


def prepare(host: Host) -> None:
    """Load the module and those it depends on."""
    host.ssh.run(f"modprobe -a ecdh_generic dh_generic rsa_generic; [ -e /dev/accel_load ] || insmod {MODULE}")


class HostLoad:
    """A load of so many lanes in a host; a context manager that ends it."""

    def __init__(self, host: Host, work: str, lanes: int) -> None:
        self.host, self.lanes, self.record = host, lanes, LoadRecord()
        prepare(host)
        self._process = host.ssh.popen(f"exec {PROGRAM} {lanes} 4096 {work} 2>/run/load.said",
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._reader = threading.Thread(target=self.record.follow, args=(host.name, self._process.stdout), daemon=True)
        self._reader.start()

    def __enter__(self) -> HostLoad:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join(10)

    def alive(self) -> bool:
        """Whether it is running."""
        return self._process.poll() is None

    def progress(self, what: str, requests: int = 20, seconds: float = 60) -> None:
        """Wait until each lane has verified so many more requests."""
        self.record.wait_progress(what, requests, seconds, self.alive)

    def refusals(self, what: str, requests: int, seconds: float = 60) -> None:
        """Wait until so many more requests have failed."""
        failed = self.latest().failed
        self.record.wait(what, lambda: self.latest().failed - failed >= requests, seconds, self.alive)

    def latest(self) -> Report:
        """The newest report."""
        assert self.record.last, "no report of the load yet"
        return self.record.last

    def fresh(self) -> Report:
        """A report that starts after this call."""
        seq = self.latest().seq
        self.record.wait("a report", lambda: self.latest().seq > seq + 1, 10, self.alive)
        return self.latest()

    def all_wait(self) -> bool:
        """Whether each lane sleeps in the kernel until its request completes."""
        pid = self.latest().pid
        states = self.host.ssh.out(f"for t in /proc/{pid}/task/*; do "
                                   f"[ ${{t##*/}} = {pid} ] || cut -d ' ' -f 3 $t/stat; done").split()
        return states == ["D"] * self.lanes

    def stop(self) -> int:
        """Let the lanes complete their requests; returns the program's exit status."""
        assert self._process.stdin
        self._process.stdin.write(b"stop\n")
        self._process.stdin.close()
        status = self._process.wait(60 * self.host.timeout_scale)
        self._reader.join(10)
        return status
