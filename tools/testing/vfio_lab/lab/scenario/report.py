# SPDX-License-Identifier: GPL-2.0
"""The end of a migration, for a person and for a program."""

from __future__ import annotations

import dataclasses
import json
import pathlib

from .migration import Outcome
from .timeline import bars, duration


def text(outcome: Outcome, seconds: float) -> str:
    """The summary a person reads."""
    out = outcome
    lines = ["", "What ran where"]
    lines += [f"  {name:<12} {what}" for name, what in out.where.items()]
    lines += [f"  {'guest':<12} {test}" for test in out.selftests]
    if out.phases:
        start = min(p.start for p in out.phases)
        span = max(p.end for p in out.phases) - start
        lines += ["", f"The migration, {duration(span)} from the command on"]
        lines += [f"  {line}" for line in bars(out.phases)]
    if out.total_ms is not None:
        lines += ["", f"QEMU: {out.total_ms} ms in all, blackout {out.blackout_ms} ms, "
                      f"{out.ram_bytes / 1e6:.0f} MB of memory and {out.device_bytes} bytes of device state moved"]
    if out.syncs:
        lines += ["", f"Dirty pages at each of QEMU's {len(out.syncs)} looks (tracking of what devices write: {out.tracking})",
                  f"  {'by devices':<12} {' '.join(str(sync.device) for sync in out.syncs)}",
                  f"  {'left to send':<12} {' '.join(str(sync.left) for sync in out.syncs)}"]
    if out.pages:
        lines += ["", f"Pages that the device alone writes: {out.pages}, {out.stale} of them stale"]
    if out.requests:
        lines += ["", "Requests, each compared with software's result"]
        lines += [f"  {name:<12} {count}" for name, count in out.requests.items()]
        lines += [f"  {'in flight':<12} {out.in_flight_at_stop} when the guest stopped, never fewer than "
                  f"{out.in_flight_min}; {out.carried} of them travelled undone"]
    for host, counts in out.device_counts.items():
        lines += [f"  {host:<12} {counts['requests-completed']} done by the function itself, which counted "
                  f"{counts['sq-doorbells']} doorbells and {counts['msi-eq']} interrupts"]
    lines += [""]
    if out.held:
        lines += [f"PASSED in {seconds:.0f} s: same guest, same process, nothing lost, nothing corrupted, nothing hanging."]
    else:
        lines += [f"FAILED after {seconds:.0f} s:"] + [f"  - {c}" for c in out.complaints[:20]]
        if len(out.complaints) > 20:
            lines += [f"  and {len(out.complaints) - 20} more"]
    return "\n".join(lines)


def write_json(outcome: Outcome, seconds: float, path: pathlib.Path) -> None:
    """The same for a program; times of phases in seconds from the command on."""
    data = dataclasses.asdict(outcome)
    start = min((p.start for p in outcome.phases), default=0.0)
    data["phases"] = [{"name": p.name, "where": p.where, "start": round(p.start - start, 6),
                       "seconds": round(p.seconds, 6)} for p in outcome.phases]
    data["passed"] = outcome.held
    data["seconds"] = round(seconds, 1)
    replace(path, json.dumps(data, indent=2) + "\n")


def replace(path: pathlib.Path, text: str) -> None:
    """Write a file whole, or leave the one that is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f"{path.name}.new")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)
