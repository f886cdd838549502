# SPDX-License-Identifier: GPL-2.0
"""Builds of kernels, QEMU, the driver, root file systems, test programs."""
