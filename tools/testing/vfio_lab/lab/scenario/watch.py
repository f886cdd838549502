# SPDX-License-Identifier: GPL-2.0
"""What hosts, their guests and devices complain of, for whoever has to look at it at the
end: tests, which can name what they provoke.  All hosts that ever start are known here."""

from __future__ import annotations

import dataclasses
import re
from typing import Protocol


class Watched(Protocol):
    """A host."""

    def trouble(self) -> list[str]:
        """What is new of what no run may show."""

    def alive(self) -> bool:
        """Does it run?"""


@dataclasses.dataclass
class _Expected:
    pattern: str
    maybe: bool
    came: bool = False


#: whether hosts are looked at before they are stopped
enabled = False

_hosts: list[Watched] = []
_expected: list[_Expected] = []


def add(host: Watched) -> None:
    """A host that has started."""
    _hosts.append(host)


def expect(*patterns: str, maybe: bool = False) -> None:
    """A line in which one of the regular expressions is found is no trouble from now on,
    until end(); and without `maybe` there has to be one for each."""
    _expected.extend(_Expected(pattern, maybe) for pattern in patterns)


def unexpected(lines: list[str]) -> list[str]:
    """The lines that nobody expects."""
    left = []
    for line in lines:
        known = [one for one in _expected if re.search(one.pattern, line)]
        for one in known:
            one.came = True
        if not known:
            left.append(line)
    return left


def take() -> list[str]:
    """What is new of all hosts, of those that have been stopped, too."""
    found = [line for host in _hosts for line in host.trouble()]
    _hosts[:] = [host for host in _hosts if host.alive()]
    return found


def end() -> tuple[list[str], list[str]]:
    """What take() says, and the patterns for which no line came; from now on nothing is
    expected."""
    found = take()
    missing = [one.pattern for one in _expected if not one.maybe and not one.came]
    _expected.clear()
    return found, missing
