# SPDX-License-Identifier: GPL-2.0
"""The lab's scenario: migrate a guest with assigned VFs between two hosts under load."""

from __future__ import annotations

import collections
import copy
import dataclasses
import time
from collections.abc import Callable
from typing import Any

from ..core import hardware, versions
from ..core.errors import LabError, Refusal
from ..core.progress import Steps
from . import accelerator, arcs
from .config import GuestConfig, HostConfig, MigrationConfig
from .guest import MIGRATION_PORT, Guest, Start
from .host import Host
from .load import LoadRecord, Report
from .syncs import Sync
from .timeline import Phase

#: the default engine of a guest
ENGINE = "sec"
#: names of the variant drivers in output
DRIVER_NAMES = {"tree": "this driver", "in-tree": "the in-tree driver"}

# Long enough to send all of memory: without dirty tracking every mapped page is sent
# during the downtime
DOWNTIME_LIMIT_MS = 60_000
MIGRATE_SECONDS = 120

# An emulated host takes long from the stop of the vCPUs to the PAUSE command.  With
# requests this slow (microseconds), one at a time, the engine cannot empty its queues
# meanwhile, so that some requests are always pending at the pause
SLOW_REQUEST_US, SLOW_SLOTS = 200_000, 1
#: drivers wait for PAUSE for a second, which waits for a request
SLOWEST_REQUEST_US = 700_000

# A lane makes progress if this many of its requests are verified within this time
LANE_REQUESTS = 20
LANE_SECONDS = 30
# Timeout for the guest's driver, and again for the first report of its load
START_SECONDS = 120

# Minimum number of requests in flight when the guest is stopped, and in nine of ten
# reports.  Checking a result in software can take long, as for HPRE, and sometimes most
# lanes do so at the same time
MIN_IN_FLIGHT, CHANCE = 4, 10

# The arcs of a migration that access the device: the new state, and the old states
PHASE_ARCS = {
    "stop": ("PRE_COPY_P2P", "PRE_COPY"),
    "save": ("STOP_COPY", "PRE_COPY_P2P", "STOP"),
    "load": ("STOP", "RESUMING"),
    "restart": ("RUNNING", "RUNNING_P2P"),
}


@dataclasses.dataclass
class Outcome:
    """Results of a migration.  `failures` lists failed checks; `downtime_ms` is QEMU's
    downtime, `stopped_ms` the time from its STOP event on the source to the RESUME event on
    the destination; `pages` counts pages that only the device writes, `stale` those with
    old content; `carried` counts requests that were submitted to the VF on the source and
    completed by the VF on the destination; `refusal` is QEMU's error message if it did
    not start or migrate the guest; `sync_count` is QEMU's count of `syncs`, which come
    from its trace."""

    failures: list[str] = dataclasses.field(default_factory=list)
    refusal: str = ""
    phases: list[Phase] = dataclasses.field(default_factory=list)
    downtime_ms: int | None = None
    stopped_ms: float | None = None
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
        """Whether all checks passed."""
        return not self.failures


