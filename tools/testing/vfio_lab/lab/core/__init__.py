# SPDX-License-Identifier: GPL-2.0
"""Base of the lab: paths, processes, progress display, cache, Debian packages.

Imports go in one direction: core <- build <- scenario <- probe, release <- cli."""
