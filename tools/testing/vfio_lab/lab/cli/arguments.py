# SPDX-License-Identifier: GPL-2.0
"""Argument types and groups that several commands use."""

from __future__ import annotations

import argparse
import pathlib
import re
from collections.abc import Iterable, Mapping

from ..core import hardware, paths, versions
from ..core.errors import LabError
from ..build import kernel
from ..scenario import profile
from ..scenario.config import BACKENDS, DRIVERS, MODEL, GuestConfig, HostConfig, MigrationConfig


class Named:
    """argparse type: one of some names.  ``older`` has names of earlier releases, which are
    accepted but not listed."""

    def __init__(self, known: Iterable[str], older: Mapping[str, str] | None = None) -> None:
        self.known = tuple(known)
        self._older = older or {}

    def __call__(self, text: str) -> str:
        name = self._older.get(text, text)
        if name not in self.known:
            raise argparse.ArgumentTypeError(f"unknown '{text}'; known: {', '.join(self.known)}")
        return name


OLDER_DRIVERS = {"ours": "tree", "mainline": "in-tree", "none": "stock"}
DRIVER = Named(DRIVERS, OLDER_DRIVERS)
VARIANT_DRIVER = Named(DRIVERS[:2], OLDER_DRIVERS)
BACKEND = Named(BACKENDS, {"legacy": "container", "group": "container"})


def engine_list(text: str) -> tuple[str, ...]:
    """argparse type: a comma-separated list of engines."""
    names = tuple(dict.fromkeys(text.split(",")))
    unknown = [n for n in names if n not in hardware.ENGINES]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown engine '{unknown[0]}'; known: {', '.join(hardware.ENGINES)}")
    return names


class Number:
    """argparse type: a number from ``low`` to ``high``."""

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high

    def __call__(self, text: str) -> int:
        if not re.fullmatch("[0-9]{1,12}", text) or not self.low <= int(text) <= self.high:
            raise argparse.ArgumentTypeError(f"must be {self.low}..{self.high}, got '{text}'")
        return int(text)


def pushed(text: str) -> tuple[str, pathlib.Path]:
    """argparse type: LOCAL:REMOTE, as remote name and local file."""
    local, colon, remote = text.rpartition(":")
    if not colon or not local or not remote.startswith("/") or remote.endswith("/"):
        raise argparse.ArgumentTypeError(f"must be LOCAL:REMOTE with an absolute path as REMOTE, got '{text}'")
    if not pathlib.Path(local).is_file():
        raise argparse.ArgumentTypeError(f"no such file: {local}")
    return remote, pathlib.Path(local)


def model_properties() -> dict[str, tuple[str, ...]]:
    """The properties of the device model that a command line can set, from its sources; with
    their values, if these have names."""
    tables = "".join((paths.MODEL / name).read_text(encoding="utf-8") for name in ("hisi_acc_props.c", "hisi_acc_faults.c"))
    found = re.findall(r'^    \{ "([a-z0-9-]+)", (?:\{ ([^}]+) \})?|_property_add\(class, "(\w+-algs)"', tables, re.M)
    return {name or algs: tuple(re.findall(r'"([^"]+)"', values)) for name, values, algs in found}


def model_property(text: str) -> tuple[str, str]:
    """argparse type: NAME=VALUE for the device model."""
    name, equals, value = text.partition("=")
    if not equals or not name or "," in text:
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE, got '{text}'")
    known = model_properties()
    if name == "vfs":
        raise argparse.ArgumentTypeError("the number of VFs is an option: --vfs")
    if name not in known:
        raise argparse.ArgumentTypeError(f"unknown '{name}'; known: {', '.join(sorted(set(known) - {'vfs'}))}")
    if known[name] and value not in known[name]:
        raise argparse.ArgumentTypeError(f"unknown {name} '{value}'; known: {', '.join(known[name])}")
    if not known[name] and not re.fullmatch("all|[0-9]+|0x[0-9a-f]+", value, re.I):
        raise argparse.ArgumentTypeError(f"{name} must be a number, got '{value}'")
    return name, value


