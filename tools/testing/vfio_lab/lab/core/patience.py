# SPDX-License-Identifier: GPL-2.0
"""How long to wait for what may never come.

The lab's waits are written down as for a machine that has its processors to itself.
One that shares them, as most that run tests for others, may for minutes get a third
of that.  No wait tells how quick a thing has to be, only when it counts as hanging,
so that a longer one costs nothing where all goes well.
"""

#: how many times slower than that a machine may be
MACHINE = 4.0
