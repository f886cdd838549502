# SPDX-License-Identifier: GPL-2.0
"""Errors for the user."""

from __future__ import annotations

from pathlib import Path


class LabError(Exception):
    """An error with a message of one sentence.

    ``log`` is the log file with details, if there is one.
    """

    def __init__(self, sentence: str, log: Path | None = None) -> None:
        super().__init__(sentence)
        self.log = log


class UsageError(LabError):
    """An argument of the command is wrong; its message follows the command's usage."""


class Refusal(LabError):
    """QEMU did not start or migrate a guest; ``words`` is its error message."""

    def __init__(self, sentence: str, words: str, log: Path | None = None) -> None:
        super().__init__(sentence, log)
        self.words = words