def server_profile(text: str) -> tuple[pathlib.Path, dict[str, str]]:
    """argparse type: a file of hisi-acc-probe, and the properties of the device model for it."""
    try:
        return pathlib.Path(text).resolve(), profile.load(pathlib.Path(text))
    except LabError as e:
        raise argparse.ArgumentTypeError(str(e)) from e


def verbosity() -> argparse.ArgumentParser:
    """-v and -q, before or after the command."""
    group = argparse.ArgumentParser(add_help=False)
    how = group.add_mutually_exclusive_group()
    how.add_argument("-v", "--verbose", action="store_true", default=argparse.SUPPRESS,
                     help="print the command lines of the programs that are started")
    how.add_argument("-q", "--quiet", action="store_true", default=argparse.SUPPRESS,
                     help="print results and failures only")
    return group


def engines(group: argparse.ArgumentParser) -> None:
    """--engines."""
    group.add_argument("--engines", type=engine_list, default=("sec",), metavar="LIST",
                       help=f"accelerators, comma-separated: {', '.join(hardware.ENGINES)} (default: sec)")


def vmm(group: argparse.ArgumentParser) -> None:
    """--vmm."""
    group.add_argument("--vmm", choices=tuple(versions.VMM), default=versions.DEFAULT_VMM,
                       help=f"QEMU in the hosts (default: {versions.DEFAULT_VMM})")


def hosts() -> argparse.ArgumentParser:
    """Options of hosts."""
    group = argparse.ArgumentParser(add_help=False)
    group.add_argument("--kernel", choices=kernel.HOSTS, default=versions.DEFAULT,
                       help=f"kernel of the hosts (default: {versions.DEFAULT}); {kernel.flavoured('debug')} checks memory and "
                            f"locks, {kernel.flavoured('kcsan')} data races, {kernel.flavoured('64k')} has pages of 64 KiB")
    group.add_argument("--guest-kernel", choices=tuple(versions.SERIES), default=versions.GUEST,
                       help=f"kernel of the guest (default: {versions.GUEST}; in later ones, programs cannot use an "
                            "accelerator without the lab's module)")
    vmm(group)
    engines(group)
    group.add_argument("--vfs", type=Number(0, 63), default=2, metavar="N", help="VFs of each accelerator (default: 2)")
    group.add_argument("--model", type=model_property, action="append", default=[], metavar="NAME=VALUE",
                       help="a property of the device model, e.g. request-latency=2000; see qemu/README.md")
    group.add_argument("--profile", type=server_profile, metavar="FILE",
                       help="have the device model do what hisi-acc-probe observed on a server; --model overrides it")
    group.add_argument("--dry-run", action="store_true", help="print QEMU's command lines, or what would be built first; "
                                                              "boot nothing")
    return group


def _of_profile(args: argparse.Namespace) -> dict[str, str]:
    given = getattr(args, "profile", None)
    return given[1] if given else {}


def host_config(args: argparse.Namespace, driver: str, version: str | None = None, vmm: str | None = None) -> HostConfig:
    """What was chosen for a host; ``version`` is another kernel, ``vmm`` another QEMU."""
    return HostConfig(kernel=version or args.kernel, driver=driver, engines=args.engines, vfs=args.vfs, vmm=vmm or args.vmm,
                      patches=tuple(p.resolve() for p in getattr(args, "patch", ())), httu=getattr(args, "httu", True),
                      push=dict(getattr(args, "push", ())), model={**MODEL, **_of_profile(args), **dict(args.model)})


def guest_config(args: argparse.Namespace) -> GuestConfig:
    """What was chosen for the guest."""
    return GuestConfig(kernel=kernel.flavoured(kernel.GUEST_FLAVOUR, args.guest_kernel), vfs=getattr(args, "guest_vfs", 1))


def migration_config(args: argparse.Namespace) -> MigrationConfig:
    """What was chosen for the migration."""
    return MigrationConfig(backend=args.backend, migrations=args.migrations)
