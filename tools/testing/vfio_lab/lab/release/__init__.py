# SPDX-License-Identifier: GPL-2.0
"""Documentation, Debian packages, patches for a kernel tree."""
