# SPDX-License-Identifier: GPL-2.0
"""Scenarios between VFs, their users, the host and the PF's driver: the rows T of defects.py.

They are as in defect_scenarios.py; test files call most of them, or their parts, too.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import itertools
from collections.abc import Callable, Iterator, Sequence

import tap
from bench import PF, RIVAL, SEC, Bench, wait_until
from defect_scenarios import go, saved, works
from lab.scenario import accelerator
from lab.probe import accesses
from steps import DATA_SIZE, Loop, Loops, State, Vf

# Registers of the guest
MESSAGE_SOURCE, MESSAGE_MASK, MESSAGE_SET, VF_STATE = 0x20, 0x24, 0x2c, 0x60
READY, NOT_READY = 0, 1
#: mailbox commands by which a guest sets its tables; with one more bit they read them
SQC_TABLE, CQC_TABLE, ASK = 4, 5, 0x4000
#: the command to read a message; Linux before 7.2 did not set the bit of a read
ASK_MESSAGE = (0x400d, 0xd)
# Registers of the PF that write and read the VFT (function table)
FUNCTION_TABLE = range(0x100054, 0x100070)
#: bits of the error registers of queue manager and engine
ECC, ENGINE_ERROR = 4, 4
#: longer than any timeout of this driver
HELD_SECONDS = 15
#: number of turns of the PF's driver, and the time that each may wait where VFs' users wait for less
TURNS, WAIT_MS = 20, 2000
#: consecutive reads of a file of the PF's driver, 10 ms apart, that may be refused
LOOKS = 200
#: number of transitions or resets during the host's resets
ROUNDS = 10
#: longer than that is an endless loop
LOOP_SECONDS = 5
# Memory Space Enable in the command register
MEMORY = 2


# The PF's driver and busy VFs

def gets_its_turn(bench: Bench, what: str, count: int | None = None) -> dict[str, Loop]:
    """The PF's driver takes turns while so many VFs, or all, are kept busy; returns the results of
    their loops."""
    with bench.rival(), Loops(bench.host, what, bench.vfs[:count]) as loops:
        served = bench.tell("turns", TURNS, check=False)
        taken, longest_ms = map(int, bench.host.ssh.out(f"cat {RIVAL}/turns").split())
        done = loops.end()
    assert served, f"{what}: no turn for the PF's driver after {taken}"
    slowest_ms = max(loop.longest_ms for loop in done.values())
    print(f"{what}, {len(bench.vfs[:count])} VFs: {longest_ms} ms; a VF's user: {slowest_ms} ms")
    # beside other work all of them wait for longer; without fair turns the PF's driver alone does
    assert longest_ms <= max(WAIT_MS, slowest_ms), f"{what}: the PF's driver waited {longest_ms} ms, a VF's user {slowest_ms} ms"
    assert taken == TURNS
    return done


def pfs_driver_gets_its_turn(bench: Bench) -> None:
    """T1: the PF's driver must get its turn, whatever guests, VMMs and the host do in loops."""
    for what in ("sysfs", "flr", "states"):
        gets_its_turn(bench, what)


def bandwidth_limits_are_readable_beside_migrations(bench: Bench) -> None:
    """T11: the file of bandwidth limits may return EAGAIN for a moment only; counted in reads, as
    their duration depends on the machine."""
    file = f"/sys/kernel/debug/{SEC.driver}/{SEC.pf}/alg_qos"
    with Loops(bench.host, "states", bench.vfs):
        said = bench.host.ssh.run(
            f"refused=0; for n in $(seq {TURNS}); do looks={LOOKS}; until cat {file} > /dev/null 2>&1; do "
            "refused=$((refused + 1)) looks=$((looks - 1)); [ $looks -gt 0 ] || exit 1; usleep 10000; done; done; "
            "echo $refused", check=False)
    assert not said.returncode, f"{LOOKS} consecutive reads were refused"
    print(f"{TURNS} looks at limits were refused {said.stdout.strip()} times")


# A long PF reset

def resets(bench: Bench) -> list[int]:
    """Resets of the PF and each VF, the PF first."""
    return [bench.count("resets", vf=number) for number in range(bench.host.spec.config.vfs + 1)]


def keep_awake(bench: Bench, *addresses: str) -> None:
    """Disable D3hot: a reset by the host wakes a VF from it first, which may reset it."""
    bench.host.ssh.run("; ".join(f"echo on > /sys/bus/pci/devices/{address}/power/control" for address in addresses))


