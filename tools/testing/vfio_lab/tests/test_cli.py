# SPDX-License-Identifier: GPL-2.0
"""vlab's command line, used wrongly: a sentence with what is known, status 2."""

import os
import pathlib
import subprocess

import pytest

from lab import versions

VLAB = pathlib.Path(__file__).resolve().parents[1] / "vlab"


def vlab(*argv: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run vlab and return what it said."""
    return subprocess.run([VLAB, *argv], capture_output=True, text=True, check=False, env={**os.environ, **variables})


@pytest.mark.parametrize("argv, words", [
    ((), "COMMAND"),
    (("fly",), "choose from"),
    (("run",), "COMMAND"),
    (("run", "--kernel", "5.10", "--", "true"), f"'{versions.LTS}'"),
    (("run", "--vmm", "4.2", "--", "true"), f"invalid choice: '4.2' (choose from {', '.join(map(repr, versions.VMM))})"),
    (("migrate", "--to-vmm", "4.2"), f"invalid choice: '4.2' (choose from {', '.join(map(repr, versions.VMM))})"),
    (("demo", "--vmm", "4.2"), "invalid choice: '4.2'"),
    (("matrix", "--backend", "vdpa"), "choose from 'iommufd', 'legacy'"),
    (("run", "--driver", "theirs", "--", "true"), "'ours', 'mainline', 'none'"),
    (("run", "--engines", "sec,gpu", "--", "true"), "unknown engine 'gpu'; known: sec, zip, hpre"),
    (("run", "--vfs", "64", "--", "true"), "0 to 63"),
    (("run", "--vfs", "two", "--", "true"), "0 to 63"),
    (("run", "--push", "/nowhere/x:/x", "--", "true"), "no file /nowhere/x"),
    (("run", "--push", "/etc/hostname", "--", "true"), "LOCAL:REMOTE"),
    (("run", "--model", "latency", "--", "true"), "NAME=VALUE"),
    (("migrate", "--from-driver", "none"), "'ours', 'mainline'"),
    (("build", "everything"), "qemu"),
    (("bench", "speed"), "unknown 'speed'; known: registers, latency"),
    (("bench", "moves", "--moves", "0"), "1 to 10000"),
    (("bench", "--rounds", "many"), "1 to 1000"),
])
def test_wrong_use(argv, words):
    done = vlab(*argv)
    assert done.returncode == 2
    assert words in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [(), ("run",), ("shell",), ("migrate",), ("demo",), ("build",), ("status",),
                                     ("clean",), ("check",), ("defects",), ("bench",), ("matrix",)])
def test_each_command_explains_itself(command):
    done = vlab(*command, "--help")
    assert done.returncode == 0 and "usage: vlab" in done.stdout


def test_the_defects_are_looked_for_on_all_drivers(tmp_path):
    """Would catch: a command that ends before its first test, or shows an earlier table."""
    table = tmp_path / "defects/defects.md"
    table.parent.mkdir()
    table.write_text("of an earlier run")
    done = vlab("defects", VFIO_LAB_BUILD=str(tmp_path), PYTEST_ADDOPTS="--collect-only")
    assert done.returncode == 0, done.stderr
    for driver in (f"{which} {series}" for which in ("ours", "mainline") for series in versions.SERIES):
        assert f"test_all_drivers[{driver}]" in done.stdout
    assert "of an earlier run" not in done.stdout


@pytest.mark.parametrize("backend", [(), ("--backend", "iommufd")], ids=["by-default", "asked-for"])
def test_losing_pages_has_to_be_asked_for(backend):
    done = vlab("migrate", "--no-httu", *backend)
    assert done.returncode == 1 and "--lose-pages" in done.stderr


def test_a_patch_that_is_not_there():
    done = vlab("migrate", "--patch", "/nowhere.patch")
    assert done.returncode == 1 and "there is no patch /nowhere.patch" in done.stderr
