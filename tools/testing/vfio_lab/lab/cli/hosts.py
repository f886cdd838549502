# SPDX-License-Identifier: GPL-2.0
"""vlab run, shell: one host."""

from __future__ import annotations

import argparse
import shlex
import subprocess

from ..core import hardware, versions
from ..core.cache import Cache
from ..core.errors import LabError
from ..core.process import tied
from ..core.progress import Steps
from ..build import kernel, parts, qemu
from ..scenario import accelerator
from ..scenario.session import Session
from . import arguments, logs


def needed(args: argparse.Namespace) -> list[str]:
    """The parts that run, shell, migrate and demo need with these options, except those that
    are built in seconds."""
    kernels = {args.kernel, getattr(args, "to_kernel", None) or args.kernel}
    roots = {f"rootfs-{vmm}" for vmm in (args.vmm, getattr(args, "to_vmm", None))}
    tree = "tree" in (getattr(args, name, "") for name in ("driver", "from_driver", "to_driver"))
    names = {"rootfs", "library", "qemu-asan" if qemu.is_sanitized() else "qemu"} | {f"kernel-{one}" for one in kernels} | roots
    if tree and not getattr(args, "patch", ()):
        names |= {f"driver-{one}" for one in kernels}
    if getattr(args, "guest", True):
        names |= {"programs", f"kernel-{kernel.flavoured(kernel.GUEST_FLAVOUR, args.guest_kernel)}"}
    return [name for name in parts.WHAT if name in names]


def unbuilt(args: argparse.Namespace) -> bool:
    """For --dry-run: print what would be built first; return whether there is anything."""
    names = parts.missing(needed(args), Cache())
    if names:
        print("command lines are known only after building: " + ", ".join(names))
    return bool(names)


def one_host(args: argparse.Namespace, steps: Steps) -> int:
    """run and shell."""
    if args.dry_run and unbuilt(args):
        return 0
    if not args.dry_run:
        parts.build(needed(args), steps)
    with logs.folder(args.command) as folder, Session(steps, folder) as session:
        picked = arguments.host_config(args, args.driver)
        with steps.step("build the host's initramfs"):
            spec = session.spec("host", picked, arguments.guest_config(args) if args.guest else None)
        if args.dry_run:
            print(shlex.join(session.host(spec).argv()))
            return 0
        (host,) = session.boot([spec])
        with steps.step(f"accelerators: {', '.join(picked.engines)}, {picked.vfs} VFs each, driver: {picked.driver}", host.console):
            accelerator.set_up(host.ssh, map(picked.engine, picked.engines), picked.vfs,
                               "stock" if picked.driver == "stock" else hardware.VARIANT_DRIVER)
        if args.command == "shell":
            return subprocess.run(host.ssh.argv("exec sh -l", terminal=True), check=False, **tied()).returncode
        command = args.argv[0] if len(args.argv) == 1 else shlex.join(args.argv)
        status = subprocess.run(host.ssh.argv(command), check=False, **tied()).returncode
        if status == 255 and not host.alive():
            raise LabError("the host went down while the command ran", host.console)
        return status


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    """Add run and shell to the command line."""
    one = argparse.ArgumentParser(add_help=False, parents=[common, arguments.hosts()])
    one.add_argument("--driver", type=arguments.DRIVER, default="tree", metavar="DRIVER",
                     help="what VFs are bound to: tree (this tree's variant driver, the default), in-tree (that of the kernel) "
                          "or stock (the accelerator's own driver)")
    one.add_argument("--push", type=arguments.pushed, action="append", default=[], metavar="LOCAL:REMOTE",
                     help="put a file into the host before it boots")
    one.add_argument("--guest", action="store_true",
                     help="put a guest's kernel and root file system into /lab: Image and guest.cpio")

    run = commands.add_parser("run", parents=[one], help="boot a host and run a command in it",
                              usage="vlab run [OPTIONS] -- COMMAND [ARGUMENT...]",
                              description="Boot one host, create and bind VFs, run COMMAND as root, print its output, and "
                                          "exit with its status.", epilog="example: vlab run --vfs 4 -- lspci -k")
    run.add_argument("argv", nargs="+", metavar="COMMAND", help="the command and its arguments, after --")
    run.set_defaults(func=one_host, parser=run)
    shell = commands.add_parser("shell", parents=[one], help="boot a host and open a shell in it",
                                description="Boot one host as 'run' does, and open a shell in it.",
                                epilog=f"example: vlab shell --kernel {versions.LTS} --driver stock")
    shell.set_defaults(func=one_host, parser=shell)
