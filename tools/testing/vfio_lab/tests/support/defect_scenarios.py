# SPDX-License-Identifier: GPL-2.0
"""What the kselftest cannot show alone of the rows of defects.py: the device has
to break, the physical function to be busy, the function to be unbound meanwhile.

A scenario fails by an assertion where the defect is. It gets a Bench with both
functions bound, and leaves it so.
"""

from __future__ import annotations

import errno

import steps
import tap
from bench import PF, RIVAL, SEC, VARIANT, Bench, shown, wait_until
from lab.scenario import accelerator, watch
from lab.probe import accesses, races
from lab.probe.accesses import MAILBOX
from steps import IMAGE, State

PAUSE, SQC_TABLE = 14, "4"
WRITE_BACK = 0x204
MESSAGE_MASK = 0x24
# What Linux 7.3 may take, and the time in which a driver gives up after that
LONGEST_RESET = 115
# One run in three shows the race between read() and a stop
RACE_RUNS = 20
ASK_QUEUES = 0x4006                     # the mailbox command SQC_VFT_V2, a question


def go(vf: steps.Function, *states: State) -> None:
    """Walk, with nothing going wrong."""
    for state in states:
        said = vf.go(state)
        assert said == ("", state), f"{state.name}: {said[0] or 'nothing'} said, and the state is {said[1].name}"


def saved(vf: steps.Function) -> bytes:
    """The image of a function that is up."""
    go(vf, State.STOP_COPY)
    assert vf.read_image() == IMAGE, "the image is not whole"
    return vf.image()


def works(vf: steps.Function) -> None:
    """A VF is saved and resumes, with its guest's driver loaded."""
    vf.guest_up()
    go(vf, State.STOP)
    saved(vf)
    go(vf, State.RUNNING)


def stop_ends_with_write_back(bench: Bench) -> None:
    """R9: contexts are in memory before STOP says so, and after the pause."""
    trace = bench.host.folder / "trace"
    with bench.open() as vf:
        vf.guest_up()
        with bench.traced(trace):
            go(vf, State.STOP)
        written = [a.value & 0xff if a.offset == MAILBOX else a.offset
                   for a in accesses.read(trace) if a.write]
    assert PAUSE in written and WRITE_BACK in written[written.index(PAUSE):], "no write-back after PAUSE"


def owed_interrupt_comes(bench: Bench) -> None:
    """R8: an event that nobody has seen at the stop makes itself known again."""
    with bench.open() as vf:
        vf.guest_up(events=3)
        before = bench.count("msi-eq", "msi-not-enabled")
        go(vf, State.STOP, State.STOP_COPY, State.RUNNING)
        assert bench.count("msi-eq", "msi-not-enabled") > before, "no interrupt for what is in the event queue"


def errors_say_what_happened(bench: Bench) -> None:
    """R13: a device that does not answer is not an argument that is wrong."""
    with bench.open() as vf:
        vf.guest_up()
        with bench.broken(fault_mailbox="busy", fault_opcode=SQC_TABLE):
            error, _ = vf.go(State.STOP_COPY)
            error = error or errno.errorcode.get(-vf.read_image(), "")
        assert error in ("ETIMEDOUT", "EBUSY", "EIO"), f"a mailbox that hangs gives {error or 'no error'}"


def slow_mailbox_is_waited_for(bench: Bench) -> None:
    """R18: a command may take its time."""
    with bench.open() as vf:
        vf.guest_up()
        with bench.broken(function="1", mailbox_latency=200_000):
            saved(vf)


def module_goes_after_a_refusal(bench: Bench) -> None:
    """R11: a resume that failed, a pre-copy that was left: nothing holds the module."""
    for state in (State.RESUMING, State.PRE_COPY):
        with bench.open() as vf:
            go(vf, state)
            if state == State.RESUMING:
                # whether it is refused is another row's
                vf.take_image(bytes(IMAGE))
                vf.write_image()
                vf.go(State.STOP)
    bench.unbind()
    bench.host.ssh.run(f"rmmod {VARIANT}")
    bench.bind()


def debugfs_is_left_empty(bench: Bench) -> None:
    """R6: no file of a function stays behind, however often it comes and goes."""
    for _ in range(5):
        bench.unbind()
        left = bench.host.ssh.out("find /sys/kernel/debug/vfio -mindepth 1 -maxdepth 1 2>/dev/null || true")
        assert left == "", f"left in debugfs: {left}"
        bench.bind()
    assert bench.host.ssh.out("ls /sys/kernel/debug/vfio").split() == sorted(bench.functions)


