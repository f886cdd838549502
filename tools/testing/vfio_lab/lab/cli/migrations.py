# SPDX-License-Identifier: GPL-2.0
"""vlab demo, migrate, matrix: migrations between hosts."""

from __future__ import annotations

import argparse
import pathlib
import time

from ..core import hardware, versions
from ..core.context import Context
from ..core.progress import Steps
from ..build import kernel, parts
from ..scenario import matrix, report
from ..scenario.config import BACKENDS
from ..scenario.session import Session
from . import arguments, hosts, logs


def refuse(args: argparse.Namespace) -> None:
    """Reject invalid options of a migration before anything is built."""
    arguments.refuse(args)
    missing = next((p for p in args.patch if not p.is_file()), None)
    if missing:
        args.parser.error(f"no such file: {missing}")
    arguments.refuse_report(args)
    ends = ((args.from_driver, args.kernel), (args.to_driver, args.to_kernel or args.kernel))
    if args.patch and all(arguments.driver_of(*end) != "tree" for end in ends):
        args.parser.error("--patch changes this checkout's driver, and no host has that: --from-driver checkout")
    other = next((name for name in args.engines if name in hardware.OTHERS), None)
    if other and "in-tree" in (args.from_driver, args.to_driver):
        args.parser.error(f"the kernel has no driver for {other}")
    if other and args.backend != "iommufd":
        args.parser.error(f"the driver for {other} needs --backend iommufd")
    if args.vfs < 1:
        args.parser.error("a migration needs at least one VF: --vfs 1")
    if args.guest_vfs > args.vfs:
        args.parser.error(f"--guest-vfs {args.guest_vfs} exceeds --vfs {args.vfs}")
    if args.backend == "iommufd" and not args.httu and not args.allow_data_loss:
        args.parser.error("without HTTU and with iommufd, pages that only a device wrote are lost: use --backend container, or "
                          "--allow-data-loss to see it")


def migrate(args: argparse.Namespace, steps: Steps) -> int:
    """migrate and demo."""
    refuse(args)
    if args.dry_run and hosts.unbuilt(args):
        return 0
    if not args.dry_run:
        parts.build(hosts.needed(args), steps)
    started = time.monotonic()
    with logs.folder(args.command) as folder, Session(steps, folder) as session:
        chosen = (arguments.host_config(args, args.from_driver),
                  arguments.host_config(args, args.to_driver, args.to_kernel, args.to_vmm),
                  arguments.guest_config(args), arguments.migration_config(args))
        if args.dry_run:
            for host, command in session.command_lines(*chosen):
                print(f"# {host}\n{command}")
            return 0
        outcome = session.migrate(*chosen)
        seconds = time.monotonic() - started
        print(report.text(outcome, seconds), flush=True)
        target = args.report or folder / "report.json"
        report.write_json(outcome, seconds, target)
        print(f"report: {target}\nlogs:   {folder}", flush=True)
        if args.keep:
            hosts.keep(session.hosts)
        return 0 if outcome.held else 1


def demo(args: argparse.Namespace, steps: Steps) -> int:
    """A migration with default options, except the QEMU in the hosts."""
    full = args.top.parse_args(["migrate", "--vmm", args.vmm])
    full.command, full.dry_run = "demo", args.dry_run
    return migrate(full, steps)