def resets_wait_for_a_long_reset_of_all(bench: Bench) -> None:
    """T2: a VF must not be reset during a PF reset, however long that takes."""
    with bench.rival(), bench.open() as reset, bench.open(1) as flr:
        for vf in reset, flr:
            vf.guest_up()
        third = bench.vfs[2]
        keep_awake(bench, third)
        before = resets(bench)
        bench.tell("hold", 1)
        reset.start_reset()
        flr.start_flr()
        host = bench.host.ssh.popen(f"echo 1 > /sys/bus/pci/devices/{third}/reset")
        early = {"VFIO_DEVICE_RESET": reset.finish(HELD_SECONDS), "FLR": flr.finish(0), "reset by the host": host.poll()}
        meanwhile = resets(bench)
        bench.tell("hold", 0)
        assert set(early.values()) == {None} and meanwhile == before, f"before the end of the PF reset: {early}"
        assert reset.finish() == ("", State.RUNNING)
        assert flr.finish() == ("", State.RUNNING)
        assert host.wait(60 * bench.host.timeout_scale) == 0
        assert [new - old for old, new in zip(before, resets(bench), strict=True)][:4] == [0, 1, 1, 1]
        for vf in reset, flr:
            works(vf)


def open_waits_for_a_reset_of_all(bench: Bench) -> None:
    """T6: opening a VF, which resets it, must wait for the PF reset and succeed."""
    address = bench.vfs[0]
    keep_awake(bench, address)
    with bench.rival():
        before = resets(bench)
        bench.tell("hold", 1)
        late = Vf(bench.host, address, wait=False)
        early = late.opened(HELD_SECONDS)
        meanwhile = resets(bench)
        bench.tell("hold", 0)
        with late:
            assert not early and meanwhile == before, "opened during a PF reset"
            late.opened()
            works(late)


# Conditions outside the VF or with its guest

@contextlib.contextmanager
def unheard(bench: Bench) -> Iterator[None]:
    """The PF's driver misses the next interrupt."""
    with bench.broken(vf="0", fault_msi_drop=1):
        yield


@contextlib.contextmanager
def device_error(bench: Bench, vf: Vf) -> Iterator[None]:
    """The queue manager reports an error, perhaps caused by another tenant."""
    del vf
    with unheard(bench):
        bench.set(abnormal_error=ECC)
        yield


@contextlib.contextmanager
def engine_error(bench: Bench, vf: Vf) -> Iterator[None]:
    """The engine reports an error."""
    del vf
    with unheard(bench):
        bench.set(engine_error=ENGINE_ERROR)
        yield


@contextlib.contextmanager
def message_to_guest(bench: Bench, vf: Vf) -> Iterator[None]:
    """A message to the guest is pending, and its vCPUs are stopped."""
    vf.store(MESSAGE_MASK, 0)
    bench.tell("message", 1)
    yield
    vf.store(MESSAGE_SOURCE, 1)


@contextlib.contextmanager
def message_from_guest(bench: Bench, vf: Vf) -> Iterator[None]:
    """The guest sent a message that was not read."""
    with unheard(bench):
        vf.store(MESSAGE_SET, 1)
        yield
        assert vf.load(MESSAGE_SET), "the message was read"


@dataclasses.dataclass(frozen=True)
class Trouble:
    """A condition, and the text of its log message."""

    begins: Callable[[Bench, Vf], contextlib.AbstractContextManager[None]]
    words: str


TROUBLES = (Trouble(device_error, "device error"), Trouble(engine_error, "engine error"),
            Trouble(message_to_guest, "message to guest"), Trouble(message_from_guest, "message from guest"))


def goes_there_and_back(bench: Bench, vf: Vf, *states: State) -> None:
    """Stop and restart."""
    before = bench.count("kicks", "kicks-of-unused-queues")
    go(vf, *states)
    assert bench.count("kicks", "kicks-of-unused-queues") > before, "no doorbell"


def stopped_whatever_is_outside(bench: Bench) -> None:
    """T3: no condition outside the VF may keep it from being stopped."""
    with bench.rival():
        for trouble in TROUBLES:
            with bench.open() as vf:
                vf.guest_up()
                before = bench.count("resets")
                with trouble.begins(bench, vf):
                    goes_there_and_back(bench, vf, State.STOP, State.RUNNING)
                assert bench.count("resets") == before


# Guests that do not report that they are ready

def tables(vf: Vf) -> list[int]:
    """The tables that the guest has set."""
    found = []
    for command in SQC_TABLE, CQC_TABLE:
        vf.begin_command(command | ASK)
        found.append(vf.answer())
    return found


def pauses(bench: Bench) -> int:
    """Number of PAUSE commands of the first VF."""
    return bench.host.counters("sec", 1)["mailbox-set"]["pause"]


