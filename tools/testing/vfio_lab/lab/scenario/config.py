# SPDX-License-Identifier: GPL-2.0
"""What a user chooses: options of a host, of the guest, and of its migration."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping

from ..core import hardware, versions
from ..build.kernel import GUEST
from . import profile
from .link import Link

#: default properties of the device model: requests with a latency; few and short queues,
#: because the stock driver allocates memory for each entry of each ring; and one
#: interrupt more than VFs of hardware have, without which 6.12 binds its driver to a VF
#: only once (see qemu/README.md). Tests may run with the profile of a server
MODEL = {"request-latency": "1000", "engine-slots": "4", "queues": "192", "sq-depth": "64", "cq-depth": "64",
         "vf-vectors": "4", **profile.chosen()}

#: drivers of VFs: this tree's, that of the kernel, or the accelerator's own
DRIVERS = ("tree", "in-tree", "stock")
#: QEMU's IOMMU backends: iommufd supports dirty tracking by the SMMU; the container does
#: not, and reports every mapped page as dirty
BACKENDS = ("iommufd", "container")

# Queues that the stock driver uses for each transform; a lane has one transform
LANE_QUEUES = 2
# Lanes that the last of several VFs gets, and what programs/load.c can do
MIN_LANES, MAX_LANES = 12, 64


@dataclasses.dataclass(frozen=True)
class HostConfig:
    """A host.  `kernel` is a series, or the absolute path of a user's own kernel; `fragments` add options
    to one that is built here: a source tree, or a series, which is then built from its sources.
    `kernel_patch` changes its kernel, `patches` this tree's driver (mutation tests); `model` has properties of the device model; `httu` enables the SMMU's dirty
    tracking; with `ports` each accelerator is behind a root port, which reports errors of
    the bus (AER); `vmm` is the release of QEMU in the host; `roots` are archives on top of the
    host's root, `push` maps names in the host to local files.  With `uefi` it boots by UEFI and
    with ACPI tables, like a server: PFs can be reset by their firmware's method.  `devices` are
    other devices of QEMU, as in its option -device.  `modules` take the place of the kernel's own, or
    are there besides; `append` is for its command line; `memory` is in MiB; `outer` is another outer
    QEMU, `outer_options` are more arguments of it.  With `gdb` it waits for a debugger; `trace` are
    trace events of its kernel."""

    kernel: str = versions.DEFAULT
    kernel_patch: pathlib.Path | None = None
    driver: str = "tree"
    patches: tuple[pathlib.Path, ...] = ()
    engines: tuple[str, ...] = ("sec",)
    vfs: int = 2
    model: Mapping[str, str] = dataclasses.field(default_factory=lambda: dict(MODEL))
    httu: bool = True
    ports: bool = False
    uefi: bool = False
    vmm: str = versions.DEFAULT_VMM
    roots: tuple[pathlib.Path, ...] = ()
    devices: tuple[str, ...] = ()
    modules: tuple[pathlib.Path, ...] = ()
    push: Mapping[str, pathlib.Path] = dataclasses.field(default_factory=dict)
    fragments: tuple[pathlib.Path, ...] = ()
    append: str = ""
    cpus: int = 2
    memory: int = 4096
    outer: pathlib.Path | None = None
    outer_options: tuple[str, ...] = ()
    gdb: bool = False
    trace: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        assert self.driver in DRIVERS, self.driver
        assert not (self.kernel_patch and self.fragments), "a patched kernel takes no fragments"
        # or the buses had other numbers
        assert not (self.others and self.ports) and len(self.others) <= hardware.MOST_DEVICES

    def engine(self, name: str) -> hardware.Engine:
        """One of the accelerators, with its address in this host."""
        return (hardware.BEHIND_PORTS if self.ports else hardware.ALL)[name]

    @property
    def models(self) -> tuple[str, ...]:
        """The accelerators that are the lab's device model."""
        return tuple(name for name in self.engines if hardware.ALL[name].model)

    def driver_of(self, address: str) -> str:
        """The stock driver of the engine that has a PF or VF at this PCI address."""
        bus, slot = int(address[5:7], 16), int(address[8:10], 16)
        return next(e.driver for e in map(self.engine, self.engines) if e.bus == bus and e.slot <= slot < e.slot + 8)

    def brings(self, module: str) -> bool:
        """Whether a module of this name is among those of its own; "-" and "_" are the same."""
        return any(file.stem.replace("-", "_") == module for file in self.modules)

    @property
    def tested(self) -> frozenset[str]:
        """The modules under test: the VFIO drivers of its devices, and modules that are not the kernel's own."""
        own = [file.stem for file in (*self.modules, *map(pathlib.Path, self.push)) if file.suffix == ".ko"]
        return frozenset([*(hardware.ALL[name].variant for name in self.engines), *(name.replace("-", "_") for name in own)])

    @property
    def others(self) -> list[hardware.Device]:
        """The other devices, with their addresses in this host."""
        texts = [hardware.ALL[name].device for name in self.engines if name not in self.models]
        return [hardware.Device(text, number) for number, text in enumerate([*texts, *self.devices])]

    @property
    def queues(self) -> int:
        """Number of queue pairs of each VF."""
        return (int(self.model["queues"]) - hardware.PF_QUEUES) // max(self.vfs, 1)


@dataclasses.dataclass(frozen=True)
class GuestConfig:
    """The guest.  `vfs` counts its VFs of each accelerator; it runs `script` instead of a
    load, and `push` maps names in the guest to local files for that; `lacks` is a statement
    to remove from its stock driver; `extra` are additional arguments of its QEMU, `append`
    of its kernel.  `stock` is whether it loads the stock drivers of its VFs, `selftests` whether its
    kernel tests their algorithms before the load.  `qemu` is how the host's shell starts QEMU."""

    kernel: str = GUEST
    vfs: int = 1
    script: pathlib.Path | None = None
    push: Mapping[str, pathlib.Path] = dataclasses.field(default_factory=dict)
    lacks: str = ""
    extra: str = ""
    append: str = ""
    stock: bool = True
    selftests: bool = True
    qemu: str = "exec qemu-system-aarch64"


@dataclasses.dataclass(frozen=True)
class MigrationConfig:
    """How a guest migrates, `migrations` times, there and back in turn.  `enable` overrides
    QEMU's enable-migration; `slow` makes requests slow while the guest stops, so that some
    are pending; `load` is the number of lanes and the longest request, by default
    default_load(), and "" for a guest that is idle until Guest.stop_load().  `leaving` are
    commands for the monitor of a QEMU before its guest migrates, `arriving` for that of one
    that waits for the guest.  `link` slows the network between the hosts."""

    backend: str = "iommufd"
    enable: str = ""
    migrations: int = 1
    slow: bool = True
    load: str | None = None
    leaving: tuple[str, ...] = ()
    arriving: tuple[str, ...] = ()
    link: Link | None = None


def default_load(host: HostConfig, guest: GuestConfig) -> str:
    """At least 24 lanes, and more than fit into all but one of the guest's VFs, so that none
    of them is idle; fewer for devices that do one thing at a time."""
    fixed = sum(hardware.ALL[name].lanes for name in host.engines)
    if fixed:
        return f"{fixed},4096"
    lanes = min(MAX_LANES, (guest.vfs - 1) * (host.queues // LANE_QUEUES) + MIN_LANES) if guest.vfs > 1 else 24
    return f"{lanes},4096"
