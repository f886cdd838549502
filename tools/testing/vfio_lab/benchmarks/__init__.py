# SPDX-License-Identifier: GPL-2.0
"""Benchmarks: our driver beside the kernel's own, on one host, in one boot.

Only ratios within a run mean something: an emulated host is slow in its own way.
"""
