# SPDX-License-Identifier: GPL-2.0
"""Check that the lab supports this machine, and install missing packages."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import paths, temporary
from .apt import explain
from .context import Context, shared
from .errors import LabError
from .progress import Step
from .run import as_root, clean_environment, output, run

RELEASES = {"12": "bookworm", "13": "trixie"}

#: Packages of the machine's Debian to build, boot and migrate, by purpose.  This file lists
#: all packages that any command installs.
PACKAGES = (
    # kernels, their modules, programs for the emulated machines
    "gcc", "make", "bc", "bison", "flex", "perl", "libelf-dev", "libssl-dev", "kmod", "xz-utils",
    "patch", "rsync", "gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross",
    # the outer QEMU
    "dpkg-dev", "ninja-build", "pkgconf", "python3-venv", "libglib2.0-dev", "libslirp-dev",
    "libfdt-dev", "libseccomp-dev", "nettle-dev", "libgmp-dev", "zlib1g-dev",
    # verification of Debian's packages, and SSH
    "debian-archive-keyring", "openssh-client",
)
#: the kernel's documentation tools: make docs
DOCS = ("python3-sphinx", "python3-yaml", "graphviz", "librsvg2-bin", "imagemagick", "make", "xz-utils",
        "debian-archive-keyring")
#: build and check packages: make deb.  Not dkms: it would build modules of other
#: packages whenever this machine gets a kernel
DEB = ("build-essential", "debhelper", "dh-dkms", "dpkg-dev", "gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross", "lintian",
       "openssl")
#: the decoder, fuzzed on this machine: make fuzz
FUZZ = ("clang-19", "libclang-rt-19-dev", "zlib1g-dev")
#: static analysis of the driver: make static
STATIC = ("sparse", "clang-19")
#: plots: make bench
BENCH = (*PACKAGES, "python3-matplotlib")
#: patches for a kernel's tree: make series
SERIES = (*PACKAGES, "git")
#: run tests, or list them
PYTEST = ("python3-pytest", "python3-pytest-repeat", "python3-pytest-timeout",
          "python3-pytest-xdist")
#: all packages for make check; Debian packages are made from a clone only
CHECK = tuple(dict.fromkeys((*PACKAGES, *PYTEST, "cpio", "git", "procps", *STATIC, *FUZZ, *DOCS,
                             *(() if paths.PACKAGED else DEB))))

#: how long to wait for another apt, such as a fresh machine's daily one, to end
LOCK_SECONDS = 600
LOCK_INTERVAL = 2.0
#: variables that configure how apt reaches a mirror
PROXIES = ("http_proxy", "https_proxy", "no_proxy")
#: what apt says of a lock that it does not wait for by itself
LOCKED = re.compile(r"Could not get lock (\S+?)\.? .*?(?:It is held by (process \d+ \(.+?\)))?$|"
                    r"Unable to (?:lock directory|acquire the dpkg frontend lock)")


def check(os_release: Path = Path("/etc/os-release"), machine: str | None = None) -> None:
    """Fail if the machine is not Debian 12 or 13 on amd64."""
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


def free_memory(meminfo: Path = Path("/proc/meminfo")) -> int:
    """Memory that processes can still get, in MiB."""
    free = re.search(r"^MemAvailable: *(\d+) kB", meminfo.read_text(encoding="ascii"), re.M)
    return int(free[1]) // 1024 if free else 0


def require_memory(size: int, purpose: str, meminfo: Path = Path("/proc/meminfo")) -> None:
    """Fail if less than so many MiB of memory are free."""
    free = free_memory(meminfo)
    if free < size:
        raise LabError(f"Not enough memory for {purpose}: {free / 1024:.1f} GiB are free and {size / 1024:.1f} GiB are needed.")


def missing(packages: Sequence[str] = PACKAGES) -> list[str]:
    """The packages that are not installed."""
    done = subprocess.run(["dpkg-query", "--show", "--showformat",
                           "${db:Status-Abbrev}${Package}\\n", *packages],
                          capture_output=True, text=True, check=False)
    there = {line[3:] for line in done.stdout.splitlines() if line.startswith(("ii", "hi"))}
    return [package for package in packages if package not in there]


def ask_for_root(purpose: str) -> None:
    """Get root privileges: be root, or let sudo ask for a password now.

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
        raise LabError(f"To {purpose} the lab must be root, and sudo needs a password "
                       f"but there is no terminal.")
    print(f"To {purpose}, sudo may ask for your password.", file=sys.stderr)
    if subprocess.run(["sudo", "-v"], check=False).returncode != 0:
        raise LabError(f"To {purpose} the lab must be root, and sudo refused.")


def _without_candidate(packages: Sequence[str]) -> list[str]:
    text = output(["apt-cache", "policy", *packages])
    found = dict(re.findall(r"^(\S+):\n(?:.*\n)??\s+Candidate: (\S+)", text, re.MULTILINE))
    return [package for package in packages if found.get(package, "(none)") == "(none)"]


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + f" and {names[-1]}" if len(names) > 1 else "".join(names)


@dataclass(frozen=True)
class Plan:
    """What apt would do to install packages, or why it cannot."""

    new: tuple[str, ...]
    upgraded: tuple[str, ...]
    removed: tuple[str, ...]
    refused: str


