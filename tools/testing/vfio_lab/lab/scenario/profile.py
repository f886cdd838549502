# SPDX-License-Identifier: GPL-2.0
"""Profiles that hisi-acc-probe has written on a server: properties with which the device model does what was
observed there, or what of it the model cannot do."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from ..core.errors import LabError

#: the environment of tests names the file with which `vlab check --profile` was started
VARIABLE = "VFIO_LAB_PROFILE"
FORMAT, VERSION = "hisi-acc-probe", 1
REVISION = 0x30
#: by the register of the hardware version
VERSIONS = {0: "v3", 0x50: "v4", 0x51: "v5"}
#: choices of the model, by their names and values in a profile
CHOICES = {"kick-scope": ("queue", "function"), "unpause": ("doorbell", "kick"), "pause-inflight": ("finish", "hold"),
           "context-fetch": ("kick", "doorbell"), "bus-master-off": ("fail", "wait", "reset"),
           "d3-access": ("all-ones", "abort"), "mig-regs-reset": ("keep", "lost"), "mailbox-narrow-read": ("own", "foreign"),
           "bus-reopen": ("clear", "toggle"), "message-mask-reset": ("set", "keep"), "ras": ("on", "off"),
           "ras-overflow": ("off", "on")}
#: what the model does, see "Decisions taken" in qemu/README.md
DECIDED = {"paused-doorbell": "lost", "inflight-done": "once", "pause-without-queues": "done", "write-back-drops": "yes",
           "write-back-busy": "continue", "write-back-events": "no", "stop-qp-drains": "yes", "stop-qp-restart": "context",
           "flush-drains": "yes", "flush-restart": "context", "vf-state-reads-back": "yes", "masks-read-back": "yes",
           "after-flr": "state 1, masks 1 1, tables none", "vft-after-flr": "kept", "mailbox-narrow-store": "ignored",
           "doorbell-narrow-store": "ignored", "pf-migration-registers": "event queues", "eq-doorbell-resends": "yes",
           "eq-interrupt-unread": "no", "eq-source": "until doorbell", "eq-source-masked": "set", "eq-unmask-sends": "yes",
           "table-read": "doorbell", "stop-qp-paused": "nothing", "flush-paused": "nothing", "paused-eq-doorbell": "taken",
           "doorbell-tail-back": "ignored", "doorbell-tag": "ignored", "mailbox-close-qm": "refused", "mailbox-flush-qp": "refused",
           "context-pasid": "refused", "unknown-request": "fails"}
#: what the model does has these properties
DERIVED = {"d3-reset": {"reset": {"no-soft-reset": "off"}, "keep": {"no-soft-reset": "on"}},
           # one choice decides on both
           "ras-tag": {"on": {"ras": "on"}}}
MOST_CONTEXTS = 1024


def _behaviour(name: str, value: str, version: str, found: dict[str, str], reasons: list[str]) -> None:
    """Add the properties for an observed behaviour, or the reason why there are none."""
    values: tuple[str, ...]
    if name in CHOICES:
        values = CHOICES[name]
        if found.setdefault(name, value) != value:
            reasons.append(f"{name} is {value}, another line needs {found[name]}")
    elif name in DERIVED:
        values = tuple(DERIVED[name])
        for other, derived in DERIVED[name].get(value, {}).items():
            if found.setdefault(other, derived) != derived:
                reasons.append(f"{name} is {value} where {other} is {found[other]}")
    elif name == "context-cache":
        found[name] = value
        if not value.isascii() or not value.isdigit() or int(value) > MOST_CONTEXTS:
            reasons.append(f"{name} is {value}, the model can hold 0 to {MOST_CONTEXTS}")
        return
    elif name == "bar2-upper-half":
        # who has the migration registers also depends on the PF's driver
        values = ("event queues",) if version == "v3" else ("event queues", "nothing")
    elif name in DECIDED:
        values = (DECIDED[name],)
    else:
        reasons.append(f"{name} is unknown to the model")
        return
    if value not in values:
        reasons.append(f"{name} is {value}, the model knows {' and '.join(values)}")


def _latency(medians: Mapping[str, int], prefix: str) -> str:
    """Microseconds: the median of the times whose names have the prefix."""
    chosen = sorted(time for name, time in medians.items() if name.startswith(prefix))
    return str(round(chosen[len(chosen) // 2] / 1000)) if chosen else "0"


def _lines(profile: Mapping[str, Any], title: str) -> list[dict[str, Any]]:
    """One of the arrays, of which each element has a name."""
    lines = profile[title]
    if not isinstance(lines, list) or not all(isinstance(line, dict) and isinstance(line["name"], str) for line in lines):
        raise KeyError(title)
    return lines


def properties(profile: Mapping[str, Any]) -> dict[str, str]:
    """Properties of the device model.  What was not observed keeps its default.  Raises LabError with all that the
    model cannot do, or if it is no profile."""
    reasons: list[str] = []
    try:
        if (profile["format"], profile["version"]) != (FORMAT, VERSION):
            raise KeyError("format")
        device, found = profile["device"], {}
        version = VERSIONS.get(device["hw_version"], "")
        if not version or device["revision"] != REVISION:
            reasons.append(f"hardware of revision {device['revision']:#x} and version {device['hw_version']:#x}")
        found["hw-version"] = version
        for line in _lines(profile, "behaviour"):
            if line["outcome"] == "failed":
                reasons.append(f"{line['name']} failed")
            elif line["outcome"] == "observed":
                _behaviour(line["name"], line["value"], version, found, reasons)
        medians = {line["name"]: int(line["median_ns"]) for line in _lines(profile, "times")}
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise LabError(f"no profile of {FORMAT}, version {VERSION}") from e
    if reasons:
        raise LabError(f"the model cannot follow it: {'; '.join(reasons)}")
    return {**found, "mailbox-latency": _latency(medians, "mailbox-get"), "writeback-latency": _latency(medians, "write-back")}


def load(file: pathlib.Path) -> dict[str, str]:
    """Properties of the device model for a profile.  Raises LabError."""
    try:
        return properties(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError) as e:
        raise LabError(f"{file}: {e.strerror if isinstance(e, OSError) else 'not JSON'}") from e
    except LabError as e:
        raise LabError(f"{file}: {e}") from e


def chosen() -> dict[str, str]:
    """Properties for the profile that tests run with; none without one."""
    name = os.environ.get(VARIABLE)
    return load(pathlib.Path(name)) if name else {}