def run_matrix(args: argparse.Namespace, steps: Steps) -> int:
    """vlab matrix."""
    chosen = (args.kernel or tuple(versions.SERIES), args.vmm or tuple(versions.VMM), args.backend or BACKENDS)
    cells = matrix.same(*chosen) + (matrix.directions(*chosen) if args.directions else [])
    context = Context(steps=steps)
    absent = {cell: matrix.missing(cell, context) for cell in cells}
    there = {end for cell, reason in absent.items() if not reason for end in (cell.source, cell.destination)}
    parts.build([name for name in parts.WHAT if name in {
        "rootfs", "library", "programs", "qemu", f"kernel-{kernel.GUEST}",
        *(f"{part}-{end.kernel}" for end in there for part in ("kernel", "driver")),
        *(f"rootfs-{end.vmm}" for end in there)}], steps)
    with logs.folder("matrix") as folder:
        results = {}
        for cell, result in matrix.run(cells, absent.__getitem__,
                                       lambda cell: matrix.migrated(cell, args.engines, steps, folder), steps.note):
            results[cell] = result
            steps.note(str(result))
            # Keep the results so far if interrupted
            matrix.write(results, args.engines, folder)
        print(matrix.markdown(results), flush=True)
        print(f"report: {folder / 'matrix.json'}\nlogs:   {folder}", flush=True)
    return 0 if all(result.expected for result in results.values()) else 1


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    """Add demo, migrate and matrix to the command line."""
    first = commands.add_parser("demo", parents=[common], help="migrate a guest with default options, as 'make demo' does",
                                description="Install what is missing, build, and migrate a guest with default "
                                            "options; the results go to build/demo/report.json.",
                                epilog=f"example: vlab demo --vmm {versions.VMMS[-1].name}")
    arguments.vmm(first)
    first.add_argument("--dry-run", action="store_true", help="print QEMU's command lines, or what would be built first")
    first.set_defaults(func=demo, parser=first)

    migration = commands.add_parser("migrate", parents=[common, arguments.hosts()],
                               help="migrate a guest under load between two hosts",
                               description="Boot two hosts, start a guest with a VF on the first, and migrate it to the "
                                           "second under load. Exits 0 only if every check passed.",
                               epilog="example: vlab migrate --from-driver in-tree --vfs 4 --guest-vfs 1 --migrations 2")
    for end, what in (("from", "source"), ("to", "destination")):
        migration.add_argument(f"--{end}-driver", type=arguments.VARIANT_DRIVER, default="tree", metavar="DRIVER",
                          help=f"variant driver of the {what}: {arguments.DRIVER_HELP if end == 'from' else 'tree, checkout'} or in-tree")
    migration.add_argument("--guest-vfs", type=arguments.Number(1, 63), default=1, metavar="N",
                      help="VFs of each accelerator that the guest gets (default: 1)")
    migration.add_argument("--migrations", type=arguments.Number(1, 1000), default=1, metavar="N",
                      help="how often to migrate the guest, there and back (default: 1)")
    migration.add_argument("--moves", type=arguments.Number(1, 1000), dest="migrations", default=argparse.SUPPRESS,
                      help=argparse.SUPPRESS)
    migration.add_argument("--to-kernel", type=arguments.HOST_KERNEL, metavar="KERNEL", help="kernel of the destination, if different: "
                      "QEMU rejects a guest whose CPU has other registers")
    migration.add_argument("--to-vmm", choices=tuple(versions.VMM), help="QEMU on the destination, if different: the guest gets the "
                      "machine type of the older release")
    migration.add_argument("--backend", type=arguments.BACKEND, default=BACKENDS[0], metavar="BACKEND",
                      help=f"IOMMU backend of the guest's QEMU: {' or '.join(BACKENDS)} (default: {BACKENDS[0]})")
    migration.add_argument("--httu", action=argparse.BooleanOptionalAction, default=True,
                      help="whether the hosts' SMMU tracks dirty pages (default: it does)")
    migration.add_argument("--allow-data-loss", action="store_true", help="allow --backend iommufd with --no-httu")
    migration.add_argument("--lose-pages", action="store_true", dest="allow_data_loss", default=argparse.SUPPRESS,
                      help=argparse.SUPPRESS)
    migration.add_argument("--link", type=arguments.network, metavar="MBIT[,MS[,PERCENT]]", help="slow the network between the hosts "
                      "in each direction: bandwidth, delay of a frame, lost frames (default: as fast as it is)")
    migration.add_argument("--patch", type=pathlib.Path, action="append", default=[], metavar="FILE",
                      help="a patch to apply to this tree's driver")
    migration.add_argument("--report", type=pathlib.Path, metavar="FILE", help="write the results to FILE as JSON")
    migration.set_defaults(func=migrate, parser=migration)

    table = commands.add_parser("matrix", parents=[common],
                                help="migrate with each kernel, QEMU and IOMMU backend",
                                description="Migrate a guest under load for each kernel, QEMU and IOMMU backend, and "
                                            "print the results as a table; also to build/matrix/matrix.json. "
                                            "Exits 0 only if every cell is as lab/core/versions.py expects.",
                                epilog=f"example: vlab matrix --kernel {versions.DEFAULT} --backend container")
    for option, known in (("kernel", tuple(versions.SERIES)), ("vmm", tuple(versions.VMM)), ("backend", BACKENDS)):
        table.add_argument(f"--{option}", type=arguments.BACKEND if option == "backend" else arguments.Named(known),
                           action="append", metavar="NAME", help=f"only this one of {', '.join(known)}; can be repeated")
    table.add_argument("--directions", action="store_true",
                       help="also between hosts with different kernels, and with different QEMUs")
    arguments.engines(table)
    table.set_defaults(func=run_matrix, parser=table)