def reset_waits_for_the_physical_function(bench: Bench) -> None:
    """R15: a function is not reset in the middle of a reset of all."""
    with bench.rival(), bench.open() as vf:
        bench.tell("hold", 1)
        vf.start_reset()
        early = vf.finish(1.5)
        bench.tell("hold", 0, check=False)
        assert early is None, "the function was reset while the physical function was busy"
        assert vf.finish() == ("", State.RUNNING)


def reset_does_not_wait_for_ever(bench: Bench) -> None:
    """D4: nor does it wait for more than a reset of all may take, nor take away what it
    never had."""
    with bench.rival(), bench.open() as vf:
        assert vf.reset() == ("", State.RUNNING)
        bench.tell("hold", 1)
        vf.start_reset()
        done = vf.finish(LONGEST_RESET)
        kept = bench.tell("hold", 0, check=False)
        if done is None:
            vf.finish()
        assert done is not None, f"the reset waits for longer than {LONGEST_RESET} s"
        assert kept, "the reset has ended what the physical function's driver had begun"


def no_queues_is_an_error(bench: Bench) -> None:
    """R17: a function that owns no queue cannot be migrated."""
    watch.expect("hisi_acc_vfio_pci 0000:00:08.2: owns no queues$")
    with bench.rival():
        bench.tell("no_queues", 2)
    try:
        vf = bench.open(1)
    except AssertionError:
        said = "cannot be opened"
    else:
        said, _ = vf.go(State.PRE_COPY)
        vf.end()
    bench.enable(2)
    bench.bind()
    assert said, "an image of a function without queues"


def queue_table_has_one_user(bench: Bench) -> None:
    """D5: what the physical function's driver writes into the table arrives, and
    what a save reads there is not what the other wanted."""
    with bench.rival(), bench.open() as vf:
        go(vf, State.PRE_COPY)
        assert vf.read_image() > 0
        before = vf.image()[8:12]
        go(vf, State.RUNNING)
        for walk in ("save", "open"):
            bench.tell("shape", "1 400")
            if walk == "open":
                with bench.open(1):
                    pass
            else:
                error, _ = vf.go(State.PRE_COPY)
                assert error or (vf.read_image() > 0 and vf.image()[8:12] == before), "queues of something else"
                vf.go(State.RUNNING)
            wait_until("the rival is done", lambda: bench.host.ssh.out(f"cat {RIVAL}/hold") == "0", 5)
            assert not bench.host.ssh.run(f"cat {RIVAL}/shape", check=False).returncode, \
                f"a write of the physical function's driver was lost in a function's {walk}"


def failed_save_leaves_nothing(bench: Bench) -> None:
    """D6: neither a file nor a reference stays of a save that failed."""
    before = bench.references()
    with bench.open() as vf:
        vf.guest_up()
        go(vf, State.STOP)
        with bench.broken(fault_mailbox="fail", fault_opcode=SQC_TABLE):
            assert vf.go(State.STOP_COPY)[0] or vf.read_image() < 0
    wait_until("the device is closed", lambda: bench.references() <= before + 1, 5)
    assert bench.references() == before, "the module is in use by a file that nobody has"


