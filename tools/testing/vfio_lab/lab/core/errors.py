# SPDX-License-Identifier: GPL-2.0
"""What the lab says when it cannot go on."""

from __future__ import annotations

from pathlib import Path


class LabError(Exception):
    """One clear sentence for the person at the terminal.

    ``log`` is the file that tells the whole story, if there is one.
    """

    def __init__(self, sentence: str, log: Path | None = None) -> None:
        super().__init__(sentence)
        self.log = log


class Refusal(LabError):
    """QEMU did not start or migrate a guest, and said why: ``words``."""

    def __init__(self, sentence: str, words: str, log: Path | None = None) -> None:
        super().__init__(sentence, log)
        self.words = words