def _plan(packages: Sequence[str]) -> Plan:
    """Simulate an installation with apt; needs no root privileges."""
    done = subprocess.run(["apt-get", "-q", "-y", "--simulate", "--no-install-recommends", "install", *packages],
                          capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
                          env=clean_environment())
    new, upgraded = [], []
    for name, old in re.findall(r"^Inst (\S+) (\[)?", done.stdout, re.M):
        (upgraded if old else new).append(name)
    removed = re.findall(r"^(?:Remv|Purg) (\S+)", done.stdout, re.M)
    unmet = re.findall(r"^ (\S+ : .+)$", done.stdout, re.M) + re.findall(r"^E: (.+)$", done.stderr, re.M)
    return Plan(tuple(new), tuple(upgraded), tuple(dict.fromkeys(removed)),
                unmet[0] if done.returncode and unmet else "")


def _check_plan(packages: Sequence[str]) -> Plan:
    """The plan if it removes no packages; otherwise LabError names them."""
    plan = _plan(packages)
    if plan.refused:
        raise LabError(f"This machine's Debian cannot install what the lab needs: {plan.refused}")
    if plan.removed:
        by = [package for package in packages if _plan([package]).removed] or list(packages)
        raise LabError(f"To install {_list(by)}, this machine's apt would remove {_list(plan.removed)}; the lab "
                       f"removes nothing: remove {'it' if len(plan.removed) == 1 else 'them'} yourself, or take "
                       f"another machine.")
    return plan


def install(packages: Sequence[str], context: Context) -> None:
    """Install packages of the machine's own release: named first, without a prompt,
    and never at the cost of one that is there.  Two processes may both need some.
    From the lab's own package, nothing is installed: the error names what is missing."""
    if paths.PACKAGED:
        raise LabError(f"Debian packages are missing; installed as a package, the lab installs none itself: run \"apt-get "
                       f"install --no-remove {' '.join(missing(packages))}\" as root, then this command again.")
    with context.cache.lock("install-packages", context.waiting):
        lacking = missing(packages)     # another process may have been quicker
        if lacking:
            context.steps.note(textwrap.fill(f"installing {len(lacking)} missing Debian packages with "
                                             f"apt-get: {' '.join(lacking)}", 100, subsequent_indent=" " * 11,
                                             break_on_hyphens=False))
            ask_for_root(f"install {lacking[0]}{f' and {len(lacking) - 1} more packages' if len(lacking) > 1 else ''}")
            _install(lacking, context)


def _apt_get(words: Sequence[str], log: Path, step: Step, context: Context, held: Callable[[], None] | None = None) -> bool:
    """Run apt-get as root; returns whether it succeeded.  If another one is running, report
    that and wait: apt itself waits for dpkg's lock, but not for that of its lists.
    With ``held`` it is not interrupted; see run()."""
    # sudo passes on none of the user's own variables
    way = [f"{name}={os.environ[name]}" for name in PROXIES if name in os.environ]
    # Ctrl-C goes to the terminal's session, sudo's command included.
    apart = ["setsid", "--wait"] if held else []
    command = as_root([*apart, "env", "DEBIAN_FRONTEND=noninteractive", *way, "apt-get", "-q", "-y",
                       "-o", "Dpkg::Use-Pty=0", "-o", f"DPkg::Lock::Timeout={LOCK_SECONDS}", "-o", "Acquire::Retries=3", *words])
    until = time.monotonic() + LOCK_SECONDS
    noted = False

    def note(who: str) -> None:
        nonlocal noted
        if not noted:
            context.steps.note(f"{who or 'another program'} is changing this machine's packages: waiting until it has "
                               f"ended, for {LOCK_SECONDS // 60} minutes at most")
        noted = True

    while True:
        locked: list[str] = []

        def see(line: str) -> None:
            found = LOCKED.search(line)
            if found:
                note(found[2] or "")
                if line.startswith("E:"):
                    locked.append(line)

        if run(command, log=log, check=False, on_line=see, held=held) == 0:
            return True
        if not locked:
            return False
        if time.monotonic() > until:
            raise LabError(f"Another program has been changing this machine's packages for {LOCK_SECONDS // 60} minutes: "
                           f"{locked[0].removeprefix('E: ')}", log)
        step.progress("waiting for another apt to end")
        time.sleep(LOCK_INTERVAL)


def _install(packages: Sequence[str], context: Context) -> None:
    def held() -> None:
        # A dpkg that is killed leaves a machine on which apt does nothing until it was repaired.
        context.steps.note("interrupted: waiting for dpkg to end, so that this machine's packages stay whole")

    log = context.cache.log("install")
    with context.steps.step(f"install {len(packages)} Debian packages", log) as step:
        def update() -> None:
            step.progress("fetching the package lists")
            if not _apt_get(["update"], log, step, context):
                raise LabError(explain(log) or "The package lists of this machine's Debian "
                               "cannot be fetched.", log)

        def attempt() -> bool:
            plan = _check_plan(packages)
            context.steps.note(f"with what they depend on: {len(plan.new)} new packages, {len(plan.upgraded)} upgraded"
                               f"{f' ({chr(32).join(plan.upgraded)})' if plan.upgraded else ''}, none removed")
            install = ["install", "--no-remove", "--no-install-recommends"]
            step.progress("downloading")
            if not _apt_get([*install, "--download-only", *packages], log, step, context):
                return False
            step.progress("installing")
            return _apt_get([*install, *packages], log, step, context, held)

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
        if not updated and not explain(log):
            update()
            if attempt():
                return
        raise LabError(explain(log) or "Packages that the lab needs cannot be installed.", log)


def prepare(context: Context | None = None, packages: Sequence[str] = PACKAGES) -> None:
    """Check the machine and install missing packages."""
    check()
    temporary.check()
    lacking = missing(packages)
    if lacking:
        install(lacking, context or shared())
