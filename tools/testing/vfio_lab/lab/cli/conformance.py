# SPDX-License-Identifier: GPL-2.0
"""vlab conformance: the generic kselftests on any VFIO migration driver."""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
import re
from collections.abc import Callable

from ..core import hardware, versions
from ..core.context import Context
from ..core.errors import LabError
from ..core.progress import Steps
from ..build import kernel, kselftest, mtty_modules, parts, sources
from ..scenario import accelerator, expected, mtty, report
from ..scenario.config import HostConfig
from ..scenario.host import Host
from ..scenario.session import Session
from ..probe import conformance, conformance_report
from . import arguments, logs

ENGINE = hardware.ENGINES["sec"]
#: of the sample's device
EDU = "edu"


@dataclasses.dataclass(frozen=True)
class Subject:
    """A driver and its device: the host for it, and how to bind it; returns the device for the tests."""

    name: str
    device: str
    config: HostConfig
    bind: Callable[[Host], str]


def _accelerator(driver: str) -> Subject:
    """A VF of an accelerator with this tree's driver or the kernel's."""
    config = HostConfig(driver=driver, engines=(ENGINE.name,), vfs=1)
    return Subject(driver, f"a VF of {ENGINE.device}", config,
                   lambda host: accelerator.set_up(host.ssh, [ENGINE], 1)[ENGINE.name][0])


def _mtty(built: kernel.Kernel, context: Context) -> Subject:
    """The kernel's sample device."""
    config = HostConfig(driver="in-tree", engines=(), push=mtty_modules.files(built, context))
    return Subject("mtty", "mtty", config, lambda host: mtty.create(host.ssh, 1)[0])


def _module(module: pathlib.Path, device: str) -> Subject:
    """A module and a device of QEMU."""
    config = HostConfig(driver="in-tree", engines=(), devices=(device,), modules=(module,))
    name, address = module.stem.replace("-", "_"), config.others[0].address

    def bind(host: Host) -> str:
        drivers = host.ssh.out(f"modprobe {name} && ls /sys/module/{name}/drivers 2>/dev/null | sed -n 's/^pci://p'").split()
        if len(drivers) != 1:
            raise LabError(f"{module.name} has {len(drivers) or 'no'} PCI drivers, expected one")
        accelerator.bind(host.ssh, [address], drivers[0], name)
        return address

    return Subject(name, device, config, bind)


#: drivers that the lab knows
KNOWN = ("tree", "in-tree", "mtty", EDU)


def subject(args: argparse.Namespace, context: Context) -> Subject:
    """What the options name; builds it."""
    if args.driver in ("tree", "in-tree"):
        return _accelerator(args.driver)
    built = kernel.kernel(args.kernel, context)
    if args.driver == "mtty":
        return _mtty(built, context)
    module, device = (sources.EDU, EDU) if args.driver else (args.driver_module, args.device)
    return _module(sources.built(module, built, context, args.patch) if module.is_dir() else module, device)


def refuse(args: argparse.Namespace) -> None:
    """Reject wrong options before anything is built."""
    arguments.refuse_report(args, folder=True)
    module = args.driver_module
    if bool(args.driver) == bool(module):
        args.parser.error(f"one of --driver and --driver-module is needed; known drivers: {', '.join(KNOWN)}")
    if bool(module) != bool(args.device):
        args.parser.error("--driver-module and --device belong together")
    if module and not (module.is_dir() or module.is_file() and module.suffix == ".ko"):
        args.parser.error(f"neither a module (.ko) nor a directory with its sources: {module}")
    if args.patch and not (module and module.is_dir() or args.driver == EDU):
        args.parser.error("--patch is for a driver that is built from a directory")
    missing = next((p for p in (*args.patch, args.expect) if p and not p.is_file()), None)
    if missing:
        args.parser.error(f"no such file: {missing}")


