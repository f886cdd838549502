# SPDX-License-Identifier: GPL-2.0
"""Resets by the host while a user works with the VF. Both must succeed, one after the other: QEMU
ends the guest if a VF can neither change its state nor be reset."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator

import pytest

import bench as lab_bench
from bench import SEC, Bench
from lab.core import versions
from lab.core.errors import LabError
from lab.scenario import accelerator, watch
from lab.scenario.config import GuestConfig, HostConfig
from lab.scenario.guest import Guest
from lab.scenario.migration import ENGINE, Scenario
from migrations import ENDED, TRICKLE, WAIT, cancel_in_pre_copy, cancel_in_stop_copy, channels, ended, event, goes_on, running, starts
from tenant_scenarios import LOOKS, WALKS, users_resets_beside_the_hosts, walked_beside_resets

pytestmark = pytest.mark.slow("resets beside migrations")

@pytest.fixture(scope="module")
def bench(context) -> Iterator[Bench]:
    """One host for all tests here: each test leaves both VFs bound."""
    with lab_bench.one_host(context, "host-resets") as one:
        yield one


@pytest.mark.parametrize("states", WALKS, ids=lambda states: "-".join(s.name for s in states))
def test_each_state_is_reached_beside_them(bench, states):
    """A transition must not fail because the host resets the VF at that moment."""
    walked_beside_resets(bench, states)


def test_a_users_resets_beside_them(bench):
    """VFIO_DEVICE_RESET must not fail with EAGAIN while the host resets the VF through
    sysfs, nor the host's reset beside it."""
    users_resets_beside_the_hosts(bench)


class Resets:
    """A context manager: the host resets one VF repeatedly until end(), at least `least` times."""

    def __init__(self, scenario: Scenario, addresses: list[str], least: int) -> None:
        self._host = scenario.source
        self._host.ssh.run("touch /run/resets")
        files = " ".join(f"/sys/bus/pci/devices/{address}/reset" for address in addresses)
        self._process = self._host.ssh.popen(
            f"n=0; while [ $n -lt {least} -o -e /run/resets ]; do for f in {files}; do echo 1 > $f || exit 1; done; "
            "n=$((n + 1)); done; echo $n", stdout=subprocess.PIPE)

    def end(self) -> int:
        """Stop; returns the number of resets."""
        self._host.ssh.run("rm -f /run/resets")
        said = self._process.communicate(timeout=3600)[0]
        assert self._process.returncode == 0, "a reset by the host failed"
        return int(said)

    def __enter__(self) -> Resets:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


def lives(guest: Guest) -> None:
    """QEMU has not ended its guest."""
    try:
        assert guest.alive() and guest.qmp.cmd("query-status")["status"] in ("running", "paused", "postmigrate")
    except LabError:
        pytest.fail(f"QEMU is gone: {guest.last_words()}")


#: migration destination that accepts nothing, and bandwidth
CANCELLED, FAILED, COMPLETED = ("cat", TRICKLE), ("head -c 1000000", 1 << 40), ("cat", 1 << 40)


def migrate(guest: Guest, program: str, bandwidth: int) -> str:
    """Migrate to nowhere, resume here however it ends; returns the result."""
    began = time.monotonic()
    try:
        guest.qmp.cmd("migrate-set-parameters", max_bandwidth=bandwidth)
        guest.qmp.cmd("migrate", uri=f"exec:{program} > /dev/null")
        if bandwidth == TRICKLE:
            guest.qmp.wait("it has begun", lambda e: e.name == "MIGRATION" and e.at >= began and
                           e.data["status"] in ("active", *ENDED), 60, guest.alive)
            guest.qmp.cmd("migrate_cancel")
        how = ended(guest, began)
        guest.qmp.cmd("cont")
    except LabError as e:
        if guest.alive():
            raise
        pytest.fail(f"QEMU is gone: {guest.last_words()}: {e}")
    return how


def then_migrates(scenario: Scenario) -> None:
    """The guest must live, and migrate to the destination when the resets are over."""
    guest = scenario.guests[0]
    lives(guest)
    arriving, began = starts(scenario, 1 << 40)
    assert ended(guest, began) == "completed"
    event(arriving, "RESUME", began)
    lives(arriving)


def beset(new_session, config: HostConfig, migrations: int, least: int, guest_vfs: int = 1, physical: bool = False) -> None:
    """Migrations that are cancelled, fail or complete, while the host resets the VF; and finally
    one to the destination without resets."""
    # QEMU's message about a migration that ends early; the guest rings a VF that was reset
    watch.expect(r"guest on source: qemu-system-aarch64: ", r"sec \d+: the device counted \d+ times: ", maybe=True)
    if guest_vfs > 1:
        # requests that a reset took from a VF never end, and with several VFs some of the load waits for these
        watch.expect(r"guest on source: (INFO: task load:\d+ blocked for| +Not tainted |\"echo 0 > )", maybe=True)
    if physical:
        # of a VF that no user has open, and of the guest's driver, which waits for less long
        watch.expect(r"source: hisi_sec2 .* failed to ", maybe=guest_vfs == config.vfs)
        watch.expect(r"source: hisi_sec2 .* not ping PF!", r"guest on \w+: hisi_sec2 ", maybe=True)
    with new_session().scenario(config, guest=GuestConfig(vfs=guest_vfs)) as scenario:
        scenario.set_up()
        scenario.start_guest()
        guest = scenario.guest
        vfs = accelerator.vfs(scenario.source.ssh, SEC)[:guest_vfs]
        with Resets(scenario, [SEC.pf] if physical else vfs, least) as resets:
            outcomes = []
            for number in range(migrations):
                outcomes.append(migrate(guest, *(CANCELLED, FAILED, COMPLETED)[number % 3]))
                lives(guest)
            print(f"{', '.join(outcomes)}, beside {resets.end()} resets of each")
        then_migrates(scenario)


