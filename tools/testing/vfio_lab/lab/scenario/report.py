# SPDX-License-Identifier: GPL-2.0
"""Results of a migration, as text and as JSON."""

from __future__ import annotations

import dataclasses
import json
import pathlib

from .migration import Outcome
from .timeline import bars, duration


def _tests(selftests: list[str]) -> list[str]:
    """Self-tests of the guest's drivers: the number of passed ones, and each failed one."""
    passed = [test for test in selftests if test.endswith(": passed")]
    lines = [f"{len(passed)} self-tests of the accelerator's drivers passed"] if passed else []
    return [f"  {'guest':<12} {line}" for line in [*lines, *(test for test in selftests if test not in passed)]]


def _phases(out: Outcome) -> list[str]:
    """Duration of pre-copy, and the phases of the downtime as bars."""
    before = [p for p in out.phases if p.name == "pre-copy"]
    during = [p for p in out.phases if p not in before]
    total = max(p.end for p in out.phases) - min(p.start for p in out.phases)
    lines = ["", f"Migration: {duration(total)} total" + "".join(f", pre-copy {duration(p.seconds)}" for p in before)
             + (f", downtime {out.downtime_ms} ms (QEMU)" if out.downtime_ms is not None else "")]
    return lines + [f"  {line}" for line in bars(during)]


def text(outcome: Outcome, seconds: float) -> str:
    """The summary as text, at most 100 columns."""
    out = outcome
    lines = ["", "What ran where"]
    lines += [f"  {name:<12} {what}" for name, what in out.where.items()]
    lines += _tests(out.selftests)
    if out.phases:
        lines += _phases(out)
    if out.total_ms is not None:
        lines += [f"  QEMU sent {out.ram_bytes / 1e6:.0f} MB of memory and {out.device_bytes} bytes of device state "
                  f"in {out.total_ms} ms"]
    if out.syncs:
        lines += ["", f"Dirty pages at each of QEMU's {len(out.syncs)} dirty-bitmap syncs (written by devices: {out.tracking})",
                  f"  {'by devices':<12} {' '.join(str(sync.device) for sync in out.syncs)}",
                  f"  {'left to send':<12} {' '.join(str(sync.left) for sync in out.syncs)}"]
    if out.pages:
        lines += [f"  {'on arrival':<12} {out.stale} of {out.pages} pages that only the device writes were stale"]
    if out.requests:
        lines += ["", "Requests, each compared with the result of software",
                  "  " + ", ".join(f"{count} {name}" for name, count in out.requests.items()),
                  f"  {out.in_flight_at_stop} in flight when the guest stopped (at least {out.in_flight_min})"
                  + (f"; {out.carried} of them completed on the destination" if out.device_counts else "")]
    for host, counts in out.device_counts.items():
        lines += [f"  {host:<12} {counts['requests-completed']} completed by the VF; "
                  f"{counts['sq-doorbells']} doorbells, {counts['msi-eq']} interrupts"]
    lines += [""]
    if out.held:
        lines += [f"PASS in {seconds:.0f} s: no request lost, corrupted or stuck; same guest, same process"]
    else:
        lines += [f"FAIL after {seconds:.0f} s:"] + [f"  - {c}" for c in out.failures[:20]]
        if len(out.failures) > 20:
            lines += [f"  and {len(out.failures) - 20} more"]
    return "\n".join(lines)


def write_json(outcome: Outcome, seconds: float, path: pathlib.Path) -> None:
    """The results for JSON; times of phases in seconds since the migrate command."""
    data = dataclasses.asdict(outcome)
    start = min((p.start for p in outcome.phases), default=0.0)
    data["phases"] = [{"name": p.name, "where": p.where, "start": round(p.start - start, 6),
                       "seconds": round(p.seconds, 6)} for p in outcome.phases]
    data["passed"] = outcome.held
    data["seconds"] = round(seconds, 1)
    replace(path, json.dumps(data, indent=2) + "\n")


def replace(path: pathlib.Path, text: str) -> None:
    """Replace a file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f"{path.name}.new")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)