def run(args: argparse.Namespace, steps: Steps) -> int:
    """vlab conformance."""
    refuse(args)
    own = expected.EXPECTED / f"vfio_pci_migration_tests.{args.driver}"
    listed = args.expect or (own if own.is_file() else None)
    known = expected.failed(listed) if listed else {}
    parts.build([name for name in parts.WHAT if name in ("rootfs", "library", "qemu", f"kernel-{args.kernel}")], steps)
    with logs.folder("conformance") as folder, Session(steps, folder) as session:
        chosen = subject(args, session.context)
        push = {**chosen.config.push, **kselftest.files(kselftest.installed(session.context))}
        (host,) = session.boot([session.spec("host", dataclasses.replace(chosen.config, kernel=args.kernel, push=push))])
        address = chosen.bind(host)
        programs = args.test or (*conformance.PROGRAMS, *([conformance.FAIL_NTH] if args.kernel.endswith("-debug") else []),
                                 *([conformance.OWN[args.driver]] if args.driver in conformance.OWN else []))
        with steps.step(f"{chosen.name} on {chosen.device}: {len(programs)} programs", host.console) as step:
            current = ""

            def note(program: str) -> None:
                nonlocal current
                current = program
            step.watch(lambda: current)
            checks = tuple(conformance.run(host, address, known, programs, args.mode, note))
        found = conformance.Report(chosen.name, chosen.device, host.ssh.out("uname -r"), checks, known)
        texts = {"report.ktap": conformance_report.ktap(found), "report.xml": conformance_report.junit(found),
                 "report.html": conformance_report.page(found)}
        target = args.report or folder
        for name, text in texts.items():
            report.replace(target / name, text)
        print(f"{texts['report.ktap']}{conformance_report.summary(found)}\nreports: {target}", flush=True)
    return 0 if found.held else 1


def device(text: str) -> str:
    """argparse type: a device of QEMU with properties."""
    if not re.fullmatch(r"[\w.-]+(,[\w.-]+=[^,\s]+)*", text):
        raise argparse.ArgumentTypeError(f"must be DEVICE[,PROPERTY=VALUE...], got '{text}'")
    return text


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    """Add conformance to the command line."""
    test = commands.add_parser(
        "conformance", parents=[common], help="test any VFIO migration driver on any device of QEMU",
        description="Boot a host with a device of QEMU, bind it to a driver, and run the kselftests that hold for any VFIO "
                    "migration driver. Prints KTAP; report.ktap, report.xml (JUnit) and report.html name the sentence of "
                    "<linux/vfio.h> that each failure breaks. Exits 0 only if every result is as expected.",
        epilog="example: vlab conformance --driver-module my_vfio_pci.ko --device igb")
    test.add_argument("--driver-module", type=pathlib.Path, metavar="KO|DIR",
                      help="the driver: a module, built for the lab's kernel, or a directory with its sources and Makefile")
    test.add_argument("--device", type=device, metavar="DEVICE[,PROP=...]", help="the device, as in QEMU's option -device")
    test.add_argument("--driver", choices=KNOWN, metavar="DRIVER",
                      help=f"instead of these two, a driver that the lab knows: {', '.join(KNOWN)}")
    test.add_argument("--kernel", choices=kernel.HOSTS, default=versions.DEFAULT,
                      help=f"kernel of the host (default: {versions.DEFAULT}); {kernel.flavoured('debug')} checks memory, locks and "
                           f"leaks, and lets calls fail, {kernel.flavoured('kcsan')} finds data races")
    test.add_argument("--patch", type=pathlib.Path, action="append", default=[], metavar="FILE",
                      help="a patch to apply to a copy of the driver's sources")
    test.add_argument("--mode", choices=conformance.MODES, default=conformance.MODES[0], metavar="MODE",
                      help=f"the way to the IOMMU: {', '.join(conformance.MODES)} (default: {conformance.MODES[0]})")
    test.add_argument("--test", choices=(*conformance.PROGRAMS, conformance.FAIL_NTH, *conformance.OWN.values()), action="append", metavar="PROGRAM",
                      help="only this program; can be repeated")
    test.add_argument("--expect", type=pathlib.Path, metavar="FILE",
                      help="results that are known: lines 'TEST: WHY' of failures, with ? before TEST of those that come at "
                           "random, and ! before TEST of tests to leave out")
    test.add_argument("--report", type=pathlib.Path, metavar="DIR", help="where the reports go (default: build/conformance)")
    test.set_defaults(func=run, parser=test)
