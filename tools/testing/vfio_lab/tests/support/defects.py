# SPDX-License-Identifier: GPL-2.0
"""Defects that the in-tree driver for these devices has or had, or this driver had, and
the tests that find them.

R is fixed in the in-tree driver's history, D was found by reading its source in Linux
7.2, T was in this driver before its first release. A test is one of the kselftests of
tap.py, by name, or a scenario of defect_scenarios.py and tenant_scenarios.py. `vlab defects`
runs all of them on each of OWN_DRIVERS and on this driver.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping

import defect_scenarios as scenarios
import tenant_scenarios as tenants
from lab.core import paths, versions
from lab.build.kernel import flavoured
from tap import PASSED, SKIPPED

#: where a scenario runs: on a V3 device shared with others, on one with many VFs, on a V4 device,
#: in a boot of its own with nothing set up, on a pair of hosts, or where WATCHED says
SHARED, MANY, V4, ALONE, PAIR, ELSEWHERE = "shared", "many", "v4", "alone", "pair", "elsewhere"
#: VFs of a device with many
MANY_VFS = 8

BOTH = frozenset(versions.OWN_DRIVERS)
NEW, OLD, NONE = frozenset(versions.OWN_DRIVERS[:1]), frozenset(versions.OWN_DRIVERS[-1:]), frozenset[str]()


@dataclasses.dataclass(frozen=True)
class Row:
    """`said` lists the in-tree drivers with the defect, by their source; `elsewhere` names other
    tests that run with these."""

    name: str
    what: str
    said: frozenset[str]
    tests: tuple[str, ...] = ()
    elsewhere: str = ""


ROWS = (
    Row("R1", "different doorbell isolation is accepted", NONE, ("refused_isolation",)),
    Row("R2", "event queue addresses are taken from the wrong words", NONE, ("contents", "version_1")),
    Row("R3", "no PRE_COPY state", NONE, ("precopy_info",)),
    Row("R4", "migration data in several writes is corrupted", NONE, ("pieces",)),
    Row("R5", "a reset during a state change is deferred", NONE, ("set_state_and_reset",)),
    Row("R6", "debugfs entries leak", NONE, ("debugfs_is_left_empty",)),
    Row("R7", "version 1 migration data is loaded wrongly", NONE,
        ("version_1", "refused_magic", "refused_major_version")),
    Row("R8", "an interrupt is lost when the VF is stopped", NONE, ("owed_interrupt_comes",)),
    Row("R9", "queue contexts are written back too late", NONE, ("stop_ends_with_write_back",)),
    Row("R10", "a reset does not lead to RUNNING", NONE, ("reset_everywhere",)),
    Row("R11", "a failed resume keeps a reference to the module", NONE, ("module_goes_after_a_refusal",)),
    Row("R12", "without a driver in the guest, empty migration data is loaded", NONE,
        ("guest_not_up", "guest_not_up_elsewhere")),
    Row("R13", "every failure is -EINVAL", OLD, ("errors_have_their_reason",)),
    Row("R14", "hardware V4 is driven as V3", NONE, ("both_register_layouts_work",)),
    Row("R15", "a VF is reset during a reset of its PF", OLD, ("reset_waits_for_the_pf",)),
    Row("R16", "migration data for the next user of the VF is not checked", OLD, ("second_data_of_another",)),
    Row("R17", "a VF without queues is saved", NONE, ("no_queues_is_an_error",)),
    Row("R18", "a slow mailbox is an error", OLD, ("slow_mailbox_is_waited_for",)),
    Row("R19", "memory of migration files is not accounted", NONE, ("memory_of_migration_files",)),
    Row("R20", "build errors only", NONE, (), "test_driver_build.py"),
    Row("D1", "two writers of a migration file overflow the heap", BOTH, ("two_writers",)),
    Row("D2", "rejected migration data is loaded", BOTH, ("refusal_stays", "second_data")),
    Row("D3", "a reset of a VF without migration oopses", NEW, ("pf_elsewhere", "older_hardware",
                                                      "no_vf"), "test_nested.py"),
    Row("D4", "a reset waits for minutes", NEW, ("reset_does_not_wait_for_ever",)),
    Row("D5", "the queue table registers have several users at once", BOTH,
        ("queue_table_has_one_user", "two_at_once")),
    Row("D6", "a failed save leaks memory and references", BOTH, ("failed_save_leaves_nothing",)),
    Row("D7", "use after free through a migration file", BOTH, ("migration_file_outlives_the_device", "file_outlives_the_binding")),
    Row("D8", "reading a migration file and a reset deadlock", BOTH, ("migration_file_with_device_memory",)),
    Row("D9", "the state is RUNNING, but the VF is paused", BOTH, ("failed_stop_runs_again",)),
    Row("D10", "a cancelled migration does not restart the queues", BOTH, ("cancelled_save_rings_the_queues",)),
    Row("D11", "a transient device error fails a migration", BOTH, ("passing_error_is_waited_for",)),
    Row("D12", "migration files do not behave as the uAPI says", BOTH,
        ("precopy_end", "poll_of_a_dead_file", "forty_wrong_bytes")),
    # a plain kernel may show the race's effect
    Row("D13", "data races on the migration file", BOTH, ("read_during_stop",
                                                          "reader_does_not_race_with_a_stop")),
    Row("D14", "an ioeventfd writes outside the guest part of BAR2", BOTH, ("reach_of_ioeventfd",)),
    Row("D15", "kernels with 64 KiB pages", BOTH, ("vf_works_with_large_pages",), "test_large_pages.py"),
    Row("D16", "migration data of other hardware is accepted", BOTH, ("other_hardware_is_refused",)),
    Row("D17", "V4: doorbells are rung on a neighbouring VF", NEW, ("neighbour_is_left_alone",)),
    Row("D18", "V4: lost migration registers are saved as state", NEW, ("lost_bar_layout_is_noticed",)),
    Row("D19", "state that a reset of the PF destroyed is saved", BOTH, ("lost_in_reset_of_all",)),
    Row("D20", "debugfs uses the guest's mailbox", NEW, ("debugfs_leaves_the_mailbox_alone",)),
    Row("D21", "a guest reads the answer to another mailbox command", BOTH, ("guest_gets_its_own_answer",)),
    Row("D22", "the guest's interrupt mask is lost", BOTH, ("guests_mask_stays",)),
    Row("D23", "version 1 migration data in two writes is not loaded", BOTH, ("version_1_in_two",)),
    Row("D24", "rejected migration data changes registers", BOTH, ("nothing_is_written",)),
    Row("T1", "VFs keep the PF's driver from resetting the device", NONE,
        ("pfs_driver_gets_its_turn",), "test_fairness.py"),
    Row("T2", "a VF is reset during a long reset of its PF", OLD,
        ("resets_wait_for_a_long_reset_of_all",), "test_waits.py"),
    Row("T3", "a stop fails for errors outside of the VF", BOTH, ("stopped_whatever_is_outside",),
        "test_outside_trouble.py"),
    Row("T4", "the state of a guest driver that does not set VF_STATE is not saved", BOTH, ("silent_guest_is_saved",),
        "test_silent_guest.py"),
    Row("T5", "V4: a guest gets the migration registers after a reset of the PF", NONE,
        ("lost_bar_layout_leaves_the_guest_part",)),
    Row("T6", "a VF is opened during a reset of its PF, or cannot be opened", OLD, ("open_waits_for_a_reset_of_all",)),
    Row("T7", "registers of a VF in D3hot are accessed", BOTH, ("d3hot_is_not_accessed",), "test_driver_faults.py"),
    Row("T8", "migration data of the in-tree driver is rejected", NONE, ("in_tree_migration_data_is_loaded",)),
    Row("T9", "the queue table registers are used beside the PF's driver", BOTH, ("function_table_is_left_alone",)),
    Row("T10", "debugfs shows other migration data than documented", NONE, (), "test_driver_life.py"),
    Row("T11", "bandwidth limits cannot be read during migrations", NONE, ("bandwidth_limits_are_readable_beside_migrations",)),
    Row("T12", "a guest loses a message of the PF", BOTH, ("guest_gets_the_pending_message",)),
    Row("T13", "migration data without a guest driver leaves a VF's queues running", BOTH,
        ("unused_vfs_state_empties_a_vf",)),
    Row("T14", "inaccessible registers are saved as state", BOTH, ("dead_registers_are_no_state",)),
    Row("T15", "the VFIO core loops for ever on a blocked arc", BOTH, ("blocked_arc_is_refused",)),
    Row("T16", "registers outside of a BAR are accessed", NONE, (), "test_kunit.py"),
    Row("T17", "a save raises interrupts, as intended", NONE, (), "test_access_budget.py"),
    Row("T18", "state changes and resets fail during resets by the host", BOTH,
        ("states_are_reached_beside_the_hosts_resets", "users_resets_beside_the_hosts"), "test_host_resets.py"),
    Row("T19", "a migration file that cannot be opened crashes the host", NONE, (), "test_kunit.py"),
)

#: those that may do lasting damage if they fail come last
SCENARIOS: dict[str, tuple[str, Callable[..., None]]] = {
    function.__name__: (where, function) for where, functions in (
        (SHARED, (
            # first: a failed save, which others cause too, may hold the module
            scenarios.module_goes_after_a_refusal,
            scenarios.stop_ends_with_write_back, scenarios.owed_interrupt_comes,
            scenarios.errors_have_their_reason, scenarios.slow_mailbox_is_waited_for,
            scenarios.failed_stop_runs_again, scenarios.cancelled_save_rings_the_queues,
            scenarios.passing_error_is_waited_for, scenarios.debugfs_leaves_the_mailbox_alone,
            scenarios.guest_gets_its_own_answer, scenarios.guests_mask_stays,
            scenarios.memory_of_migration_files, scenarios.debugfs_is_left_empty,
            scenarios.queue_table_has_one_user,
            tenants.stopped_whatever_is_outside, tenants.silent_guest_is_saved, tenants.d3hot_is_not_accessed,
            tenants.in_tree_migration_data_is_loaded, tenants.function_table_is_left_alone,
            tenants.guest_gets_the_pending_message, tenants.unused_vfs_state_empties_a_vf,
            tenants.dead_registers_are_no_state, tenants.states_are_reached_beside_the_hosts_resets,
            tenants.users_resets_beside_the_hosts,
            scenarios.reset_waits_for_the_pf, scenarios.no_queues_is_an_error,
            scenarios.file_outlives_the_binding, scenarios.reset_does_not_wait_for_ever,
            scenarios.failed_save_leaves_nothing)),
        (V4, (scenarios.both_register_layouts_work, scenarios.neighbour_is_left_alone,
              scenarios.lost_bar_layout_is_noticed, tenants.lost_bar_layout_leaves_the_guest_part)),
        (MANY, (tenants.bandwidth_limits_are_readable_beside_migrations, tenants.pfs_driver_gets_its_turn,
                tenants.open_waits_for_a_reset_of_all, tenants.resets_wait_for_a_long_reset_of_all)),
        (ALONE, (scenarios.pf_elsewhere, scenarios.older_hardware,
                 scenarios.no_vf, tenants.blocked_arc_is_refused)),
        (PAIR, (scenarios.other_hardware_is_refused,)),
        (ELSEWHERE, (scenarios.vf_works_with_large_pages, scenarios.reader_does_not_race_with_a_stop)),
    ) for function in functions}

#: waits for minutes: `vlab defects` and --long run it
SLOW = "reset_does_not_wait_for_ever"

#: scenarios whose defect only another kernel shows, and that kernel
WATCHED = {"file_outlives_the_binding": flavoured("debug"), "vf_works_with_large_pages": flavoured("64k"),
           "reader_does_not_race_with_a_stop": flavoured("kcsan")}

#: kselftests that are run by name only, each line in a boot of its own, and the messages that they
#: cause. The device hangs after the last of those for any device, if a driver fails it
KSELFTEST_ALONE: dict[tuple[str, ...], tuple[str, ...]] = {
    ("migration_file_outlives_the_device", "set_state_and_reset", "migration_file_with_device_memory"): (),
    ("lost_in_reset_of_all",): ("hisi_sec2 ",)}


def verdict(row: Row, results: Mapping[str, str]) -> str:
    """Result of a row's tests on one driver: passes, - (not applicable), or how the first one failed."""
    said = [results.get(name, SKIPPED) for name in row.tests]
    failed = [one for one in said if one not in (PASSED, SKIPPED)]
    return failed[0] if failed else PASSED if PASSED in said else SKIPPED


