# SPDX-License-Identifier: GPL-2.0
"""The admin guide's commands, XML and messages, taken from its text."""

from __future__ import annotations

import re
import textwrap

from . import paths

GUIDE = paths.ROOT / "Documentation/admin-guide/hisi-acc-vfio-pci"
#: pages whose blocks are taken page by page
APART = ("check", "fleet", "hardware", "libvirt", "options", "packages", "probe", "security")


def blocks(language: str, page: str = "") -> dict[str, str]:
    """The named blocks of a language: of one of the separate pages, or of all others. "sh" runs on
    hosts, "shell" on a build machine."""
    shape = re.compile(rf"^\.\. code-block:: {language}\n   :name: (\S+)\n\n((?:   .*\n|\n)+)", re.M)
    return {m[1]: textwrap.dedent(m[2]).strip() for file in sorted(GUIDE.glob("*.rst"))
            if (file.stem == page if page else file.stem not in APART) for m in shape.finditer(file.read_text(encoding="utf-8"))}


def messages(page: str = "messages") -> list[str]:
    """The messages of the guide's checklist, or of another page."""
    table = (GUIDE / f"{page}.rst").read_text(encoding="utf-8").split("Other reasons")[0]
    return re.findall(r"^   \* - ``(.+)``$", table, re.M)
