# SPDX-License-Identifier: GPL-2.0
"""hisi-acc-probe: run in a host, its report; and what it should find for each setting of the model's choices."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

from choices import CHOICES, DEFAULTS
from lab.core.context import Context
from lab.build import kselftest
from lab.scenario import profile
from lab.scenario.host import Host

NAME = "hisi-acc-probe"
#: in a host
REMOTE, PROFILE = f"/lab/{NAME}", "/run/profile.json"
WRONG_USE = 2
#: what a VF cannot see at all, and what only with --risky
HIDDEN = {"bus-reopen"}
RISKY = {"d3-access", "ras", "ras-overflow", "mig-regs-reset"}
#: decisions of the model that show only with --risky
RISKY_DECISIONS = {"doorbell-tail-back", "doorbell-tag", "mailbox-close-qm", "mailbox-flush-qp", "context-pasid", "unknown-request"}
#: errors of a guest that the experiments make on purpose
PROVOKED = (r": the device counted \d+ times: (write-back-while-busy|doorbell-without-context|doorbell-while-paused|mailbox-while-paused|"
            r"doorbell-of-stopped-queue|doorbell-width|mailbox-width|mig-regs-not-there)")
#: with --risky
PROVOKED_RISKY = (r": the device counted \d+ times: (dma-without-bus-master|access-in-d3|dma-fault|cq-overrun|"
                  r"stale-doorbell|mailbox-opcode|bad-context|bad-request)",
                  "arm-smmu-v3 ", r"hisi_(sec2|zip|hpre) 0000:00:\S+: ")
LINE = re.compile(r"^ok \d+ (# SKIP )?([a-z0-9-]+): (.*?) - (.*)$", re.M)


def for_hosts(context: Context) -> dict[str, Any]:
    """What to push into a host (HostConfig.push)."""
    return {REMOTE: kselftest.program(NAME, context)}


@dataclass(frozen=True)
class Report:
    """TAP and profile of a run."""

    tap: str
    profile: dict[str, Any]

    @property
    def values(self) -> dict[str, str | None]:
        """What was observed of each behaviour; None: it was not."""
        return {line["name"]: line["value"] for line in self.profile["behaviour"]}

    def evidence(self, name: str) -> str:
        """How a behaviour was observed, or why it was not."""
        (found,) = [line["evidence"] for line in self.profile["behaviour"] if line["name"] == name]
        return found

    def times(self, name: str) -> dict[str, int]:
        """One of the measured times."""
        (found,) = [line for line in self.profile["times"] if line["name"] == name]
        return found


def run(host: Host, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program in a host."""
    return host.ssh.run(" ".join((REMOTE, *arguments)), timeout=600, check=False)


def report(host: Host, vfs: Iterable[str], *options: str, rounds: int = 3) -> Report:
    """The report of a run, which must be without failures, and the same in both forms."""
    done = run(host, f"--rounds {rounds} --profile {PROFILE}", *options, *vfs)
    assert done.returncode == 0 and done.stderr == "", done
    found = Report(done.stdout, json.loads(host.ssh.out(f"cat {PROFILE}; rm {PROFILE}")))
    lines = {name: (None if skipped else value, evidence) for skipped, name, value, evidence in LINE.findall(done.stdout)}
    assert len(lines) == int(re.findall(r"^1\.\.(\d+)$", done.stdout, re.M)[0]), done.stdout
    assert {name: line for name, line in lines.items() if not line[0] or not line[0].endswith(" ns")} == {
        line["name"]: (line["value"], line["evidence"]) for line in found.profile["behaviour"]}
    assert len(lines) == len(found.profile["behaviour"]) + len(found.profile["times"])
    return found


def expected(setting: Mapping[str, str | int], risky: bool = False, hw_version: str = "v3") -> dict[str, str | None]:
    """What a probe of two VFs should report of each choice of the model."""
    found: dict[str, str | None] = {name: str(value) for name, value in setting.items()}
    if setting["context-cache"]:
        # it takes contexts in at any doorbell, see qemu/README.md
        found["context-fetch"] = "doorbell"
    if not risky:
        found |= {name: None for name in RISKY}
        if setting["bus-master-off"] != "reset":
            found["bus-master-off"] = None
    elif hw_version == "v3" or setting["ras"] == "off":
        # it takes an error, and V3 has no such registers
        found["mig-regs-reset"] = None
    return found | {name: None for name in HIDDEN}


def wrong(found: Report, setting: Mapping[str, str | int], risky: bool = False, hw_version: str = "v3") -> dict[str, str]:
    """Choices that were not reported as expected, and decisions that were reported otherwise than the model has them, with
    the evidence."""
    values = found.values
    decided = {name: value for name, value in profile.DECIDED.items() if values[name] is not None or
               (risky and name in RISKY_DECISIONS)}
    return {name: f"reported {values[name]}, and it is {value}: {found.evidence(name)}"
            for name, value in (expected(setting, risky, hw_version) | decided).items() if values[name] != value}


def singles() -> list[dict[str, str | int]]:
    """The defaults, and each other value of each choice alone."""
    return [DEFAULTS, *({**DEFAULTS, name: value} for name, values in ALL.items() for value in values[1:])]


#: all values of each choice, the default first
ALL: dict[str, tuple[str | int, ...]] = {**CHOICES, "bus-master-off": ("fail", "wait", "reset"), "context-cache": (0, 1, 4)}


def pairwise() -> list[dict[str, str | int]]:
    """Settings in which each two values of each two choices occur together, by a greedy choice."""
    names = list(ALL)
    left = {((a, x), (b, y)) for a, b in combinations(names, 2) for x, y in product(ALL[a], ALL[b])}
    found = []
    while left:
        setting: dict[str, str | int] = {}
        for name in names:
            setting[name] = max(ALL[name], key=lambda value: sum(
                ((other, setting.get(other)), (name, value)) in left for other in setting) or
                sum((name, value) in pair for pair in left) / len(left))
        covered = {((a, setting[a]), (b, setting[b])) for a, b in combinations(names, 2)}
        if not covered & left:
            (first, second), *_ = sorted(left, key=str)
            setting = {**setting, first[0]: first[1], second[0]: second[1]}
            covered = {((a, setting[a]), (b, setting[b])) for a, b in combinations(names, 2)}
        found.append(setting)
        left -= covered
    return found
