# SPDX-License-Identifier: GPL-2.0
"""The variables of the admin guide's commands, and QEMU's monitor as a user types into it."""

from __future__ import annotations

import re
import subprocess
import threading
import time

from lab.core import hardware
from lab.core.errors import LabError
from lab.core.timeouts import MACHINE
from lab.scenario.host import Host
from lab.scenario.link import address

PF = hardware.ENGINES["sec"].pf
VF, VF2 = (hardware.ENGINES["sec"].vf(number) for number in range(2))
DESTINATION = address(2)
MODULE = "/build/module/hisi_acc_vfio_pci.ko"
#: value of $GUEST; arguments are separated by bars, as one has blanks
GUEST = ("-nodefaults|-no-user-config|-display|none|-smp|2|-m|256|-kernel|/lab/Image|-initrd|/lab/guest.cpio|"
         "-append|console=ttyAMA0 rdinit=/init panic=-1 quiet lab.driver=hisi_sec2|-serial|file:/run/guest.console|"
         "-device|virtio-serial-pci,romfile=|-chardev|file,id=report,path=/run/report|"
         "-device|virtserialport,chardev=report,name=report")


def script(text: str) -> str:
    """A shell script: the reader's variables, then the guide's commands."""
    return (f"set -e; IFS='|'; PF={PF} VF={VF} VF2={VF2} DESTINATION={DESTINATION} MODULE={MODULE} GUEST='{GUEST}'\n"
            f"{text}")


class Monitor:
    """QEMU, running in a host, with its monitor."""

    def __init__(self, host: Host, command: str) -> None:
        self.host = host
        host.ssh.run("rm -f /run/report")
        self._process = host.ssh.popen(f"exec 2>&1; {script(command)}", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._said = b""
        self._seen = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Monitor:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.type("quit")
            self._process.wait(30)
        self._reader.join(10)

    def _read(self) -> None:
        assert self._process.stdout
        while some := self._process.stdout.read1(4096):
            self._said += some

    def said(self) -> str:
        """All output so far."""
        return re.sub(r"\x1b\[[0-9]*[A-Z]", "", self._said.decode(errors="replace")).replace("\r", "")

    def type(self, line: str) -> None:
        """Type a line into the monitor."""
        assert self._process.stdin
        self._process.stdin.write(line.replace("$DESTINATION", DESTINATION).encode() + b"\n")
        self._process.stdin.flush()

    def until(self, pattern: str, again: str = "", seconds: float = 180) -> str:
        """Wait for a pattern after those already found; type `again` repeatedly if given."""
        end = time.monotonic() + seconds * MACHINE
        while not (found := re.compile(pattern).search(self.said(), self._seen)):
            assert time.monotonic() < end, f"no {pattern!r} in the output: {self.said()[-600:]}"
            assert self._process.poll() is None or self._reader.is_alive(), self.said()[-600:]
            if again:
                self.type(again)
            time.sleep(0.3)
        self._seen = found.end()
        return found[0]

    def end(self) -> str:
        """Wait until QEMU exits; returns its output."""
        self._process.wait(60 * MACHINE)
        self._reader.join(10)
        return self.said()

    def listens(self) -> None:
        """Wait until it accepts a migration: its greeting comes earlier."""
        self.host.ssh.run("until ss -ltn | grep -q :4444; do usleep 100000; done", timeout=120)

    def guest_ready(self, seconds: float = 300) -> None:
        """Wait until the guest's driver has passed the kernel's self-tests."""
        try:
            self.host.ssh.run("until grep -q ready /run/report; do usleep 100000; done", timeout=seconds)
        except LabError as e:
            console = self.host.ssh.run("tail -n 5 /run/guest.console /run/report", check=False).stdout
            raise AssertionError(f"the guest did not come up: {self.said()[-300:]} {console}") from e
