# SPDX-License-Identifier: GPL-2.0
"""A lab host: an emulated arm64 server with accelerators, booted and driven.

Its console is logged, commands run by SSH through a port forward (slirp with
restrict=on), and a second network card connects it to the other host only.
"""

import contextlib
import dataclasses
import pathlib
import re
import shlex
import socket
import subprocess
import threading
import time
from collections.abc import Callable

from ..core import hardware, versions
from ..core.errors import LabError
from ..core.process import kept_apart
from ..core.run import show
from ..core.timeouts import MACHINE
from ..build import qemu
from ..build.kernel import Kernel
from . import watch
from .config import HostConfig
from .link import Port
from .qmp import Qmp
from .splats import qemu_splats, splats
from .ssh import Ssh

BOOT_SECONDS = 90
# Time for an outer QEMU with LeakSanitizer to exit
LEAK_SECONDS = 60
# What AddressSanitizer prints at each start
SANITIZER_GREETING = "ASan doesn't fully support makecontext"
# How much longer than others a host may take that a debugger stops
DEBUGGED = 1000.0
TRACING = "/sys/kernel/tracing"
# How long a reset in progress may still take when the host is checked
RESET_SECONDS = 5
# Reads of this file fail while QM_RESETTING is set, which must not stay set
_BUSY = """f=/sys/kernel/debug/{driver}/{pf}/alg_qos; n=0
[ ! -e $f ] || grep -q suspended /sys/bus/pci/devices/{pf}/power/runtime_status || \
until said=$(cat $f 2>&1 >/dev/null); do
	n=$((n + 1)); [ $n -lt {tries} ] || {{ echo "{name}: $said"; break; }}; usleep 100000
done
"""


@dataclasses.dataclass
class HostSpec:
    """What to boot.  `port` is its place in a network of hosts, if it is in one; `extra` are
    additional arguments of the outer QEMU; `vmm` is the QEMU in `initrd`."""

    name: str
    config: HostConfig
    kernel: Kernel
    initrd: pathlib.Path
    port: Port | None = None
    extra: tuple[str, ...] = ()
    vmm: versions.Vmm = versions.VMMS[0]


