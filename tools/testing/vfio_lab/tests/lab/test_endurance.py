# SPDX-License-Identifier: GPL-2.0
"""What the long run looks at in a host."""

from benchmarks import endurance
from lab.scenario.session import Choice

KEPT = "grep -c unpurged /proc/vmallocinfo || true"
#: processes at once; the kernel keeps two stacks for each processor, all others it frees
PROCESSES = 80


def test_what_is_only_kept_for_later_does_not_count(boot):
    """Would catch: a slope of memory that nobody uses."""
    host = boot(Choice())
    host.ssh.run(f"for i in $(seq {PROCESSES}); do sleep 2 & done; wait; "
                 f"until [ $({KEPT}) -ge {PROCESSES // 2} ]; do sleep .1; done")
    host.ssh.run(endurance.LOOK)
    assert int(host.ssh.out(KEPT)) < PROCESSES // 4