class Scenario:
    """Two booted hosts, and the steps of the scenario."""

    def __init__(self, source: Host, destination: Host, guest: GuestConfig, migration: MigrationConfig,
                 steps: Steps) -> None:
        self.source = source
        self.destination = destination
        self.outcome = Outcome()
        self._timeout_scale = max(source.timeout_scale, destination.timeout_scale)
        self.record = LoadRecord(self._timeout_scale)
        self._places = [(name, n) for name in source.spec.config.engines
                        for n in range(1, (guest.vfs if hardware.ALL[name].model else 1) + 1)]
        self._guest_config, self._migration = guest, migration
        self._steps = steps
        self._machine = versions.machine(source.spec.vmm, destination.spec.vmm)
        self.outcome.tracking = ("tracked by the SMMU" if migration.backend == "iommufd" and source.spec.config.httu else
                                 "not tracked, all of memory is dirty" if migration.backend == "container" else
                                 "not tracked")
        self._number = 0
        self._all: dict[str, dict[str, list[str]]] = {}
        self._vfs: dict[str, list[str]] = {}
        self._offsets: dict[str, float] = {}
        self._guests: list[Guest] = []
        self._traced: dict[str, bool] = {}
        # Requests that migrations brought to a host's device, less those that they took from it
        self._brought: collections.Counter[str] = collections.Counter()

    def beside(self) -> Scenario:
        """A scenario for another guest, with the next VFs of the same hosts, which are
        already set up."""
        other = copy.copy(self)
        other.outcome, other.record, other._guests = Outcome(), LoadRecord(self._timeout_scale), []
        other._brought = collections.Counter()
        other._number = self._number + 1
        other._places = [(name, n + self._guest_config.vfs) for name, n in self._places]
        other._vfs = {host: [vfs[name][n - 1] for name, n in other._places] for host, vfs in self._all.items()}
        return other

    def _engines(self) -> list[str]:
        return list(dict.fromkeys(name for name, _ in self._places))

    def _models(self) -> list[str]:
        return [name for name in self._engines() if hardware.ALL[name].model]

    def _counted(self) -> list[tuple[str, int]]:
        """The VFs that have counters."""
        return [place for place in self._places if place[0] in self._models()]

    def _variants(self, config: HostConfig) -> str:
        """The VFIO drivers of a host."""
        return " and ".join(dict.fromkeys(DRIVER_NAMES[config.driver] if hardware.ALL[name].model else hardware.ALL[name].variant
                                          for name in self._engines()))

    def _drivers_said(self, config: HostConfig) -> str:
        """What is set up on a host, with which drivers."""
        models, others = self._models(), [name for name in self._engines() if not hardware.ALL[name].model]
        stock = " and ".join(hardware.ALL[name].driver for name in models)
        said = [f"{stock} on the PF, {config.vfs} VFs with {DRIVER_NAMES[config.driver]}"] if models else []
        return ", ".join([*said, *(f"{name} with {hardware.ALL[name].variant}" for name in others)])

    def _start(self, host: Host, incoming: bool) -> Guest:
        self._guests.append(Guest(host, self._vfs[host.name], self.record, self._guest_config, self._migration,
                                  Start(incoming, number=self._number, machine=self._machine)))
        return self.guest

    def set_up(self) -> None:
        """Set up both hosts as an operator does."""
        for host in (self.source, self.destination):
            self._set_up_host(host)

    def _set_up_host(self, host: Host) -> None:
        """Load the PF's driver, create VFs and bind them."""
        vfs = host.spec.config.vfs
        with self._steps.step(f"{host.name}: {self._drivers_said(host.spec.config)}", host.console):
            engines = [host.spec.config.engine(name) for name in self._engines()]
            addresses = accelerator.set_up(host.ssh, engines, vfs)
            if self._migration.backend == "iommufd":
                accelerator.need_iommufd(host.ssh)
            self._all[host.name] = addresses
            self._vfs[host.name] = [addresses[name][n - 1] for name, n in self._places]
            host.arrange()
            self._traced[host.name] = all(one.arcs and arcs.trace(host.ssh, one.arcs) for one in engines)
            self._offsets[host.name] = host.clock_offset()
            vmm = host.ssh.out("qemu-system-aarch64 --version | sed -n 's/^QEMU emulator version \\([^ ]*\\).*/\\1/p'")
            self.outcome.where[host.name] = (f"Linux {host.ssh.out('uname -r')}, QEMU {vmm}, "
                                             f"{self._variants(host.spec.config)} on {' '.join(self._vfs[host.name])}")

    def _alive(self, guest: Guest) -> Callable[[], bool]:
        """Whether the guest can still send reports."""
        return lambda: self.source.alive() and self.destination.alive() and guest.alive()

    def start_guest(self) -> None:
        """Start the guest on the source; return when all lanes of its load make progress, or
        without a load when its drivers are ready."""
        host = self.source
        vfs = self._vfs[host.name]
        tests = "its self-tests, " if self._guest_config.selftests else ""
        with self._steps.step(f"{host.name}: guest with {' and '.join(vfs) or 'no VF'}: stock driver, {tests}"
                              "then the load") as step:
            guest = self._start(host, incoming=False)
            step.watch(lambda: f"{self.record.last.verified} verified" if self.record.last else "booting")
            try:
                self.record.wait("the guest's driver is ready", lambda: self.record.ready, START_SECONDS,
                                 self._alive(guest))
                if not self._guest_config.script and self._migration.load != "":
                    self.record.wait_progress("the load runs", LANE_REQUESTS, START_SECONDS, self._alive(guest))
            except LabError as e:
                guest.console()
                raise LabError(str(e), guest.console_log) from e
            if not self._guest_config.selftests:
                return
            self.outcome.selftests = _selftests(guest.console())
            if self._models() and not self.outcome.selftests:
                raise LabError("the guest's driver registered no algorithm")
            bad = [t for t in self.outcome.selftests if not t.endswith(": passed")]
            if bad:
                self.outcome.failures.append(f"self-tests in the guest: {', '.join(bad)}")

    @property
    def guest(self) -> Guest:
        """The inner QEMU that was started last."""
        return self._guests[-1]

    @property
    def guests(self) -> list[Guest]:
        """All inner QEMUs, in the order of their start."""
        return list(self._guests)

    def expect_guest(self) -> Guest:
        """Start an inner QEMU on the destination that waits for the migration."""
        for name in self._models():
            model = self.destination.spec.config.model
            self.destination.set_model(name, "request-latency", int(model["request-latency"]))
            self.destination.set_model(name, "engine-slots", int(model["engine-slots"]))
        return self._start(self.destination, incoming=True)

    def start_beside(self, extra: str, enable: str) -> Guest:
        """Start another QEMU on the source, with the VFs of the guest, more arguments and
        another enable-migration, to which the guest is handed over; returns when its monitor
        answers."""
        start = Start(number=self._number + len(self._guests), extra=extra)
        self._guests.append(Guest(self.source, self._vfs[self.source.name], self.record, self._guest_config,
                                  dataclasses.replace(self._migration, enable=enable), start))
        return self.guest

    def begin(self, source: Guest, bandwidth: int, **parameters: int) -> None:
        """Start the migration and return."""
        for name in self._models() if self._migration.slow else []:
            slow_down(self.source, name)
        source.prepare_to_leave()
        source.qmp.cmd("migrate-set-parameters", max_bandwidth=bandwidth, **parameters)
        source.qmp.cmd("migrate", uri=f"tcp:{_address(self.destination)}:{MIGRATION_PORT + self._number}")

    def migrate(self) -> None:
        """Migrate the guest to the destination under load."""
        source, target = self.guest, self.destination
        with self._steps.step(f"{self.source.name} to {target.name}: migration under load") as step:
            step.watch(lambda: f"{self.record.last.verified} verified" if self.record.last else "")
            arrived = self.expect_guest()
            before = self.record.last
            began = time.monotonic()
            limit = {"downtime_limit": DOWNTIME_LIMIT_MS} if self._migration.backend == "container" else {}
            try:
                self.begin(source, 1 << 40, **limit)
            except LabError as e:
                raise Refusal(f"QEMU refused to migrate: {e}", str(e)) from e
            end = source.qmp.wait("the migration ends", lambda e: e.name == "MIGRATION" and e.at >= began and
                                  e.data["status"] in ("completed", "failed", "cancelled"),
                                  MIGRATE_SECONDS, source.alive)
            info = source.qmp.cmd("query-migrate")
            if end.data["status"] != "completed":
                words = f"{info.get('error-desc', 'no reason given')}; source: {source.last_words()}; " \
                        f"destination: {arrived.last_words()}"
                raise Refusal(f"the migration {end.data['status']}: {words}", words)
            try:
                resumed = arrived.qmp.wait("the guest runs on the destination", lambda e: e.name == "RESUME", 30,
                                           arrived.alive)
            except LabError as e:
                if arrived.alive():
                    raise
                words = arrived.last_words()
                raise Refusal(f"the destination's QEMU exited while loading the guest: {words}", words) from e
            self._account(info, began, source, resumed.at)
            self._carry()
            if before:
                self._count(before)

    def _account(self, info: dict[str, Any], began: float, source: Guest, resumed: float) -> None:
        out = self.outcome
        out.downtime_ms = info.get("downtime")
        out.total_ms = info.get("total-time")
        out.ram_bytes = info.get("ram", {}).get("transferred", 0)
        out.device_bytes = info.get("vfio", {}).get("transferred", 0)
        stopped = next((e.at for e in source.qmp.events if e.name == "STOP" and e.at >= began), began)
        out.stopped_ms = round((resumed - stopped) * 1e3, 3)
        out.syncs = source.dirty_syncs()
        out.sync_count = info.get("ram", {}).get("dirty-sync-count", 0)
        # QEMU 11 and later do not count the sync while the guest is stopped
        if len(out.syncs) < out.sync_count:
            out.failures.append(f"QEMU counted {out.sync_count} dirty-bitmap syncs, but traced {len(out.syncs)}")
        stop, save = self._walked(self.source, began, "stop", "save")
        load, restart = self._walked(self.destination, began, "load", "restart")
        downtime_began = stop.start if stop else stopped
        here = self.source.name
        out.phases = [Phase("pre-copy", here, began, downtime_began)]
        if stop:
            out.phases.append(stop)
        out.phases.append(Phase("transfer", "both", stop.end if stop else downtime_began,
                                load.start if load else resumed))
        out.phases += [phase for phase in (save, load, restart) if phase]
        prepared, idle = (_states(source, began, state) for state in ("pre-copy-p2p-prepare", "pre-copy-p2p"))
        if prepared and idle:
            out.phases.append(Phase("stop (QEMU)", here, prepared[0], idle[-1]))
        if out.downtime_ms is not None:
            out.phases.append(Phase("downtime (QEMU)", "guest", downtime_began, downtime_began + out.downtime_ms / 1e3))

    def _carry(self) -> None:
        """Count the requests that this migration took from the source's device."""
        events = [self.source.counters(name, number)["events"] for name, number in self._counted()]
        out, here, there = self.outcome, self.source.name, self.destination.name
        out.carried = self._brought[here] + sum(c["sq-doorbells"] - c["kicks"] - c["requests-completed"] for c in events)
        self._brought[here] -= out.carried
        self._brought[there] += out.carried
        if self._counted() and self._migration.slow and out.carried <= 0:
            out.failures.append(f"no request was pending in the VF when it was paused on the {here}, so nothing "
                                "was shown")

    def _walked(self, host: Host, since: float, *wanted: str) -> list[Phase | None]:
        """The phases of a host's driver since a time, for all VFs of the guest together;
        None for a driver without tracepoints."""
        if not self._traced[host.name]:
            return [None for _ in wanted]
        all_arcs = arcs.read(host.ssh, self._offsets[host.name])
        phases: list[Phase | None] = []
        for name in wanted:
            found = arcs.last(all_arcs, self._vfs[host.name], since, *PHASE_ARCS[name])
            missing = [vf for vf in self._vfs[host.name] if vf not in found]
            self.outcome.failures += [f"{host.name}: no {name} of {vf} in the driver's trace" for vf in missing]
            phases.append(Phase(name, host.name, min(a.start for a in found.values()),
                                max(a.end for a in found.values())) if found else None)
        return phases

    def _count(self, before: Report) -> None:
        reports = self.record.reports
        here = [r for r in reports if r.host == self.source.name]
        self.outcome.requests["before"] = before.verified
        self.outcome.requests["during"] = here[-1].verified - before.verified
        self.outcome.in_flight_at_stop = here[-1].in_flight
        if self._migration.slow and here[-1].in_flight < MIN_IN_FLIGHT:
            self.outcome.failures.append(f"only {here[-1].in_flight} requests were in flight when the guest stopped on the "
                                         f"{self.source.name}, expected at least {MIN_IN_FLIGHT}")

    def keep_going(self, guest: Guest) -> None:
        """Verify that every lane of the load makes progress on a host."""
        name = guest.host.name
        with self._steps.step(f"{name}: the load continues in every lane") as step:
            step.watch(lambda: f"{self.record.last.verified} verified" if self.record.last else "")
            try:
                self.record.wait(f"a report from the {name}", lambda: self.record.last is not None and
                                 self.record.last.host == name, LANE_SECONDS, self._alive(guest))
                self.record.wait_progress("the load continues", LANE_REQUESTS, LANE_SECONDS, self._alive(guest))
            except LabError as e:
                guest.console()
                raise LabError(str(e), guest.console_log) from e

    def finish(self, guest: Guest) -> None:
        """End the load and verify that it is complete."""
        with self._steps.step(f"{guest.host.name}: end of the load, every request accounted for"):
            guest.stop_load()
            self.record.wait("the load ends", lambda: self.record.exit_status is not None,
                             LANE_SECONDS, self._alive(guest))
            self.outcome.failures += self.record.failures()

    def go_on(self) -> None:
        """Verify that the load continues on the destination and completes."""
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
            out.failures.append(f"in one of {CHANCE} reports at most {usual} requests were in flight, "
                                f"expected at least {MIN_IN_FLIGHT}")

    def inspect(self) -> None:
        """Check logs of hosts and guests, and the counters of the devices."""
        with self._steps.step("logs of the hosts, counters of the devices"):
            for host in (self.source, self.destination):
                self.outcome.failures += host.unexpected()
                for name, number in self._counted() if host.alive() else ():
                    where = host.name if len(self._places) == 1 else f"{host.name} {name} {number}"
                    self.outcome.device_counts[where] = host.counters(name, number)["events"]

    def _judge(self) -> None:
        done = sum(c["requests-completed"] for c in self.outcome.device_counts.values())
        if self._counted() and done < self.outcome.requests["all"]:
            self.outcome.failures.append(f"the devices processed {done} requests, fewer than were verified")
        self.outcome.failures += [f"{where}: this VF got no requests"
                                  for where, c in self.outcome.device_counts.items() if not c["requests-completed"]]

    def run(self) -> Outcome:
        """Run the whole scenario.  After a failure, logs and counters are still checked."""
        try:
            self.set_up()
            self.start_guest()
            for _ in range(self._migration.migrations - 1):
                self.migrate()
                self.turn_round()
            self.migrate()
            self.go_on()
        except LabError as e:
            self.outcome.failures.append(str(e))
            self.outcome.refusal = getattr(e, "words", "")
            if self.record.last:
                self.outcome.pages, self.outcome.stale = self.record.last.pages, self.record.last.stale
            self.inspect()
        else:
            self.inspect()
            self._judge()
        return self.outcome

    def turn_round(self) -> None:
        """Swap source and destination for the next migration."""
        self.keep_going(self.guest)
        left = self._guests.pop(-2)
        left.console()
        left.close()
        self.source, self.destination = self.destination, self.source

    def close(self) -> None:
        """Save the guests' consoles and stop the guests."""
        for guest in self._guests:
            guest.console()
            guest.close()


def slow_down(host: Host, engine: str) -> None:
    """Make requests slow, so that some are pending whenever the guest is stopped."""
    latency = int(SLOW_REQUEST_US * host.spec.kernel.timeout_scale)
    host.set_model(engine, "request-latency", min(latency, SLOWEST_REQUEST_US))
    host.set_model(engine, "engine-slots", SLOW_SLOTS)


def _states(guest: Guest, since: float, state: str) -> list[float]:
    """When QEMU reported, since a time, that a VF of the guest enters a state.  QEMU's
    timestamps are converted by the event with the shortest delay."""
    offset = min((e.at - e.stamp for e in guest.qmp.events), default=0.0)
    return [e.stamp + offset for e in guest.qmp.events
            if e.name == "VFIO_MIGRATION" and e.at >= since and e.data["device-state"] == state]


def _address(host: Host) -> str:
    assert host.spec.port
    return host.spec.port.address


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
