# SPDX-License-Identifier: GPL-2.0
"""Scenarios for the rows of defects.py that a kselftest alone cannot test: the device fails, the PF
is busy, or the VF is unbound meanwhile.

A scenario fails by an assertion if the driver has the defect. It gets a Bench with both VFs bound,
and leaves it so.
"""

from __future__ import annotations

import errno

import steps
import tap
from bench import PF, RIVAL, SEC, VARIANT, Bench, shown, wait_until
from lab.scenario import accelerator, watch
from lab.probe import accesses, races
from lab.probe.accesses import MAILBOX
from steps import DATA_SIZE, State

PAUSE, SQC_TABLE = 14, "4"
WRITE_BACK = 0x204
MESSAGE_MASK = 0x24
# The timeout of Linux 7.3, and the time in which the driver gives up after that
LONGEST_RESET = 115
# One run in three shows the race between read() and a stop
RACE_RUNS = 20
ASK_QUEUES = 0x4006                     # the mailbox command SQC_VFT_V2, a read


def go(vf: steps.Vf, *states: State) -> None:
    """Transitions that must succeed."""
    for state in states:
        said = vf.go(state)
        assert said == ("", state), f"{state.name}: {said[0] or 'no error'}, and the state is {said[1].name}"


def saved(vf: steps.Vf) -> bytes:
    """The migration data of a VF in use."""
    go(vf, State.STOP_COPY)
    assert vf.read_migration_data() == DATA_SIZE, "incomplete migration data"
    return vf.migration_data()


def works(vf: steps.Vf) -> None:
    """A VF must be saved and must resume, with its guest's driver loaded."""
    vf.guest_up()
    go(vf, State.STOP)
    saved(vf)
    go(vf, State.RUNNING)


def stop_ends_with_write_back(bench: Bench) -> None:
    """R9: contexts must be in memory before STOP is reported, and written after the pause."""
    trace = bench.host.folder / "trace"
    with bench.open() as vf:
        vf.guest_up()
        with bench.traced(trace):
            go(vf, State.STOP)
        written = [a.value & 0xff if a.offset == MAILBOX else a.offset
                   for a in accesses.read(trace) if a.write]
    assert PAUSE in written and WRITE_BACK in written[written.index(PAUSE):], "no write-back after PAUSE"


def owed_interrupt_comes(bench: Bench) -> None:
    """R8: an event that is unread at the stop must raise its interrupt again."""
    with bench.open() as vf:
        vf.guest_up(events=3)
        before = bench.count("msi-eq", "msi-not-enabled")
        go(vf, State.STOP, State.STOP_COPY, State.RUNNING)
        assert bench.count("msi-eq", "msi-not-enabled") > before, "no interrupt for the event queue's entries"


def errors_have_their_reason(bench: Bench) -> None:
    """R13: a device that does not answer must give ETIMEDOUT, EBUSY or EIO."""
    with bench.open() as vf:
        vf.guest_up()
        with bench.broken(fault_mailbox="busy", fault_opcode=SQC_TABLE):
            error, _ = vf.go(State.STOP_COPY)
            error = error or errno.errorcode.get(-vf.read_migration_data(), "")
        assert error in ("ETIMEDOUT", "EBUSY", "EIO"), f"a mailbox that hangs gives {error or 'no error'}"


def slow_mailbox_is_waited_for(bench: Bench) -> None:
    """R18: a slow mailbox command must not time out early."""
    with bench.open() as vf:
        vf.guest_up()
        with bench.broken(vf="1", mailbox_latency=200_000):
            saved(vf)


def module_goes_after_a_refusal(bench: Bench) -> None:
    """R11: after a resume that failed or a pre-copy that was left, nothing may hold the module."""
    for state in (State.RESUMING, State.PRE_COPY):
        with bench.open() as vf:
            go(vf, state)
            if state == State.RESUMING:
                # whether it is refused is tested by another row
                vf.load_migration_data(bytes(DATA_SIZE))
                vf.write_migration_data()
                vf.go(State.STOP)
    bench.unbind()
    bench.host.ssh.run(f"rmmod {VARIANT}")
    bench.bind()


def debugfs_is_left_empty(bench: Bench) -> None:
    """R6: no file of a VF may stay in debugfs, however often it is bound and unbound."""
    for _ in range(5):
        bench.unbind()
        left = bench.host.ssh.out("find /sys/kernel/debug/vfio -mindepth 1 -maxdepth 1 2>/dev/null || true")
        assert left == "", f"left in debugfs: {left}"
        bench.bind()
    assert bench.host.ssh.out("ls /sys/kernel/debug/vfio").split() == sorted(bench.vfs)


