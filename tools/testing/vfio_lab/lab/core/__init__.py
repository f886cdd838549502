# SPDX-License-Identifier: GPL-2.0
"""What all of the lab rests on: paths, processes, the display, the cache, Debian's packages.

Imports go one way: core <- build <- scenario <- probe, release <- cli."""
