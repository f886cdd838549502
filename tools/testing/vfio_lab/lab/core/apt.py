# SPDX-License-Identifier: GPL-2.0
"""Fetch and verify Debian 13 packages and sources, independent of the machine's apt.

The lab has its own apt configuration in the cache.  The machine's apt.conf is read
before it, so that its proxy and other network settings apply.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from . import apt_sources
from .cache import Cache, digest
from .errors import LabError
from .run import output, redact, run

RELEASE = "trixie"
SUITES = (RELEASE, f"{RELEASE}-updates", f"{RELEASE}-backports")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
#: The lists are updated if they are older than this when something is fetched.
FRESH_SECONDS = 3600
#: apt repeats failed downloads after 1, 2, 4 seconds
RETRIES = 3

_NO_NETWORK = re.compile(
    r"could not resolve|failure resolving|could not connect|cannot initiate|unable to connect|"
    r"connection (?:timed out|failed|refused|reset)|network is unreachable|no route to host|"
    r"no address associated", re.IGNORECASE)
_UNTRUSTED = re.compile(
    r"NO_PUBKEY|EXPKEYSIG|is not signed|invalid signature|signatures? (?:couldn't|could not)|"
    r"no longer valid|not valid yet", re.IGNORECASE)
_NO_RELEASE = re.compile(r"does not have a Release file|Release\s+4\d\d\s", re.IGNORECASE)
_INTERRUPTED = re.compile(r"dpkg was interrupted", re.IGNORECASE)
_NO_ROOM = re.compile(r"no space left|not enough free space|don't have enough free", re.IGNORECASE)


def machine_codename(os_release: Path = Path("/etc/os-release")) -> str:
    """The machine's Debian release, "bookworm" for one; "" if it has none."""
    text = os_release.read_text(encoding="utf-8") if os_release.exists() else ""
    found = re.search(r'^VERSION_CODENAME="?(\w+)"?$', text, re.MULTILINE)
    return found[1] if found else ""


def explain(log: Path) -> str | None:
    """A sentence on a problem in an apt log that a user can solve, or None."""
    text = log.read_text(encoding="utf-8", errors="replace")
    if _NO_NETWORK.search(text):
        return ("This machine's Debian mirror cannot be reached: check the network, "
                "and whether apt needs a proxy.")
    if _NO_RELEASE.search(text):
        return "This machine's Debian mirror lacks a part of Debian 13 that the lab needs."
    if _UNTRUSTED.search(text):
        return ("The files of this machine's Debian mirror do not verify against Debian's "
                "keyring: check the clock and update debian-archive-keyring.")
    if _INTERRUPTED.search(text):
        return ("dpkg was interrupted earlier on this machine: run \"dpkg --configure -a\" as root, then this "
                "command again.")
    if _NO_ROOM.search(text):
        return "The disk is full: apt cannot store downloaded files."
    return None


