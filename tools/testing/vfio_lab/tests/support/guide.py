# SPDX-License-Identifier: GPL-2.0
"""The admin guide's commands, taken from its text, and QEMU's monitor as a user types into it."""

from __future__ import annotations

import re
import subprocess
import textwrap
import threading
import time

from lab.core import hardware, paths
from lab.core.errors import LabError
from lab.core.timeouts import MACHINE
from lab.scenario.host import Host

GUIDE = paths.ROOT / "Documentation/admin-guide/hisi-acc-vfio-pci"
PF = hardware.ENGINES["sec"].pf
VF, VF2 = (hardware.ENGINES["sec"].vf(number) for number in range(2))
DESTINATION = hardware.LAN["client"]
MODULE = "/build/module/hisi_acc_vfio_pci.ko"
#: value of $GUEST; arguments are separated by bars, as one has blanks
GUEST = ("-nodefaults|-no-user-config|-display|none|-smp|2|-m|256|-kernel|/lab/Image|-initrd|/lab/guest.cpio|"
         "-append|console=ttyAMA0 rdinit=/init panic=-1 quiet lab.driver=hisi_sec2|-serial|file:/run/guest.console|"
         "-device|virtio-serial-pci,romfile=|-chardev|file,id=report,path=/run/report|"
         "-device|virtserialport,chardev=report,name=report")


#: pages whose commands other tests run
APART = ("check", "hardware", "libvirt", "options", "packages", "probe", "security")


def blocks(language: str, page: str = "") -> dict[str, str]:
    """The named blocks of a language: of one of the separate pages, or of all others. "sh" runs on
    hosts, "shell" on a build machine."""
    shape = re.compile(rf"^\.\. code-block:: {language}\n   :name: (\S+)\n\n((?:   .*\n|\n)+)", re.M)
    return {m[1]: textwrap.dedent(m[2]).strip() for file in sorted(GUIDE.glob("*.rst"))
            if (file.stem == page if page else file.stem not in APART) for m in shape.finditer(file.read_text())}


def messages(page: str = "messages") -> list[str]:
    """The messages of the guide's checklist, or of another page."""
    table = (GUIDE / f"{page}.rst").read_text().split("Other reasons")[0]
    return re.findall(r"^   \* - ``(.+)``$", table, re.M)


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
