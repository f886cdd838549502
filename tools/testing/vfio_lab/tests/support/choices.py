# SPDX-License-Identifier: GPL-2.0
"""Choices of the device model: behaviour that no public source specifies, see qemu/README.md."""

from __future__ import annotations

from lab.scenario.host import Host

#: for each choice its default and another value
CHOICES = {"kick-scope": ("queue", "function"), "unpause": ("doorbell", "kick"),
           "pause-inflight": ("finish", "hold"), "context-fetch": ("kick", "doorbell"),
           "bus-master-off": ("fail", "reset"), "d3-access": ("all-ones", "abort"), "mig-regs-reset": ("keep", "lost"),
           "mailbox-narrow-read": ("own", "foreign"), "bus-reopen": ("clear", "toggle"),
           "message-mask-reset": ("set", "keep"), "ras": ("on", "off"), "ras-overflow": ("off", "on"),
           "context-cache": (0, 1)}
DEFAULTS: dict[str, str | int] = {name: default for name, (default, _) in CHOICES.items()}
OTHERWISE: dict[str, str | int] = {name: other for name, (_, other) in CHOICES.items()}


def settings(each: bool) -> list[dict[str, str | int]]:
    """What to set in turn, beginning with the defaults: everything to the other value, and, if
    wanted, each choice alone."""
    alone = [{**DEFAULTS, name: value} for name, value in OTHERWISE.items()]
    return [OTHERWISE, *(alone if each else [])]


def choose(host: Host, engine: str, setting: dict[str, str | int]) -> None:
    """Set the choices of one accelerator."""
    for name, value in setting.items():
        host.set_model(engine, name, value)
