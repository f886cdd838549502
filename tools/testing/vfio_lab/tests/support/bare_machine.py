# SPDX-License-Identifier: GPL-2.0
"""A minimal machine: Debian 12 or 13 in a directory, with sudo, git and make, a user with a sudo
password, and a checkout with a space in its path.

    python3 tests/support/bare_machine.py 13 [-c CACHE [--at PLACE]] -- make demo

runs a command there. It requires mmdebstrap, and root's rights to mount and to change the root
file system. The mounts are private, and everything is removed at the end.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import pty
import re
import select
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from lab.core import apt_sources, files, paths  # noqa: E402
from lab.core.apt import machine_codename  # noqa: E402
from lab.core.git import git  # noqa: E402
from lab.core.machine import RELEASES  # noqa: E402

USER, PASSWORD, UID = "somebody", "a password", 1000
CHECKOUT = f"/home/{USER}/a check out"
ASKS = re.compile(rb"\[sudo\] password for " + USER.encode() + rb": ")
#: in namespaces of its own, so that mounts and processes end with it; a mount replaces its root
#: file system, as a process in a chroot may not create a user namespace
ENTER = """
mount --bind "$1" "$1"
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
[ -z "$2" ] || { mkdir -p "$1/$7"; chmod go+x "$1/root"; mount --bind "$2" "$1/$7"; }
cd "$1"
mkdir -p before
pivot_root . before
exec chroot . sh -c 'umount -l /before; exec setpriv "$@"' sh --reuid="$3" --regid="$3" --init-groups \
	env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME="/home/$4" USER="$4" TERM=dumb VFIO_LAB_CACHE="$7" \
	bash -c "umask 077; cd \\"$5\\" && $6"
"""


def network() -> str:
    """This machine's apt options for reaching a mirror, as an apt.conf."""
    done = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True)
    wanted = re.compile(r"Acquire::(?:(?:https?|socks5h?)::|Check-(?:Valid-Until|Date)|Retries|ForceIPv)", re.I)
    return "".join(f"{line}\n" for line in done.stdout.splitlines() if wanted.match(line))


class BareMachine:
    """The directory, made below `top`, of a Debian release ("12"), and commands in it. A `cache` of
    the lab can be shared with it; the user becomes its owner, and it is at `place`, by default its
    own path: kernels build modules only at the path where they were built."""

    def __init__(self, top: pathlib.Path, release: str, cache: pathlib.Path | None = None,
                 place: pathlib.Path | None = None) -> None:
        self._place = place or cache
        self.root = top / f"debian-{release}"
        self._cache = cache
        #: how often sudo has asked, and all output
        self.asked, self.said = 0, ""
        checkout = self.root / CHECKOUT.lstrip("/")
        if not self.root.exists():
            self._install(top, RELEASES[release])
        shutil.rmtree(checkout, ignore_errors=True)
        git(paths.ROOT, "clone", "--quiet", "--no-local", paths.ROOT, checkout)
        for name in files.listed():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(paths.ROOT / name, checkout / name)
        subprocess.run(["chown", "--recursive", f"{UID}:{UID}", checkout, *([cache] if cache else [])], check=True)

    def _install(self, top: pathlib.Path, codename: str) -> None:
        (archive, *_) = apt_sources.debian_archives(machine_codename())     # which includes the others
        conf = top / "network.conf"
        conf.write_text(network(), encoding="utf-8")
        sources = top / "sources.list"
        sources.touch(mode=0o600)
        sources.write_text(f"deb {archive} {codename} main\ndeb {archive} {codename}-updates main\n", encoding="utf-8")
        subprocess.run(["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--include=sudo,git,make",
                        f"--aptopt={conf}", codename, self.root, sources], check=True)
        shutil.copy(conf, self.root / "etc/apt/apt.conf.d/90network")
        for name in ("etc/resolv.conf", "etc/hosts", "etc/apt/auth.conf"):
            if pathlib.Path("/", name).exists():
                shutil.copy(f"/{name}", self.root / name)
        for command in (["useradd", "--create-home", "--uid", str(UID), "--shell", "/bin/bash", "--groups", "sudo", USER],
                        ["chpasswd"]):
            subprocess.run(["chroot", self.root, *command], input=f"{USER}:{PASSWORD}\n", text=True, check=True)

    def run(self, command: str, seconds: float) -> int:
        """Run a shell command as the user, in the checkout and on a terminal; returns its status."""
        words = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-euc", ENTER, "sh", str(self.root),
                 str(self._cache or ""), str(UID), USER, CHECKOUT, command, str(self._place or "")]
        pid, terminal = pty.fork()
        if pid == 0:
            os.execvp(words[0], words)
        until = time.monotonic() + seconds
        seen = b""
        answered = 0
        while time.monotonic() < until:
            if not select.select([terminal], [], [], 1)[0]:
                continue
            try:
                part = os.read(terminal, 65536)
            except OSError:     # the other end is closed
                break
            if not part:
                break
            seen += part
            sys.stdout.write(part.decode("utf-8", "replace"))
            sys.stdout.flush()
            while len(ASKS.findall(seen)) > answered:
                answered += 1
                os.write(terminal, f"{PASSWORD}\n".encode())
        else:
            os.kill(pid, 9)
        os.close(terminal)
        self.asked += answered
        self.said += seen.decode("utf-8", "replace").replace("\r\n", "\n")
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main() -> int:
    """Run a command on such a machine."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("release", choices=tuple(RELEASES))
    parser.add_argument("-c", "--cache", type=pathlib.Path, help="a cache to lend, which becomes the user's")
    parser.add_argument("--at", type=pathlib.Path, help="where it lies there")
    parser.add_argument("--keep", type=pathlib.Path, help="leave it there, and take one that was left")
    parser.add_argument("command", nargs="+")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vlab-bare-") as name:
        machine = BareMachine(args.keep or pathlib.Path(name), args.release, args.cache, args.at)
        started = time.monotonic()
        status = machine.run(args.command[0] if len(args.command) == 1 else shlex.join(args.command), 6 * 3600)
        print(f"exit status {status} after {time.monotonic() - started:.0f} s; sudo asked {machine.asked} times")
    return status


if __name__ == "__main__":
    sys.exit(main())
