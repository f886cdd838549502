# SPDX-License-Identifier: GPL-2.0
"""Defects that the kernel's own driver for these devices has or had, or ours had, and
the tests that find them.

R is mended in its history, D was seen by reading its source in Linux 7.2, T was in
our own driver before its first release. A test is one of the kselftest
hisi_acc_migration_test, by name, or a scenario of defect_scenarios.py and
tenant_scenarios.py. `vlab defects` runs all of them on three drivers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping

import defect_scenarios as scenarios
import tenant_scenarios as tenants
from lab.core import versions
from lab.build.kernel import flavoured
from tap import PASSED, SKIPPED

#: where a scenario runs: on a device of V3 with others, on one with many functions with
#: others, on one of V4 with others, in a boot of its own with nothing set up, on a pair
#: of hosts, where WATCHED says
SHARED, MANY, V4, ALONE, PAIR, ELSEWHERE = "shared", "many", "v4", "alone", "pair", "elsewhere"
#: functions of a device with many
MANY_FUNCTIONS = 8

BOTH = frozenset(versions.OWN_DRIVERS)
NEW, OLD, NONE = frozenset(versions.OWN_DRIVERS[:1]), frozenset(versions.OWN_DRIVERS[-1:]), frozenset[str]()


@dataclasses.dataclass(frozen=True)
class Row:
    """`said` is in which of the kernel's drivers the defect is, by reading;
    `elsewhere` names tests that are none of the two kinds, and run with the others."""

    name: str
    what: str
    said: frozenset[str]
    tests: tuple[str, ...] = ()
    elsewhere: str = ""


ROWS = (
    Row("R1", "isolation that differs is taken", NONE, ("refused_isolation",)),
    Row("R2", "ring addresses from the wrong words", NONE, ("contents", "version_1")),
    Row("R3", "no pre-copy", NONE, ("precopy_info",)),
    Row("R4", "a split image is torn", NONE, ("pieces",)),
    Row("R5", "a reset during a transition is put off", NONE, ("resets_in_between",)),
    Row("R6", "entries of debugfs leak", NONE, ("debugfs_is_left_empty",)),
    Row("R7", "images of version 1 are loaded wrongly", NONE,
        ("version_1", "refused_magic", "refused_major_version")),
    Row("R8", "an interrupt is lost in the stop", NONE, ("owed_interrupt_comes",)),
    Row("R9", "contexts are written back too late", NONE, ("stop_ends_with_write_back",)),
    Row("R10", "a reset does not lead to RUNNING", NONE, ("reset_everywhere",)),
    Row("R11", "a failed resume holds the module", NONE, ("module_goes_after_a_refusal",)),
    Row("R12", "without a driver in the guest, nothing is loaded as something", NONE,
        ("guest_not_up", "guest_not_up_elsewhere")),
    Row("R13", "every failure is EINVAL", OLD, ("errors_say_what_happened",)),
    Row("R14", "V4 is driven as V3", NONE, ("both_register_layouts_work",)),
    Row("R15", "a function is reset in a reset of all", OLD, ("reset_waits_for_the_physical_function",)),
    Row("R16", "the next user's image is not checked", OLD, ("second_image_of_another",)),
    Row("R17", "no queues are an image, too", NONE, ("no_queues_is_an_error",)),
    Row("R18", "a slow mailbox fails", OLD, ("slow_mailbox_is_waited_for",)),
    Row("R19", "memory is charged to nobody", NONE, ("memory_of_data_files",)),
    Row("R20", "no behaviour: builds", NONE, (), "test_driver_build.py"),
    Row("D1", "two writers overflow the heap", BOTH, ("two_writers",)),
    Row("D2", "a refused image is loaded", BOTH, ("refusal_stays", "second_image")),
    Row("D3", "a reset oopses without migration", NEW, ("physical_function_elsewhere", "older_hardware",
                                                      "no_virtual_function"), "test_nested.py"),
    Row("D4", "a reset waits for minutes", NEW, ("reset_does_not_wait_for_ever",)),
    Row("D5", "the queue table has several users", BOTH, ("queue_table_has_one_user", "two_at_once")),
    Row("D6", "a failed save leaks", BOTH, ("failed_save_leaves_nothing",)),
    Row("D7", "use after free through a data file", BOTH, ("file_outlives_device", "file_outlives_the_binding")),
    Row("D8", "copy and reset lock each other out", BOTH, ("reset_during_copy",)),
    Row("D9", "RUNNING, and paused", BOTH, ("failed_stop_runs_again",)),
    Row("D10", "a cancelled migration rings nothing", BOTH, ("cancelled_save_rings_the_queues",)),
    Row("D11", "a passing error ends a migration", BOTH, ("passing_error_is_waited_for",)),
    Row("D12", "not as the uAPI says", BOTH, ("precopy_end", "precopy_poll", "poll_of_a_dead_file",
                                              "forty_wrong_bytes")),
    # a plain kernel sees what comes of the race, if anything does
    Row("D13", "data races on the saving file", BOTH, ("two_readers", "read_during_stop",
                                                       "reader_does_not_race_with_a_stop")),
    Row("D14", "an ioeventfd writes outside the window", BOTH, ("reach_of_ioeventfd",)),
    Row("D15", "pages of 64 KiB", BOTH, ("function_works_with_large_pages",), "test_large_pages.py"),
    Row("D16", "an image of other hardware is taken", BOTH, ("other_hardware_is_refused",)),
    Row("D17", "V4: doorbells ring at the neighbour's", NEW, ("neighbour_is_left_alone",)),
    Row("D18", "V4: registers that went give an image", NEW, ("window_that_went_is_noticed",)),
    Row("D19", "what a reset of all took is saved", BOTH, ("lost_in_reset_of_all",)),
    Row("D20", "debugfs talks to the guest's mailbox", NEW, ("debugfs_leaves_the_mailbox_alone",)),
    Row("D21", "a guest reads another's answer", BOTH, ("guest_gets_its_own_answer",)),
    Row("D22", "the guest's mask is lost", BOTH, ("guests_mask_stays",)),
    Row("D23", "version 1 in two pieces is not loaded", BOTH, ("version_1_in_two",)),
    Row("D24", "a refused image leaves traces", BOTH, ("nothing_is_written",)),
    Row("T1", "tenants lock the physical function's driver out", NONE,
        ("physical_functions_driver_gets_its_turn",), "test_fairness.py"),
    Row("T2", "a function is reset in a reset of all that takes long", OLD,
        ("resets_wait_for_a_long_reset_of_all",), "test_patience.py"),
    Row("T3", "a stop is refused for what lies outside", BOTH, ("stopped_whatever_is_outside",),
        "test_outside_trouble.py"),
    Row("T4", "a guest that does not announce itself is moved as nothing", BOTH, ("silent_guest_is_saved",),
        "test_silent_guest.py"),
    Row("T5", "V4: a guest gets the registers of migration after a reset of all", NONE,
        ("lost_windows_leave_the_guest_its_half",)),
    Row("T6", "a function is opened in a reset of all, or not at all", OLD, ("open_waits_for_a_reset_of_all",)),
    Row("T7", "registers of a function in D3hot are touched", BOTH, ("asleep_is_left_alone",), "test_driver_faults.py"),
    Row("T8", "what the kernel's driver writes is refused", NONE, ("image_of_linux_is_taken",)),
    Row("T9", "the queue table is used beside its owner", BOTH, ("function_table_is_left_alone",)),
    Row("T10", "debugfs shows another image than its documentation says", NONE, (), "test_driver_life.py"),
    Row("T11", "bandwidth limits cannot be read beside migrations", NONE, ("limits_are_told_beside_migrations",)),
    Row("T12", "a guest loses a message of the physical function", BOTH, ("guest_gets_the_message_it_asked_for",)),
    Row("T13", "nobody's image leaves a guest's queues at work", BOTH, ("nobodys_state_empties_a_function",)),
    Row("T14", "registers that are off give an image", BOTH, ("dead_registers_are_no_state",)),
    Row("T15", "the core of VFIO looks for a way for ever", BOTH, ("blocked_arc_is_refused",)),
    Row("T16", "registers are used that no BAR may have", NONE, (), "test_kunit.py"),
    Row("T17", "a save interrupts, as it is meant to", NONE, (), "test_access_budget.py"),
    Row("T18", "states and resets are refused beside the host's resets", BOTH,
        ("states_are_reached_beside_the_hosts_resets", "users_resets_beside_the_hosts"), "test_host_resets.py"),
)

#: those that lose something for good where they fail come last
SCENARIOS: dict[str, tuple[str, Callable[..., None]]] = {
    function.__name__: (where, function) for where, functions in (
        (SHARED, (
            # first: a save that fails, as it does in others, may hold the module, too
            scenarios.module_goes_after_a_refusal,
            scenarios.stop_ends_with_write_back, scenarios.owed_interrupt_comes,
            scenarios.errors_say_what_happened, scenarios.slow_mailbox_is_waited_for,
            scenarios.failed_stop_runs_again, scenarios.cancelled_save_rings_the_queues,
            scenarios.passing_error_is_waited_for, scenarios.debugfs_leaves_the_mailbox_alone,
            scenarios.guest_gets_its_own_answer, scenarios.guests_mask_stays,
            scenarios.memory_of_data_files, scenarios.debugfs_is_left_empty,
            scenarios.queue_table_has_one_user,
            tenants.stopped_whatever_is_outside, tenants.silent_guest_is_saved, tenants.asleep_is_left_alone,
            tenants.image_of_linux_is_taken, tenants.function_table_is_left_alone,
            tenants.guest_gets_the_message_it_asked_for, tenants.nobodys_state_empties_a_function,
            tenants.dead_registers_are_no_state, tenants.states_are_reached_beside_the_hosts_resets,
            tenants.users_resets_beside_the_hosts,
            scenarios.reset_waits_for_the_physical_function, scenarios.no_queues_is_an_error,
            scenarios.file_outlives_the_binding, scenarios.reset_does_not_wait_for_ever,
            scenarios.failed_save_leaves_nothing)),
        (V4, (scenarios.both_register_layouts_work, scenarios.neighbour_is_left_alone,
              scenarios.window_that_went_is_noticed, tenants.lost_windows_leave_the_guest_its_half)),
        (MANY, (tenants.limits_are_told_beside_migrations, tenants.physical_functions_driver_gets_its_turn,
                tenants.open_waits_for_a_reset_of_all, tenants.resets_wait_for_a_long_reset_of_all)),
        (ALONE, (scenarios.physical_function_elsewhere, scenarios.older_hardware,
                 scenarios.no_virtual_function, tenants.blocked_arc_is_refused)),
        (PAIR, (scenarios.other_hardware_is_refused,)),
        (ELSEWHERE, (scenarios.function_works_with_large_pages, scenarios.reader_does_not_race_with_a_stop)),
    ) for function in functions}

#: one that waits for minutes: `vlab defects` and --long run it
SLOW = "reset_does_not_wait_for_ever"

#: scenarios whose defect only another kernel shows, and which
WATCHED = {"file_outlives_the_binding": flavoured("debug"), "function_works_with_large_pages": flavoured("64k"),
           "reader_does_not_race_with_a_stop": flavoured("kcsan")}

#: tests of the kselftest that are run only by name, and what they have drivers say
KSELFTEST_ALONE = {"lost_in_reset_of_all": "hisi_sec2 "}


def verdict(row: Row, results: Mapping[str, str]) -> str:
    """What one driver's tests say of a row: passes, - (nothing to say), or how the
    first of them failed."""
    said = [results.get(name, SKIPPED) for name in row.tests]
    failed = [one for one in said if one not in (PASSED, SKIPPED)]
    return failed[0] if failed else PASSED if PASSED in said else SKIPPED


def contradicts(row: Row, version: str, results: Mapping[str, str]) -> bool:
    """Does the lab say otherwise than reading did, of the kernel's own driver?"""
    found = verdict(row, results)
    return found != SKIPPED and (found != PASSED) != (versions.SERIES[version].driver in row.said)


def table(columns: Mapping[str, Mapping[str, str]], rows: Iterable[Row] = ROWS) -> str:
    """Markdown: row, tests, and a column for each driver."""
    lines = ["| row | defect | tests | " + " | ".join(columns) + " |", "|---" * (3 + len(columns)) + "|"]
    for row in rows:
        found = []
        for name, results in columns.items():
            version = name.partition(" ")[2]
            mark = " (!)" if name.startswith("mainline") and contradicts(row, version, results) else ""
            found.append(verdict(row, results) + mark)
        tests = ", ".join(filter(None, (*row.tests, row.elsewhere)))
        lines.append(f"| {row.name} | {row.what} | {tests} | {' | '.join(found)} |")
    return "\n".join([*lines, "", "(!): otherwise than reading the source had it.", ""])
