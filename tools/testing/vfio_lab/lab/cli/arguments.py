# SPDX-License-Identifier: GPL-2.0
"""Argument types and groups that several commands use."""

from __future__ import annotations

import argparse
import itertools
import os
import pathlib
import re
import shlex
from collections.abc import Iterable, Mapping

from ..core import hardware, paths, versions
from ..core.errors import LabError
from ..build import kernel, own_kernel
from ..scenario import profile
from ..scenario.config import BACKENDS, MODEL, GuestConfig, HostConfig, MigrationConfig
from ..scenario.link import Link


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


class KernelName:
    """argparse type: a kernel of the lab by one of these names, or the path of a user's own."""

    def __init__(self, known: Iterable[str]) -> None:
        self.known = tuple(known)

    def __call__(self, text: str) -> str:
        if text in self.known:
            return text
        if "/" not in text and not os.path.exists(text):
            raise argparse.ArgumentTypeError(f"unknown '{text}'; known: {', '.join(self.known)}, or the path of a kernel")
        # The modules of a kernel are beside the link that names it
        path = pathlib.Path(os.path.abspath(os.path.expanduser(text)))
        path = path.resolve() if path.is_dir() else path
        try:
            own_kernel.form(path)
        except LabError as e:
            raise argparse.ArgumentTypeError(str(e)) from e
        return str(path)


def existing_file(text: str) -> pathlib.Path:
    """argparse type: a file that exists."""
    if not pathlib.Path(text).is_file():
        raise argparse.ArgumentTypeError(f"no such file: {text}")
    return pathlib.Path(text).absolute()


def program(text: str) -> pathlib.Path:
    """argparse type: a program."""
    path = existing_file(text)
    if not os.access(path, os.X_OK):
        raise argparse.ArgumentTypeError(f"not a program: {text}")
    return path


def kernel_module(text: str) -> pathlib.Path:
    """argparse type: a kernel module, by its file."""
    if not text.endswith(".ko"):
        raise argparse.ArgumentTypeError(f"must be a file NAME.ko, got '{text}'")
    return existing_file(text)


def memory(text: str) -> int:
    """argparse type: a size in MiB, or with M or G behind it; in MiB."""
    found = re.fullmatch(r"([0-9]{1,6})([MG]?)", text)
    size = int(found[1]) * (1024 if found[2] == "G" else 1) if found else 0
    if not MEMORY[0] <= size <= MEMORY[1]:
        raise argparse.ArgumentTypeError(f"must be {MEMORY[0]}M..{MEMORY[1] // 1024}G, got '{text}'")
    return size


def words(text: str) -> tuple[str, ...]:
    """argparse type: words as a shell splits them."""
    try:
        return tuple(shlex.split(text))
    except ValueError as e:
        raise argparse.ArgumentTypeError(f"{str(e).lower()}: {text}") from e


OLDER_DRIVERS = {"ours": "tree", "mainline": "in-tree", "none": "stock"}
VARIANT_DRIVERS = ("tree", "checkout", "in-tree")
DRIVER = Named((*VARIANT_DRIVERS, "stock"), OLDER_DRIVERS)
VARIANT_DRIVER = Named(VARIANT_DRIVERS, OLDER_DRIVERS)
#: what --help says of them
DRIVER_HELP = ("tree (the default: that of the kernel if --kernel is a path, whatever stands there, else this "
               "checkout's), checkout (this checkout's)")
#: of a host, in MiB: less does not hold its root file system
MEMORY = (2048, 65536)
#: CONFIG_NR_CPUS of the lab's kernels
CPUS = 8
BACKEND = Named(BACKENDS, {"legacy": "container", "group": "container"})


HOST_KERNEL = KernelName(kernel.HOSTS)
GUEST_KERNEL = KernelName(versions.SERIES)


def engine_list(text: str) -> tuple[str, ...]:
    """argparse type: a comma-separated list of engines."""
    names = tuple(dict.fromkeys(text.split(",")))
    unknown = [n for n in names if n not in hardware.ALL]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown engine '{unknown[0]}'; known: {', '.join(hardware.ALL)}")
    alone = [n for n in names if n in hardware.OTHERS]
    if alone and len(names) > 1:
        raise argparse.ArgumentTypeError(f"{alone[0]} is used alone")
    return names


