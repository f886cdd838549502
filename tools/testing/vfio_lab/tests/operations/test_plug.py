# SPDX-License-Identifier: GPL-2.0
"""VFs are plugged into a running guest and out of it, while another VF of the guest completes requests:
none may be lost, whether the guest migrates with a VF that was plugged in or without it."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import bench
from lab.core import paths, versions
from lab.core.errors import LabError
from lab.core.guide import blocks
from lab.core.progress import Steps
from lab.scenario import accelerator
from lab.scenario.config import LANE_QUEUES, MODEL, GuestConfig, HostConfig
from lab.scenario.guest import MIGRATION_PORT, Guest, Start
from lab.scenario.load import LoadRecord
from lab.scenario.migration import ENGINE, slow_down
from lab.scenario.session import Session
from migrations import TRICKLE, ended, event

pytestmark = pytest.mark.slow("guests that are plugged to")

GUIDE = blocks("none")
PORT, BEHIND, PLUG = (GUIDE[name] for name in ("plug-port", "plug-destination", "plug"))
UNPLUG, LIST = GUIDE["unplug"].splitlines()
# the PF's drivers run no self-tests
CONFIG = HostConfig(engines=("sec", "zip", "hpre"), vfs=4, model={**MODEL, "pf-algs": "0"})
ALL = CONFIG.engines
#: as many as one VF has queues for, so that those of a second load are on the other VF
LANES = CONFIG.queues // LANE_QUEUES
#: microseconds for a request: usually, and so that the loads leave processors to what is tested
USUAL, CALM = int(MODEL["request-latency"]), 20_000
#: what QEMU says while the guest's drivers wait
BUSY = "guest is busy (power indicator blinking)"
LONG = pytest.mark.long("plugs more often, or boots more hosts and guests: minutes")

# The first load is on the VF that the guest was started with, if it has one. Others are on VFs that are
# plugged in: a line is the number of VFs that the guest then has, lanes, and what they use. Changes of the
# number of VFs that have a driver are reported between the reports of these loads.
# driver_override is locked while a driver probes its device.
SCRIPT = r"""
until p=$(grep -lx plugged /sys/class/virtio-ports/*/name); do usleep 100000; done
p=${p%/name}
exec 4<>/dev/${p##*/}
for driver in hisi_sec2 hisi_zip hisi_hpre accel_load; do modprobe $driver || exit 1; done
while set -- /sys/bus/pci/drivers/hisi_*/0000:*; do
	[ -e "$1" ] || shift
	[ $# = "$vfs" ] || echo "{\"vfs\":$((vfs = $#))}" >&4
	usleep 200000
done &
while read -r number lanes work <&4; do
	until set -- /sys/bus/pci/drivers/hisi_*/0000:*; [ $# = $number -a -e "$1" ]; do usleep 50000; done
	for vf; do echo > $vf/driver_override; done
	while grep -A6 '^driver *: \(hisi[_-]\|hpre-\)' /proc/crypto | grep -q 'selftest *: unknown'; do usleep 50000; done
	/lab/load $lanes 4096 $work <&4 >&4 2>/dev/console
	echo "{\"exit\":$?}" >&4
done &
grep -q lab.driver=none /proc/cmdline || exec /lab/load LANES 4096 sec <&3 >&3 2>/dev/console
read -r _ <&3
"""


class Loads:
    """What a guest does: a load that never stops, and one after another on VFs that are plugged in."""

    def __init__(self) -> None:
        self.lasting, self.plugged = LoadRecord(), LoadRecord()
        #: VFs that have a driver
        self.vfs = 0


def check(record: LoadRecord) -> None:
    """A load that has ended must have completed each request."""
    assert record.last and record.last.final and record.last.verified > 0
    assert record.failures() == []


class PluggableGuest(Guest):
    """The guest on one of its two sides: 0 where it starts, 1 where it migrates to. Each has VFs of its
    own in the same host. `cold` is whether it is started with a VF, `plugged` whether others are behind
    its ports from the start."""

    def __init__(self, place: Place, loads: Loads, side: int = 0, cold: bool = True, plugged: bool = False) -> None:
        self.place, self.loads, self.side, self.cold = place, loads, side, cold
        self._port = f"/run/guest{side}.plugged"
        if side == 0:
            place.pace(USUAL)
        place.host.ssh.run(f"rm -f {self._port}.*; mkfifo {self._port}.in {self._port}.out")
        self._lines = place.host.ssh.popen(f"cat {self._port}.out", stdout=subprocess.PIPE)
        threading.Thread(target=self._follow, daemon=True).start()
        extra = f"-chardev pipe,id=plugged,path={self._port} -device virtserialport,chardev=plugged,name=plugged"
        for number, vf in enumerate(self.vfs, 1):
            extra += f" {numbered(PORT, number)}" + (f" {numbered(BEHIND, number, vf)}" if plugged else "")
        super().__init__(place.host, place.cold(side) if cold else [], loads.lasting,
                         dataclasses.replace(place.guest, extra=extra), start=Start(incoming=side > 0, number=side))

    def _follow(self) -> None:
        assert self._lines.stdout
        for line in self._lines.stdout:
            if found := re.fullmatch(rb'{"vfs":(\d+)}\s*', line):
                self.loads.vfs = int(found[1])
            else:
                self.loads.plugged.follow(self.host.name, [line])

    @property
    def vfs(self) -> list[str]:
        """The VFs that can be plugged in."""
        return self.place.plugged(self.side)

    @property
    def number_of_vfs(self) -> int:
        """How many VFs the guest has when all are plugged in."""
        return self.cold + len(self.vfs)

    def runs(self) -> None:
        """Wait until the guest is up, and its lasting load makes progress in each lane."""
        if self.cold:
            self.loads.lasting.wait_progress("the lasting load runs", 5, 180, self.alive)
            self.place.pace(CALM)
        else:
            self.loads.lasting.wait("the guest is up", lambda: self.loads.lasting.ready, 180, self.alive)

    def plug(self, side: int | None = None) -> None:
        """Plug VFs in, by default those of this side, and start a load on them; each must get requests."""
        side = self.side if side is None else side
        for number, vf in enumerate(self.place.plugged(side), 1):
            assert self.monitor(numbered(PLUG, number, vf)) == ""
        self.loads.plugged = LoadRecord()
        before = self.place.count("requests-completed", side)
        # the loads of programs/load.c are called as the accelerators are
        self.host.ssh.run(f"echo {self.number_of_vfs} {LANES} {'+'.join(self.place.engines)} > {self._port}.in")
        self.goes_on()
        after = self.place.count("requests-completed", side)
        assert all(now > then for now, then in zip(after, before, strict=True))

    def goes_on(self) -> None:
        """Each lane of the load on VFs that were plugged in must make progress."""
        self.loads.plugged.wait_progress("the load on the plugged VFs runs", 5, 180, self.alive)

    def ask_unplug(self) -> float:
        """Ask the guest to let the VFs go; the time when that began."""
        began = time.monotonic()
        for number, _ in enumerate(self.vfs, 1):
            assert self.monitor(numbered(UNPLUG, number)) == ""
        return began

    def end_use(self) -> None:
        """End the load on VFs that were plugged in."""
        self.host.ssh.run(f"echo stop > {self._port}.in")
        record = self.loads.plugged
        record.wait("the load on the plugged VFs ends", lambda: record.exit_status is not None, 60, self.alive)
        check(record)

    def gone(self, began: float) -> None:
        """Wait until QEMU has deleted the devices."""
        for number, _ in enumerate(self.vfs, 1):
            event(self, "DEVICE_DELETED", began, device=f"accel{number}")
            assert f"accel{number} " not in self.monitor(LIST)

    def unplug(self) -> None:
        """Unplug the VFs under load: the guest's drivers wait for their users."""
        began = self.ask_unplug()
        self.goes_on()
        assert self.monitor(LIST).count("accel") == len(self.vfs)
        self.end_use()
        self.gone(began)

    def migrate(self, arrived: PluggableGuest, during: Callable[[], None] | None = None) -> None:
        """Migrate to the other side, with requests in flight."""
        for name in ALL:
            slow_down(self.host, name)
        self.qmp.cmd("migrate-set-parameters", max_bandwidth=TRICKLE if during else 1 << 40)
        began = time.monotonic()
        self.qmp.cmd("migrate", uri=f"tcp:127.0.0.1:{MIGRATION_PORT + arrived.number}")
        if during:
            event(self, "MIGRATION", began, status="active")
            during()
            self.qmp.cmd("migrate-set-parameters", max_bandwidth=1 << 40)
        assert ended(self, began) == "completed", self.qmp.cmd("query-migrate")
        last = self.loads.lasting.last
        assert not self.cold or last and last.in_flight > 0
        event(arrived, "RESUME", began)
        self.place.pace(CALM if self.cold else USUAL)

    def finish(self) -> None:
        """End the guest: all requests of the lasting load must be there."""
        self.stop_load()
        record = self.loads.lasting
        record.wait("the lasting load ends", lambda: record.exit_status is not None, 60, self.alive)
        assert record.exit_status == 0
        if self.cold:
            check(record)
        assert self.wait(60) == 0

    def close(self) -> None:
        self.console()
        super().close()
        self._lines.kill()
        self._lines.wait()

    def __enter__(self) -> PluggableGuest:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def numbered(line: str, number: int, vf: str = "") -> str:
    """A line of the guide for another port, and for another VF."""
    for one in ("port1", "accel1", "chassis=1"):
        line = line.replace(one, f"{one[:-1]}{number}")
    return line.replace("$VF", vf)


class Place:
    """A host, and the VFs for both sides of a guest."""

    def __init__(self, session: Session, config: HostConfig, engines: tuple[str, ...], script: Path) -> None:
        self.engines = engines
        # the kernel's self-tests run in other tests' guests
        self.guest = GuestConfig(script=script, append="cryptomgr.notests=1")
        (self.host,) = session.boot([session.spec("host", config, self.guest)])
        self._vfs = accelerator.set_up(self.host.ssh, map(config.engine, ALL), config.vfs)

    def cold(self, side: int) -> list[str]:
        """The VF that the guest is started with."""
        return [self._vfs[ENGINE][2 * side]]

    def plugged(self, side: int) -> list[str]:
        """A VF of each accelerator for plugging in."""
        return [self._vfs[name][2 * side + 1] for name in self.engines]

    def count(self, what: str, side: int) -> list[int]:
        """The model's counts for the plugged VFs of a side."""
        return [self.host.counters(name, 2 * side + 2)["events"][what] for name in self.engines]

    def cold_resets(self, side: int) -> int:
        """How often the model reset the VF that the guest was started with."""
        return self.host.counters(ENGINE, 2 * side + 1)["events"]["resets"]

    def pace(self, latency: int) -> None:
        """Set the latency of all accelerators' requests."""
        for name in ALL:
            self.host.set_model(name, "request-latency", latency)
            self.host.set_model(name, "engine-slots", int(MODEL["engine-slots"]))


@contextlib.contextmanager
def session(folder: Path, config: HostConfig, engines: tuple[str, ...]) -> Iterator[Place]:
    """Boot a host for guests with VFs of these accelerators."""
    script = folder / "script"
    script.write_text(SCRIPT.replace("LANES", str(LANES)), encoding="utf-8")
    with Session(Steps(io.StringIO()), paths.BUILD / "check" / Path(__file__).stem) as opened:
        yield Place(opened, config, engines, script)


@pytest.fixture(scope="module", params=[
    pytest.param((versions.DEFAULT_VMM, ALL[:1]), id=versions.DEFAULT_VMM),
    pytest.param((versions.VMMS[-1].name, ALL), id=f"{versions.VMMS[-1].name}-three", marks=LONG)])
def place(request, tmp_path_factory) -> Iterator[Place]:
    """The host, for all tests of this module."""
    vmm, engines = request.param
    with session(tmp_path_factory.mktemp("plug"), dataclasses.replace(CONFIG, vmm=vmm), engines) as booted:
        yield booted


def refusal(guest: PluggableGuest, line: str) -> str:
    """Type a command that QEMU refuses; its reason."""
    said = guest.monitor(line).strip()
    assert said.startswith("Error: "), said
    return said


def busy(guest: PluggableGuest) -> float:
    """Ask the guest to let VFs go that have users, and wait until its drivers wait for these."""
    began = guest.ask_unplug()
    bench.wait_until("the guest removes a driver", lambda: guest.loads.vfs < guest.number_of_vfs, 60)
    bench.wait_until("QEMU allows to ask again", lambda: BUSY in refusal(guest, numbered(UNPLUG, 1)), 60)
    guest.goes_on()
    return began


@pytest.mark.parametrize("times", [1, pytest.param(20, marks=LONG)])
def test_plug_unplug_migrate(place, times):
    """VFs must be plugged in and out under load, and the guest must migrate with them to a QEMU that was
    started with such VFs, where they must be unplugged. Unplugging in pre-copy must be refused. No VF may
    be reset while the guest has it."""
    loads = Loads()
    with PluggableGuest(place, loads) as source:
        source.runs()
        before = place.cold_resets(0)
        for _ in range(times):
            source.plug()
            inside = place.count("resets", 0)
            source.runs()
            assert place.count("resets", 0) == inside
            source.unplug()
        source.plug()
        inside = place.count("resets", 0)
        with PluggableGuest(place, loads, 1, plugged=True) as arrived:
            there = place.count("resets", 1)
            source.migrate(arrived, lambda: refused_in_precopy(source, UNPLUG))
            assert place.count("resets", 0) == inside and place.cold_resets(0) == before
            arrived.runs()
            arrived.goes_on()
            assert place.count("resets", 1) == there
            arrived.unplug()
            arrived.runs()
            arrived.finish()


def refused_in_precopy(guest: PluggableGuest, line: str) -> None:
    """Plugging and unplugging must be refused while the guest migrates."""
    assert "not allowed while migrating" in refusal(guest, numbered(line, 1, guest.vfs[0]))


@LONG
@pytest.mark.parametrize("cold", [True, False], ids=["another-vf", "no-other-vf"])
def test_unplug_migrate_plug(place, cold):
    """VFs that are in use must be unplugged when their users end; the guest must migrate without them,
    and use others that are plugged in on the destination. Plugging in pre-copy must be refused."""
    loads = Loads()
    with PluggableGuest(place, loads, cold=cold) as source:
        source.runs()
        source.plug()
        began = busy(source)
        source.end_use()
        source.gone(began)
        with PluggableGuest(place, loads, 1, cold=cold) as arrived:
            source.migrate(arrived, lambda: refused_in_precopy(source, PLUG))
            arrived.runs()
            arrived.plug()
            arrived.unplug()
            arrived.finish()


@LONG
def test_a_pending_unplug_migrates(place):
    """A guest whose drivers wait for users of VFs that are to be unplugged must migrate with these VFs,
    and let them go on the destination."""
    loads = Loads()
    with PluggableGuest(place, loads) as source:
        source.runs()
        source.plug()
        busy(source)
        with PluggableGuest(place, loads, 1, plugged=True) as arrived:
            began = time.monotonic()
            source.migrate(arrived)
            arrived.runs()
            arrived.goes_on()
            arrived.end_use()
            arrived.gone(began)
            arrived.plug()
            arrived.unplug()
            arrived.finish()


@LONG
def test_unplugged_in_precopy(place):
    """VFs that the guest lets go in pre-copy, because it was asked to before, must leave the source's QEMU
    free for the next user. The guest must migrate; the destination's VFs, which it does not know, must be
    unplugged without it."""
    loads = Loads()
    with PluggableGuest(place, loads) as source:
        source.runs()
        source.plug()
        began = busy(source)

        def let_go() -> None:
            source.end_use()
            source.gone(began)

        with PluggableGuest(place, loads, 1, plugged=True) as arrived:
            source.migrate(arrived, let_go)
            arrived.runs()
            arrived.gone(arrived.ask_unplug())
            # the source's QEMU has not ended
            arrived.plug(source.side)
            arrived.unplug()
            arrived.finish()


@LONG
def test_a_destination_without_the_vf(place):
    """A destination that was started without the VFs must refuse the guest, which must continue on the
    source, and migrate to one that has them."""
    loads = Loads()
    with PluggableGuest(place, loads) as source:
        source.runs()
        source.plug()
        with PluggableGuest(place, loads, 1) as without:
            began = time.monotonic()
            source.qmp.cmd("migrate", uri=f"tcp:127.0.0.1:{MIGRATION_PORT + without.number}")
            assert ended(source, began) == "failed"
            assert "Unknown savevm section or instance" in without.last_words()
            assert source.qmp.cmd("query-status")["status"] == "running"
        source.runs()
        source.goes_on()
        with PluggableGuest(place, loads, 1, plugged=True) as arrived:
            source.migrate(arrived)
            arrived.runs()
            arrived.unplug()
            arrived.finish()


@LONG
def test_refused_plugs(place):
    """Plugging a VF into a bus without hotplug, behind a port that is not there, into a guest while another
    has it, or behind a port with a VF must be refused; the guest must continue, and take the VF afterwards."""
    loads = Loads()
    line = numbered(PLUG, 1, place.plugged(0)[0])
    with PluggableGuest(place, loads) as source:
        source.runs()
        assert "'pcie.0' does not support hotplugging" in refusal(source, line.replace(",bus=port1", ""))
        assert "'port9' not found" in refusal(source, line.replace("port1", "port9"))
        assert "error bind device" in refusal(source, numbered(PLUG, 1, place.cold(0)[0]))
        source.plug()
        other = numbered(PLUG, 1, place.plugged(1)[0]).replace("id=accel1", "id=other")
        assert "already occupied" in refusal(source, other)
        source.goes_on()
        source.unplug()
        source.runs()
        source.finish()


@LONG
def test_without_dirty_tracking(tmp_path):
    """Where the SMMU does not track dirty pages, a guest with a VF must be refused before it is stopped;
    without the VF it must migrate, and use another one that is plugged in on the destination."""
    loads = Loads()
    with session(tmp_path, dataclasses.replace(CONFIG, httu=False), ALL[:1]) as place, \
            PluggableGuest(place, loads, cold=False) as source:
        source.runs()
        source.plug()
        with PluggableGuest(place, loads, 1, cold=False) as arrived:
            with pytest.raises(LabError, match="doesn't support device and IOMMU dirty tracking"):
                source.migrate(arrived)
            place.pace(USUAL)
            source.goes_on()
            source.unplug()
            source.migrate(arrived)
            arrived.plug()
            arrived.unplug()
            arrived.finish()
