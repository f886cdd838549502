# SPDX-License-Identifier: GPL-2.0
"""Benchmarks: this driver and the in-tree driver, on one host, in one boot.

Only ratios within a run are significant: emulation distorts absolute times.
"""

#: benchmarks on one host of each kernel
ON_ONE_HOST = ("registers", "latency", "scale", "memory")
#: all benchmarks: the others are on one host, and with guests that migrate between two
WHAT = (*ON_ONE_HOST, "fairness", "downtime", "endurance")
