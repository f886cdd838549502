# SPDX-License-Identifier: GPL-2.0
"""The initramfs of a host, a concatenation of archives.

The kernel unpacks concatenated archives one after the other, a later file
replaces an earlier one.  The large parts come from the cache; a small
archive at the end has the files of one boot.
"""

from __future__ import annotations

import pathlib
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from ..core import hardware, paths
from ..core.context import Context
from ..core.errors import LabError
from . import cpio, cross, rootfs
from .kernel import GUEST_FLAVOUR, Kernel
from .load_module import edu_load_module, load_module, stock_qm

# What the guest needs of the kernel's modules: the stock driver of each engine
GUEST_MODULES = tuple(e.driver for e in hardware.ENGINES.values())
# What a guest with a script may want on top: encrypted disks in memory, keys; of a
# host's kernel in a guest, VFIO
SCRIPT_MODULES = ("brd", "dm_crypt", "pkcs8_key_parser")
SCRIPT_MODULES_OF_HOSTS = (hardware.VARIANT_DRIVER,)


def _module_files(kernel: Kernel, names: tuple[str, ...]) -> list[pathlib.Path]:
    """Files of the named modules and of their dependencies."""
    needed: list[pathlib.Path] = []
    for name in names:
        shown = subprocess.run(["/sbin/modprobe", "-d", str(kernel.modules), "-S", kernel.release,
                                "--show-depends", name], capture_output=True, text=True, check=False)
        if shown.returncode:
            raise LabError(f"kernel {kernel.version} has no module {name}: {shown.stderr.strip()}")
        for line in shown.stdout.splitlines():
            if line.startswith("insmod "):
                needed.append(pathlib.Path(line.split()[1]))
    return list(dict.fromkeys(needed))


def _with_depmod(kernel: Kernel, tree: pathlib.Path) -> None:
    subprocess.run(["/sbin/depmod", "-b", str(tree), kernel.release], check=True)


def guest_initrd(kernel: Kernel, out: pathlib.Path, scratch: pathlib.Path, context: Context,
                 script: pathlib.Path | None = None, push: Mapping[str, pathlib.Path] | None = None,
                 lacks: str = "") -> None:
    """Write the guest's whole initramfs to `out`.  With a `script`, which becomes
    /lab/script, others' tools that use accelerators are in it, too, and the files
    of `push` (name in the guest: local).  `lacks` is a statement that the stock
    drivers' common part is to be without."""
    tree = scratch / "guest"
    # No dependency names these: the kernel loads them when it looks for an algorithm
    software = sorted((kernel.modules / "lib/modules" / kernel.release / "kernel/crypto").glob("*.ko"))
    names = GUEST_MODULES
    if script:
        names += SCRIPT_MODULES if kernel.flavour == GUEST_FLAVOUR else SCRIPT_MODULES_OF_HOSTS
    for file in dict.fromkeys(_module_files(kernel, names) + software):
        target = tree / file.relative_to(kernel.modules)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    updates = tree / "lib/modules" / kernel.release / "updates"
    updates.mkdir()
    for module in (load_module(kernel, context), edu_load_module(kernel, context)):
        shutil.copy(module, updates)
    if lacks:
        shutil.copy(stock_qm(kernel, lacks, context), updates)
    for list_file in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
        shutil.copy(kernel.modules / "lib/modules" / kernel.release / list_file,
                    tree / "lib/modules" / kernel.release / list_file)
    _with_depmod(kernel, tree)
    entries = cpio.tree(tree, prefix="usr")
    entries["init"] = cpio.program(paths.LAB / "programs/guest/init")
    entries["lab/load"] = cpio.program(cross.static_program(paths.LAB / "programs/load.c", context))
    archives = [rootfs.guest_root(context), scratch / "guest-lab.cpio"]
    if script:
        entries["lab/script"] = cpio.program(script)
        entries.update((name.lstrip("/"), cpio.program(file)) for name, file in (push or {}).items())
        archives.insert(1, rootfs.guest_tools(context))
    cpio.archive(scratch / "guest-lab.cpio", entries)
    cpio.concatenate(out, archives)


def host_modules(kernel: Kernel, modules: Sequence[pathlib.Path], out: pathlib.Path,
                 scratch: pathlib.Path) -> None:
    """Archive the kernel's modules for a host.  These `modules` take the place
    of the kernel's own files of the same names, as modules in updates/ do on
    any system."""
    tree = scratch / "modules"
    place = f"lib/modules/{kernel.release}"
    shutil.copytree(kernel.modules / place, tree / place, symlinks=True, ignore=shutil.ignore_patterns("build", "source"))
    updates = tree / place / "updates"
    for module in modules:
        updates.mkdir(exist_ok=True)
        shutil.copy(module, updates / module.name)
    _with_depmod(kernel, tree)
    cpio.archive(out, cpio.tree(tree, prefix="usr"))


def host_overlay(guest: tuple[pathlib.Path, pathlib.Path] | None, env: Mapping[str, str], public_key: str,
                 push: Mapping[str, pathlib.Path], out: pathlib.Path, context: Context) -> None:
    """Archive the files of one host: init, environment, key, the guest
    (its kernel and initramfs), and the files and directories pushed by the user (remote
    name: local)."""
    entries = {
        "init": cpio.program(paths.LAB / "programs/host/init"),
        "lab/clock": cpio.program(cross.static_program(paths.LAB / "programs/clock.c", context)),
        "lab/host.env": cpio.file("".join(f"{k}='{v}'\n" for k, v in env.items())),
        "root": cpio.folder(0o700),
        "root/.ssh": cpio.folder(0o700),
        "root/.ssh/authorized_keys": cpio.file(public_key, 0o600),
    }
    if guest:
        entries["lab/Image"], entries["lab/guest.cpio"] = map(cpio.file, guest)
    for remote, local in push.items():
        if local.is_dir():
            entries |= cpio.tree(local, prefix=remote.strip("/")) | {remote.strip("/"): cpio.folder()}
        else:
            entries[remote.lstrip("/")] = cpio.file(local, local.stat().st_mode & 0o777)
    cpio.archive(out, entries)

