# SPDX-License-Identifier: GPL-2.0
"""A run of the lab: build what is missing, boot hosts, clean up."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence

from ..core import disk, hardware, scratch, temporary, versions
from ..core.context import Context
from ..core.errors import LabError
from ..core.progress import Steps
from ..build import cpio, driver, image, kernel, pyqmp, qemu, rootfs
from ..build.kernel import GUEST
from .guest import command
from .host import Host, HostSpec
from .migration import Outcome, Scenario

#: default properties of the device model: requests with a latency; few and short queues,
#: because the stock driver allocates memory for each entry of each ring; and one
#: interrupt more than VFs of hardware have, without which 6.12 binds its driver to a VF
#: only once (see qemu/README.md)
MODEL = {"request-latency": "1000", "queues": "192", "sq-depth": "64", "cq-depth": "64", "vf-vectors": "4"}


#: disk space for building a host's initramfs
IMAGE_ROOM = 600 * disk.MB
# Queues that the stock driver uses for each transform; a lane has one transform
LANE_QUEUES = 2
# Lanes that the last of several functions gets, and what programs/load.c can do
MIN_LANES, MAX_LANES = 12, 64


@dataclasses.dataclass(frozen=True)
class Choice:
    """Options of one host.  `driver` is ours (this driver), mainline (the in-tree driver)
    or none; `patches` change this driver (mutation tests), `kernel_patch` the hosts'
    kernel; `script` is what a guest with the load "script" runs, and `guest_push` its
    files; `guest_lacks` is a statement to remove from its stock driver; `roots` are
    archives on top of the host's root; `migration` overrides QEMU's enable-migration;
    `slow` makes requests slow while the guest stops, so that some are pending; `vmm` is
    the release of QEMU in the host, `guest_extra` are additional arguments of the guest's
    QEMU."""

    kernel: str = versions.DEFAULT
    kernel_patch: pathlib.Path | None = None
    guest_kernel: str = GUEST
    driver: str = "ours"
    engines: tuple[str, ...] = ("sec",)
    vfs: int = 2
    guest_vfs: int = 1
    moves: int = 1
    patches: tuple[pathlib.Path, ...] = ()
    script: pathlib.Path | None = None
    guest_push: Mapping[str, pathlib.Path] = dataclasses.field(default_factory=dict)
    guest_lacks: str = ""
    roots: tuple[pathlib.Path, ...] = ()
    backend: str = "iommufd"
    migration: str = ""
    httu: bool = True
    slow: bool = True
    vmm: str = versions.DEFAULT_VMM
    guest_extra: str = ""
    push: Mapping[str, pathlib.Path] = dataclasses.field(default_factory=dict)
    model: Mapping[str, str] = dataclasses.field(
        default_factory=lambda: dict(MODEL))


def queues(model: Mapping[str, str], vfs: int) -> int:
    """Number of queue pairs of each of `vfs` VFs."""
    return (int(model["queues"]) - hardware.PF_QUEUES) // max(vfs, 1)


def default_load(choice: Choice) -> str:
    """Number of lanes and longest request: at least 24 lanes, and more than fit into all
    but one of the guest's VFs, so that none of them is idle."""
    per_function = queues(choice.model, choice.vfs) // LANE_QUEUES
    lanes = min(MAX_LANES, (choice.guest_vfs - 1) * per_function + MIN_LANES) if choice.guest_vfs > 1 else 24
    return f"{lanes},4096"


