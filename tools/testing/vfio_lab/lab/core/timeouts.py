# SPDX-License-Identifier: GPL-2.0
"""Timeout scaling.

The lab's timeouts are chosen for an otherwise idle machine.  On a shared machine, as CI
often is, the lab may get only a third of the CPU time for minutes.  Timeouts only detect
hangs and do not test speed, so that longer ones cost nothing if nothing hangs.
"""

#: how many times slower a machine may be
MACHINE = 4.0