@contextlib.contextmanager
def limited(scenario: Scenario, address: str) -> Iterator[None]:
    """The PF's driver changes the VF's bandwidth limit all the time, at least once; it is 1000 at the end. While
    the driver resets or migrates a VF it may refuse for a moment (EAGAIN)."""
    host, pf = scenario.source, scenario.source.spec.config.engine(ENGINE)
    host.ssh.run("touch /run/limits")
    process = host.ssh.popen(
        f"f=/sys/kernel/debug/{pf.driver}/{pf.pf}/alg_qos n=0; while [ -e /run/limits ]; do for limit in 500 1000; do "
        f"looks={LOOKS}; until echo {address} $limit 2> /dev/null > $f; do looks=$((looks - 1)); [ $looks -gt 0 ] || exit 1; "
        # each change is a line in the log
        "usleep 10000; done; usleep 100000; done; n=$((n + 1)); done; echo $n", stdout=subprocess.PIPE)
    try:
        yield
    finally:
        host.ssh.run("rm -f /run/limits")
        said = process.communicate(timeout=600)[0]
    assert process.returncode == 0, f"{LOOKS} consecutive changes of the limit were refused"
    assert int(said) > 0
    print(f"beside {int(said)} changes of the limit")


@pytest.mark.long("a limit beside channels")
@pytest.mark.expect("source: hisi_sec2 .* dev resetting, write alg qos failed!", maybe=True)
@pytest.mark.parametrize("vmm", versions.VMM)
def test_channels_are_cancelled_beside_new_limits(new_session, vmm):
    """While the PF's driver changes the VF's bandwidth limit, migrations in eight channels are cancelled in
    pre-copy and in STOP_COPY: the guest must continue with all its requests."""
    # a PF alone on its bus: its driver takes low bits of an address for a VF's number
    with running(new_session, HostConfig(vmm=vmm, ports=True), migration=channels()) as scenario:
        (vf, *_) = accelerator.vfs(scenario.source.ssh, scenario.source.spec.config.engine(ENGINE))
        with limited(scenario, vf):
            for cancel in (cancel_in_pre_copy, cancel_in_stop_copy) * 2:
                cancel(scenario)
                goes_on(scenario, scenario.guests[0])


def cancelled(scenario: Scenario, guest: Guest, status: str, bandwidth: int) -> str:
    """Cancel a migration to the destination when it has a status, or has failed; returns the result."""
    arriving, began = starts(scenario, bandwidth)
    guest.qmp.wait(f"it is {status}", lambda e: e.name == "MIGRATION" and e.at >= began and
                   e.data["status"] in (status, *ENDED), 60, guest.alive)
    guest.qmp.cmd("migrate_cancel")
    how = ended(guest, began)
    assert how != "completed"
    arriving.close()
    guest.qmp.cmd("cont")
    lives(guest)
    return how


@pytest.mark.long("resets beside channels")
# of the destination, whose migration ends early
@pytest.mark.expect("guest on destination: qemu-system-aarch64: ", maybe=True)
@pytest.mark.parametrize("vmm", versions.VMM)
def test_a_machine_survives_them_in_channels(new_session, vmm):
    """While the host resets the VF, migrations in eight channels are cancelled in pre-copy and in STOP_COPY:
    QEMU must live, and the last one, without resets, must complete."""
    watch.expect(r"guest on source: qemu-system-aarch64: ", r"sec \d+: the device counted \d+ times: ", maybe=True)
    with new_session().scenario(HostConfig(vmm=vmm), migration=channels()) as scenario:
        scenario.set_up()
        scenario.start_guest()
        guest = scenario.guest
        with Resets(scenario, accelerator.vfs(scenario.source.ssh, SEC)[:1], 20) as resets:
            outcomes = []
            for _ in range(2):
                outcomes.append(cancelled(scenario, guest, "active", TRICKLE))
                guest.enable(WAIT)
                outcomes.append(cancelled(scenario, guest, "pre-switchover", 1 << 40))
                guest.enable(WAIT, state=False)
            print(f"{', '.join(outcomes)}, beside {resets.end()} resets")
        assert "cancelled" in outcomes
        then_migrates(scenario)


@pytest.mark.parametrize("driver", ["tree", pytest.param("in-tree", marks=pytest.mark.long("for comparison"))])
def test_a_machine_survives_them(new_session, driver):
    """Resets by the host must not end QEMU ("Failed resetting device" does)."""
    beset(new_session, HostConfig(driver=driver), 6, 50)


@pytest.mark.long("twenty migrations, 300 resets")
@pytest.mark.parametrize("guest_vfs", [1, 3])
@pytest.mark.parametrize("vmm", versions.VMM)
def test_a_machine_survives_many(new_session, vmm, guest_vfs):
    """The same with each release of QEMU and with several VFs."""
    beset(new_session, HostConfig(vmm=vmm, vfs=max(2, guest_vfs)), 20, 300, guest_vfs)


@pytest.mark.long("a PF reset waits 83 seconds for a VF that no user has open")
@pytest.mark.parametrize("guest_vfs", [1, 3])
@pytest.mark.parametrize("vmm", versions.VMM)
def test_a_machine_survives_resets_of_all(new_session, vmm, guest_vfs):
    """The same where a PF reset resets all VFs."""
    beset(new_session, HostConfig(vmm=vmm, vfs=max(2, guest_vfs)), 6, 3, guest_vfs, physical=True)
