# SPDX-License-Identifier: GPL-2.0
"""The scenario of the lab: a guest with an accelerator moves between two hosts
while its load runs."""

from __future__ import annotations

import copy
import dataclasses
import time
from collections.abc import Callable
from typing import Any

from ..core import hardware, versions
from ..core.errors import LabError, Refusal
from ..core.progress import Steps
from . import accelerator, arcs
from .guest import MIGRATION_PORT, Guest
from .host import Host
from .load import LoadRecord, Report
from .syncs import Sync
from .timeline import Phase

#: the engine that a guest has unless told otherwise
ENGINE = "sec"
#: of a variant driver, what a person reads
DRIVER_NAMES = {"ours": "this driver", "mainline": "the in-tree driver"}

# Fits all of memory: without dirty tracking in the SMMU every mapped page
# is sent in the downtime
DOWNTIME_LIMIT_MS = 60_000
MIGRATE_SECONDS = 120

# From the stop of the guest's processors to PAUSE an emulated host takes its
# time; with requests this slow (microseconds) the engine cannot get through
# its queues meanwhile, so some are always pending when the pause comes
SLOW_REQUEST_US = 400_000

# A lane has had its share of the accelerator when this many of its requests
# were verified; one that has not after so long hangs
LANE_REQUESTS = 20
LANE_SECONDS = 30
# How long a guest may take to its driver, and from there to its load's first report
START_SECONDS = 120

# The fewest requests that may be in flight when the guest is stopped, and while the
# load runs but for one report in ten: where software takes long to check a result,
# as HPRE's, chance has most lanes do that at once in one of hundreds of reports
MIN_IN_FLIGHT, CHANCE = 4, 10

# The arcs of a migration where something is done to the device: where they lead,
# and where from
PHASE_ARCS = {
    "stop": ("PRE_COPY_P2P", "PRE_COPY"),
    "save": ("STOP_COPY", "PRE_COPY_P2P", "STOP"),
    "load": ("STOP", "RESUMING"),
    "restart": ("RUNNING", "RUNNING_P2P"),
}


@dataclasses.dataclass
class Outcome:
    """What a migration left to tell.  `complaints` is empty when all of it held;
    `downtime_ms` is what QEMU says, `dark_ms` from its word on the source that the
    guest is stopped to that on the destination that it runs;
    `pages` hold results that the device alone wrote, of which `stale` were found to
    be older than they had to be; `carried` counts requests that were announced to
    the function on the source and done by the one on the destination;
    `refusal` is what QEMU said where it refused to start or to migrate the guest;
    `sync_count` is QEMU's own count of the `syncs` that its trace has."""

    complaints: list[str] = dataclasses.field(default_factory=list)
    refusal: str = ""
    phases: list[Phase] = dataclasses.field(default_factory=list)
    downtime_ms: int | None = None
    dark_ms: float | None = None
    total_ms: int | None = None
    ram_bytes: int = 0
    device_bytes: int = 0
    requests: dict[str, int] = dataclasses.field(default_factory=dict)
    tracking: str = ""
    syncs: list[Sync] = dataclasses.field(default_factory=list)
    sync_count: int = 0
    pages: int = 0
    stale: int = 0
    in_flight_min: int = 0
    in_flight_at_stop: int = 0
    carried: int = 0
    selftests: list[str] = dataclasses.field(default_factory=list)
    device_counts: dict[str, dict[str, int]] = dataclasses.field(default_factory=dict)
    where: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def held(self) -> bool:
        """Did everything hold?"""
        return not self.complaints


