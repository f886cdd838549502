# SPDX-License-Identifier: GPL-2.0
"""Benchmarks: this driver and the in-tree driver, on one host, in one boot.

Only ratios within a run are significant: emulation distorts absolute times.
"""