class Session:
    """One run of the lab: a private folder, a key, the logs.

    `logs` is kept; everything else is removed at the end.
    """

    def __init__(self, steps: Steps, logs: pathlib.Path) -> None:
        self.context = Context(steps=steps)
        self.logs = logs
        self.logs.mkdir(parents=True, exist_ok=True)
        self._stack = contextlib.ExitStack()
        # For sockets, and what is small
        self.folder = self._stack.enter_context(scratch.folder(where=temporary.short_top()))
        # For hosts' images
        self._images = self.folder
        if self.folder.parent != temporary.top():
            self._images = self._stack.enter_context(scratch.folder(where=temporary.top()))
        self._key = self.folder / "key"
        self.qmp_library = ""

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _prepare(self) -> None:
        if self.qmp_library:
            return
        self.qmp_library = str(pyqmp.path(self.context))
        done = subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "vlab", "-f", str(self._key)],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            raise LabError(f"ssh-keygen failed: {done.stderr.strip()}")

    def key(self) -> pathlib.Path:
        """The SSH key of the session's hosts, for SSH from one host to another."""
        self._prepare()
        return self._key

    def spec(self, name: str, choice: Choice, guest: bool,
             lan: tuple[str, pathlib.Path] | None = None) -> HostSpec:
        """Build what the choice needs, and one host's initramfs."""
        self._prepare()
        temporary.require(IMAGE_ROOM, f"the image of host {name}")
        built = kernel.kernel(choice.kernel, self.context, choice.kernel_patch)
        module = None
        if choice.driver == "ours":
            module = driver.module("ours", built, self.context, patches=choice.patches)
        root = rootfs.host_root(versions.VMM[choice.vmm], self.context)
        parts = self._images / f"{name}-parts"
        parts.mkdir()
        env = {"NAME": name, "ADDRESS": ""}
        if lan:
            env["ADDRESS"] = "10.0.9.1" if lan[0] == "server" else "10.0.9.2"
        guest_files: tuple[pathlib.Path, pathlib.Path] | None = None
        if guest:
            inner = kernel.kernel(choice.guest_kernel, self.context)
            image.guest_initrd(inner, parts / "guest.cpio", parts, self.context, choice.script,
                               choice.guest_push, choice.guest_lacks)
            guest_files = (inner.image, parts / "guest.cpio")
        image.host_modules(built, module, parts / "modules.cpio", parts)
        image.host_overlay(guest_files, env, self._key.with_suffix(".pub").read_text(),
                           choice.push, parts / "overlay.cpio", self.context)
        initrd = self._images / f"{name}-initrd"
        cpio.concatenate(initrd, [root.archive, *choice.roots, parts / "modules.cpio", parts / "overlay.cpio"])
        shutil.rmtree(parts)
        return HostSpec(name, built, initrd, choice.engines, choice.vfs, lan, choice.model, choice.httu,
                        vmm=root.vmm)

    def host(self, spec: HostSpec, program: pathlib.Path | None = None) -> Host:
        """A host that is not booted yet; `program` is another outer QEMU."""
        folder = self.folder / spec.name
        folder.mkdir(exist_ok=True)
        return Host(spec, program or qemu.chosen(self.context), self.qmp_library, self._key, folder, self.logs)

    def boot(self, specs: Sequence[HostSpec], program: pathlib.Path | None = None) -> list[Host]:
        """Boot hosts in parallel; they run until the session ends.  `program` is another
        outer QEMU."""
        hosts = []
        names = " and ".join(s.name for s in specs)
        with self.context.steps.step(f"boot {names}"):
            for spec in specs:
                host = self.host(spec, program)
                self._stack.callback(host.stop)
                host.start()
                # QEMU has loaded it, and it has 200 MB
                spec.initrd.unlink()
                hosts.append(host)
            for host in hosts:
                host.wait_up()
        return hosts

    def _pair(self, source: Choice, destination: Choice) -> list[HostSpec]:
        """Two hosts with a network between them."""
        wire = self.folder / "lan"
        with self.context.steps.step("build the hosts' initramfs"):
            return [self.spec("source", source, True, ("server", wire)),
                    self.spec("destination", destination, True, ("client", wire))]

    def command_lines(self, source: Choice, destination: Choice) -> list[tuple[str, str]]:
        """The machines and QEMU command lines of scenario()."""
        specs = self._pair(source, destination)
        found = [(f"this machine, as host {spec.name}", shlex.join(self.host(spec).argv())) for spec in specs]
        addresses = [hardware.ENGINES[name].vf(number) for name in source.engines for number in range(source.guest_vfs)]
        drivers = "+".join(hardware.ENGINES[name].driver for name in source.engines)
        machine = versions.machine(specs[0].vmm, specs[1].vmm)
        return found + [(f"host {spec.name}", command(
            spec, addresses, default_load(source), spec is not specs[0], source.backend, drivers, source.migration,
            machine=machine, extra=source.guest_extra)) for spec in specs]

    @contextlib.contextmanager
    def scenario(self, source: Choice, destination: Choice, load: str = "") -> Iterator[Scenario]:
        """Boot two hosts for a scenario; see migration.py."""
        hosts = self.boot(self._pair(source, destination))
        scenario = Scenario(hosts[0], hosts[1], (source.driver, destination.driver),
                            (source.vfs, destination.vfs), self.qmp_library, self.context.steps,
                            load or default_load(source), source.backend, source.guest_vfs,
                            source.engines, source.moves, source.migration, source.slow, source.guest_extra)
        try:
            yield scenario
        finally:
            scenario.close()

    def migrate(self, source: Choice, destination: Choice, load: str = "") -> Outcome:
        """Run a scenario: two hosts, a guest, its migration under load."""
        with self.scenario(source, destination, load) as scenario:
            return scenario.run()