def memory_of_data_files(bench: Bench) -> None:
    """R19: a data file costs its user at most 1 KiB, and costs nobody else."""
    group, many = "/run/cgroup/test", 2000
    bench.host.ssh.run("mkdir -p /run/cgroup && { mountpoint -q /run/cgroup || mount -t cgroup2 cgroup /run/cgroup; } && "
                       f"echo +memory > /run/cgroup/cgroup.subtree_control && mkdir -p {group}")

    def charged() -> int:
        # Each processor counts for itself: up to 64 pages of each are added only
        # every 2 s.  So: what is still true when that has been
        told = f"awk '$1 == \"kernel\" {{ print $2 }}' {group}/memory.stat"
        return int(bench.host.ssh.out(f"until [ \"$n\" = \"$({told})\" ]; do n=$({told}); sleep 3; done; echo $n"))

    with steps.Function(bench.host, bench.functions[0], before=f"echo $$ > {group}/cgroup.procs &&") as vf:
        vf.guest_up()
        go(vf, State.STOP)
        counts = [charged()]
        for data in (False, True):
            vf.make_files(many, data)
            counts.append(charged())
    plain, whole = ((after - before) // many for before, after in zip(counts, counts[1:]))
    assert whole <= 1024, f"{whole} bytes for a data file"
    assert whole - plain >= IMAGE, f"{whole} bytes are charged for a data file, {plain} for any other"
    print(f"memory: {whole} bytes for each data file, {plain} of them what any file costs")


def file_outlives_the_binding(bench: Bench) -> None:
    """D7: a data file that is kept does not reach into a function that is gone.
    Seen by a kernel that watches its memory only."""
    with bench.open() as vf:
        go(vf, State.PRE_COPY)
        vf.close_device()
        bench.unbind(vf.address)
        assert vf.precopy_info() == "ENODEV" and vf.read_image() < 0
        bench.enable(0)
        assert vf.precopy_info() == "ENODEV" and vf.read_image() < 0
    bench.enable(2)
    bench.bind()


def failed_stop_runs_again(bench: Bench) -> None:
    """D9: what says RUNNING after a stop that failed does run."""
    with bench.open() as vf:
        vf.guest_up()
        before = bench.count("kicks")
        # the physical function's driver does not hear of it, so it stays up
        with bench.broken(function="0", fault_msi_drop=1):
            bench.set(abnormal_error=4)
            error, state = vf.go(State.STOP)
            if not error:
                # the error is no reason to refuse it
                error, state = vf.go(State.RUNNING)
        assert state == State.ERROR or bench.count("kicks") > before, \
            f"{error or 'no error'}, {state.name}, and the function is paused"


def cancelled_save_rings_the_queues(bench: Bench) -> None:
    """D10: whatever a function was stopped for, its queues go on."""
    with bench.open() as vf:
        vf.guest_up()
        for states in ((State.STOP,), (State.STOP, State.STOP_COPY)):
            before = bench.count("kicks", "kicks-of-unused-queues", "sq-doorbells")
            go(vf, *states, State.RUNNING)
            assert bench.count("kicks", "kicks-of-unused-queues", "sq-doorbells") > before, \
                f"nothing was rung after {states[-1].name}"


def passing_error_is_waited_for(bench: Bench) -> None:
    """D11: an error that the physical function's driver is about to clear is no
    reason to give the guest's function up."""
    with bench.open() as vf:
        vf.guest_up()
        # who looks again finds it gone, however slow the machine is
        with bench.broken(function="0", fault_msi_drop=1, error_reads=1, abnormal_error=4):
            for state in (State.PRE_COPY, State.STOP_COPY):
                error, _ = vf.go(state)
                assert not error, f"{error} for an error that is gone at the second look"
            assert vf.read_image() == IMAGE


def neighbour_is_left_alone(bench: Bench) -> None:
    """D17: from V4 on, doorbells rung for one function land in its own window."""
    with bench.open() as vf:
        vf.guest_up(events=1)
        image = saved(vf)
        go(vf, State.RUNNING)
    with bench.open(1) as other:
        go(other, State.RESUMING)
        other.take_image(image)
        assert other.write_image() == IMAGE
        go(other, State.RUNNING)
    assert not bench.mistakes(), shown(bench.mistakes())


def both_register_layouts_work(bench: Bench) -> None:
    """R14: on a device of V4 an image comes from where the registers are."""
    with bench.open() as vf:
        vf.guest_up()
        table = vf.table()
        image = saved(vf)
        assert int.from_bytes(image[160:168], "little") == table
        assert vf.reset() == ("", State.RUNNING)
        go(vf, State.RESUMING)
        vf.take_image(image)
        assert vf.write_image() == IMAGE
        go(vf, State.RUNNING)
        assert vf.table() == table


def window_that_went_is_noticed(bench: Bench) -> None:
    """D18: registers that are no longer where they were give no image."""
    watch.expect("sec 0: .*: window-not-there", maybe=True)
    with bench.rival(), bench.open() as vf:
        vf.guest_up()
        bench.tell("windows", 0)
        error, _ = vf.go(State.STOP_COPY)
        length = 0 if error else vf.read_image()
        bench.tell("windows", 1)
        assert error or length == IMAGE, \
            f"an image of {length} bytes, which says that the guest has no driver"


def debugfs_leaves_the_mailbox_alone(bench: Bench) -> None:
    """D20: to look at a function is not to talk to it."""
    with bench.open() as vf:
        vf.guest_up()
        before = bench.mailboxes()
        bench.host.ssh.run(f"cat /sys/kernel/debug/vfio/{vf.address}/migration/hisi_acc/* 2>/dev/null", check=False)
        assert bench.mailboxes() == before, "a command was given to a running guest's mailbox"


def guest_gets_its_own_answer(bench: Bench) -> None:
    """D21: a guest that was stopped between its question and the answer."""
    with bench.open() as vf:
        vf.guest_up()
        vf.begin_command(ASK_QUEUES)
        want = vf.answer()
        for states in ((State.STOP,), (State.STOP_COPY,)):
            vf.begin_command(ASK_QUEUES)
            go(vf, *states, State.RUNNING)
            got = vf.answer()
            assert got == want, f"after {states[-1].name} the guest reads {got:#x}, not {want:#x}"
        vf.begin_command(ASK_QUEUES)
        image = saved(vf)
    with bench.open(1) as other:
        other.begin_command(ASK_QUEUES)
        here = other.answer()
        go(other, State.RESUMING)
        other.take_image(image)
        assert other.write_image() == IMAGE
        go(other, State.RUNNING)
        assert other.answer() == here, "the guest gets no answer where it has come to"


def guests_mask_stays(bench: Bench) -> None:
    """D22: the guest's mask of messages is the guest's, here and there."""
    with bench.open() as vf:
        vf.guest_up()
        vf.store(MESSAGE_MASK, 1)
        go(vf, State.STOP, State.RUNNING)
        assert vf.load(MESSAGE_MASK) == 1, "unmasked by a stop"
        image = saved(vf)
    with bench.open(1) as other:
        go(other, State.RESUMING)
        other.take_image(image)
        assert other.write_image() == IMAGE
        go(other, State.RUNNING)
        assert other.load(MESSAGE_MASK) == 1, "unmasked by a migration"


def _used(bench: Bench, vf: steps.Function) -> None:
    """Open already; reset by its user and by the host, closed, opened again."""
    assert vf.reset_only() == ""
    vf.end()
    bench.host.ssh.run(f"echo 1 > /sys/bus/pci/devices/{vf.address}/reset")


def physical_function_elsewhere(bench: Bench) -> None:
    """D3: the physical function belongs to vfio-pci: no migration, no oops."""
    # a reset of the physical one when it is closed takes them away for a moment
    watch.expect("Unable to change power state from D0 to D3hot, device inaccessible", maybe=True)
    ssh = bench.host.ssh
    ssh.run("modprobe vfio_pci enable_sriov=1 && modprobe vfio_iommu_type1")
    ssh.run(f"echo vfio-pci > {PF}/driver_override && echo {SEC.pf} > /sys/bus/pci/drivers_probe")
    ssh.run(f"echo 0 > {PF}/sriov_drivers_autoprobe && echo 2 > {PF}/sriov_numvfs")
    # it takes its functions' virtual ones for itself, whatever was said
    ssh.run("for vf in /sys/bus/pci/drivers/vfio-pci/0000:00:08.[12]; do "
            "echo ${vf##*/} > /sys/bus/pci/drivers/vfio-pci/unbind; done")
    bench.bind()
    _used(bench, bench.open(0, physical=SEC.pf))


def older_hardware(bench: Bench) -> None:
    """D3: hardware before V3: no migration, no oops."""
    accelerator.bring_up(bench.host.ssh, SEC, 2)
    with bench.rival():
        bench.tell("version", "0x21")
        bench.bind()
        bench.tell("version", "0x30")
    _used(bench, bench.open())


def no_virtual_function(bench: Bench) -> None:
    """D3: a function that Linux does not know as a virtual one, as in a guest."""
    # and whose BARs it therefore wants to restore
    watch.expect(r"BAR \d: error updating", maybe=True)
    accelerator.bring_up(bench.host.ssh, SEC, 2)
    address = bench.functions[0]
    with bench.rival():
        bench.tell("plain", address)
        accelerator.bind(bench.host.ssh, [address], VARIANT)
        _used(bench, bench.open())
        bench.unbind(address)
        bench.tell("plain", address)


def other_hardware_is_refused(older: Bench, newer: Bench) -> None:
    """D16: a guest of V3 sees less of a function than V4 would give it."""
    with older.open() as vf:
        vf.guest_up()
        image = saved(vf)
    with newer.open() as vf:
        vf.guest_up()
        own = saved(vf)
        assert vf.reset() == ("", State.RUNNING)
        # what else differs between the two hosts is not the question
        assert own[:28] == image[:28]
        go(vf, State.RESUMING)
        vf.take_image(image)
        assert vf.write_image() < 0 or vf.go(State.STOP)[0], "V4 took an image of V3"


def function_works_with_large_pages(bench: Bench) -> None:
    """D15: what is said to be mappable can be mapped, and a guest works by it, where a
    page is larger than the guest's half of the BAR."""
    with bench.open() as vf:
        vf.guest_up()
        assert vf.table() != 0, "the function does not know its queues"
        assert vf.reset_only() == ""


def reader_does_not_race_with_a_stop(bench: Bench) -> None:
    """D13: who reads a data file in pre-copy and a stop that adds to it take turns.  Seen
    by a kernel only that watches for data races, and not each time."""
    races.look_closely(bench.host)
    for _ in range(RACE_RUNS):
        said = bench.kselftest("read_during_stop")
        assert tap.verdicts(said) == {"read_during_stop": tap.PASSED}, said
