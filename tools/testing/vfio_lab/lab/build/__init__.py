# SPDX-License-Identifier: GPL-2.0
"""What the lab builds: kernels, QEMU, the driver, root file systems, test programs."""
