# SPDX-License-Identifier: GPL-2.0
"""Hosts and guests that run: devices, load, migrations and what is to be seen of them."""