def contradicts(row: Row, version: str, results: Mapping[str, str]) -> bool:
    """Whether the result for an in-tree driver contradicts its source."""
    found = verdict(row, results)
    return found != SKIPPED and (found != PASSED) != (versions.SERIES[version].driver in row.said)


#: the page with the tables of a run of `vlab defects`
PAGE = paths.ROOT / "Documentation/dev-tools/vfio-lab/defects.rst"
#: names of drivers in tables
DRIVERS = {"in-tree": "in-tree", "tree": "this driver"}


def simple_table(rows: list[list[str]]) -> str:
    """A simple table in reStructuredText, readable in a terminal; the first row is its head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = "  ".join("=" * width for width in widths)
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule, ""])


def table(columns: Mapping[str, Mapping[str, str]], rows: Iterable[Row] = ROWS) -> str:
    """The results: a row for each defect, a column for each driver."""
    lines = [["row", "defect"]]
    for name in columns:
        driver, _, version = name.partition(" ")
        lines[0].append(f"{DRIVERS[driver]} {version}")
    for row in rows:
        found = []
        for name, results in columns.items():
            driver, _, version = name.partition(" ")
            mark = " (!)" if driver == "in-tree" and contradicts(row, version, results) else ""
            said = verdict(row, results)
            found.append("n/a" if said == SKIPPED else said + mark)
        lines.append([row.name, row.what, *found])
    return simple_table(lines)


def tests(rows: Iterable[Row] = ROWS) -> str:
    """The tests of each row."""
    return simple_table([["row", "tests"],
                    *([row.name, ", ".join(f"``{name}``" for name in (*row.tests, row.elsewhere) if name)] for row in rows)])
