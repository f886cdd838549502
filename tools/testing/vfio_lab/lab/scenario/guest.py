# SPDX-License-Identifier: GPL-2.0
"""A guest in a host: stock QEMU with KVM, with an assigned VF.

QEMU's monitor is the standard input and output of the SSH command that runs QEMU; the
load writes its reports to a FIFO.
"""

from __future__ import annotations

import dataclasses
import socket
import subprocess
import threading
from collections.abc import Sequence

from ..core.errors import LabError, Refusal
from ..core.process import kept_apart
from ..core.run import show
from . import syncs
from .config import GuestConfig, MigrationConfig, default_load
from .host import Host, HostSpec
from .load import LoadRecord
from .qmp import Qmp
from .splats import guest_splats, qemu_splats

MEMORY_MIB = 256
#: files of each guest, in /run of its host
FILES = ("console", "stderr", "trace", "report")
MIGRATION_PORT = 4444
#: port of the console of a host's first guest
CONSOLE_PORT = 4544


@dataclasses.dataclass(frozen=True)
class Start:
    """How the inner QEMU starts.  With `incoming` it waits for a migration, which without
    `listen` the caller begins.  `number` distinguishes guests of one host.  `machine` is the
    machine type.  `extra` are arguments in addition to those of its GuestConfig."""

    incoming: bool = False
    listen: bool = True
    number: int = 0
    machine: str = "virt"
    extra: str = ""


def command(spec: HostSpec, vfs: Sequence[str], guest: GuestConfig, migration: MigrationConfig,
            start: Start = Start()) -> str:
    """The inner QEMU's command line, for the host's shell; see Guest."""
    console, stderr, trace, report = (f"/run/guest{start.number}.{what}" for what in FILES)
    # Without dirty tracking, QEMU migrates only with enable-migration=on
    iommufd = migration.backend == "iommufd"
    how = ",migration-events=on" + (",iommufd=iommu" if iommufd else "")
    if migration.enable or not iommufd or not spec.config.httu:
        how += f",enable-migration={migration.enable or 'on'}"
    devices = "".join(f" -device vfio-pci,host={vf}{how}" for vf in vfs)
    if iommufd:
        devices = " -object iommufd,id=iommu" + devices
    drivers = dict.fromkeys(spec.config.driver_of(vf) for vf in vfs) if guest.stock else ()
    load = "script" if guest.script else default_load(spec.config, guest) if migration.load is None else migration.load
    return (
        f"{guest.qemu} -nodefaults -no-user-config -display none -no-reboot"
        f" -M {start.machine},gic-version=3,its=on -accel kvm -cpu host"
        f" -smp 2 -m {MEMORY_MIB} -kernel /lab/Image -initrd /lab/guest.cpio"
        f" -append 'console=ttyAMA0 rdinit=/init panic=-1 quiet lab.driver={'+'.join(drivers) or 'none'} lab.load={load}"
        f"{'' if guest.selftests else ' cryptomgr.notests lab.selftests=no'}{' ' + guest.append if guest.append else ''}'"
        f" -chardev socket,id=console,host=127.0.0.1,port={CONSOLE_PORT + start.number},server=on,wait=off"
        f",logfile={console} -serial chardev:console"
        " -device virtio-serial-pci,romfile="
        f" -chardev pipe,id=report,path={report} -device virtserialport,chardev=report,name=report"
        f" {guest.extra} {start.extra}{devices} -D {trace} {' '.join(f'-trace {event}' for event in syncs.events(spec.vmm))}"
        f" -qmp stdio{' -incoming defer' if start.incoming else ''} 2>{stderr}")


