# SPDX-License-Identifier: GPL-2.0
"""Options of a host on the command line, as a user gives them: each must reach the host."""

from __future__ import annotations

import pathlib
import re
import shlex
import signal
import socket
import subprocess

import pytest

from lab.core import versions
from lab.build import kernel

VLAB = pathlib.Path(__file__).resolve().parents[2] / "vlab"
# Of a kernel's module directory
QM = "kernel/drivers/crypto/hisilicon/hisi_qm.ko"


def module(series: str) -> pathlib.Path:
    """The stock drivers' common part, of a series."""
    built = kernel.kernel(series)
    return built.modules / "lib/modules" / built.release / QM


def vlab(*argv: str | pathlib.Path) -> subprocess.CompletedProcess[str]:
    """Run vlab; returns the completed process."""
    return subprocess.run([VLAB, *argv], capture_output=True, text=True, check=False)


@pytest.mark.slow("boots a host")
def test_each_option_reaches_the_host(tmp_path, monkeypatch):
    """A kernel with its driver, CPUs, memory, arguments, a module, files there and back, and events
    must be as the command line has them."""
    monkeypatch.setenv("VFIO_LAB_BUILD", str(tmp_path / "build"))
    (tmp_path / "tools/bin").mkdir(parents=True)
    (tmp_path / "tools/bin/greet").write_text("hello\n")
    script = ("nproc; awk '/MemTotal/ { print int($2 / 1024 / 1000) }' /proc/meminfo; grep -o 'marked=[0-9]*' /proc/cmdline; "
              "modinfo -n hisi_qm; modinfo -n hisi_acc_vfio_pci; cat /opt/tools/bin/greet; "
              "mkdir /out; ln -s greet /out/link; cp /opt/tools/bin/greet /out; exit 7")
    done = vlab("run", "--kernel", kernel.kernel(versions.DEFAULT).image, "--cpus", "3", "--memory", "3G", "--append", "marked=1",
                "--append", "quiet", "--module", module(versions.DEFAULT), "--push", f"{tmp_path}/tools:/opt/tools",
                "--pull", f"/out:{tmp_path}/came", "--pull", f"/opt/tools/bin/greet:{tmp_path}", "--trace", "sched_switch",
                "--qemu-opts", "-global virtio-net-pci.speed=4321", "--", script)
    assert done.returncode == 7, done.stderr
    said = done.stdout.splitlines()
    assert said[:3] == ["3", "2", "marked=1"] and said[5] == "hello"
    assert said[3].endswith("/updates/hisi_qm.ko") and said[4].endswith("/hisilicon/hisi-acc-vfio-pci.ko")
    assert (tmp_path / "came/link").is_symlink() and (tmp_path / "came/greet").read_text() == "hello\n"
    assert (tmp_path / "greet").read_text() == "hello\n"
    assert "sched_switch: " in (tmp_path / "build/run/host.trace.log").read_text()


@pytest.mark.parametrize("options, words", [
    (("--module", "{other}"), r"hisi_qm.ko was built for \S+, and the host runs"),
    (("--qemu", "/bin/true"), "/bin/true does not have the device model in it"),
])
def test_what_does_not_fit_the_host_is_rejected(options, words):
    """A module of another kernel and a QEMU without the model must be rejected before the host boots."""
    done = vlab("run", "--driver", "stock", *(word.format(other=module(versions.LTS)) for word in options), "--", "true")
    assert done.returncode == 1 and re.search(words, done.stderr) and "ok       build" not in done.stderr


def test_an_event_or_a_file_that_is_not_there_is_named():
    """An unknown trace event, and a file that cannot be pulled, must be named."""
    done = vlab("run", "--driver", "stock", "--trace", "nothing:*", "--", "true")
    assert done.returncode == 1 and "its kernel has no trace event nothing:*" in done.stderr
    done = vlab("run", "--driver", "stock", "--pull", "/nothing:/tmp/nothing", "--", "true")
    assert done.returncode == 1 and "there is no /nothing to pull" in done.stderr


@pytest.mark.slow("boots a host")
def test_a_host_waits_for_a_debugger_and_is_kept():
    """--gdb must keep a host from booting until a debugger lets it; --keep must keep it running
    after the command until Ctrl-C, which leaves the command's exit status."""
    with subprocess.Popen([VLAB, "run", "--driver", "stock", "--gdb", "--keep", "--", "exit 3"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stderr
        line = next(line for line in iter(process.stderr.readline, "") if "waits: " in line)
        target = shlex.split(line.partition("waits: ")[2])[-1]
        with socket.socket(socket.AF_UNIX) as debugger:
            debugger.connect(target.removeprefix("target remote "))
            # Nothing has run: the first instruction is the boot loader's
            debugger.sendall(b"+$?#3f")
            assert b"$T" in debugger.recv(1000)
            debugger.sendall(b"+$c#63")
            login = next(line for line in iter(process.stdout.readline, "") if line.startswith("host: ssh "))
        done = subprocess.run([*shlex.split(login.removeprefix("host: ")), "hostname"], capture_output=True, text=True, check=False)
        assert done.stdout == "host\n", done.stderr
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert process.returncode == 3