class Apt:
    """The private configuration for one architecture."""

    def __init__(self, cache: Cache, arch: str = "amd64",
                 etc: Path = apt_sources.APT_ETC) -> None:
        self.cache = cache
        self.arch = arch
        self.root = cache.root / "apt" / arch
        self.sources = self.root / "etc" / "sources.list"
        self._config = self.root / "etc" / "apt.conf"
        self._etc = etc

    # The configuration

    def _archives(self) -> list[str]:
        found = apt_sources.debian_archives(machine_codename(), self._etc)
        if not found:
            raise LabError(
                "No Debian mirror was found in this machine's apt sources: none of them has "
                "this Debian release's main over http or https; the lab fetches Debian 13's "
                "packages from the same mirror.")
        return found

    def _write(self, archive: str) -> None:
        for name in ("etc", "lists/partial", "archives/partial"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        (self.root / "status").touch()
        if not KEYRING.exists():
            raise LabError(f"Debian's keyring {KEYRING} is not there: install the package "
                           f"debian-archive-keyring.")
        lines = []
        for suite in SUITES:
            for kind, target in (("deb", "Packages"), ("deb-src", "Sources")):
                # Only these lists: not what apt-file or AppStream would add.
                lines.append(f"{kind} [arch={self.arch} target={target} signed-by={KEYRING}] "
                             f"{archive} {suite} main\n")
        # An address may hold a password.
        descriptor = os.open(self.sources, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write("".join(lines))
        self._config.write_text(f'''
Dir::Etc::sourcelist "{self.sources}";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State "{self.root}";
Dir::State::lists "{self.root}/lists";
Dir::State::status "{self.root}/status";
Dir::Cache "{self.root}";
Dir::Cache::archives "{self.root}/archives";
Dir::Cache::pkgcache "{self.root}/pkgcache.bin";
Dir::Cache::srcpkgcache "{self.root}/srcpkgcache.bin";
APT::Architecture "{self.arch}";
#clear APT::Architectures;
APT::Architectures {{ "{self.arch}"; }};
APT::Sandbox::User "root";
APT::Get::AllowUnauthenticated "false";
Acquire::AllowInsecureRepositories "false";
Acquire::Languages "none";
Acquire::PDiffs "false";
Acquire::Retries "{RETRIES}";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
''', encoding="utf-8")

    def _apt(self, tool: str, *words: str) -> list[str]:
        # -c is read after the machine's own apt.conf and wins over it.
        return [tool, "-c", str(self._config), *words]

    # The lists

    @property
    def _stamp(self) -> Path:
        return self.root / "updated"

    def _lock(self) -> AbstractContextManager[None]:
        """Lists must not change under a process that reads them; never nested."""
        return self.cache.lock(f"apt-{self.arch}")

    def update(self) -> None:
        """Fetch the lists from the first of the machine's mirrors that Debian signed."""
        with self._lock():
            self._update()

    def _update(self) -> None:
        archives = self._archives()
        log = self.cache.log(f"apt-update-{self.arch}")
        why = ""
        for archive in archives:
            self._write(archive)
            self._stamp.unlink(missing_ok=True)
            status = run(self._apt("apt-get", "-q", "--error-on=any", "update"), log=log,
                         check=False)
            if status == 0:
                self._stamp.write_text(digest({"of": archives}), encoding="utf-8")
                return
            # Report the error of the most likely mirror.
            why = why or explain(log) or (f"This machine's Debian mirror offers no {RELEASE} "
                                          f"that apt can use.")
        raise LabError(why, log)

    def _fresh(self) -> bool:
        """Whether there are lists of the machine's current sources that are not old."""
        try:
            said = self._stamp.read_text(encoding="utf-8")
            return (said == digest({"of": self._archives()})
                    and time.time() - self._stamp.stat().st_mtime < FRESH_SECONDS)
        except FileNotFoundError:
            return False

    def ready(self) -> None:
        """Update the lists if they are too old."""
        if not self._fresh():
            with self._lock():
                if not self._fresh():
                    self._update()

    def _ask(self, *words: str) -> str:
        self.ready()
        with self._lock():
            return output(self._apt("apt-cache", *words))

    # Queries

    def candidate(self, package: str) -> str | None:
        """The version that would be installed, or None if there is no such package."""
        text = self._ask("policy", package)
        found = re.search(r"^\s+Candidate: (\S+)$", text, re.MULTILINE)
        return None if not found or found[1] == "(none)" else found[1]

    def names(self, pattern: str) -> list[str]:
        """The packages whose whole name matches a regular expression."""
        return sorted(name for name in self._ask("pkgnames").split()
                      if re.fullmatch(pattern, name) and self.candidate(name))

    def describe(self, names: list[str]) -> str:
        """What the archive says of those of these names that are packages, a paragraph each."""
        known = set(self._ask("pkgnames").split())
        return self._ask("show", "--no-all-versions", *sorted(known & set(names)))

    def source_versions(self, package: str) -> list[str]:
        """The versions of a source package, in the order of the lists."""
        self.ready()
        try:
            text = self._ask("showsrc", "--only-source", package)
        except LabError:
            return []
        return list(dict.fromkeys(re.findall(r"^Version: (\S+)$", text, re.MULTILINE)))

    # Fetching

    def _fetch(self, what: str, words: list[str], folder: Path,
               look: Callable[[Callable[[], str] | None], None] | None) -> list[Path]:
        self.ready()
        log = self.cache.log(f"apt-get-{what}")
        with tempfile.TemporaryDirectory(prefix=".fetch", dir=folder) as name:
            there = Path(name)
            if look is not None:
                look(lambda: f"{sum(f.stat().st_size for f in there.iterdir()) // 10**6} MB")
            try:
                with self._lock():
                    status = run(self._apt("apt-get", "-q", *words), log=log, cwd=there,
                                 check=False)
                if status != 0:
                    # The mirror may have changed since the lists were fetched.
                    self._stamp.unlink(missing_ok=True)
                    raise LabError(explain(log) or f"Debian's package {what} is not what this "
                                   f"machine's mirror said it has; try again, with its lists "
                                   f"fetched again.", log)
            finally:
                if look is not None:
                    look(None)
            files = []
            for path in sorted(there.iterdir()):
                files.append(path.rename(folder / path.name))
        return files

    def download(self, package: str, version: str | None, folder: Path,
                 look: Callable[[Callable[[], str] | None], None] | None = None) -> Path:
        """Fetch a package into a directory; apt has verified it.

        ``look`` is a Step's watch().
        """
        wanted = version or self.candidate(package)
        if wanted is None:
            raise LabError(f"Debian's package {package} is gone from this machine's mirror.")
        files = self._fetch(package, ["download", f"{package}={wanted}"], folder, look)
        return files[0]

    def source(self, package: str, version: str, folder: Path,
               look: Callable[[Callable[[], str] | None], None] | None = None) -> Path:
        """Fetch a source package into a directory; apt has verified it.  Returns its .dsc."""
        files = self._fetch(package, ["source", "--download-only", "--only-source",
                                      f"{package}={version}"], folder, look)
        return next(path for path in files if path.suffix == ".dsc")

    def closure(self, packages: Sequence[str], folder: Path,
                look: Callable[[Callable[[], str] | None], None] | None = None) -> list[Path]:
        """Fetch packages into an empty directory with all that they depend on, as for a system
        that has none yet; apt has verified them.  A name may have a release behind a "/".

        ``look`` is a Step's watch().
        """
        self.ready()
        (folder / "partial").mkdir()
        log = self.cache.log(f"apt-get-{packages[0].partition('/')[0]}")
        if look is not None:
            look(lambda: f"{sum(f.stat().st_size for f in folder.rglob('*.deb')) // 10**6} MB")
        try:
            with self._lock():
                status = run(self._apt("apt-get", "-q", "-y", "--no-install-recommends", "--download-only",
                                       "-o", f"Dir::Cache::archives={folder}", "install", *packages),
                             log=log, check=False)
        finally:
            if look is not None:
                look(None)
        if status != 0:
            self._stamp.unlink(missing_ok=True)
            raise LabError(explain(log) or f"Debian's {self.arch} packages cannot be fetched: this machine's "
                           f"mirror does not have what it said; try again, with its lists fetched again.", log)
        return sorted(folder.glob("*.deb"))


def unpack(deb: Path, folder: Path, log: Path) -> None:
    """Lay a package's files out under a directory; runs none of its scripts."""
    run(["dpkg-deb", "--extract", deb, folder], log=log,
        failure=f"The package {redact(deb.name)} cannot be unpacked.")