def is_stopped_and_saved(bench: Bench, state: State) -> None:
    """A VF whose guest does not report ready must be stopped and saved."""
    with bench.open() as vf:
        vf.guest_up(events=1)
        whole = saved(vf)
        go(vf, State.RUNNING)
        vf.guest_up(events=1)
        vf.store(VF_STATE, NOT_READY)
        before, kicks = pauses(bench), bench.count("kicks")
        go(vf, state)
        assert pauses(bench) == before + 1, "it was not stopped"
        go(vf, State.STOP_COPY)
        assert vf.read_migration_data() == DATA_SIZE, "migration data of a guest without a driver"
        assert vf.migration_data() == whole
        go(vf, State.RUNNING)
        assert bench.count("kicks") > kicks and vf.load(VF_STATE) == NOT_READY


def silent_guest_is_saved(bench: Bench) -> None:
    """T4: a VF in use must be saved, whether or not its guest reports ready."""
    is_stopped_and_saved(bench, State.STOP)


def unused(vf: Vf) -> bytes:
    """Migration data of a VF that no guest uses."""
    go(vf, State.STOP_COPY)
    assert vf.read_migration_data() > 0
    return vf.migration_data()


def is_emptied(bench: Bench, ready: int) -> None:
    """A VF whose guest reported ready or not gets the state of an unused one."""
    with bench.open(1) as other:
        data = unused(other)
    with bench.open() as vf:
        vf.guest_up(events=1)
        vf.store(VF_STATE, ready)
        go(vf, State.STOP, State.RESUMING)
        vf.load_migration_data(data)
        assert vf.write_migration_data() == len(data)
        before = {what: bench.count(what) for what in ("kicks", "kicks-of-unused-queues", "msi-eq", "resets")}
        go(vf, State.RUNNING)
        after = {what: bench.count(what) for what in before}
        assert after == {**before, "resets": before["resets"] + 1}, f"before: {before}, after: {after}"
        assert vf.load(VF_STATE) == NOT_READY, "the guest's state is left"
        assert tables(vf) == [0, 0], "the guest's tables are left"
        vf.guest_up()
        saved(vf)
        go(vf, State.RUNNING)


def unused_vfs_state_empties_a_vf(bench: Bench) -> None:
    """T13: the state of an unused VF must be that after a reset."""
    is_emptied(bench, READY)


def guest_gets_the_pending_message(bench: Bench) -> None:
    """T12: a pending read of a message must be replayed for a guest that was stopped before it read
    the result."""
    with bench.rival(), bench.open() as vf:
        vf.guest_up()
        for number, ask in enumerate(ASK_MESSAGE, 1):
            bench.tell("message", f"1 {number}")
            vf.store(MESSAGE_SOURCE, 1)
            for states in ((State.STOP,), (State.STOP, State.STOP_COPY)):
                vf.begin_command(ask)
                assert vf.answer() == number, "no message to the guest"
                vf.begin_command(ask)
                go(vf, *states, State.RUNNING)
                got = vf.answer()
                assert got == number, f"after {states[-1].name} the guest reads {got:#x} as message {number}"


# Registers that are inaccessible or belong to others

def d3hot_is_not_accessed(bench: Bench) -> None:
    """T7: no register of a VF in D3hot may be accessed, as that may crash the host."""
    with bench.open() as vf:
        vf.guest_up()
        vf.power(3)
        # each may fail
        for state in State.PRE_COPY, State.STOP, State.STOP_COPY, State.RUNNING:
            vf.go(state)
        vf.power(0)
    touched = bench.host.counters("sec", 1)["guest-errors"]["access-in-d3"]
    assert not touched, f"{touched} accesses to a VF in D3hot"


@contextlib.contextmanager
def memory_off(bench: Bench) -> Iterator[None]:
    """Disable the PF's memory space, as a failed reset leaves it."""
    command = int(bench.host.ssh.out(f"od -An -tu1 -j4 -N1 {PF}/config"))

    def write(value: int) -> None:
        bench.host.ssh.run(f"printf '\\{value:o}' | dd of={PF}/config bs=1 seek=4 conv=notrunc 2>/dev/null")

    write(command & ~MEMORY)
    try:
        yield
    finally:
        write(command)


def dead_registers_are_no_state(bench: Bench) -> None:
    """T14: after a failed PF reset, values read from the device must not be sent as migration data."""
    with bench.open() as vf:
        vf.guest_up()
        go(vf, State.PRE_COPY)
        assert vf.read_migration_data() > 0
        before = vf.migration_data()
        go(vf, State.RUNNING)
        with memory_off(bench):
            error, _ = vf.go(State.PRE_COPY)
            assert error or vf.read_migration_data() > 0 and vf.migration_data() == before, "migration data from inaccessible registers"


