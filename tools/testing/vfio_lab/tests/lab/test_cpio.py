# SPDX-License-Identifier: GPL-2.0
"""The lab's cpio archives must be readable by the system's cpio."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lab.build import cpio

ENTRIES = {
    "init": cpio.program("#!/bin/sh\n"),
    "etc/deep/odd": cpio.file(b"12345", 0o600),
    "bin": cpio.symlink("usr/bin"),
    "dev/console": cpio.character_device(5, 1),
    "tmp": cpio.folder(0o1777),
    "usr-a": cpio.file(b""),
    "usr/b": cpio.file(b"x" * 1001),
}


def listing(archive: Path) -> dict[str, list[str]]:
    """The system's cpio's list of an archive, by name."""
    with open(archive, "rb") as stream:
        done = subprocess.run(["cpio", "-itv", "--quiet", "--numeric-uid-gid"], stdin=stream,
                              capture_output=True, text=True, check=True)
    assert done.stderr == ""
    rows = {}
    for line in done.stdout.splitlines():
        words = line.split()
        name = words[words.index("->") - 1] if "->" in words else words[-1]
        rows[name] = words
    return rows


def test_system_reads_it(tmp_path: Path) -> None:
    """cpio must list each file with its mode and type."""
    rows = listing(cpio.archive(tmp_path / "a.cpio", ENTRIES))
    assert set(rows) == {*ENTRIES, "etc", "etc/deep", "dev", "usr"}
    assert rows["init"][0] == "-rwxr-xr-x" and rows["etc/deep/odd"][0] == "-rw-------"
    assert rows["tmp"][0] == "drwxrwxrwt" and rows["bin"][-1] == "usr/bin"
    assert rows["dev/console"][0] == "crw-------" and rows["dev/console"][4:6] == ["5,", "1"]
    assert {tuple(words[2:4]) for words in rows.values()} == {("0", "0")}
    assert rows["usr/b"][4] == "1001"
    names = list(rows)
    assert all(names.index(str(Path(name).parent)) < names.index(name)
               for name in names if "/" in name)


def test_content_comes_back(tmp_path: Path) -> None:
    """cpio must extract the contents."""
    entries = {name: entry for name, entry in ENTRIES.items() if not name.startswith("dev")}
    archive = cpio.archive(tmp_path / "a.cpio", entries)
    out = tmp_path / "out"
    out.mkdir()
    with open(archive, "rb") as stream:
        subprocess.run(["cpio", "-id", "--quiet", "--no-preserve-owner"], stdin=stream, cwd=out,
                       check=True)
    assert (out / "etc/deep/odd").read_bytes() == b"12345"
    assert (out / "usr/b").read_bytes() == b"x" * 1001
    assert cpio.archive(tmp_path / "b.cpio", cpio.tree(out)).read_bytes()[6:] != b""
    assert set(cpio.tree(out)) == {*entries, "etc", "etc/deep", "usr"}


def test_same_bytes_each_time(tmp_path: Path) -> None:
    """The same input must give the same bytes."""
    first = cpio.archive(tmp_path / "a.cpio", ENTRIES).read_bytes()
    again = dict(reversed(ENTRIES.items()))
    assert cpio.archive(tmp_path / "b.cpio", again).read_bytes() == first


def test_layers_join(tmp_path: Path) -> None:
    """Concatenated archives must be one file system."""
    one = cpio.archive(tmp_path / "1", {"a": cpio.file(b"1")})
    two = cpio.archive(tmp_path / "2", {"b": cpio.file(b"22")})
    both = cpio.concatenate(tmp_path / "both", [one, two])
    assert both.read_bytes() == one.read_bytes() + two.read_bytes()
    assert one.stat().st_size % 4 == 0
