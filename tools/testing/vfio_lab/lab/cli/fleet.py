# SPDX-License-Identifier: GPL-2.0
"""vlab fleet: a rolling upgrade of four hosts with libvirt, six guests and a host that dies."""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib

from ..core import machine, versions
from ..core.progress import Steps
from ..build import kernel, parts
from ..release import fleet_figure
from ..scenario import fleet, report
from ..scenario.session import Session
from . import arguments, logs


def run(args: argparse.Namespace, steps: Steps) -> int:
    """vlab fleet."""
    arguments.refuse_report(args, folder=True)
    machine.require_memory(len(fleet.MEMBERS) * fleet.MEMORY, f"{len(fleet.MEMBERS)} hosts")
    wanted = {"rootfs", "library", "programs", "qemu", f"kernel-{kernel.GUEST}", f"kernel-{fleet.KERNEL}", f"driver-{fleet.KERNEL}",
              *(f"rootfs-{member.vmm.name}" for member in fleet.MEMBERS)}
    parts.build([name for name in parts.WHAT if name in wanted], steps)
    with logs.folder("fleet") as folder, Session(steps, folder) as session:
        one, target = fleet.Fleet(fleet.boot(session), steps), args.report or folder
        story, held = one.story, False
        try:
            with one:
                one.run()
            held = not story.failures
        finally:
            # of a run that failed, too
            report.replace(target / "fleet.json", json.dumps(dataclasses.asdict(story) | {"passed": held}, indent=2) + "\n")
            report.replace(target / "fleet.svg", fleet_figure.picture(story, fleet.MEMBERS))
        print(text(story), flush=True)
        print(f"report: {target / 'fleet.json'}, {target / 'fleet.svg'}\nlogs:   {folder}", flush=True)
    return 0 if held else 1


def text(story: fleet.Story) -> str:
    """The summary."""
    done = [move for move in story.moves if move.completed]
    lines = ["", "What ran where, at the end"]
    for member in fleet.MEMBERS:
        guests = [stay.guest for stay in story.stays if stay.host == member.name and stay.went == "ended"]
        state = "dead" if member.name in story.deaths else " ".join(guests) or "no guest"
        lines.append(f"  {member.name:<8} QEMU {member.vmm.name:<6} {state}")
    lines += ["", f"Migrations: {len(done)} completed, {len(story.moves) - len(done)} failed as their destination died"]
    lines += [f"  {move.guest:<8} {move.source} to {move.destination}: {move.end - move.start:.0f} s"
              + ("" if move.downtime_ms is None else f", downtime {move.downtime_ms} ms")
              for move in done]
    lines += ["", "Requests, each compared with the result of software"]
    lines += [f"  {guest:<14} {count}{', lost with its host' if guest in story.lost else ''}" for guest, count in story.verified.items()]
    if story.failures:
        return "\n".join([*lines, "", f"FAIL after {story.seconds:.0f} s:", *(f"  - {line}" for line in story.failures)])
    return "\n".join([*lines, "", f"PASS in {story.seconds:.0f} s: no guest lost but those of the host that died, no request of the others"])


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser) -> None:
    """Add fleet to the command line."""
    command = commands.add_parser(
        "fleet", parents=[common], help="upgrade the driver of four hosts with libvirt, guest by guest",
        description=f"Boot four hosts with libvirt, two with the in-tree driver and two with this one, with QEMU "
                    f"{' and '.join(versions.VMM)}, and six guests under load; drain each host with the in-tree driver, install "
                    "this driver as a package, and migrate its guests back. One host dies meanwhile. Exits 0 only if no other "
                    "guest and none of its requests is lost. fleet.svg shows which guest ran where and when.",
        epilog="example: vlab fleet --report /tmp/fleet")
    command.add_argument("--report", type=pathlib.Path, metavar="DIR", help="where the reports go (default: build/fleet)")
    command.set_defaults(func=run, parser=command)
