# SPDX-License-Identifier: GPL-2.0
"""Measurements of the long run in a host."""

from benchmarks import endurance
from lab.scenario.config import HostConfig

KEPT = "grep -c unpurged /proc/vmallocinfo || true"
#: concurrent processes; for each processor the kernel caches two stacks and frees the others
PROCESSES = 80


def test_what_is_only_kept_for_later_does_not_count(boot):
    """Cached memory must not count as a leak."""
    host = boot(HostConfig())
    host.ssh.run(f"for i in $(seq {PROCESSES}); do sleep 2 & done; wait; "
                 f"until [ $({KEPT}) -ge {PROCESSES // 2} ]; do sleep .1; done")
    host.ssh.run(endurance.READ_STATE)
    assert int(host.ssh.out(KEPT)) < PROCESSES // 4