def lost_bar_layout_leaves_the_guest_part(bench: Bench) -> None:
    """T5: on V4, a user that opens the VF must not get the migration registers if a reset has moved
    them back."""
    with bench.rival():
        bench.tell("mig_regs", 0)
        said = bench.kselftest("reach_of_mmap")
        bench.tell("mig_regs", 1)
    assert tap.verdicts(said) == {"reach_of_mmap": tap.PASSED}, "the guest gets all of the BAR"


def function_table_is_left_alone(bench: Bench) -> None:
    """T9: the driver must not access the function table, which belongs to the PF's driver without a lock."""
    trace = bench.host.folder / "table"
    with bench.traced(trace), bench.open() as vf:
        vf.guest_up()
        go(vf, State.PRE_COPY)
        assert vf.read_migration_data() > 0
        go(vf, State.RUNNING, State.STOP_COPY)
        assert vf.read_migration_data() == DATA_SIZE
    touched = [a for a in accesses.read(trace) if a.vf == 0 and a.offset in FUNCTION_TABLE]
    assert not touched, f"the function table's registers were accessed {len(touched)} times"


# Migration data of the in-tree driver

def as_linux_writes(data: bytes) -> bytearray:
    """Data of version 2.0, with masks as a register may have them."""
    older = bytearray(data)
    for place, length in (30, 2), (32, 8), (120, 24):
        older[place:place + length] = bytes(length)
    for mask in 40, 44, 52:
        older[mask + 1:mask + 4] = b"\xff" * 3
    return older


def in_tree_migration_data_is_loaded(bench: Bench) -> None:
    """T8: data of the in-tree driver must not be rejected for its masks, nor for a missing address,
    which it uses for a VF without a driver."""
    with bench.open() as vf:
        vf.guest_up()
        data = as_linux_writes(saved(vf))
    half = bytearray(data)
    half[144:152] = bytes(8)
    for sent, table in (data, int.from_bytes(data[160:168], "little")), (half, 0):
        with bench.open(1) as other:
            go(other, State.RESUMING)
            other.load_migration_data(sent)
            written = other.write_migration_data()
            assert written == DATA_SIZE, f"rejected: {errno.errorcode.get(-written, written)}"
            go(other, State.RUNNING)
            assert other.table() == table, "the wrong SQC table was loaded"


# The VFIO core, and other callers

def blocked_arc_is_refused(bench: Bench) -> None:
    """T15: a core without a26b499b757c searches the path from STOP_COPY to PRE_COPY for ever, with
    a lock held; only a reboot ends that."""
    accelerator.bring_up(bench.host.ssh, SEC, 2)
    bench.host.ssh.run("modprobe iommufd && insmod /lab/vfio.ko")
    bench.bind()
    vf = bench.open()
    go(vf, State.STOP_COPY)
    vf.start(State.PRE_COPY)
    seconds = LOOP_SECONDS * bench.host.timeout_scale
    said = vf.finish(seconds)
    if said is None:
        bench.host.stop()
    assert said is not None, f"no answer within {seconds:.0f} s"
    vf.end()
    assert said == ("EINVAL", State.STOP_COPY)


#: paths there and back; each state may be refused because of a concurrent reset
WALKS = ((State.STOP, State.RUNNING), (State.STOP_COPY, State.RUNNING), (State.PRE_COPY, State.RUNNING),
         (State.PRE_COPY, State.STOP_COPY, State.RUNNING))


def walked_beside_resets(bench: Bench, states: Sequence[State]) -> None:
    """Each state must be reached. The one requested afterwards is not checked: the next reset may
    have led to RUNNING."""
    address, before, errors = bench.vfs[0], bench.count("resets"), set[str]()
    with bench.open() as vf, Loops(bench.host, "sysfs", [address]) as loops:
        for number in itertools.count():
            if number >= ROUNDS and bench.count("resets") > before + ROUNDS:
                break
            errors |= {vf.go(state)[0] for state in states}
        loop = loops.end()[address]
        assert errors == {""}, f"on the way to {states[0].name}: {', '.join(filter(None, errors))}"
        assert loop.failed == 0, loop
        works(vf)


def states_are_reached_beside_the_hosts_resets(bench: Bench) -> None:
    """T18: transitions must succeed during the host's resets: QEMU ends a guest whose VF can
    neither change its state nor be reset."""
    for states in WALKS:
        walked_beside_resets(bench, states)


def users_resets_beside_the_hosts(bench: Bench) -> None:
    """T18: VFIO_DEVICE_RESET must succeed during the host's resets."""
    address, before = bench.vfs[0], bench.count("resets")
    with Loops(bench.host, "reset", [address]) as users, Loops(bench.host, "sysfs", [address]) as hosts:
        wait_until("the VF was reset often", lambda: bench.count("resets") > before + 4 * ROUNDS)
        for loop in hosts.end()[address], users.end()[address]:
            # how they share the device is not specified
            assert not loop.failed and loop.times > 1, loop
