# SPDX-License-Identifier: GPL-2.0
"""What looks closer at a driver on a host: memory, locks, accesses, coverage, fuzzing."""
