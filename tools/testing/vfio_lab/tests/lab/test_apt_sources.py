# SPDX-License-Identifier: GPL-2.0
"""Which archive the lab takes from a machine's apt sources.

The addresses are of no real host: names under .example are reserved.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.core import apt, apt_sources
from lab.core.cache import Cache
from lab.core.errors import LabError
from lab.core.run import run

MIRROR = "http://mirror.example/debian"


def archives(etc: Path, one_line: str = "", **parts: str) -> list[str]:
    """The archives found with this sources.list and these files in sources.list.d."""
    (etc / "sources.list.d").mkdir()
    if one_line:
        (etc / "sources.list").write_text(one_line, encoding="utf-8")
    for name, text in parts.items():
        stem, _, suffix = name.rpartition("_")
        (etc / "sources.list.d" / f"{stem}.{suffix}").write_text(text, encoding="utf-8")
    return apt_sources.debian_archives("bookworm", etc)


@pytest.mark.parametrize("line", [
    f"deb {MIRROR} bookworm main",
    f"deb {MIRROR}/ bookworm main contrib non-free-firmware  # ours",
    f"  deb\t{MIRROR}\tbookworm  contrib main",
    f"deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {MIRROR} "
    "bookworm main",
    f"deb [ arch=amd64,arm64 ] {MIRROR} oldstable main",
])
def test_one_line_form(tmp_path: Path, line: str) -> None:
    """An entry in one-line style must be found."""
    assert archives(tmp_path, line + "\n") == [MIRROR]


@pytest.mark.parametrize("line", [
    f"# deb {MIRROR} bookworm main",
    f"deb-src {MIRROR} bookworm main",
    f"deb {MIRROR} bookworm contrib",
    f"deb {MIRROR} bookworm-updates main",
    f"deb {MIRROR} ./",
    "deb cdrom:[Debian 12 amd64]/ bookworm main",
    "deb mirror+file:/nonexistent/list bookworm main",
    "deb file:/srv/debian bookworm main",
    "deb http://third.example/tools tools main",
])
def test_one_line_form_of_no_use(tmp_path: Path, line: str) -> None:
    """An entry in one-line style without main, or of another suite or kind, must be ignored."""
    assert archives(tmp_path, line + "\n") == []


def test_deb822_form(tmp_path: Path) -> None:
    """A stanza in deb822 style must be found."""
    assert archives(tmp_path, debian_sources=f"""\
# written by the installer
Types: deb deb-src
URIs: {MIRROR}
# a comment amid the fields
Suites: bookworm
 bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://security.example/debian-security
Suites: bookworm-security
Components: main
""") == [MIRROR]


@pytest.mark.parametrize("field", ["Enabled: no", "Types: deb-src", "Components: contrib"])
def test_deb822_form_of_no_use(tmp_path: Path, field: str) -> None:
    """A disabled or unsuitable stanza must be ignored."""
    fields = {"Types": "deb", "URIs": MIRROR, "Suites": "bookworm", "Components": "main"}
    name, _, value = field.partition(": ")
    fields[name] = value
    text = "".join(f"{name}: {value}\n" for name, value in fields.items())
    assert archives(tmp_path, debian_sources=text) == []


def test_third_party_comes_last(tmp_path: Path) -> None:
    """Debian's archive must come before those of third parties, which may use Debian's suite names
    and be read first."""
    found = archives(
        tmp_path,
        "deb [signed-by=/etc/apt/keyrings/aaa.gpg] http://aaa.example/debian bookworm main\n"
        "deb http://stable.example/debian stable main\n"
        "deb http://bbb.example/bbb bookworm main\n"
        f"deb {MIRROR} bookworm main\n")
    assert found[0] == MIRROR
    assert set(found[1:]) == {"http://aaa.example/debian", "http://bbb.example/bbb",
                              "http://stable.example/debian"}


def test_local_mirror_list(tmp_path: Path) -> None:
    """A local mirror list, as in Debian's cloud images, must be read."""
    (tmp_path / "list").write_text(f"# nearest\n{MIRROR}\tpriority:1\n", encoding="utf-8")
    assert archives(tmp_path, f"deb mirror+file://{tmp_path}/list bookworm main\n") == [MIRROR]


@pytest.mark.parametrize("name", ["debian.sources.disabled", "debian.list.save", "a b.list"])
def test_files_that_apt_does_not_read(tmp_path: Path, name: str) -> None:
    """Files with a name that apt ignores must be ignored."""
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / name).write_text(f"deb {MIRROR} bookworm main\n",
                                                    encoding="utf-8")
    assert apt_sources.debian_archives("bookworm", tmp_path) == []


def test_a_missing_mirror_is_reported(tmp_path: Path) -> None:
    """Without a Debian mirror, the error must say so."""
    with pytest.raises(LabError, match="No Debian mirror was found"):
        apt.Apt(Cache(tmp_path / "cache"), etc=tmp_path).update()


def test_password_reaches_no_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password must be in the private sources.list only, with mode 0600."""
    monkeypatch.setattr(apt, "RETRIES", 0)
    (tmp_path / "sources.list").write_text(
        "deb http://user:geheim@127.0.0.1:1/debian "
        f"{apt.machine_codename() or 'bookworm'} main\n", encoding="utf-8")
    ours = apt.Apt(Cache(tmp_path / "cache"), etc=tmp_path)
    with pytest.raises(LabError, match="cannot be reached") as failure:
        ours.update()
    assert "geheim" not in str(failure.value)
    holders = [path for path in (tmp_path / "cache").rglob("*")
               if path.is_file() and b"geheim" in path.read_bytes()]
    assert holders == [ours.sources]
    assert ours.sources.stat().st_mode & 0o077 == 0


def test_commands_and_their_output_are_redacted(tmp_path: Path) -> None:
    """A password must be removed from commands and messages."""
    run(["echo", "from https://user:geheim@mirror.example/debian"], log=tmp_path / "log")
    text = (tmp_path / "log").read_text(encoding="utf-8")
    assert "geheim" not in text and text.count("https://***@mirror.example/debian") == 2