class Number:
    """argparse type: a number from ``low`` to ``high``."""

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high

    def __call__(self, text: str) -> int:
        if not re.fullmatch("[0-9]{1,12}", text) or not self.low <= int(text) <= self.high:
            raise argparse.ArgumentTypeError(f"must be {self.low}..{self.high}, got '{text}'")
        return int(text)


def network(text: str) -> Link:
    """argparse type: MBIT[,MS[,PERCENT]], the network between two hosts."""
    if not re.fullmatch(r"\d{1,6}(,\d{1,5}(,\d{1,2}(\.\d+)?)?)?", text) or not int(text.partition(",")[0]):
        raise argparse.ArgumentTypeError("must be MBIT[,MS[,PERCENT]], such as 100,20,1: 10^6 bits per second, milliseconds from one "
                                         f"host to the other, lost frames; got '{text}'")
    return Link(*map(float, text.split(",")))


def pushed(text: str) -> tuple[str, pathlib.Path]:
    """argparse type: LOCAL:REMOTE, as remote name and local file."""
    local, colon, remote = text.rpartition(":")
    if not colon or not local or not remote.startswith("/") or remote.endswith("/"):
        raise argparse.ArgumentTypeError(f"must be LOCAL:REMOTE with an absolute path as REMOTE, got '{text}'")
    if not pathlib.Path(local).exists():
        raise argparse.ArgumentTypeError(f"no such file: {local}")
    return remote, pathlib.Path(local)


def pulled(text: str) -> tuple[str, pathlib.Path]:
    """argparse type: REMOTE:LOCAL, as remote name and local file."""
    remote, colon, local = text.partition(":")
    if not colon or not local or not remote.startswith("/") or remote.endswith("/"):
        raise argparse.ArgumentTypeError(f"must be REMOTE:LOCAL with an absolute path as REMOTE, got '{text}'")
    if not pathlib.Path(local).absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"no such directory: {pathlib.Path(local).parent}")
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
                       help=f"accelerators, comma-separated: {', '.join(hardware.ENGINES)} (default: sec); or {', '.join(hardware.OTHERS)}: "
                            "QEMU's device, with the driver in samples/")


def vmm(group: argparse.ArgumentParser) -> None:
    """--vmm."""
    group.add_argument("--vmm", choices=tuple(versions.VMM), default=versions.DEFAULT_VMM,
                       help=f"QEMU in the hosts (default: {versions.DEFAULT_VMM})")


def hosts() -> argparse.ArgumentParser:
    """Options of hosts."""
    group = argparse.ArgumentParser(add_help=False)
    group.add_argument("--kernel", type=HOST_KERNEL, default=versions.DEFAULT, metavar="KERNEL",
                       help=f"kernel of the hosts: one of {', '.join(kernel.HOSTS)} (default: {versions.DEFAULT}; "
                            f"{kernel.flavoured('debug')} checks memory and locks, {kernel.flavoured('kcsan')} data races, "
                            f"{kernel.flavoured('64k')} has pages of 64 KiB); or the path of a source tree, which is built, "
                            "of a directory that one was built in (O=), or of an Image with its modules beside it")
    group.add_argument("--guest-kernel", type=GUEST_KERNEL, default=versions.GUEST, metavar="KERNEL",
                       help=f"kernel of the guest: one of {', '.join(versions.SERIES)} (default: {versions.GUEST}; in later "
                            "ones, programs cannot use an accelerator without the lab's module), or a path as above")
    group.add_argument("--config", type=existing_file, action="append", default=[], metavar="FRAGMENT",
                       help="add options to the configuration of the hosts' kernels: of source trees, or of kernels by "
                            "number; can be repeated")
    group.add_argument("--module", type=kernel_module, action="append", default=[], metavar="KO",
                       help="a module for the hosts, in place of the kernel's own of that name; loaded once VFs are bound")
    group.add_argument("--append", action="append", default=[], metavar="WORDS", help="add to the hosts' kernel command line")
    group.add_argument("--cpus", type=Number(1, CPUS), default=2, metavar="N", help="CPUs of a host (default: 2)")
    group.add_argument("--memory", type=memory, default=4096, metavar="SIZE", help="memory of a host, such as 6G (default: 4G)")
    group.add_argument("--qemu", type=program, metavar="PATH", help="another outer QEMU, with the device model in it")
    group.add_argument("--qemu-opts", type=words, action="append", default=[], metavar="WORDS",
                       help="add to the outer QEMU's command line, e.g. --qemu-opts='-d int'")
    group.add_argument("--push", type=pushed, action="append", default=[], metavar="LOCAL:REMOTE",
                       help="put a file or directory into the hosts before they boot")
    group.add_argument("--trace", action="append", default=[], metavar="EVENT",
                       help="record trace events of the hosts' kernels, e.g. 'hisi_acc_vfio_pci:*', from the moment VFs are "
                            "bound; to build/COMMAND/HOST.trace.log")
    group.add_argument("--gdb", action="store_true", help="wait for a debugger before a host boots; print gdb's command line")
    group.add_argument("--keep", action="store_true",
                       help="leave the hosts running at the end, until Ctrl-C; print how to get in")
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


