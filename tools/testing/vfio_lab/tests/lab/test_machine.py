# SPDX-License-Identifier: GPL-2.0
"""Unsupported machines and failing steps must be reported with their reason."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab.core import disk, machine, versions
from lab.core.cache import Cache
from lab.core.context import Context
from lab.core.errors import LabError
from lab.core.progress import Steps
from lab.core.run import run
from lab.build import kernel, parts


def os_release(folder: Path, name: str, version: str) -> Path:
    path = folder / "os-release"
    path.write_text(f'PRETTY_NAME="{name.title()} {version}"\nID={name}\nVERSION_ID="{version}"\n',
                    encoding="utf-8")
    return path


@pytest.mark.parametrize("version", ["12", "13"])
def test_debian_is_taken(tmp_path: Path, version: str) -> None:
    """Supported Debian releases must be accepted."""
    machine.check(os_release(tmp_path, "debian", version), "x86_64")


@pytest.mark.parametrize("name, version, cpu, said", [
    ("debian", "11", "x86_64", "Debian 12 or 13; this machine is Debian 11"),
    ("ubuntu", "24.04", "x86_64", "Debian 12 or 13; this machine is Ubuntu 24.04"),
    ("debian", "12", "aarch64", "amd64 machines; this one is aarch64"),
])
def test_other_machines_are_refused(tmp_path: Path, name: str, version: str, cpu: str,
                                    said: str) -> None:
    """Other machines must be rejected with the reason."""
    with pytest.raises(LabError, match=said):
        machine.check(os_release(tmp_path, name, version), cpu)


def test_missing_packages_are_found() -> None:
    """Missing packages must be found."""
    assert machine.missing(["dpkg", "no-such-package-at-all"]) == ["no-such-package-at-all"]


def test_too_little_disk_is_reported(tmp_path: Path) -> None:
    """Too little disk space must be reported before a build."""
    disk.require(tmp_path / "not" / "there" / "yet", 1, "a test")
    with pytest.raises(LabError, match="Not enough disk for a test"):
        disk.require(tmp_path, 1 << 60, "a test")


def test_too_little_memory_is_reported(tmp_path: Path) -> None:
    """Too little free memory must be reported, with both figures."""
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 99999999 kB\nMemAvailable: 3145728 kB\n", encoding="ascii")
    machine.require_memory(3072, "a test", meminfo)
    with pytest.raises(LabError, match="^Not enough memory for a test: 3.0 GiB are free and 4.0 GiB are needed.$"):
        machine.require_memory(4096, "a test", meminfo)


def test_unknown_names_are_refused_with_the_known() -> None:
    """Unknown names must be rejected, with the known ones."""
    with pytest.raises(LabError, match=f"nothing called kernle.*known are.*kernel-{versions.LTS}"):
        parts.build(["kernle"])


def test_unknown_kernel_is_refused(tmp_path: Path) -> None:
    """An unknown kernel must be rejected."""
    context = Context(Cache(tmp_path), Steps(io.StringIO()))
    with pytest.raises(LabError, match=f"no lab kernel 5.10; known are .*, {versions.LTS}"):
        kernel.kernel("5.10", context)


def test_config_that_took_no_effect_is_found() -> None:
    """An option that did not take effect must be reported."""
    config = "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=m\n"
    assert kernel.unmet("CONFIG_A=y\nCONFIG_B=n\nCONFIG_C=m\n", config) == []
    assert kernel.unmet("# why\nCONFIG_B=y\nCONFIG_C=n\nCONFIG_D=y\n", config) == [
        "CONFIG_B=y", "CONFIG_C=n", "CONFIG_D=y"]


def test_failed_step_names_itself_and_its_log(tmp_path: Path) -> None:
    """A failed step must print its name and log."""
    out = io.StringIO()
    log = tmp_path / "a.log"
    script = "for i in $(seq 1 40); do echo line $i; done; exit 3"
    with pytest.raises(LabError, match="It broke") as failure:
        with Steps(out).step("do the thing", log):
            run(["sh", "-c", script], log=log, failure="It broke.")
    told = out.getvalue()
    assert "FAILED   do the thing" in told and str(log) in told
    assert "line 40" in told and "line 20" not in told
    assert failure.value.log == log


def test_what_another_process_installed_meanwhile_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes that install packages at once must not collide at apt's lock."""
    asked: list[object] = []
    monkeypatch.setattr(machine, "ask_for_root", lambda purpose: None)
    monkeypatch.setattr(machine, "_install", lambda packages, context: asked.append(packages))
    context = Context(cache=Cache(tmp_path), steps=Steps(io.StringIO()))
    with ThreadPoolExecutor(1) as other:
        with context.cache.lock("install-packages"):
            waits = other.submit(machine.install, ["no-such-package-at-all"], context)
            with pytest.raises(TimeoutError):
                waits.result(0.3)
            monkeypatch.setattr(machine, "missing", lambda packages: [])
            asked.append("the lock is given back")
        waits.result(10)
    assert asked == ["the lock is given back"]
