# SPDX-License-Identifier: GPL-2.0
"""What functions, those who use them, their host and the driver of the physical
function are to each other: the rows T of defects.py. Scenarios are as in
defect_scenarios.py; files of tests call most of them, or their parts, too.
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
from steps import IMAGE, Function, Loop, Loops, State

# Registers of the guest's
MESSAGE_SOURCE, MESSAGE_MASK, MESSAGE_SET, VF_STATE = 0x20, 0x24, 0x2c, 0x60
READY, NOT_READY = 0, 1
#: mailbox commands by which a guest tells its tables, and with a bit more asks for them
SQC_TABLE, CQC_TABLE, ASK = 4, 5, 0x4000
#: how it asks for a message; Linux before 7.2 did not say that this reads
ASK_MESSAGE = (0x400d, 0xd)
# Registers of the physical function's, by which the function table is written and read
FUNCTION_TABLE = range(0x100054, 0x100070)
#: bits of the queue manager's error register and of the engine's
ECC, ENGINE_ERROR = 4, 4
#: longer than any wait that our driver ever had
HELD_SECONDS = 15
#: how often the physical function's driver comes, and how long it may wait each time
TURNS, WAIT_MS = 20, 2000
#: looks at a file of its driver's, 10 ms apart, that may be refused one after the other
LOOKS = 200
#: how often a state or a reset is asked for beside resets of the host's
ROUNDS = 10
#: what is no answer but an endless loop
LOOP_SECONDS = 5
# Bit of the command register: the memory space is on
MEMORY = 2


# The physical function's driver and functions that are busy

def gets_its_turn(bench: Bench, what: str, count: int | None = None) -> dict[str, Loop]:
    """The physical function's driver comes again and again while so many functions, or
    all, are kept busy; what came of what they did."""
    with bench.rival(), Loops(bench.host, what, bench.functions[:count]) as loops:
        served = bench.tell("turns", TURNS, check=False)
        taken, longest_ms = map(int, bench.host.ssh.out(f"cat {RIVAL}/turns").split())
        done = loops.end()
    assert served, f"{what}: locked out, after {taken} turns"
    slowest_ms = max(loop.longest_ms for loop in done.values())
    print(f"{what}, {len(bench.functions[:count])} functions: {longest_ms} ms; a function's user: {slowest_ms} ms")
    assert longest_ms <= WAIT_MS, f"{what}: waited for {longest_ms} ms; a function's user for {slowest_ms} ms"
    assert taken == TURNS
    return done


def physical_functions_driver_gets_its_turn(bench: Bench) -> None:
    """T1: whatever guests, VMMs and the host loop over."""
    for what in ("sysfs", "flr", "states"):
        gets_its_turn(bench, what)


def limits_are_told_beside_migrations(bench: Bench) -> None:
    """T11: the file of bandwidth limits says "try again" for a moment only. Counted in
    looks: how long each takes is the machine's."""
    file = f"/sys/kernel/debug/{SEC.driver}/{SEC.pf}/alg_qos"
    with Loops(bench.host, "states", bench.functions):
        said = bench.host.ssh.run(
            f"refused=0; for n in $(seq {TURNS}); do looks={LOOKS}; until cat {file} > /dev/null 2>&1; do "
            "refused=$((refused + 1)) looks=$((looks - 1)); [ $looks -gt 0 ] || exit 1; usleep 10000; done; done; "
            "echo $refused", check=False)
    assert not said.returncode, f"{LOOKS} looks were refused, one after the other"
    print(f"{TURNS} looks at limits were refused {said.stdout.strip()} times")


# A reset of all that takes long

def resets(bench: Bench) -> list[int]:
    """How often each function was reset, the physical one first."""
    return [bench.count("resets", function=number) for number in range(bench.host.spec.vfs + 1)]


def keep_awake(bench: Bench, *addresses: str) -> None:
    """Not to D3hot, from which a reset by the host wakes a function before anybody is
    asked, and may reset it."""
    bench.host.ssh.run("; ".join(f"echo on > /sys/bus/pci/devices/{address}/power/control" for address in addresses))


