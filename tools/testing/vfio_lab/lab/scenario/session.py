# SPDX-License-Identifier: GPL-2.0
"""A run of the lab: build what is missing, boot hosts, clean up."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence

from ..core import disk, hardware, paths, scratch, temporary, versions
from ..core.context import Context
from ..core.errors import LabError
from ..core.progress import Steps
from ..build import cpio, driver, firmware, image, kernel, module, own_kernel, pyqmp, qemu, rootfs, sources
from .config import GuestConfig, HostConfig, MigrationConfig
from .guest import Start, command
from .host import Host, HostSpec
from .link import Link, Port, Wire
from .migration import Outcome, Scenario

#: disk space for building a host's initramfs
INITRAMFS_SIZE = 600 * disk.MB


class Session:
    """One run of the lab: a private directory, a key, the logs.

    `logs` is kept; everything else is removed at the end.
    """

    def __init__(self, steps: Steps, logs: pathlib.Path, selftests: bool = True) -> None:
        """Without `selftests`, guests of scenarios do not test their stock drivers, which takes half of their boot."""
        self._selftests = selftests
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
        #: the hosts that were booted
        self.hosts: list[Host] = []
        self._kernels: dict[tuple[object, ...], kernel.Kernel] = {}

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

    def callback(self, end: Callable[[], object]) -> None:
        """Call this when the session ends, after its later hosts have ended."""
        self._stack.callback(end)

    def key(self) -> pathlib.Path:
        """The SSH key of the session's hosts, for SSH from one host to another."""
        self._prepare()
        return self._key

    def _own_kernel(self, path: str, flavour: str = "", fragments: Sequence[pathlib.Path] = ()) -> kernel.Kernel:
        """A user's own kernel, also one of the lab's with more options; make looks once in a session for
        what has changed in a tree."""
        wanted = (path, flavour, *fragments)
        if wanted not in self._kernels:
            of_lab = not own_kernel.is_path(path)
            if of_lab:
                series, _, flavour = path.partition("-")
                path = str(kernel.sources(series, self.context))
            self._kernels[wanted] = own_kernel.kernel(pathlib.Path(path), self.context, flavour, fragments, of_lab)
        return self._kernels[wanted]

    def _kernel(self, config: HostConfig) -> kernel.Kernel:
        """A host's kernel."""
        if not own_kernel.is_path(config.kernel) and not config.fragments:
            return kernel.kernel(config.kernel, self.context, config.kernel_patch)
        built = self._own_kernel(config.kernel, fragments=config.fragments)
        own_kernel.check(built, [config.engine(name) for name in config.engines],
                         config.driver == "in-tree" and not config.brings(hardware.VARIANT_DRIVER))
        return built

    def spec(self, name: str, config: HostConfig, guest: GuestConfig | None = None,
             ports: Mapping[str, Port] | None = None) -> HostSpec:
        """Build what a host needs, and its initramfs, with a guest's kernel and root if it has one; `ports` are
        those of all hosts in its network, by their names."""
        self._prepare()
        temporary.require(INITRAMFS_SIZE, f"the initramfs of host {name}")
        if config.outer:
            qemu.check_model(config.outer, str(config.outer))
        built = self._kernel(config)
        for one in config.modules:
            module.check(one, built)
        modules = config.modules
        if config.driver == "tree" and config.models and not config.brings(hardware.VARIANT_DRIVER):
            modules += (driver.module(built, self.context, patches=config.patches),)
        for folder in [hardware.ALL[one].sources for one in config.engines if hardware.ALL[one].sources]:
            modules += (sources.built(paths.ROOT / folder, built, self.context, config.patches),)
        root = rootfs.host_root(versions.VMM[config.vmm], self.context)
        parts = self._images / f"{name}-parts"
        parts.mkdir()
        ports = ports or {}
        env = {"NAME": name, "ADDRESS": ports[name].address if ports else "",
               "HOSTS": "\n".join(f"{port.address} {other}" for other, port in ports.items())}
        guest_files: tuple[pathlib.Path, pathlib.Path] | None = None
        if guest:
            inner = self._own_kernel(guest.kernel, kernel.GUEST_FLAVOUR) if own_kernel.is_path(guest.kernel) else \
                kernel.kernel(guest.kernel, self.context)
            image.guest_initrd(inner, parts / "guest.cpio", parts, self.context, guest.script, guest.push, guest.lacks)
            guest_files = (inner.image, parts / "guest.cpio")
        image.host_modules(built, modules, parts / "modules.cpio", parts)
        image.host_overlay(guest_files, env, self._key.with_suffix(".pub").read_text(),
                           config.push, parts / "overlay.cpio", self.context)
        initrd = self._images / f"{name}-initrd"
        cpio.concatenate(initrd, [root.archive, *config.roots, parts / "modules.cpio", parts / "overlay.cpio"])
        shutil.rmtree(parts)
        bios = ("-bios", str(firmware.uefi(self.context))) if config.uefi else ()
        return HostSpec(name, config, built, initrd, ports.get(name), bios, vmm=root.vmm)

    def host(self, spec: HostSpec, program: pathlib.Path | None = None) -> Host:
        """A host that is not booted yet; `program` is another outer QEMU."""
        folder = self.folder / spec.name
        folder.mkdir(exist_ok=True)
        return Host(spec, program or spec.config.outer or qemu.chosen(self.context), self.qmp_library, self._key, folder, self.logs)

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
                self.hosts.append(host)
                if spec.config.gdb:
                    self.context.steps.note(f"{spec.name} waits: {host.gdb()}")
            for host in hosts:
                host.wait_up()
        return hosts

    def pair(self, source: HostConfig, destination: HostConfig, guest: GuestConfig,
             link: Link | None = None) -> list[HostSpec]:
        """Two hosts with a network between them, and with a guest's kernel and root."""
        if link:
            wire = Wire(link, hardware.PAIR, self.folder)
            self.callback(wire.close)
            ports = wire.ports
        else:
            ports = {name: Port(number, self.folder / "lan", number == 1) for number, name in enumerate(hardware.PAIR, 1)}
        with self.context.steps.step("build the hosts' initramfs"):
            return [self.spec(name, config, guest, ports) for name, config in zip(ports, (source, destination))]

    def command_lines(self, source: HostConfig, destination: HostConfig, guest: GuestConfig,
                      migration: MigrationConfig) -> list[tuple[str, str]]:
        """The machines and QEMU command lines of scenario()."""
        specs = self.pair(source, destination, guest, migration.link)
        found = [(f"this machine, as host {spec.name}", shlex.join(self.host(spec).argv())) for spec in specs]
        addresses = [hardware.ALL[name].vf(number) for name in source.engines for number in range(guest.vfs)]
        machine = versions.machine(specs[0].vmm, specs[1].vmm)
        return found + [(f"host {spec.name}", command(spec, addresses, guest, migration, Start(spec is not specs[0], machine=machine)))
                        for spec in specs]

    @contextlib.contextmanager
    def scenario(self, source: HostConfig = HostConfig(), destination: HostConfig | None = None,
                 guest: GuestConfig = GuestConfig(), migration: MigrationConfig = MigrationConfig()) -> Iterator[Scenario]:
        """Boot two hosts for a scenario, by default two of a kind; see migration.py."""
        guest = dataclasses.replace(guest, selftests=guest.selftests and self._selftests)
        hosts = self.boot(self.pair(source, destination or source, guest, migration.link))
        scenario = Scenario(hosts[0], hosts[1], guest, migration, self.context.steps)
        try:
            yield scenario
        finally:
            scenario.close()

    def migrate(self, source: HostConfig = HostConfig(), destination: HostConfig | None = None,
                guest: GuestConfig = GuestConfig(), migration: MigrationConfig = MigrationConfig()) -> Outcome:
        """Run a scenario: two hosts, a guest, its migration under load."""
        with self.scenario(source, destination, guest, migration) as scenario:
            return scenario.run()