def is_tree(kernel_name: str) -> bool:
    """Whether a kernel is a source tree."""
    return own_kernel.is_path(kernel_name) and own_kernel.form(pathlib.Path(kernel_name)) == "tree"


def takes_config(args: argparse.Namespace, kernel_name: str) -> bool:
    """Whether --config is for this kernel of a host: for source trees, and without any for those by number."""
    hosts = (args.kernel, getattr(args, "to_kernel", None) or args.kernel)
    return bool(args.config) and (is_tree(kernel_name) if any(map(is_tree, hosts)) else not own_kernel.is_path(kernel_name))


def driver_of(name: str, kernel_name: str) -> str:
    """The driver of a HostConfig for the name of one on the command line."""
    if name == "tree" and own_kernel.is_path(kernel_name):
        return "in-tree"
    return "tree" if name == "checkout" else name


def host_config(args: argparse.Namespace, driver: str, version: str | None = None, vmm: str | None = None) -> HostConfig:
    """What was chosen for a host; ``version`` is another kernel, ``vmm`` another QEMU."""
    chosen = version or args.kernel
    return HostConfig(kernel=chosen, driver=driver_of(driver, chosen), engines=args.engines, vfs=args.vfs, vmm=vmm or args.vmm,
                      patches=tuple(p.resolve() for p in getattr(args, "patch", ())), httu=getattr(args, "httu", True),
                      push=dict(args.push), model={**MODEL, **_of_profile(args), **dict(args.model)},
                      fragments=tuple(args.config) if takes_config(args, chosen) else (), modules=tuple(args.module),
                      append=" ".join(args.append), cpus=args.cpus, memory=args.memory, outer=args.qemu,
                      outer_options=tuple(itertools.chain(*args.qemu_opts)), gdb=args.gdb, trace=tuple(args.trace))


def guest_kernel(args: argparse.Namespace) -> str:
    """The guest's kernel."""
    chosen = str(args.guest_kernel)
    return chosen if own_kernel.is_path(chosen) else kernel.flavoured(kernel.GUEST_FLAVOUR, chosen)


def refuse_report(args: argparse.Namespace, folder: bool = False) -> None:
    """Reject a file, or directory, for reports that cannot be written, before anything is built."""
    if not args.report:
        return
    # directories are made if they are missing
    existing = next(p for p in (args.report, *args.report.parents) if p.exists())
    wanted = folder or existing != args.report
    if existing.is_dir() != wanted or not os.access(existing, os.W_OK):
        args.parser.error(f"cannot write to {args.report}")


def refuse(args: argparse.Namespace) -> None:
    """Reject options of hosts that do not go together, before anything is built."""
    kernels = [args.kernel, getattr(args, "to_kernel", None) or args.kernel]
    if args.config and not any(takes_config(args, name) for name in kernels):
        args.parser.error("--config is for kernels that are built here: by number, or a source tree")
    if args.dry_run and (args.keep or args.gdb):
        args.parser.error(f"--dry-run boots nothing, so there is nothing for {'--keep' if args.keep else '--gdb'}")


def guest_config(args: argparse.Namespace) -> GuestConfig:
    """What was chosen for the guest."""
    return GuestConfig(kernel=guest_kernel(args), vfs=getattr(args, "guest_vfs", 1))


def migration_config(args: argparse.Namespace) -> MigrationConfig:
    """What was chosen for the migration."""
    return MigrationConfig(backend=args.backend, migrations=args.migrations, link=args.link)