def resets_wait_for_a_long_reset_of_all(bench: Bench) -> None:
    """T2: no function is reset in the middle of a reset of all, however long that takes."""
    with bench.rival(), bench.open() as reset, bench.open(1) as flr:
        for vf in reset, flr:
            vf.guest_up()
        third = bench.functions[2]
        keep_awake(bench, third)
        before = resets(bench)
        bench.tell("hold", 1)
        reset.start_reset()
        flr.start_flr()
        host = bench.host.ssh.popen(f"echo 1 > /sys/bus/pci/devices/{third}/reset")
        early = {"VFIO_DEVICE_RESET": reset.finish(HELD_SECONDS), "FLR": flr.finish(0), "reset by the host": host.poll()}
        meanwhile = resets(bench)
        bench.tell("hold", 0)
        assert set(early.values()) == {None} and meanwhile == before, f"while it was held: {early}"
        assert reset.finish() == ("", State.RUNNING)
        assert flr.finish() == ("", State.RUNNING)
        assert host.wait(60 * bench.host.patience) == 0
        assert [new - old for old, new in zip(before, resets(bench), strict=True)][:4] == [0, 1, 1, 1]
        for vf in reset, flr:
            works(vf)


def open_waits_for_a_reset_of_all(bench: Bench) -> None:
    """T6: a function is opened, which is a reset of it, when that is over, and not refused."""
    address = bench.functions[0]
    keep_awake(bench, address)
    with bench.rival():
        before = resets(bench)
        bench.tell("hold", 1)
        late = Function(bench.host, address, wait=False)
        early = late.opened(HELD_SECONDS)
        meanwhile = resets(bench)
        bench.tell("hold", 0)
        with late:
            assert not early and meanwhile == before, "opened in the middle of a reset of all"
            late.opened()
            works(late)


# What lies outside a function, or with its guest

@contextlib.contextmanager
def unheard(bench: Bench) -> Iterator[None]:
    """The physical function's driver misses the next interrupt."""
    with bench.broken(function="0", fault_msi_drop=1):
        yield


@contextlib.contextmanager
def device_error(bench: Bench, vf: Function) -> Iterator[None]:
    """The queue manager reports an error, perhaps another tenant's."""
    del vf
    with unheard(bench):
        bench.set(abnormal_error=ECC)
        yield


@contextlib.contextmanager
def engine_error(bench: Bench, vf: Function) -> Iterator[None]:
    """So does the engine."""
    del vf
    with unheard(bench):
        bench.set(engine_error=ENGINE_ERROR)
        yield


@contextlib.contextmanager
def message_to_guest(bench: Bench, vf: Function) -> Iterator[None]:
    """A message to the guest is pending, and its vCPUs are stopped."""
    vf.store(MESSAGE_MASK, 0)
    bench.tell("message", 1)
    yield
    vf.store(MESSAGE_SOURCE, 1)


@contextlib.contextmanager
def message_from_guest(bench: Bench, vf: Function) -> Iterator[None]:
    """The guest said something, and nobody has looked."""
    with unheard(bench):
        vf.store(MESSAGE_SET, 1)
        yield
        assert vf.load(MESSAGE_SET), "somebody has looked"


@dataclasses.dataclass(frozen=True)
class Trouble:
    """What it is, and words of the line in the log."""

    begins: Callable[[Bench, Function], contextlib.AbstractContextManager[None]]
    words: str


TROUBLES = (Trouble(device_error, "device error"), Trouble(engine_error, "engine error"),
            Trouble(message_to_guest, "message to guest"), Trouble(message_from_guest, "message from guest"))


def goes_there_and_back(bench: Bench, vf: Function, *states: State) -> None:
    """Stopped and restarted."""
    before = bench.count("kicks", "kicks-of-unused-queues")
    go(vf, *states)
    assert bench.count("kicks", "kicks-of-unused-queues") > before, "nothing was rung"


def stopped_whatever_is_outside(bench: Bench) -> None:
    """T3: nothing but the function itself keeps it from being stopped."""
    with bench.rival():
        for trouble in TROUBLES:
            with bench.open() as vf:
                vf.guest_up()
                before = bench.count("resets")
                with trouble.begins(bench, vf):
                    goes_there_and_back(bench, vf, State.STOP, State.RUNNING)
                assert bench.count("resets") == before


# Guests that say little

def tables(vf: Function) -> list[int]:
    """What the guest has told."""
    found = []
    for command in SQC_TABLE, CQC_TABLE:
        vf.begin_command(command | ASK)
        found.append(vf.answer())
    return found


