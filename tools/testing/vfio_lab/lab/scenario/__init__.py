# SPDX-License-Identifier: GPL-2.0
"""Running hosts and guests: devices, load, migrations and their results."""
