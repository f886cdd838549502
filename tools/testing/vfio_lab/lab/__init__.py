# SPDX-License-Identifier: GPL-2.0
"""The lab: fetches, builds, boots and migrates emulated arm64 servers."""
