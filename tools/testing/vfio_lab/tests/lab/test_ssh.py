# SPDX-License-Identifier: GPL-2.0
"""SSH connections to a host that do not open as they should; a shell script stands for OpenSSH's client."""

from __future__ import annotations

import threading

import pytest

from lab.core.errors import LabError
from lab.scenario import ssh
from lab.scenario.ssh import Ssh


@pytest.fixture
def client(tmp_path, monkeypatch):
    """Install a script in place of ssh."""
    def one(script: str) -> None:
        program = tmp_path / "ssh"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    return one


def connect(folder) -> Ssh:
    """Connect like a host does."""
    return Ssh("one", 2222, folder / "key", folder)


def test_a_host_that_accepts_and_never_answers_is_given_up(client, tmp_path, monkeypatch):
    """A connection that hangs must end with an error after the time limit."""
    monkeypatch.setattr(ssh, "OPEN_SECONDS", 0.2)
    client("exec sleep 1000")
    with pytest.raises(LabError, match=r"^host one: SSH did not open: no answer within \d+ s$"):
        connect(tmp_path)


def test_an_ssh_failure_has_the_clients_message(client, tmp_path):
    """The error must have ssh's message."""
    client("echo 'Permission denied (publickey).' >&2; exit 255")
    with pytest.raises(LabError, match=r"^host one: SSH did not open: Permission denied \(publickey\)\.$"):
        connect(tmp_path)


def test_a_connection_that_opened_is_not_limited(client, tmp_path):
    """The time limit must apply to opening the connection only."""
    client("echo open; exec cat")
    one = connect(tmp_path)
    assert not [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]
    one.close()
