# SPDX-License-Identifier: GPL-2.0
"""Which archives carry this machine's Debian release, by its own apt sources."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

APT_ETC = Path("/etc/apt")
#: Suites that name a release by its age, and may stand for the machine's.
AGES = ("stable", "oldstable", "oldoldstable")
NO = ("no", "false", "without", "off", "disable", "0")


@dataclass(frozen=True)
class Source:
    """One archive with its suites, as apt would use it."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    options: dict[str, str] = field(default_factory=dict, hash=False, compare=False)


def one_line(text: str) -> Iterator[Source]:
    """The binary archives in a file of the one-line form, sources.list(5)."""
    for line in text.splitlines():
        line = line.partition("#")[0].strip()
        found = re.fullmatch(r"deb\s+(?:\[([^]]*)\]\s*)?(\S+)\s+(\S+)((?:\s+\S+)*)", line)
        if not found:
            continue
        options = dict(part.partition("=")[::2] for part in shlex.split(found[1] or ""))
        yield Source(found[2], (found[3],), tuple(found[4].split()),
                     {name.lower(): value for name, value in options.items()})


def deb822(text: str) -> Iterator[Source]:
    """The enabled binary archives in a file of the deb822 form."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for stanza in re.split(r"\n\s*\n", "\n".join(lines)):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line[:1] in (" ", "\t"):
                if name:
                    fields[name] += "\n" + line.strip()
            elif ":" in line:
                name, _, value = line.partition(":")
                name = name.strip().lower()
                fields[name] = value.strip()
        enabled = fields.get("enabled", "yes").lower() not in NO
        if not enabled or "deb" not in fields.get("types", "").split():
            continue
        for uri in fields.get("uris", "").split():
            yield Source(uri, tuple(fields.get("suites", "").split()),
                         tuple(fields.get("components", "").split()), fields)


def machine_sources(etc: Path = APT_ETC) -> list[Source]:
    """All binary archives that the machine's apt uses, in apt's own order."""
    found: list[Source] = []
    main = etc / "sources.list"
    if main.is_file():
        found += one_line(main.read_text(encoding="utf-8", errors="replace"))
    parts = etc / "sources.list.d"
    for path in sorted(parts.iterdir()) if parts.is_dir() else []:
        # apt's own rule: any other name in this directory is not read
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", path.name) or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if path.suffix == ".list":
            found += one_line(text)
        elif path.suffix == ".sources":
            found += deb822(text)
    return found


def _web_addresses(uri: str) -> list[str]:
    """The http(s) addresses behind a URI: itself, or those of a local mirror list."""
    if re.match(r"https?://", uri, re.IGNORECASE):
        return [uri]
    if uri.startswith("mirror+file:"):
        # Debian's cloud images keep their mirror in such a file.
        try:
            text = Path(re.sub("^mirror[+]file:/*", "/", uri)).read_text(encoding="utf-8")
        except OSError:
            return []
        words = (line.split()[0] for line in text.splitlines()
                 if line.strip() and not line.startswith("#"))
        return [word for word in words if re.match(r"https?://", word, re.IGNORECASE)]
    return []


def debian_archives(codename: str, etc: Path = APT_ETC) -> list[str]:
    """Addresses that may be Debian's archive for this release, best guess first.

    A third party may use Debian's suite names too, so this only ranks them;
    Debian's signature on an archive is checked when it is used, which decides.
    """
    ranked: dict[str, int] = {}
    for source in machine_sources(etc):
        suites = [suite for suite in source.suites if suite in (codename, *AGES)]
        if not suites or "main" not in source.components:
            continue
        signed_by = source.options.get("signed-by", "")
        foreign = signed_by != "" and "debian-archive" not in signed_by
        for uri in _web_addresses(source.uri):
            path = uri.rstrip("/").rpartition("/")[2]
            rank = 4 * foreign + 2 * (codename not in suites) + (path != "debian")
            ranked[uri.rstrip("/")] = min(rank, ranked.get(uri.rstrip("/"), rank))
    return sorted(ranked, key=lambda uri: ranked[uri])
