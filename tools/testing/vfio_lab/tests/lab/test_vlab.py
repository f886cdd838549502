# SPDX-License-Identifier: GPL-2.0
"""The vlab command as a user runs it: run, shell, an interrupt in the middle."""

from __future__ import annotations

import os
import pathlib
import pty
import select
import signal
import subprocess
import time

import pytest

VLAB = str(pathlib.Path(__file__).resolve().parents[2] / "vlab")


def session_members(sid: int) -> list[str]:
    """Command names of all processes of a terminal session."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue        # it ended meanwhile
        if int(rest.split()[3]) == sid and rest.split()[0] != "Z":
            found.append(name)
    return found


@pytest.fixture
def vlab():
    """Start vlab in a session of its own; kill what is left of it at the end."""
    started: list[subprocess.Popen[str]] = []

    def start(*argv: str, **kwargs) -> subprocess.Popen[str]:
        process = subprocess.Popen([VLAB, *argv], text=True, start_new_session=True, **kwargs)
        started.append(process)
        return process

    yield start
    for process in started:
        subprocess.run(["pkill", "-KILL", "-s", str(process.pid)], check=False)
        process.wait()


@pytest.mark.parametrize("options, guests", [((), ""), (("--guest",), "Image guest.cpio")], ids=["without", "with"])
def test_a_guest_is_in_the_host_only_on_request(vlab, options, guests):
    """--guest must put a guest's kernel and root file system into /lab; nothing else does."""
    process = vlab("run", "--driver", "stock", "--vfs", "1", *options, "--", "cd /lab; echo $(ls Image guest.cpio)",
                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, out.strip()) == (0, guests), err


@pytest.mark.parametrize("argv", [("--help",), ("status",), ("--version",)])
def test_the_reader_of_the_output_has_ended(vlab, argv):
    """Without a reader of its output vlab must end, without a message."""
    reader, writer = os.pipe()
    os.close(reader)
    process = vlab(*argv, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (process.communicate(timeout=60)[1], process.returncode) == ("", 141)


def test_run_pushes_streams_and_returns_the_status(vlab, tmp_path):
    """run must copy files into the host, forward the output and return the status."""
    (tmp_path / "pushed").write_text("hello\n")
    process = vlab("run", "--driver", "stock", "--vfs", "1", "--push", f"{tmp_path}/pushed:/srv/new/pushed", "--", "sh",
                   "-c", "cat /srv/new/pushed; id -u; echo lost >&2; exit 7",
                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = process.communicate(timeout=300)
    assert (process.returncode, out) == (7, "hello\n0\n")
    assert "lost\n" in err
    assert session_members(process.pid) == []


def test_shell_gives_a_terminal(vlab):
    """shell must give a terminal."""
    ours, theirs = pty.openpty()
    process = vlab("shell", "--vfs", "1", stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    os.write(ours, b"test -t 0 && readlink /sys/bus/pci/devices/0000:00:08.1/driver; exit 3\n")
    seen = b""
    deadline = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < deadline:
        if select.select([ours], [], [], 1)[0]:
            try:
                seen += os.read(ours, 65536)
            except OSError:     # the other end is closed
                break
    assert process.wait(60) == 3
    assert b"/drivers/hisi_acc_vfio_pci" in seen


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_no_process_behind(vlab, signum):
    """An interrupt must leave no process."""
    process = vlab("run", "--vfs", "1", "--", "echo running; sleep 1000", stdout=subprocess.PIPE,
                   stderr=subprocess.PIPE)
    assert process.stdout.readline() == "running\n"
    assert "qemu-system-aar" in session_members(process.pid)
    process.send_signal(signum)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "interrupted" in err
    assert session_members(process.pid) == []


def test_a_killed_vlab_takes_its_hosts_with_it(vlab):
    """The hosts of a killed vlab must end."""
    process = vlab("run", "--vfs", "1", "--", "echo running; sleep 1000", stdout=subprocess.PIPE)
    assert process.stdout.readline() == "running\n"
    process.kill()
    process.wait()
    deadline = time.monotonic() + 30
    while session_members(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert session_members(process.pid) == []