def pauses(bench: Bench) -> int:
    """How often the first function was told to pause."""
    return bench.host.counters("sec", 1)["mailbox-set"]["pause"]


def is_stopped_and_saved(bench: Bench, state: State) -> None:
    """A function whose guest does not say that it uses it, by way of such a state."""
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
        assert vf.read_image() == IMAGE, "an image that says that the guest has no driver"
        assert vf.image() == whole
        go(vf, State.RUNNING)
        assert bench.count("kicks") > kicks and vf.load(VF_STATE) == NOT_READY


def silent_guest_is_saved(bench: Bench) -> None:
    """T4: what a guest does counts, not what it says."""
    is_stopped_and_saved(bench, State.STOP)


def nobody(vf: Function) -> bytes:
    """The image of a function that no guest has in use."""
    go(vf, State.STOP_COPY)
    assert vf.read_image() > 0
    return vf.image()


def is_emptied(bench: Bench, ready: int) -> None:
    """A function whose guest announced itself or did not gets the state of one without a
    guest."""
    with bench.open(1) as other:
        image = nobody(other)
    with bench.open() as vf:
        vf.guest_up(events=1)
        vf.store(VF_STATE, ready)
        go(vf, State.STOP, State.RESUMING)
        vf.take_image(image)
        assert vf.write_image() == len(image)
        before = {what: bench.count(what) for what in ("kicks", "kicks-of-unused-queues", "msi-eq", "resets")}
        go(vf, State.RUNNING)
        after = {what: bench.count(what) for what in before}
        assert after == {**before, "resets": before["resets"] + 1}, f"{after}, and {before} before"
        assert vf.load(VF_STATE) == NOT_READY, "the guest's state is there"
        assert tables(vf) == [0, 0], "the guest's tables are there"
        vf.guest_up()
        saved(vf)
        go(vf, State.RUNNING)


def nobodys_state_empties_a_function(bench: Bench) -> None:
    """T13: "nothing" is what a function holds after a reset."""
    is_emptied(bench, READY)


def guest_gets_the_message_it_asked_for(bench: Bench) -> None:
    """T12: a guest that was stopped between its question for a message and its look."""
    with bench.rival(), bench.open() as vf:
        vf.guest_up()
        for number, ask in enumerate(ASK_MESSAGE, 1):
            bench.tell("message", f"1 {number}")
            vf.store(MESSAGE_SOURCE, 1)
            for states in ((State.STOP,), (State.STOP, State.STOP_COPY)):
                vf.begin_command(ask)
                assert vf.answer() == number, "the guest was sent no message"
                vf.begin_command(ask)
                go(vf, *states, State.RUNNING)
                got = vf.answer()
                assert got == number, f"after {states[-1].name} the guest reads {got:#x} as message {number}"


# Registers that are not there, or somebody else's

def asleep_is_left_alone(bench: Bench) -> None:
    """T7: no register of a function in D3hot is touched, where that may be the host's end."""
    with bench.open() as vf:
        vf.guest_up()
        vf.power(3)
        # each may fail
        for state in State.PRE_COPY, State.STOP, State.STOP_COPY, State.RUNNING:
            vf.go(state)
        vf.power(0)
    touched = bench.host.counters("sec", 1)["guest-errors"]["access-in-d3"]
    assert not touched, f"registers of a function in D3hot were touched {touched} times"


@contextlib.contextmanager
def memory_off(bench: Bench) -> Iterator[None]:
    """The physical function as a reset that failed leaves it."""
    command = int(bench.host.ssh.out(f"od -An -tu1 -j4 -N1 {PF}/config"))

    def write(value: int) -> None:
        bench.host.ssh.run(f"printf '\\{value:o}' | dd of={PF}/config bs=1 seek=4 conv=notrunc 2>/dev/null")

    write(command & ~MEMORY)
    try:
        yield
    finally:
        write(command)


def dead_registers_are_no_state(bench: Bench) -> None:
    """T14: after a reset of all that failed, what is read of the device is not sent."""
    with bench.open() as vf:
        vf.guest_up()
        go(vf, State.PRE_COPY)
        assert vf.read_image() > 0
        before = vf.image()
        go(vf, State.RUNNING)
        with memory_off(bench):
            error, _ = vf.go(State.PRE_COPY)
            assert error or vf.read_image() > 0 and vf.image() == before, "an image of registers that are off"


