# SPDX-License-Identifier: GPL-2.0
"""Copy files out of a host."""

from __future__ import annotations

import pathlib
import posixpath
import shlex
import subprocess
import tempfile

from ..core.errors import LabError
from ..core.process import kept_apart
from .ssh import Ssh


def pull(ssh: Ssh, remote: str, local: pathlib.Path) -> None:
    """Copy a file or directory of the host to `local`, or into it if that is a directory.  What
    a copy that fails has brought is removed again."""
    folder, name = posixpath.split(remote)
    target = local / name if local.is_dir() else local
    if ssh.run(f"test -e {shlex.quote(remote)}", check=False).returncode:
        raise LabError(f"host {ssh.name}: there is no {remote} to pull")
    if target.is_dir() and not target.is_symlink():
        raise LabError(f"host {ssh.name}: {remote} cannot be pulled: {target} is there already")
    with tempfile.TemporaryDirectory(prefix=".vlab-", dir=target.absolute().parent) as scratch:
        process = ssh.popen(f"tar -C {shlex.quote(folder)} -cf - {shlex.quote(name)}", stdout=subprocess.PIPE)
        assert process.stdout
        with process.stdout as stream:
            done = subprocess.run(["tar", "-C", scratch, "--no-same-owner", "-xf", "-"], stdin=stream, capture_output=True,
                                  text=True, check=False, **kept_apart())
        if process.wait() or done.returncode:
            words = done.stderr.strip().splitlines() or [f"tar failed in the host with {process.returncode}"]
            raise LabError(f"host {ssh.name}: {remote} cannot be pulled: {words[-1]}")
        (pathlib.Path(scratch) / name).rename(target)