class Guest:
    """One inner QEMU."""

    def __init__(self, host: Host, vfs: list[str], record: LoadRecord, guest: GuestConfig = GuestConfig(),
                 migration: MigrationConfig = MigrationConfig(), start: Start = Start()) -> None:
        self.host, self.number = host, start.number
        self.console_log = host.console.with_name(f"guest{self.number or ''}-on-{host.name}.console.log")
        self._console, self._stderr, self._trace, report = (f"/run/guest{self.number}.{what}" for what in FILES)
        self._ears = f"{report}.in"
        self._reported: set[str] = set()
        host.ssh.run(f"rm -f {report}.in {report}.out; mkfifo {report}.in {report}.out")
        self._reader = host.ssh.popen(f"cat {report}.out", stdout=subprocess.PIPE)
        threading.Thread(target=record.follow, args=(host.name, self._reader.stdout), daemon=True).start()

        started = command(host.spec, vfs, guest, migration, start)
        show(f"{host.name}: {started}")
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(host.ssh.argv(started), stdin=theirs, stdout=theirs,
                                             stderr=subprocess.DEVNULL, **kept_apart())
        try:
            self.qmp = Qmp(ours, f"guest on {host.name}", host.qmp_library, host.timeout_scale, self._keep_stacks)
        except LabError as e:
            words = self.last_words()
            raise Refusal(f"host {host.name}: QEMU refused to start: {words}", words, host.console) from e
        host.guests.append(self.unexpected)
        self.enable("events")
        self._leaving = list(migration.leaving)
        for line in migration.arriving if start.incoming else ():
            self.execute(line)
        if start.incoming and start.listen:
            self.qmp.cmd("migrate-incoming", uri=f"tcp:0.0.0.0:{MIGRATION_PORT + self.number}")

    def enable(self, *capabilities: str, state: bool = True) -> None:
        """Enable, or disable, capabilities of QEMU's migration."""
        self.qmp.cmd("migrate-set-capabilities", capabilities=[{"capability": c, "state": state} for c in capabilities])

    def execute(self, line: str) -> None:
        """Run a command of QEMU's monitor for humans that has no output unless it fails."""
        if said := self.monitor(line).strip():
            raise LabError(f"guest on {self.host.name}: {line}: {said}")

    def monitor(self, line: str) -> str:
        """Run a command of QEMU's monitor for humans; returns its output."""
        return self.qmp.cmd("human-monitor-command", timeout=120, command_line=line)

    def prepare_to_leave(self) -> None:
        """Run the commands for a QEMU whose guest is to migrate, the first time."""
        while self._leaving:
            self.execute(self._leaving.pop(0))

    def _keep_stacks(self) -> None:
        """Write where in the kernel the threads of the host's QEMUs are to a file beside the console's."""
        said = self.host.ssh.run("for t in /proc/[0-9]*/task/*; do case $(readlink $t/exe) in *qemu*) "
                                 "echo $t $(cat $t/comm $t/syscall); cat $t/stack;; esac; done", check=False).stdout
        self.console_log.with_suffix(".stacks.log").write_text(said, encoding="utf-8")

    def alive(self) -> bool:
        """Whether the inner QEMU is running."""
        return self._process.poll() is None

    def wait(self, seconds: float) -> int:
        """Wait until the inner QEMU exits; return its exit status."""
        return self._process.wait(seconds * self.host.timeout_scale)

    def last_words(self) -> str:
        """The last lines of the inner QEMU's standard error, without warnings if there are
        other lines."""
        said = self.host.ssh.run(f"cat {self._stderr}", check=False).stdout.strip().splitlines()
        last = [line for line in said if ": warning: " not in line][-3:] or said[-3:]
        self._reported.update(last)
        return "; ".join(last)

    def console(self) -> str:
        """The guest's console on this host so far; kept in the host's log directory,
        as console_log."""
        if self.host.alive():
            text = self.host.ssh.run(f"cat {self._console} {self._stderr}", check=False).stdout
            self.console_log.write_text(text, encoding="utf-8")
            return text
        return ""

    def unexpected(self) -> list[str]:
        """New unexpected lines on the guest's console or QEMU's standard error, except those
        that last_words() returned."""
        name, new = f"guest{self.number or ''} on {self.host.name}", []
        for file, judge in ((self._console, guest_splats), (self._stderr, qemu_splats)):
            text = self.host.ssh.run(f"cat {file}", check=False).stdout
            # an incomplete last line is left for the next call
            lines = text[:text.rfind("\n") + 1].splitlines()
            new += [f"{name}: {line}" for line in judge(line for line in lines if line not in self._reported)]
            self._reported.update(lines)
        return new

    def type(self, line: str) -> None:
        """Type a line on the guest's console."""
        self.host.ssh.run(f"echo '{line}' | busybox nc -w 1 127.0.0.1 {CONSOLE_PORT + self.number}")

    def dirty_syncs(self) -> list[syncs.Sync]:
        """The dirty pages of each of QEMU's dirty-bitmap syncs."""
        return syncs.read(self.host.ssh.out(f"cat {self._trace}"))

    def traced(self, event: str) -> int:
        """How often QEMU traced an event, which an argument -trace has enabled."""
        return int(self.host.ssh.out(f"grep -c '^{event} ' {self._trace} || true"))

    def stop_load(self) -> None:
        """Make the load complete its requests, print its final report and exit."""
        self.host.ssh.run(f"echo stop > {self._ears}")

    def close(self) -> None:
        """Stop the inner QEMU if it is running; return when it has exited and its devices are
        closed."""
        if self.alive():
            try:
                self.qmp.cmd("quit", timeout=10)
                self._process.wait(30)
            except (LabError, subprocess.TimeoutExpired):
                pass    # QEMU or its host has already exited
        self.qmp.close()
        self._process.kill()
        self._process.wait()
        self._reader.kill()
        self._reader.wait()
        if self.unexpected in self.host.guests:
            self.host.guest_gone(self.unexpected)
