# SPDX-License-Identifier: GPL-2.0
"""Archives in the kernel's initramfs form (cpio "newc"), the same bytes each time.

The kernel unpacks archives that follow one another in one file as layers, so
an overlay of a few files can simply be appended to a root file system.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

END = "TRAILER!!!"


@dataclass(frozen=True)
class Entry:
    """One name of an archive; everything belongs to root and is from 1970."""

    mode: int
    data: bytes | Path | Callable[[], bytes] = b""
    device: tuple[int, int] = (0, 0)

    def content(self) -> bytes:
        """The bytes of a file, or a link's target."""
        if isinstance(self.data, Path):
            return self.data.read_bytes()
        return self.data() if callable(self.data) else self.data


def file(data: bytes | str | Path | Callable[[], bytes], mode: int = 0o644) -> Entry:
    """A regular file; a Path stands for that file's content."""
    return Entry(stat.S_IFREG | mode, data.encode() if isinstance(data, str) else data)


def program(data: bytes | str | Path) -> Entry:
    """A regular file that can be executed."""
    return file(data, 0o755)


def folder(mode: int = 0o755) -> Entry:
    """A directory."""
    return Entry(stat.S_IFDIR | mode)


def symlink(target: str) -> Entry:
    """A symbolic link."""
    return Entry(stat.S_IFLNK | 0o777, target.encode())


def character_device(major: int, minor: int, mode: int = 0o600) -> Entry:
    """A character device node."""
    return Entry(stat.S_IFCHR | mode, b"", (major, minor))


def tree(top: Path, prefix: str = "") -> dict[str, Entry]:
    """The files, directories and links beneath a directory, named under ``prefix``.  All may read
    them, and run what its owner may, whatever umask they were made with."""
    found: dict[str, Entry] = {}
    for path in sorted(top.rglob("*")):
        name = os.path.join(prefix, str(path.relative_to(top)))
        info = path.lstat()
        if stat.S_ISLNK(info.st_mode):
            found[name] = symlink(os.readlink(path))
        elif stat.S_ISDIR(info.st_mode):
            found[name] = folder()
        elif stat.S_ISREG(info.st_mode):
            found[name] = file(path, 0o755 if info.st_mode & stat.S_IXUSR else 0o644)
    return found


def _with_parents(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    whole = {name.strip("/"): entry for name, entry in entries.items()}
    for name in list(whole):
        for parent in Path(name).parents:
            if str(parent) != ".":
                whole.setdefault(str(parent), folder())
    whole.pop("", None)
    whole.pop(".", None)
    return whole


def _write(out: BinaryIO, name: str, number: int, entry: Entry) -> None:
    content = entry.content()
    raw = name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    fields = (number, entry.mode, 0, 0, links, 0, len(content), 0, 0, *entry.device, len(raw), 0)
    out.write(b"070701" + b"".join(b"%08X" % value for value in fields))
    # Name and content each end on a multiple of four; the header has 110 bytes.
    out.write(raw + bytes(-(110 + len(raw)) % 4))
    out.write(content + bytes(-len(content) % 4))


def archive(path: Path, entries: Mapping[str, Entry]) -> Path:
    """Write an archive of these names; missing parent directories come by themselves.

    Names sort so that a directory always stands before what is in it.
    """
    with open(path, "wb") as out:
        whole = _with_parents(entries)
        for number, name in enumerate(sorted(whole, key=lambda n: n.split("/")), 1):
            _write(out, name, number, whole[name])
        _write(out, END, 0, Entry(0))
    return path


def concatenate(path: Path, layers: Iterable[Path]) -> Path:
    """Join archives into one file; later layers win."""
    with open(path, "wb") as out:
        for layer in layers:
            content = layer.read_bytes()
            out.write(content + bytes(-len(content) % 4))
    return path