def reset_waits_for_the_pf(bench: Bench) -> None:
    """R15: a VF must not be reset during a PF reset."""
    with bench.rival(), bench.open() as vf:
        bench.tell("hold", 1)
        vf.start_reset()
        early = vf.finish(1.5)
        bench.tell("hold", 0, check=False)
        assert early is None, "the VF was reset during a PF reset"
        assert vf.finish() == ("", State.RUNNING)


def reset_does_not_wait_for_ever(bench: Bench) -> None:
    """D4: a VF reset must not wait longer than a PF reset may take, nor unblock a PF reset that it
    did not block."""
    with bench.rival(), bench.open() as vf:
        assert vf.reset() == ("", State.RUNNING)
        bench.tell("hold", 1)
        vf.start_reset()
        done = vf.finish(LONGEST_RESET)
        kept = bench.tell("hold", 0, check=False)
        if done is None:
            vf.finish()
        assert done is not None, f"the reset waits for longer than {LONGEST_RESET} s"
        assert kept, "the VF reset has unblocked the PF reset"


def no_queues_is_an_error(bench: Bench) -> None:
    """R17: a VF without queues must not be migrated."""
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
    assert said, "migration data of a VF without queues"


def queue_table_has_one_user(bench: Bench) -> None:
    """D5: access to the queue table must be exclusive: neither the PF driver's write nor the save's
    read may be lost."""
    with bench.rival(), bench.open() as vf:
        go(vf, State.PRE_COPY)
        assert vf.read_migration_data() > 0
        before = vf.migration_data()[8:12]
        go(vf, State.RUNNING)
        for walk in ("save", "open"):
            bench.tell("shape", "1 400")
            if walk == "open":
                with bench.open(1):
                    pass
            else:
                error, _ = vf.go(State.PRE_COPY)
                assert error or (vf.read_migration_data() > 0 and vf.migration_data()[8:12] == before), "queues of another VF"
                vf.go(State.RUNNING)
            wait_until("the rival is done", lambda: bench.host.ssh.out(f"cat {RIVAL}/hold") == "0", 5)
            assert not bench.host.ssh.run(f"cat {RIVAL}/shape", check=False).returncode, \
                f"a write of the PF's driver was lost during {walk} of a VF"


def failed_save_leaves_nothing(bench: Bench) -> None:
    """D6: a failed save must leave neither a file nor a reference."""
    before = bench.references()
    with bench.open() as vf:
        vf.guest_up()
        go(vf, State.STOP)
        with bench.broken(fault_mailbox="fail", fault_opcode=SQC_TABLE):
            assert vf.go(State.STOP_COPY)[0] or vf.read_migration_data() < 0
    wait_until("the device is closed", lambda: bench.references() <= before + 1, 5)
    assert bench.references() == before, "the module's reference count has leaked"


