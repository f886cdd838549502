# SPDX-License-Identifier: GPL-2.0
"""Documents, comments and messages of the driver, the selftests, the device model and the lab must use
the terms of VFIO, QEMU and the kernel, one for each thing."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

from lab.core import paths

#: words that documents do not use, and those that they use instead
TERMS = {
    r"announc\w+": "report",
    r"blackouts?": "downtime",
    r"by group|group and container|legacy": "container backend",
    r"claim(s|ed|ing)?": "block resets",
    r"complaints?|mistakes?": "unexpected message, guest error",
    r"data files?": "migration file",
    r"doors?": "port forward, README, Makefile",
    r"facts": "match data",
    r"images?": "migration data",
    r"mainline('s)?|(Linux'|the kernel's) own driver": "in-tree driver",
    r"ours": "this driver",
    r"passed-through": "assigned",
    r"patience": "timeout scaling",
    r"questions?": "pending mailbox read",
    r"quiesc\w+|settle[sd]?": "stop, wait until idle",
    r"rooms?|house": "source file",
    r"spoil(s|t|ed)?": "fail the session",
    r"told": "logged, reported, written",
    r"travel\w*": "is migrated",
    r"would catch": "what the test verifies",
    r"windows?": "migration registers, guest part of BAR2",
}
#: where a word has its plain meaning, or is a name in a source: file, word, reason
ALLOWED = {
    ("Documentation/driver-api/hisi-acc-vfio-pci/index.rst", "questions", "those of the kernel's acceptance criteria"),
    ("tools/testing/vfio_lab/lab/build/firmware.py", "image", "the firmware's"),
    ("tools/testing/vfio_lab/lab/build/firmware.py", "images", "the firmware's"),
    ("tools/testing/vfio_lab/lab/core/apt_sources.py", "images", "Debian's"),
    ("tools/testing/vfio_lab/lab/scenario/session.py", "images", "of hosts' disks"),
    ("tools/testing/vfio_lab/modules/accel_load/compress.c", "window", "of a compressor"),
    ("tools/testing/vfio_lab/qemu/README.md", "window", "of a compressor"),
    ("tools/testing/vfio_lab/qemu/hisi_zip.c", "window", "of a compressor"),
    ("tools/testing/vfio_lab/tests/lab/test_apt_sources.py", "images", "Debian's"),
}
#: made from the docstrings of tests, and changed with these
GENERATED = ("lab-tests.rst", "tests.rst")
PLACES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "debian/*", "Documentation/**/*.rst", "Documentation/ABI/*/*",
          "drivers/vfio/pci/hisilicon/**/*.[ch]", "dkms/**/*.[ch]", "tools/testing/selftests/vfio/**/*.[ch]",
          *(f"tools/testing/vfio_lab/{place}" for place in (
              "tests/**/*.py", "lab/**/*.py", "benchmarks/*.py", "benchmarks/*.md", "programs/**/*.[ch]",
              "modules/**/*.[ch]", "qemu/*.[ch]", "qemu/README.md")))
DOCUMENTS = [place for pattern in PLACES for place in sorted(paths.ROOT.glob(pattern))
             if place.is_file() and place.name not in GENERATED]
WORDS = re.compile(r"(?<![\w/.@-])(?:" + "|".join(f"(?:{term})" for term in TERMS) + r")(?![\w/-]|\.\w)", re.I)


def of_python(text: str) -> str:
    """Names of tests, docstrings, messages of assertions and comments of a Python source. Lines stay."""
    lines, found = text.splitlines(), [""] * (text.count("\n") + 1)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            found[node.lineno - 1] += node.name.replace("_", " ")
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node):
            for number in range(node.body[0].lineno - 1, node.body[0].end_lineno):
                found[number] = lines[number]
        elif isinstance(node, ast.Assert) and node.msg:
            for part in getattr(node.msg, "values", [node.msg]):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    found[part.lineno - 1] += f" {part.value}"
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            found[token.start[0] - 1] += token.string
    return "\n".join(found)


def prose(place: Path) -> str:
    """What a document says in its own words: without code, names, and links' targets. Lines stay."""
    text = place.read_text(encoding="utf-8")

    def blank(found: re.Match[str]) -> str:
        return "\n" * found[0].count("\n")

    if place.suffix in (".c", ".h"):
        # comments and what is logged
        pieces = re.split(r'(/\*.*?\*/|"(?:[^"\\\n]|\\.)*")', text, flags=re.S)
        return "".join(piece if number % 2 else "\n" * piece.count("\n") for number, piece in enumerate(pieces))
    if place.suffix == ".py":
        text = of_python(text)
    if place.suffix == ".md":
        text = re.sub(r"^```\n.*?^```$", blank, text, flags=re.M | re.S)
        text = re.sub(r"\]\([^)]*\)", "]", text)
    if place.suffix == ".rst":
        # the indented lines below
        text = re.sub(r"^(( *)(?:\.\. code-block::.*|(?!\.\. ).*::))((?:\n|\n\2 +.*)+)$",
                      lambda found: found[1] + "\n" * found[3].count("\n"), text, flags=re.M)
    return re.sub(r"(`+)(?:(?!\1).)+\1", blank, text, flags=re.S)


def used(place: Path) -> list[tuple[int, str]]:
    """The words that a document should not use: line and word."""
    return [(number, found[0].lower()) for number, line in enumerate(prose(place).splitlines(), 1)
            for found in WORDS.finditer(line)]


@pytest.mark.parametrize("place", DOCUMENTS, ids=lambda place: str(place.relative_to(paths.ROOT)))
def test_documents_use_standard_terms(place):
    """A word of TERMS must not come back; ALLOWED has the exceptions."""
    name = str(place.relative_to(paths.ROOT))
    allowed = {word for file, word, _ in ALLOWED if file == name}
    found = used(place)
    assert [f"{name}:{number}: {word}" for number, word in found if word not in allowed] == []
    assert allowed <= {word for _, word in found}, "allowed, and no longer there"


def test_code_names_and_links_are_no_prose(tmp_path):
    """A word must be found in a sentence, and must not be found in code beside it."""
    page = tmp_path / "page.rst"
    page.write_text("The blackout of ``legacy`` is::\n\n  quiesce\n\n.. code-block:: sh\n   :name: ours\n\n   patience\n\nThe image.\n")
    assert used(page) == [(1, "blackout"), (10, "image")]
    page = tmp_path / "page.c"
    page.write_text('/* The blackout\n * of @window */\nint image; /* of ours */\ndev_warn(dev, "quiesced\\n");\n')
    assert used(page) == [(1, "blackout"), (3, "ours"), (4, "quiesced")]
    page = tmp_path / "page.md"
    page.write_text("The blackout of [it](legacy.md), `told`:\n```\nquiesce\n```\nThe image.\n")
    assert used(page) == [(1, "blackout"), (5, "image")]
    page = tmp_path / "page.py"
    page.write_text('"""The blackout\nof `ours`."""\nimage = "legacy"  # of ours\n\n\ndef facts():\n    """Told."""\n'
                    '    assert image["told"], f"{image} of a room"\n    assert ours, ours["told"]\n\n\n'
                    'def test_of_the_house():\n    pass\n')
    assert used(page) == [(1, "blackout"), (3, "ours"), (7, "told"), (8, "room"), (12, "house")]
