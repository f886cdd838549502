# SPDX-License-Identifier: GPL-2.0
"""Unexpected messages and guest errors of all hosts.  Tests check them at their end, and
declare beforehand what they provoke."""

from __future__ import annotations

import dataclasses
import re
from typing import Protocol


class Watched(Protocol):
    """A host."""

    def unexpected(self) -> list[str]:
        """New unexpected messages and guest errors."""

    def alive(self) -> bool:
        """Whether the host is running."""


@dataclasses.dataclass
class _Expected:
    pattern: str
    maybe: bool
    came: bool = False


#: whether hosts are checked before they are stopped
enabled = False

_hosts: list[Watched] = []
_expected: list[_Expected] = []


def add(host: Watched) -> None:
    """Register a started host."""
    _hosts.append(host)


def expect(*patterns: str, maybe: bool = False) -> None:
    """Until end(), lines that match one of the regular expressions are expected; without
    `maybe` each of them has to match a line."""
    _expected.extend(_Expected(pattern, maybe) for pattern in patterns)


def unexpected(lines: list[str]) -> list[str]:
    """The lines that are not expected."""
    left = []
    for line in lines:
        known = [one for one in _expected if re.search(one.pattern, line)]
        for one in known:
            one.came = True
        if not known:
            left.append(line)
    return left


def take() -> list[str]:
    """New unexpected lines of all hosts, including stopped ones."""
    found = [line for host in _hosts for line in host.unexpected()]
    _hosts[:] = [host for host in _hosts if host.alive()]
    return found


def end() -> tuple[list[str], list[str]]:
    """The result of take(), and the patterns that matched no line; clears all patterns."""
    found = take()
    missing = [one.pattern for one in _expected if not one.maybe and not one.came]
    _expected.clear()
    return found, missing
