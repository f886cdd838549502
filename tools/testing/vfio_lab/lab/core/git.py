# SPDX-License-Identifier: GPL-2.0
"""git, independent of the user's settings: hooks, signatures, templates, safe.directory."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from . import paths
from .run import output

#: "*": whose programs are run from a checkout is trusted already
SAFE = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
#: committer if user.name and user.email are not set
NOBODY = ("A Developer", "developer@example.org")


def environment() -> dict[str, str]:
    """Environment for git without any settings except those of the repository."""
    return {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", **SAFE}


def git(folder: Path, *argv: str | Path, who: tuple[str, str] | None = None) -> str:
    """Output of a git command in a directory; `who` is name and address of the committer."""
    env = environment()
    if who:
        for role in ("AUTHOR", "COMMITTER"):
            env |= {f"GIT_{role}_NAME": who[0], f"GIT_{role}_EMAIL": who[1]}
    return output(["git", "-C", folder, *argv], env=env)


def identity() -> tuple[str, str] | None:
    """The user's name and address, by the environment or git's settings; None if not both
    are known."""
    found = []
    for variable, key in (("GIT_AUTHOR_NAME", "user.name"), ("GIT_AUTHOR_EMAIL", "user.email")):
        done = subprocess.run(["git", "config", "--get", key], capture_output=True, text=True, check=False,
                              cwd=paths.ROOT, env={**os.environ, **SAFE})
        found.append(os.environ.get(variable) or done.stdout.strip())
    return (found[0], found[1]) if all(found) else None