class Host:
    """A booted host; a context manager that stops all its processes."""

    def __init__(self, spec: HostSpec, qemu: pathlib.Path, qmp_library: str, key: pathlib.Path,
                 folder: pathlib.Path, logs: pathlib.Path) -> None:
        self.spec = spec
        self.name = spec.name
        self.folder = folder
        self.console = logs / f"{spec.name}.console.log"
        self._qemu_log = logs / f"{spec.name}.qemu.log"
        self._qemu = qemu
        self._key = key
        self.qmp_library = qmp_library
        self._up = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self.qmp: Qmp | None = None
        self._ssh: Ssh | None = None
        #: unexpected lines of guests, for unexpected(); see guest.py
        self.guests: list[Callable[[], list[str]]] = []
        self._reported: set[str] = set()
        self._guest_errors: dict[tuple[str, int, str], int] = {}
        self._found: list[str] = []
        self._stopped = False

    @property
    def ssh(self) -> Ssh:
        """SSH to the host, once it is up."""
        assert self._ssh, "the host is not up"
        return self._ssh

    @property
    def timeout_scale(self) -> float:
        """Timeout scaling for this host."""
        return self.spec.kernel.timeout_scale * MACHINE * (DEBUGGED if self.spec.config.gdb else 1)

    def argv(self, qmp_fd: int = 3) -> list[str]:
        """The outer QEMU's command line, with its monitor on a file descriptor."""
        spec, config = self.spec, self.spec.config
        args = [str(self._qemu), "-name", spec.name, "-nodefaults", "-no-user-config", "-display", "none",
                "-no-reboot", *qemu.sandbox(), "-M", "virt,virtualization=on,gic-version=3,iommu=smmuv3",
                "-accel", "tcg,thread=multi", "-cpu", "max,pauth-impdef=on,sve=off",
                "-smp", str(config.cpus), "-m", str(config.memory),
                "-kernel", str(spec.kernel.image), "-initrd", str(spec.initrd),
                "-append", "console=ttyAMA0 rdinit=/init panic=-1 quiet loglevel=5 log_buf_len=4M iommu.passthrough=0 "
                           + " ".join(filter(None, [spec.kernel.parameters, "nokaslr" if config.gdb else "", config.append])),
                "-serial", "stdio", "-d", "guest_errors", "-D", str(self._qemu_log),
                "-chardev", f"socket,id=qmp,fd={qmp_fd}", "-mon", "chardev=qmp,mode=control",
                "-netdev", "user,id=ssh,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:0-:22",
                "-device", "virtio-net-pci,netdev=ssh,addr=1,romfile=,mac=52:54:00:00:00:01"]
        if spec.port:
            args += ["-netdev", f"stream,id=lan,server={'on' if spec.port.listens else 'off'},"
                                f"addr.type=unix,addr.path={spec.port.path}",
                     "-device", f"virtio-net-pci,netdev=lan,addr=2,romfile=,mac={spec.port.mac}"]
        args += spec.extra
        if config.gdb:
            args += ["-S", "-gdb", f"unix:{self._gdb_socket},server=on,wait=off"]
        if config.httu:
            args += ["-global", "arm-smmuv3.httu=on"]
        for engine in hardware.ENGINES.values() if config.ports else ():
            args += ["-device", f"pcie-root-port,id=port-{engine.name},addr={engine.slot:x}.0,chassis={engine.slot}"]
        for name in config.models:
            engine = hardware.ENGINES[name]
            properties = "".join(f",{k}={v}" for k, v in config.model.items())
            place = f"bus=port-{name},addr=0.0" if config.ports else f"addr={engine.slot:x}.0"
            args += ["-device", f"{engine.device},id={name},{place},vfs={max(config.vfs, 1)}{properties}"]
        for device in config.others:
            args += device.arguments()
        return [*args, *config.outer_options]

    @property
    def _gdb_socket(self) -> pathlib.Path:
        return self.folder / "gdb"

    def gdb(self) -> str:
        """The command line of a debugger for the host's kernel, with its symbols if they are there."""
        symbols = self.spec.kernel.build / "vmlinux"
        return shlex.join(["gdb-multiarch", *([str(symbols)] if symbols.is_file() else []),
                           "-ex", f"target remote {self._gdb_socket}"])

    def start(self) -> None:
        """Start the outer QEMU; return when its monitor answers."""
        ours, theirs = socket.socketpair()
        with theirs:
            argv = self.argv(theirs.fileno())
            show(shlex.join(argv))
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, pass_fds=[theirs.fileno()], **kept_apart())
        reader = threading.Thread(target=self._read_console, daemon=True)
        reader.start()
        try:
            self.qmp = Qmp(ours, f"host {self.name}", self.qmp_library, self.timeout_scale)
        except LabError as e:
            self._process.wait(10)
            reader.join(10)
            said = re.sub(r"^qemu-system-\S+: (-device [^:]*: )?", "", self.console_tail(1))
            raise LabError(f"host {self.name}: the outer QEMU did not start: {said}", self.console) from e
        watch.add(self)

    def _read_console(self) -> None:
        assert self._process and self._process.stdout
        mark = f"lab host {self.name} is up".encode()
        with open(self.console, "wb") as log:
            for line in self._process.stdout:
                log.write(line.replace(b"\r\n", b"\n"))
                log.flush()
                if mark in line:
                    self._up.set()

    def wait_up(self) -> None:
        """Wait until the host accepts commands."""
        seconds = BOOT_SECONDS * self.timeout_scale
        deadline = time.monotonic() + seconds
        while not self._up.wait(0.5):
            if not self.alive():
                raise LabError(f"host {self.name} went down while it booted", self.console)
            if time.monotonic() > deadline:
                raise LabError(f"host {self.name} did not boot within {seconds:.0f} s", self.console)
        assert self.qmp
        info = self.qmp.cmd("human-monitor-command", command_line="info usernet")
        port = re.search(r"TCP\[HOST_FORWARD\]\s+\d+\s+\S+\s+(\d+)", info)
        if not port:
            raise LabError(f"host {self.name}: the outer QEMU has no SSH port forward: {info}")
        self._ssh = Ssh(self.name, int(port.group(1)), self._key, self.folder, self.timeout_scale)

    @property
    def trace_log(self) -> pathlib.Path:
        """Where the trace of its kernel goes."""
        return self.console.with_name(f"{self.name}.trace.log")

    def arrange(self) -> None:
        """Once its accelerators are set up: load the modules of its own, and trace events."""
        config = self.spec.config
        for module in config.modules:
            self.ssh.run(f"modprobe {module.stem}")
        for event in config.trace:
            if self.ssh.run(f"echo {shlex.quote(event)} >> {TRACING}/set_event", check=False).returncode:
                raise LabError(f"host {self.name}: its kernel has no trace event {event}; {TRACING}/available_events "
                               "lists them")

    def _save_trace(self) -> None:
        if self.spec.config.trace and self._ssh and self.alive():
            with contextlib.suppress(LabError):
                self.trace_log.write_text(self._ssh.run(f"cat {TRACING}/trace").stdout, encoding="utf-8")

    def alive(self) -> bool:
        """Whether the outer QEMU is running."""
        return self._process is not None and self._process.poll() is None

    def console_tail(self, lines: int) -> str:
        """The last lines of the console, joined by semicolons."""
        if not self.console.exists():
            return ""
        return "; ".join(self.console.read_text(errors="replace").strip().splitlines()[-lines:])

    def unexpected(self) -> list[str]:
        """What is unexpected (see watch.py) and was not returned before: lines of the kernel
        log and the console, of guests and their QEMUs; guest errors that the device counted
        for any PF or VF; a PF whose QM_RESETTING stays set; a host that went down."""
        found, self._found = self._found, []
        lines = self.console.read_text(errors="replace").splitlines() if self.console.exists() else []
        of_qemu = [line for line in lines if line.startswith("qemu-system-") and line not in self._reported]
        self._reported.update(of_qemu)
        found += [f"{self.name}: {line}" for line in qemu_splats(of_qemu) if SANITIZER_GREETING not in line]
        if self._up.is_set() and not self._stopped and not self.alive():
            self._stopped = True
            found.append(f"{self.name} went down: {self.console_tail(3)}")
        try:
            found += [line for guest in self.guests for line in self._of(guest)]
            if self.alive() and self._ssh:
                log, busy = self._kernel_state()
                lines += log
                found += [f"{self.name}: the driver of {line}" for line in busy]
                found += self._new_guest_errors()
        except LabError as e:
            found.append(f"{self.name} cannot be checked: {e}")
        return watch.unexpected([*(f"{self.name}: {line}" for line in splats(lines, self._reported, self.spec.config.tested)), *found])

    def _of(self, guest: Callable[[], list[str]]) -> list[str]:
        return guest() if self.alive() and self._ssh else []

    def guest_gone(self, guest: Callable[[], list[str]]) -> None:
        """Read the logs of a guest that ended, before the next guest reuses its files."""
        self.guests.remove(guest)
        with contextlib.suppress(LabError):     # reported when the host is checked
            self._found += self._of(guest)

    def _kernel_state(self) -> tuple[list[str], list[str]]:
        """The kernel log with levels, and the PFs that are still being reset."""
        mark = "--- reset"
        busy = "".join(_BUSY.format(driver=engine.driver, pf=engine.pf, name=name, tries=int(RESET_SECONDS * 10 * self.timeout_scale))
                       for name in self.spec.config.models for engine in [hardware.ENGINES[name]])
        said = self.ssh.run(f"dmesg -r; echo '{mark}'\n{busy}", timeout=60 + RESET_SECONDS).stdout.splitlines()
        if "Booting Linux" not in said[0]:
            said.insert(0, "<3>[    0.000000] the start of the log was overwritten")
        at = said.index(mark)
        (self.console.with_name(f"{self.name}.dmesg.log")).write_text("\n".join(said[:at]) + "\n", encoding="utf-8")
        return said[:at], said[at + 1:]

    def _new_guest_errors(self) -> list[str]:
        """New guest errors that the devices counted."""
        found = []
        for name in self.spec.config.models:
            for number in range(max(self.spec.config.vfs, 1) + 1):
                for error, count in self.counters(name, number)["guest-errors"].items():
                    new = count - self._guest_errors.get((name, number, error), 0)
                    self._guest_errors[name, number, error] = count
                    if new:
                        found.append(f"{self.name} {name} {number}: the device counted {new} times: {error}")
        return found

    def counters(self, engine: str, number: int) -> dict[str, dict[str, int]]:
        """The device model's counters of the PF (0) or the n-th VF, in the groups events,
        mailbox-set, mailbox-get and guest-errors."""
        assert self.qmp
        path = f"/machine/peripheral/{engine}" + (f"/vf{number}" if number else "")
        return dict(self.qmp.cmd("qom-get", path=path, property="counters"))

    def set_model(self, engine: str, name: str, value: int | str) -> None:
        """Set a property of an engine's device model while the host runs."""
        assert self.qmp
        self.qmp.cmd("qom-set", path=f"/machine/peripheral/{engine}", property=name, value=value)

    def clock_offset(self) -> float:
        """time.monotonic() here minus CLOCK_MONOTONIC of the host, in seconds; accurate to
        half of the shortest round trip."""
        process = self.ssh.popen("/lab/clock", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdin and process.stdout
        best: tuple[float, float] | None = None
        for _ in range(12):
            sent = time.monotonic()
            process.stdin.write(b"\n")
            process.stdin.flush()
            there = int(process.stdout.readline()) / 1e9
            answered = time.monotonic()
            trip = answered - sent
            if best is None or trip < best[0]:
                best = (trip, (sent + answered) / 2 - there)
        process.stdin.close()
        process.wait(10)
        assert best
        return best[1]

    def cut_power(self) -> None:
        """End the host in whatever it does.  What it left is not checked."""
        assert self._process
        self._stopped = True
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Switch the host off.  May be called twice.  Raises LabError if the sanitizers of the
        outer QEMU found an error."""
        if watch.enabled and not self._stopped:
            self._found = self.unexpected()
        self._stopped = True
        self.guests.clear()
        self._save_trace()
        if self._ssh:
            self._ssh.close()
            self._ssh = None
        sanitized = self.qmp is not None and qemu.is_sanitized()
        if self.qmp:
            if sanitized and self._process and self._process.poll() is None:
                # LeakSanitizer checks at exit, not when killed
                self.qmp.cmd("quit")
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(LEAK_SECONDS)
            self.qmp.close()
            self.qmp = None
        if self._process:
            self._process.kill()
            self._process.wait()
            if sanitized and self._process.returncode:
                raise LabError(f"host {self.name}: the outer QEMU ended with {self._process.returncode}: "
                               f"{self.console_tail(1)}", self.console)

    def __enter__(self) -> "Host":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
