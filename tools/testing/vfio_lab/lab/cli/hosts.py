# SPDX-License-Identifier: GPL-2.0
"""vlab run, shell: one host."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import subprocess
import time
from collections.abc import Sequence

from ..core import versions
from ..core.cache import Cache
from ..core.errors import LabError
from ..core.process import tied
from ..core.progress import Steps
from ..build import parts, qemu
from ..scenario import accelerator, copies
from ..scenario.host import Host
from ..scenario.session import Session
from . import arguments, logs


def needed(args: argparse.Namespace) -> list[str]:
    """The parts that run, shell, migrate and demo need with these options, except those that
    are built in seconds."""
    to_kernel = getattr(args, "to_kernel", None) or args.kernel
    ends = {(args.kernel, getattr(args, "driver", None) or args.from_driver), (to_kernel, getattr(args, "to_driver", ""))}
    roots = {f"rootfs-{vmm}" for vmm in (args.vmm, getattr(args, "to_vmm", None))}
    # with more options a kernel and its driver are built for the command
    more = {one for one, _ in ends if arguments.takes_config(args, one)}
    names = {"rootfs", "library"} | roots | {f"linux-source-{one.partition('-')[0]}" for one in more} | {
        f"kernel-{one}" for one, _ in ends if one not in more}
    if not args.qemu:
        names.add("qemu-asan" if qemu.is_sanitized() else "qemu")
    if not getattr(args, "patch", ()):
        names |= {f"driver-{one}" for one, driver in ends if one not in more and arguments.driver_of(driver, one) == "tree"}
    if getattr(args, "guest", True):
        names |= {"programs", f"kernel-{arguments.guest_kernel(args)}"}
    return [name for name in parts.WHAT if name in names]


def _trees(args: argparse.Namespace) -> list[str]:
    """Those of a command's kernels that are built for it: source trees, and those with more options."""
    hosts = [name for name in (args.kernel, getattr(args, "to_kernel", None)) if name]
    named = [*hosts, args.guest_kernel] if getattr(args, "guest", True) else hosts
    return [name for name in dict.fromkeys(named) if
            arguments.is_tree(name) or name in hosts and arguments.takes_config(args, name)]


def unbuilt(args: argparse.Namespace) -> bool:
    """For --dry-run: print what would be built first; return whether there is anything."""
    names = parts.missing(needed(args), Cache()) + [f"the kernel of {tree}" for tree in _trees(args)]
    if names:
        print("command lines are known only after building: " + ", ".join(names))
    return bool(names)


def keep(hosts: Sequence[Host]) -> None:
    """Print how to get into hosts, and let them run until Ctrl-C, or until none is left."""
    for host in hosts:
        print(f"{host.name}: {host.ssh.login()}", flush=True)
    print("the hosts run until Ctrl-C", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        while any(host.alive() for host in hosts):
            time.sleep(1)


def one_host(args: argparse.Namespace, steps: Steps) -> int:
    """run and shell."""
    arguments.refuse(args)
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
        vfs = f"{picked.vfs} VFs each, " if picked.models else ""
        with steps.step(f"devices: {', '.join(picked.engines)}, {vfs}driver: {picked.driver}", host.console):
            accelerator.set_up(host.ssh, map(picked.engine, picked.engines), picked.vfs,
                               picked.driver == "stock")
            host.arrange()
        command = host.ssh.argv("exec sh -l", terminal=True)
        if args.command == "run":
            command = host.ssh.argv(args.argv[0] if len(args.argv) == 1 else shlex.join(args.argv))
        status = subprocess.run(command, check=False, **tied()).returncode
        if status == 255 and args.command == "run" and not host.alive():
            raise LabError("the host went down while the command ran", host.console)
        try:
            for remote, local in args.pull:
                copies.pull(host.ssh, remote, local)
        finally:
            if args.keep:
                keep([host])
        return status


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    """Add run and shell to the command line."""
    one = argparse.ArgumentParser(add_help=False, parents=[common, arguments.hosts()])
    one.add_argument("--driver", type=arguments.DRIVER, default="tree", metavar="DRIVER",
                     help=f"what VFs are bound to, a variant driver: {arguments.DRIVER_HELP} or in-tree (that of the kernel); "
                          "or stock (the accelerator's own driver)")
    one.add_argument("--pull", type=arguments.pulled, action="append", default=[], metavar="REMOTE:LOCAL",
                     help="copy a file or directory out of the host at the end")
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
