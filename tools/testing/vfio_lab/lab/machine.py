# SPDX-License-Identifier: GPL-2.0
"""Is this machine one the lab runs on, and does it have what the lab needs?"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .apt import explain
from .context import Context, shared
from .errors import LabError
from .run import as_root, output, run

RELEASES = {"12": "bookworm", "13": "trixie"}

#: All that the lab takes from the machine's own Debian, by what needs it.
PACKAGES = (
    # kernels, their modules, our programs for the emulated machines
    "gcc", "make", "bc", "bison", "flex", "perl", "libelf-dev", "libssl-dev", "kmod", "xz-utils",
    "patch", "rsync", "gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross",
    # the outer QEMU
    "dpkg-dev", "ninja-build", "pkgconf", "python3-venv", "libglib2.0-dev", "libslirp-dev",
    "libfdt-dev", "libseccomp-dev", "nettle-dev", "libgmp-dev", "zlib1g-dev",
    # root file systems, and the way into a host
    "mmdebstrap", "debian-archive-keyring", "openssh-client",
    # the tests
    "python3-pytest", "python3-pytest-timeout", "python3-pytest-xdist", "cpio",
)


def check(os_release: Path = Path("/etc/os-release"), machine: str | None = None) -> None:
    """Refuse a machine that is not Debian 12 or 13 on amd64, saying what it is."""
    text = os_release.read_text(encoding="utf-8") if os_release.exists() else ""
    fields = {name: value.strip('"') for name, value in
              re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE)}
    machine = machine or platform.machine()
    # A derivative that only resembles Debian has other packages in its archive.
    if fields.get("ID") != "debian" or fields.get("VERSION_ID") not in RELEASES:
        what = fields.get("PRETTY_NAME") or "a system without /etc/os-release"
        raise LabError(f"The lab runs on Debian 12 or 13; this machine is {what}.")
    if machine != "x86_64":
        raise LabError(f"The lab runs on amd64 machines; this one is {machine}.")


def missing(packages: Sequence[str] = PACKAGES) -> list[str]:
    """Those of the packages that are not installed."""
    done = subprocess.run(["dpkg-query", "--show", "--showformat",
                           "${db:Status-Abbrev}${Package}\\n", *packages],
                          capture_output=True, text=True, check=False)
    there = {line[3:] for line in done.stdout.splitlines() if line.startswith(("ii", "hi"))}
    return [package for package in packages if package not in there]


def ask_for_root(purpose: str) -> None:
    """Have root's rights at hand: be root, or let sudo ask for a password now.

    Called outside a step's quiet parts, as sudo talks to the terminal.
    """
    if os.geteuid() == 0:
        return
    if shutil.which("sudo") is None:
        raise LabError(f"To {purpose} the lab must be root, and there is no sudo here.")
    quiet = subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False)
    if quiet.returncode == 0:
        return
    if not sys.stdin.isatty():
        raise LabError(f"To {purpose} the lab must be root, and sudo wants a password "
                       f"but there is no terminal to ask on.")
    print(f"To {purpose}, sudo may ask for your password.", file=sys.stderr)
    if subprocess.run(["sudo", "-v"], check=False).returncode != 0:
        raise LabError(f"To {purpose} the lab must be root, and sudo refused.")


def _without_candidate(packages: Sequence[str]) -> list[str]:
    text = output(["apt-cache", "policy", *packages])
    found = dict(re.findall(r"^(\S+):\n(?:.*\n)??\s+Candidate: (\S+)", text, re.MULTILINE))
    return [package for package in packages if found.get(package, "(none)") == "(none)"]


def install(packages: Sequence[str], context: Context) -> None:
    """Install packages of the machine's own release, without a question asked. Tests
    in two processes may both want some: apt has locks that it does not wait for."""
    ask_for_root(f"install {packages[0]}{f' and {len(packages) - 1} more packages' if len(packages) > 1 else ''}")
    with context.cache.lock("install-packages", context.waiting):
        lacking = missing(packages)     # another process may have been quicker
        if lacking:
            _install(lacking, context)


def _install(packages: Sequence[str], context: Context) -> None:
    log = context.cache.log("install")
    apt_get = as_root(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y",
                       "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3"])
    with context.steps.step(f"install {len(packages)} Debian packages", log) as step:
        def update() -> None:
            step.progress("fetching the package lists")
            if run([*apt_get, "update"], log=log, check=False) != 0:
                raise LabError(explain(log) or "The package lists of this machine's Debian "
                               "cannot be fetched.", log)

        def attempt() -> bool:
            step.progress("installing")
            return run([*apt_get, "install", "--no-install-recommends", *packages], log=log,
                       check=False) == 0

        updated = bool(_without_candidate(packages))
        if updated:
            update()
            gone = _without_candidate(packages)
            if gone:
                raise LabError(f"This machine's Debian no longer has the package"
                               f"{'s' if len(gone) > 1 else ''} {', '.join(gone)}.", log)
        if attempt():
            return
        # Old lists name files that the mirror has replaced since.
        if not updated:
            update()
            if attempt():
                return
        raise LabError(explain(log) or "Packages that the lab needs cannot be installed.", log)


def prepare(context: Context | None = None) -> None:
    """Refuse an unfit machine; install what it lacks."""
    check()
    lacking = missing()
    if lacking:
        install(lacking, context or shared())