def lost_windows_leave_the_guest_its_half(bench: Bench) -> None:
    """T5: V4: who opens a function does not get the registers of migration with it, where
    a reset has brought them back."""
    with bench.rival():
        bench.tell("windows", 0)
        said = bench.kselftest("reach_of_mmap")
        bench.tell("windows", 1)
    assert tap.verdicts(said) == {"reach_of_mmap": tap.PASSED}, "the guest gets all of the BAR"


def function_table_is_left_alone(bench: Bench) -> None:
    """T9: the physical function's table of queues is its driver's, who takes no turns."""
    trace = bench.host.folder / "table"
    with bench.traced(trace), bench.open() as vf:
        vf.guest_up()
        go(vf, State.PRE_COPY)
        assert vf.read_image() > 0
        go(vf, State.RUNNING, State.STOP_COPY)
        assert vf.read_image() == IMAGE
    touched = [a for a in accesses.read(trace) if a.function == 0 and a.offset in FUNCTION_TABLE]
    assert not touched, f"the function table's registers were accessed {len(touched)} times"


# Images of Linux' own driver

def as_linux_writes(image: bytes) -> bytearray:
    """An image of version 2.0, which has masks as a register may hold them."""
    older = bytearray(image)
    for place, length in (30, 2), (32, 8), (120, 24):
        older[place:place + length] = bytes(length)
    for mask in 40, 44, 52:
        older[mask + 1:mask + 4] = b"\xff" * 3
    return older


def image_of_linux_is_taken(bench: Bench) -> None:
    """T8: what Linux' own driver writes and reads is not refused for its masks, nor
    because an address is missing, by which it says that there is no driver."""
    with bench.open() as vf:
        vf.guest_up()
        image = as_linux_writes(saved(vf))
    half = bytearray(image)
    half[144:152] = bytes(8)
    for sent, table in (image, int.from_bytes(image[160:168], "little")), (half, 0):
        with bench.open(1) as other:
            go(other, State.RESUMING)
            other.take_image(sent)
            written = other.write_image()
            assert written == IMAGE, f"refused: {errno.errorcode.get(-written, written)}"
            go(other, State.RUNNING)
            assert other.table() == table, "loaded as what it is not"


# The core of VFIO, and who else asks it for something

def blocked_arc_is_refused(bench: Bench) -> None:
    """T15: a core without a26b499b757c looks for the way from STOP_COPY to PRE_COPY for
    ever, with a lock held; nothing ends that but the host's end."""
    accelerator.bring_up(bench.host.ssh, SEC, 2)
    bench.host.ssh.run("modprobe iommufd && insmod /lab/vfio.ko")
    bench.bind()
    vf = bench.open()
    go(vf, State.STOP_COPY)
    vf.start(State.PRE_COPY)
    seconds = LOOP_SECONDS * bench.host.patience
    said = vf.finish(seconds)
    if said is None:
        bench.host.stop()
    assert said is not None, f"no answer within {seconds:.0f} s"
    vf.end()
    assert said == ("EINVAL", State.STOP_COPY)


#: ways there and back, of which each state may be refused for the time of another's reset
WALKS = ((State.STOP, State.RUNNING), (State.STOP_COPY, State.RUNNING), (State.PRE_COPY, State.RUNNING),
         (State.PRE_COPY, State.STOP_COPY, State.RUNNING))


def walked_beside_resets(bench: Bench, states: Sequence[State]) -> None:
    """Each state is reached. The one that is asked for afterwards is not judged: the next
    reset has led to RUNNING by then, perhaps."""
    address, before, errors = bench.functions[0], bench.count("resets"), set[str]()
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
    """T18: QEMU gives a guest up that can neither be brought to a state nor reset."""
    for states in WALKS:
        walked_beside_resets(bench, states)


def users_resets_beside_the_hosts(bench: Bench) -> None:
    """T18: VFIO_DEVICE_RESET is its last resort."""
    address, before = bench.functions[0], bench.count("resets")
    with Loops(bench.host, "reset", [address]) as users, Loops(bench.host, "sysfs", [address]) as hosts:
        wait_until("the function was reset often", lambda: bench.count("resets") > before + 4 * ROUNDS)
        for loop in hosts.end()[address], users.end()[address]:
            # how the two share the device is nobody's business
            assert not loop.failed and loop.times > 1, loop
