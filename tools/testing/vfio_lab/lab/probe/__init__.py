# SPDX-License-Identifier: GPL-2.0
"""Closer inspection of a driver: memory, locks, register accesses, coverage, fuzzing."""