class Scenario:
    """Two booted hosts, and what happens on them, step by step."""

    def __init__(self, source: Host, destination: Host, drivers: tuple[str, str], vfs: tuple[int, int],
                 qmp_library: str, steps: Steps, load: str, backend: str, guest_vfs: int = 1,
                 engines: tuple[str, ...] = (ENGINE,), moves: int = 1,
                 migration: str = "", slow: bool = True, guest_extra: str = "") -> None:
        self.source = source
        self.destination = destination
        self.outcome = Outcome()
        self._patience = max(source.patience, destination.patience)
        self.record = LoadRecord(self._patience)
        self._drivers = drivers
        self._vfs = {source.name: vfs[0], destination.name: vfs[1]}
        self._places = [(name, n) for name in engines for n in range(1, guest_vfs + 1)]
        self._moves = moves
        self._qmp_library = qmp_library
        self._steps = steps
        self._load = load
        self._backend = backend
        self._migration = migration
        self._slow = slow
        self._machine = versions.machine(source.spec.vmm, destination.spec.vmm)
        self._guest_extra = guest_extra
        self.outcome.tracking = ("tracked by the SMMU" if backend == "iommufd" and source.spec.httu else
                                 "not tracked, all of memory counts as dirty" if backend == "container" else "not tracked")
        self._number = 0
        self._all: dict[str, dict[str, list[str]]] = {}
        self._functions: dict[str, list[str]] = {}
        self._offsets: dict[str, float] = {}
        self._guests: list[Guest] = []
        self._traced: dict[str, bool] = {}

    def beside(self) -> Scenario:
        """Another guest on the same hosts, which are set up: with the next functions,
        and nothing of its own to be migrated with."""
        other = copy.copy(self)
        other.outcome, other.record, other._guests = Outcome(), LoadRecord(self._patience), []
        other._number = self._number + 1
        guest_vfs = len(self._places) // len(self._engines())
        other._places = [(name, n + guest_vfs) for name, n in self._places]
        other._functions = {host: [functions[name][n - 1] for name, n in other._places]
                            for host, functions in self._all.items()}
        return other

    def _engines(self) -> list[str]:
        return list(dict.fromkeys(name for name, _ in self._places))

    def _drivers_said(self) -> str:
        return " and ".join(hardware.ENGINES[name].driver for name in self._engines())

    def _start(self, host: Host, incoming: bool) -> Guest:
        drivers = "+".join(hardware.ENGINES[name].driver for name in self._engines()) or "none"
        self._guests.append(Guest(host, self._functions[host.name], self.record, self._qmp_library, self._load,
                                  incoming=incoming, backend=self._backend, driver=drivers, migration=self._migration,
                                  number=self._number, machine=self._machine, extra=self._guest_extra))
        return self.guest

    def set_up(self) -> None:
        """Both hosts, as an operator does it."""
        for host, which in zip((self.source, self.destination), self._drivers):
            self._set_up_host(host, which)

    def _set_up_host(self, host: Host, which: str) -> None:
        """PF, VFs, binding."""
        vfs = self._vfs[host.name]
        functions: dict[str, list[str]] = {}
        driver = DRIVER_NAMES[which]
        with self._steps.step(f"{host.name}: {self._drivers_said()} on the PF, {vfs} VFs with {driver}", host.console):
            # All first: the variant driver brings the stock ones with it, without parameters
            for name in self._engines():
                accelerator.bring_up(host.ssh, hardware.ENGINES[name], vfs)
            for name in self._engines():
                engine = hardware.ENGINES[name]
                functions[name] = accelerator.functions(host.ssh, engine)
                if len(functions[name]) != vfs:
                    raise LabError(f"host {host.name}: {len(functions[name])} VFs appeared, not {vfs}")
                accelerator.bind(host.ssh, functions[name], hardware.VARIANT_DRIVER)
            if self._backend == "iommufd":
                accelerator.need_iommufd(host.ssh)
            self._all[host.name] = functions
            self._functions[host.name] = [functions[name][n - 1] for name, n in self._places]
            self._traced[host.name] = arcs.trace(host.ssh)
            self._offsets[host.name] = host.clock_offset()
            vmm = host.ssh.out("qemu-system-aarch64 --version | sed -n 's/^QEMU emulator version \\([^ ]*\\).*/\\1/p'")
            self.outcome.where[host.name] = (f"Linux {host.ssh.out('uname -r')}, QEMU {vmm}, "
                                             f"{driver} on {' '.join(self._functions[host.name])}")

    def _alive(self, guest: Guest) -> Callable[[], bool]:
        """Whether more can be heard of this guest."""
        return lambda: self.source.alive() and self.destination.alive() and guest.alive()

    def start_guest(self, loaded: bool = True) -> None:
        """Start the guest on the source; returns when its load has found its feet, or
        without one when its driver is ready."""
        host = self.source
        functions = self._functions[host.name]
        with self._steps.step(f"{host.name}: guest with {' and '.join(functions) or 'no VF'}: stock driver, its "
                              "self-tests, then the load") as step:
            guest = self._start(host, incoming=False)
            step.watch(lambda: f"{self.record.last.verified} verified" if self.record.last else "booting")
            try:
                self.record.wait("the guest's driver is ready", lambda: self.record.ready, START_SECONDS,
                                 self._alive(guest))
                if loaded and self._load:
                    self.record.wait_progress("the load runs", LANE_REQUESTS, START_SECONDS, self._alive(guest))
            except LabError as e:
                guest.console()
                raise LabError(str(e), guest.console_log) from e
            self.outcome.selftests = _selftests(guest.console())
            if self._places and not self.outcome.selftests:
                raise LabError("the guest's driver registered no algorithm")
            bad = [t for t in self.outcome.selftests if not t.endswith(": passed")]
            if bad:
                self.outcome.complaints.append(f"self-tests in the guest: {', '.join(bad)}")

    @property
    def guest(self) -> Guest:
        """The inner QEMU that was started last."""
        return self._guests[-1]

    @property
    def guests(self) -> list[Guest]:
        """All of them, in the order of their start."""
        return list(self._guests)

    def expect_guest(self) -> Guest:
        """Start an inner QEMU on the destination that waits for the guest."""
        for name in self._engines():
            self.destination.set_model(name, "request-latency",
                                       int(self.destination.spec.model["request-latency"]))
        return self._start(self.destination, incoming=True)

    def begin(self, source: Guest, bandwidth: int, **parameters: int) -> None:
        """Tell the guest's QEMU to begin with a migration, no more."""
        for name in self._engines() if self._slow else []:
            self.source.set_model(name, "request-latency", int(SLOW_REQUEST_US * self.source.spec.kernel.patience))
        source.qmp.cmd("migrate-set-parameters", max_bandwidth=bandwidth, **parameters)
        source.qmp.cmd("migrate", uri=f"tcp:{_address(self.destination)}:{MIGRATION_PORT + self._number}")

    def migrate(self) -> None:
        """Move the guest to the destination while its load runs."""
        source, target = self.guest, self.destination
        with self._steps.step(f"{self.source.name} to {target.name}: migration under load") as step:
            step.watch(lambda: f"{self.record.last.verified} verified" if self.record.last else "")
            arrived = self.expect_guest()
            before = self.record.last
            began = time.monotonic()
            limit = {"downtime_limit": DOWNTIME_LIMIT_MS} if self._backend == "container" else {}
            try:
                self.begin(source, 1 << 40, **limit)
            except LabError as e:
                raise Refusal(f"QEMU refused to migrate: {e}", str(e)) from e
            end = source.qmp.wait("the migration ends", lambda e: e.name == "MIGRATION" and e.at >= began and
                                  e.data["status"] in ("completed", "failed", "cancelled"),
                                  MIGRATE_SECONDS, source.alive)
            info = source.qmp.cmd("query-migrate")
            if end.data["status"] != "completed":
                words = f"{info.get('error-desc', 'QEMU gives no reason')}; source: {source.last_words()}; " \
                        f"destination: {arrived.last_words()}"
                raise Refusal(f"the migration {end.data['status']}: {words}", words)
            try:
                resumed = arrived.qmp.wait("the guest runs on the destination", lambda e: e.name == "RESUME", 30,
                                           arrived.alive)
            except LabError as e:
                if arrived.alive():
                    raise
                words = arrived.last_words()
                raise Refusal(f"the destination's QEMU ended while it loaded the guest: {words}", words) from e
            self._account(info, began, source, resumed.at)
            if before:
                self._count(before)

    def _account(self, info: dict[str, Any], began: float, source: Guest, resumed: float) -> None:
        out = self.outcome
        out.downtime_ms = info.get("downtime")
        out.total_ms = info.get("total-time")
        out.ram_bytes = info.get("ram", {}).get("transferred", 0)
        out.device_bytes = info.get("vfio", {}).get("transferred", 0)
        stopped = next((e.at for e in source.qmp.events if e.name == "STOP" and e.at >= began), began)
        out.dark_ms = round((resumed - stopped) * 1e3, 3)
        out.syncs = source.dirty_syncs()
        out.sync_count = info.get("ram", {}).get("dirty-sync-count", 0)
        # From 11 on QEMU does not count the one while the guest is stopped
        if len(out.syncs) < out.sync_count:
            out.complaints.append(f"QEMU counted {out.sync_count} dirty-bitmap syncs, its trace has {len(out.syncs)}")
        stop, save = self._walked(self.source, began, "stop", "save")
        load, restart = self._walked(self.destination, began, "load", "restart")
        dark = stop.start if stop else stopped
        here = self.source.name
        out.phases = [Phase("pre-copy", here, began, dark)]
        if stop:
            out.phases.append(stop)
        out.phases.append(Phase("transfer", "both", stop.end if stop else dark, load.start if load else resumed))
        out.phases += [phase for phase in (save, load, restart) if phase]
        prepared, idle = (_states(source, began, state) for state in ("pre-copy-p2p-prepare", "pre-copy-p2p"))
        if prepared and idle:
            out.phases.append(Phase("stop (QEMU)", here, prepared[0], idle[-1]))
        if out.downtime_ms is not None:
            out.phases.append(Phase("downtime (QEMU)", "guest", dark, dark + out.downtime_ms / 1e3))

    def _walked(self, host: Host, since: float, *wanted: str) -> list[Phase | None]:
        """The phases that a host's driver went through since then, for all of the
        guest's functions together; None for a driver without a trace."""
        if not self._traced[host.name]:
            return [None for _ in wanted]
        all_arcs = arcs.read(host.ssh, self._offsets[host.name])
        phases: list[Phase | None] = []
        for name in wanted:
            found = arcs.last(all_arcs, self._functions[host.name], since, *PHASE_ARCS[name])
            missing = [f for f in self._functions[host.name] if f not in found]
            self.outcome.complaints += [f"{host.name}: the driver's trace lacks the {name} of {f}" for f in missing]
            phases.append(Phase(name, host.name, min(a.start for a in found.values()),
                                max(a.end for a in found.values())) if found else None)
        return phases

    def _count(self, before: Report) -> None:
        reports = self.record.reports
        here = [r for r in reports if r.host == self.source.name]
        self.outcome.requests["before"] = before.verified
        self.outcome.requests["during"] = here[-1].verified - before.verified
        self.outcome.in_flight_at_stop = here[-1].in_flight
        if self._slow and here[-1].in_flight < MIN_IN_FLIGHT:
            self.outcome.complaints.append(f"only {here[-1].in_flight} requests were in flight when the guest left the "
                                           f"{self.source.name}, {MIN_IN_FLIGHT} are wanted")

    def keep_going(self, guest: Guest) -> None:
        """The load has to go on in this place, in every lane."""
        name = guest.host.name
        with self._steps.step(f"{name}: the load goes on, in every lane") as step:
            step.watch(lambda: f"{self.record.last.verified} verified" if self.record.last else "")
            try:
                self.record.wait(f"a report from the {name}", lambda: self.record.last is not None and
                                 self.record.last.host == name, LANE_SECONDS, self._alive(guest))
                self.record.wait_progress("the load goes on", LANE_REQUESTS, LANE_SECONDS, self._alive(guest))
            except LabError as e:
                guest.console()
                raise LabError(str(e), guest.console_log) from e

    def finish(self, guest: Guest) -> None:
        """The load has to end well, wherever it is."""
        with self._steps.step(f"{guest.host.name}: end of the load, every request accounted for"):
            guest.stop_load()
            self.record.wait("the load ends", lambda: self.record.exit_status is not None,
                             LANE_SECONDS, self._alive(guest))
            self.outcome.complaints += self.record.complaints()

    def go_on(self) -> None:
        """The load has to go on at the destination, and end well."""
        self.keep_going(self.guest)
        self.finish(self.guest)
        self._weigh()

    def _weigh(self) -> None:
        out, last = self.outcome, self.record.last
        assert last
        out.requests["after"] = last.verified - out.requests["before"] - out.requests["during"]
        out.requests["all"] = last.verified
        out.pages, out.stale = last.pages, last.stale
        in_flight = sorted(r.in_flight for r in self.record.reports[1:-1] if not r.final)
        out.in_flight_min, usual = in_flight[0], in_flight[len(in_flight) // CHANCE]
        if usual < MIN_IN_FLIGHT:
            out.complaints.append(f"in one of {CHANCE} reports only {usual} requests were in flight or fewer, "
                                  f"{MIN_IN_FLIGHT} are wanted")

    def inspect(self) -> None:
        """Read what hosts, guests and devices have to say about it."""
        with self._steps.step("logs of the hosts, the device's own counts"):
            for host in (self.source, self.destination):
                self.outcome.complaints += host.trouble()
                for name, number in self._places if host.alive() else ():
                    where = host.name if len(self._places) == 1 else f"{host.name} {name} {number}"
                    self.outcome.device_counts[where] = host.counters(name, number)["events"]

    def _judge(self) -> None:
        left = [c for name, c in self.outcome.device_counts.items() if name.split()[0] == self.source.name]
        self.outcome.carried = sum(c["sq-doorbells"] - c["kicks"] - c["requests-completed"] for c in left)
        # A guest that comes back brings doorbells of elsewhere with it
        if self._moves == 1 and self._slow and self.outcome.carried <= 0:
            self.outcome.complaints.append("no request was pending in the function when it was paused, so nothing "
                                           "was shown")
        done = sum(c["requests-completed"] for c in self.outcome.device_counts.values())
        if done < self.outcome.requests["all"]:
            self.outcome.complaints.append(f"the devices processed {done} requests, fewer than were verified: "
                                           "something else did the work")
        self.outcome.complaints += [f"{where}: this function was given no work"
                                    for where, c in self.outcome.device_counts.items() if not c["requests-completed"]]

    def run(self) -> Outcome:
        """All of it.  What fails on the way becomes a complaint, and hosts and
        device are still asked what they saw."""
        try:
            self.set_up()
            self.start_guest()
            for _ in range(self._moves - 1):
                self.migrate()
                self.turn_round()
            self.migrate()
            self.go_on()
        except LabError as e:
            self.outcome.complaints.append(str(e))
            self.outcome.refusal = getattr(e, "words", "")
            if self.record.last:
                self.outcome.pages, self.outcome.stale = self.record.last.pages, self.record.last.stale
            self.inspect()
        else:
            self.inspect()
            self._judge()
        return self.outcome

    def turn_round(self) -> None:
        """The destination becomes the source of the next move."""
        self.keep_going(self.guest)
        left = self._guests.pop(-2)
        left.console()
        left.close()
        self.source, self.destination = self.destination, self.source

    def close(self) -> None:
        """Keep the guests' last words, and end what still runs of them."""
        for guest in self._guests:
            guest.console()
            guest.close()


def _states(guest: Guest, since: float, state: str) -> list[float]:
    """When QEMU sent, since then, that a VF of the guest is in a state or about to be:
    by its own clock, of which the event that arrived quickest tells what it is here."""
    offset = min((e.at - e.stamp for e in guest.qmp.events), default=0.0)
    return [e.stamp + offset for e in guest.qmp.events
            if e.name == "VFIO_MIGRATION" and e.at >= since and e.data["device-state"] == state]


def _address(host: Host) -> str:
    return {"server": "10.0.9.1", "client": "10.0.9.2"}[host.spec.lan[0] if host.spec.lan else "server"]


def _selftests(console: str) -> list[str]:
    """The guest prints its algorithms' entries of /proc/crypto at the start."""
    found, name = [], ""
    for line in console.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "driver":
            name = value.strip()
        elif key.strip() == "selftest" and name.startswith(hardware.ALGORITHMS):
            found.append(f"{name}: {value.strip()}")
    return found
