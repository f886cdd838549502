# SPDX-License-Identifier: GPL-2.0
"""`make fuzz`: random input for the driver: its decoder on this machine, by libFuzzer;
migration data for VFs of a host; and all other operations of the device API, from several
threads."""

from __future__ import annotations

import os
from pathlib import Path

from ..core import hardware, machine, paths, scratch, versions
from ..core.context import Context
from ..core.errors import LabError
from ..core.run import run
from ..build import kselftest
from ..build.kernel import kernel
from ..scenario import accelerator, watch
from ..scenario.config import MODEL, HostConfig
from ..scenario.host import Host
from ..scenario.session import Session

SOURCE = paths.LAB / "programs/data_fuzz"
SELFTESTS = paths.ROOT / "tools/testing/selftests/vfio"
COMPILER = "clang-19"
FLAGS = ("-std=gnu2x", "-g", "-O2", "-Wall", "-Wextra", "-Wno-sign-compare", "-Werror", "-D_GNU_SOURCE",
         "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all")
#: the fuzzers, and the default number of inputs
WHAT = {"decoder": 10_000_000, "data": 200_000, "operations": 1_000_000}
#: number of VFs that get migration data: most of it is followed by a reset, which takes
#: 0.1 s
VFS = 24
DATA = "/lab/acc_data_fuzz"
OPERATIONS = "/lab/acc_ops_fuzz"
#: an emulated host does dozens of inputs, and hundreds of operations, a second
SECONDS_EACH = 0.1
#: guest errors that operations provoke: they read the guest part of BAR2 at any offset
PROVOKED = r"sec \d+: the device counted \d+ times: undefined-register"


def decoder(context: Context, count: int, seed: int, folder: Path, driver: Path = paths.DRIVER) -> str:
    """Give `count` inputs to the decoder of the driver in `driver`; returns what
    libFuzzer said. Raises LabError when one was decoded wrongly, which then lies
    in `folder`."""
    machine.prepare(context, machine.FUZZ)
    log = folder / "decoder.log"
    tools = kernel(versions.DEFAULT, context).source / "tools"
    with context.steps.step(f"fuzz the decoder with {count} inputs, seed {seed}", log) as step, \
            scratch.folder("fuzz-") as work:
        program = work / "data_fuzz"
        run([COMPILER, *FLAGS, f"-I{SOURCE}", f"-I{driver}", f"-I{SELFTESTS}", f"-I{tools}/include", "-o", program,
             SOURCE / "data_fuzz.c", tools / "lib/string.c", tools / "lib/ctype.c", "-lz"], log=log,
            failure="The decoder cannot be compiled for this machine.")
        said: list[str] = []

        def hear(line: str) -> None:
            said.append(line)
            if line.startswith("#"):
                step.progress(line.split("\t")[0])

        status = run([program, f"-runs={count}", f"-seed={seed}", "-max_len=192", "-len_control=0",
                      f"-artifact_prefix={folder}/"], log=log, check=False, on_line=hear)
    if status:
        wrong = next((line for line in said if "not so:" in line or "ERROR:" in line or "runtime error" in line), "")
        raise LabError(f"the decoder failed for an input: {wrong.strip()}", log)
    return "\n".join(said)


def config(context: Context, patches: tuple[Path, ...] = ()) -> HostConfig:
    """A host with VFs and programs for data() and operations(); `patches`
    change its driver."""
    return HostConfig(vfs=VFS, patches=patches, model={**MODEL, "queues": str(hardware.PF_QUEUES + 4 * VFS)},
                      push={DATA: kselftest.program("acc_data_fuzz", context),
                            OPERATIONS: kselftest.program("acc_ops_fuzz", context)})


def bring_up(session: Session, picked: HostConfig) -> Host:
    """Boot it, and bind all VFs to the driver."""
    (host,) = session.boot([session.spec("host", picked)])
    accelerator.set_up(host.ssh, [hardware.ENGINES["sec"]], picked.vfs)
    return host


def _last_line(host: Host, command: str, count: int) -> str:
    done = host.ssh.run(command, timeout=120 + SECONDS_EACH * count, check=False)
    lines = (done.stdout + done.stderr).strip().splitlines() or ["no output"]
    if done.returncode:
        raise LabError(f"{command.split()[0]}: {lines[-1]}", host.console)
    return lines[-1]


def data(host: Host, count: int, seed: int, refused_only: bool = False) -> str:
    """Load `count` inputs into VFs; returns the last line of output."""
    vfs = " ".join(accelerator.vfs(host.ssh, hardware.ENGINES["sec"]))
    return _last_line(host, f"{DATA} {'-r ' if refused_only else ''}{count} {seed} {vfs}", count)


def operations(host: Host, count: int, seed: int) -> str:
    """Run `count` operations on a VF; returns the last line of output."""
    vf = accelerator.vfs(host.ssh, hardware.ENGINES["sec"])[0]
    return _last_line(host, f"{OPERATIONS} {count} {seed} {vf}", count)


def fuzz(what: tuple[str, ...], count: int | None, seed: int | None, folder: Path, context: Context) -> None:
    """What `vlab fuzz` does; prints a line for each part. Raises LabError for what
    was found."""
    if seed is None:
        seed = int.from_bytes(os.urandom(3), "big")
    for name in what:
        number = count or WHAT[name]
        if name == "decoder":
            decoder(context, number, seed, folder)
            print(f"decoder: {number} inputs, seed {seed}: ok", flush=True)
            continue
        with Session(context.steps, folder) as session:
            host = bring_up(session, config(context))
            with context.steps.step(f"fuzz {name} with {number} inputs, seed {seed}", host.console):
                said = (data if name == "data" else operations)(host, number, seed)
            watch.expect(PROVOKED, maybe=True)
            found = host.unexpected()
            if found:
                raise LabError(f"unexpected kernel message or guest error: {found[0]}", host.console)
            print(f"{name}: seed {seed}: {said}", flush=True)