def memory_of_migration_files(bench: Bench) -> None:
    """R19: a migration file may use at most 1 KiB, charged to its user."""
    group, many = "/run/cgroup/test", 2000
    bench.host.ssh.run("mkdir -p /run/cgroup && { mountpoint -q /run/cgroup || mount -t cgroup2 cgroup /run/cgroup; } && "
                       f"echo +memory > /run/cgroup/cgroup.subtree_control && mkdir -p {group}")

    def charged() -> int:
        # Memory is accounted for by processor: up to 64 pages of each are added only every 2 s. So
        # wait until that has happened
        told = f"awk '$1 == \"kernel\" {{ print $2 }}' {group}/memory.stat"
        return int(bench.host.ssh.out(f"until [ \"$n\" = \"$({told})\" ]; do n=$({told}); sleep 3; done; echo $n"))

    with steps.Vf(bench.host, bench.vfs[0], before=f"echo $$ > {group}/cgroup.procs &&") as vf:
        vf.guest_up()
        go(vf, State.STOP)
        counts = [charged()]
        for data in (False, True):
            vf.make_files(many, data)
            counts.append(charged())
    plain, whole = ((after - before) // many for before, after in zip(counts, counts[1:]))
    assert whole <= 1024, f"{whole} bytes for a migration file"
    assert whole - plain >= DATA_SIZE, f"{whole} bytes are charged for a migration file, {plain} for any other"
    print(f"memory: {whole} bytes for each migration file, {plain} of them what any file costs")


def file_outlives_the_binding(bench: Bench) -> None:
    """D7: a migration file that stays open must not access a VF that was unbound. Detected by KASAN only."""
    with bench.open() as vf:
        go(vf, State.PRE_COPY)
        vf.close_device()
        bench.unbind(vf.address)
        assert vf.precopy_info() == "ENODEV" and vf.read_migration_data() < 0
        bench.enable(0)
        assert vf.precopy_info() == "ENODEV" and vf.read_migration_data() < 0
    bench.enable(2)
    bench.bind()


def failed_stop_runs_again(bench: Bench) -> None:
    """D9: a VF in RUNNING after a failed stop must run."""
    with bench.open() as vf:
        vf.guest_up()
        before = bench.count("kicks")
        # the PF's driver gets no interrupt, so the error stays
        with bench.broken(vf="0", fault_msi_drop=1):
            bench.set(abnormal_error=4)
            error, state = vf.go(State.STOP)
            if not error:
                # not to refuse the transition for the error
                error, state = vf.go(State.RUNNING)
        assert state == State.ERROR or bench.count("kicks") > before, \
            f"{error or 'no error'}, {state.name}, and the VF is paused"


def cancelled_save_rings_the_queues(bench: Bench) -> None:
    """D10: after any stop, the queues must be restarted."""
    with bench.open() as vf:
        vf.guest_up()
        for states in ((State.STOP,), (State.STOP, State.STOP_COPY)):
            before = bench.count("kicks", "kicks-of-unused-queues", "sq-doorbells")
            go(vf, *states, State.RUNNING)
            assert bench.count("kicks", "kicks-of-unused-queues", "sq-doorbells") > before, \
                f"no doorbell after {states[-1].name}"


def passing_error_is_waited_for(bench: Bench) -> None:
    """D11: an error that the PF's driver is about to clear must not fail the migration."""
    with bench.open() as vf:
        vf.guest_up()
        # the error ends with the second read, however slow the machine is
        with bench.broken(vf="0", fault_msi_drop=1, error_reads=1, abnormal_error=4):
            for state in (State.PRE_COPY, State.STOP_COPY):
                error, _ = vf.go(state)
                assert not error, f"{error} for an error that ends with the second read"
            assert vf.read_migration_data() == DATA_SIZE


def neighbour_is_left_alone(bench: Bench) -> None:
    """D17: from V4 on, doorbells of a VF must be in its own migration registers."""
    with bench.open() as vf:
        vf.guest_up(events=1)
        data = saved(vf)
        go(vf, State.RUNNING)
    with bench.open(1) as other:
        go(other, State.RESUMING)
        other.load_migration_data(data)
        assert other.write_migration_data() == DATA_SIZE
        go(other, State.RUNNING)
    assert not bench.guest_errors(), shown(bench.guest_errors())


def both_register_layouts_work(bench: Bench) -> None:
    """R14: on V4, migration data must come from where the migration registers are."""
    with bench.open() as vf:
        vf.guest_up()
        table = vf.table()
        data = saved(vf)
        assert int.from_bytes(data[160:168], "little") == table
        assert vf.reset() == ("", State.RUNNING)
        go(vf, State.RESUMING)
        vf.load_migration_data(data)
        assert vf.write_migration_data() == DATA_SIZE
        go(vf, State.RUNNING)
        assert vf.table() == table


def lost_bar_layout_is_noticed(bench: Bench) -> None:
    """D18: migration registers that are no longer accessible must not be saved."""
    watch.expect("sec 0: .*: mig-regs-not-there", maybe=True)
    with bench.rival(), bench.open() as vf:
        vf.guest_up()
        bench.tell("mig_regs", 0)
        error, _ = vf.go(State.STOP_COPY)
        length = 0 if error else vf.read_migration_data()
        bench.tell("mig_regs", 1)
        assert error or length == DATA_SIZE, \
            f"migration data of {length} bytes, which is a guest without a driver"


def debugfs_leaves_the_mailbox_alone(bench: Bench) -> None:
    """D20: reading debugfs must not send a mailbox command."""
    with bench.open() as vf:
        vf.guest_up()
        before = bench.mailboxes()
        bench.host.ssh.run(f"cat /sys/kernel/debug/vfio/{vf.address}/migration/hisi_acc/* 2>/dev/null", check=False)
        assert bench.mailboxes() == before, "a command in a running guest's mailbox"


def guest_gets_its_own_answer(bench: Bench) -> None:
    """D21: a pending mailbox read of a stopped guest must be replayed."""
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
        data = saved(vf)
    with bench.open(1) as other:
        other.begin_command(ASK_QUEUES)
        here = other.answer()
        go(other, State.RESUMING)
        other.load_migration_data(data)
        assert other.write_migration_data() == DATA_SIZE
        go(other, State.RUNNING)
        assert other.answer() == here, "no reply to the guest on the destination"


def guests_mask_stays(bench: Bench) -> None:
    """D22: the guest's mask of messages must be kept by a stop and a migration."""
    with bench.open() as vf:
        vf.guest_up()
        vf.store(MESSAGE_MASK, 1)
        go(vf, State.STOP, State.RUNNING)
        assert vf.load(MESSAGE_MASK) == 1, "unmasked by a stop"
        data = saved(vf)
    with bench.open(1) as other:
        go(other, State.RESUMING)
        other.load_migration_data(data)
        assert other.write_migration_data() == DATA_SIZE
        go(other, State.RUNNING)
        assert other.load(MESSAGE_MASK) == 1, "unmasked by a migration"


def _used(bench: Bench, vf: steps.Vf) -> None:
    """Open it; reset it by its user and by the host, close it, open it again."""
    assert vf.reset_only() == ""
    vf.end()
    bench.host.ssh.run(f"echo 1 > /sys/bus/pci/devices/{vf.address}/reset")


def pf_elsewhere(bench: Bench) -> None:
    """D3: with the PF bound to vfio-pci, migration must not be offered and the kernel must not oops."""
    # closing the PF resets it, which disables the VFs for a moment
    watch.expect("Unable to change power state from D0 to D3hot, device inaccessible", maybe=True)
    ssh = bench.host.ssh
    ssh.run("modprobe vfio_pci enable_sriov=1 && modprobe vfio_iommu_type1")
    ssh.run(f"echo vfio-pci > {PF}/driver_override && echo {SEC.pf} > /sys/bus/pci/drivers_probe")
    ssh.run(f"echo 0 > {PF}/sriov_drivers_autoprobe && echo 2 > {PF}/sriov_numvfs")
    # it binds the PF's VFs, whatever their driver_override
    ssh.run("for vf in /sys/bus/pci/drivers/vfio-pci/0000:00:08.[12]; do "
            "echo ${vf##*/} > /sys/bus/pci/drivers/vfio-pci/unbind; done")
    bench.bind()
    _used(bench, bench.open(0, physical=SEC.pf))


def older_hardware(bench: Bench) -> None:
    """D3: on hardware before V3 migration must not be offered, and the kernel must not oops."""
    accelerator.bring_up(bench.host.ssh, SEC, 2)
    with bench.rival():
        bench.tell("version", "0x21")
        bench.bind()
        bench.tell("version", "0x30")
    _used(bench, bench.open())


def no_vf(bench: Bench) -> None:
    """D3: a device that Linux does not know as a VF, as in a guest."""
    # and whose BARs it therefore restores
    watch.expect(r"BAR \d: error updating", maybe=True)
    accelerator.bring_up(bench.host.ssh, SEC, 2)
    address = bench.vfs[0]
    with bench.rival():
        bench.tell("plain", address)
        accelerator.bind(bench.host.ssh, [address], VARIANT)
        _used(bench, bench.open())
        bench.unbind(address)
        bench.tell("plain", address)


def other_hardware_is_refused(older: Bench, newer: Bench) -> None:
    """D16: V4 must reject migration data of V3, whose guest sees fewer registers."""
    with older.open() as vf:
        vf.guest_up()
        data = saved(vf)
    with newer.open() as vf:
        vf.guest_up()
        own = saved(vf)
        assert vf.reset() == ("", State.RUNNING)
        # other differences between the two hosts are not tested here
        assert own[:28] == data[:28]
        go(vf, State.RESUMING)
        vf.load_migration_data(data)
        assert vf.write_migration_data() < 0 or vf.go(State.STOP)[0], "V4 accepted migration data of V3"


def vf_works_with_large_pages(bench: Bench) -> None:
    """D15: what the driver reports as mappable must be mappable, and a guest must work with it,
    with pages larger than the guest's part of BAR2."""
    with bench.open() as vf:
        vf.guest_up()
        assert vf.table() != 0, "the VF has lost its SQC table"
        assert vf.reset_only() == ""


def reader_does_not_race_with_a_stop(bench: Bench) -> None:
    """D13: read() in pre-copy and a stop that adds to the file must be serialized. Detected by
    KCSAN only, and not each time."""
    races.report_all_races(bench.host)
    for _ in range(RACE_RUNS):
        said = bench.kselftest("read_during_stop")
        assert tap.verdicts(said) == {"read_during_stop": tap.PASSED}, said
