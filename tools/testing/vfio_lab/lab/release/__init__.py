# SPDX-License-Identifier: GPL-2.0
"""What leaves the clone: documentation, Debian packages, patches for a kernel's tree."""
