# SPDX-License-Identifier: GPL-2.0
"""Documents, comments, messages and names of the driver, the selftests, the device model and the lab must
use the terms of VFIO, QEMU and the kernel, one for each thing."""

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
    r"ben(t|ds?|ding)": "mutated, a mutant, changed",
    r"blackouts?": "downtime",
    r"by group|group and container|legacy": "container backend",
    r"claim(s|ed|ing)?": "block resets",
    r"complaints?|mistakes?": "unexpected message, guest error",
    r"data (are|were|have)": "data is, was, has",
    r"data files?": "migration file",
    r"doors?": "port forward, README, Makefile",
    r"facts": "match data",
    r"folders?": "directory",
    r"images?": "migration data",
    r"mainline('s)?|(Linux'|the kernel's) own driver": "in-tree driver",
    r"ours?": "this driver, this project's",
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
    r"(no|some|any|every)body": "no user, another process",
}
#: where PFs and VFs are driven or modelled also
OF_DEVICE = {r"(?<!physical )(?<!virtual )functions?(?! table)": "VF, PF"}
#: in the driver and its mutants also
OF_DRIVER = {
    r"asked|asks?|tells?": "request, read, report, log",
    r"movable": "can be migrated",
    r"sleepers?": "poll(), D3",
    r"spells?": "a time for which resets are blocked",
}
#: where a word has its plain meaning, or is a name in a source: file, word, reason
ALLOWED = {
    ("CHANGELOG.md", "image", "the kernel's file"),
    ("Documentation/dev-tools/vfio-lab/kernels.rst", "image", "the kernel's file"),
    ("Documentation/driver-api/hisi-acc-vfio-pci/index.rst", "questions", "those of the kernel's acceptance criteria"),
    ("tools/testing/vfio_lab/lab/build/firmware.py", "image", "the firmware's"),
    ("tools/testing/vfio_lab/lab/build/firmware.py", "images", "the firmware's"),
    ("drivers/vfio/pci/hisilicon/pci.c", "function", "in a name of the PCI core"),
    ("tools/testing/vfio_lab/lab/build/own_kernel.py", "image", "the kernel's file"),
    ("tools/testing/vfio_lab/lab/cli/hosts.py", "image", "the kernel's file"),
    ("tools/testing/vfio_lab/lab/core/apt_sources.py", "images", "Debian's"),
    ("tools/testing/vfio_lab/lab/scenario/session.py", "images", "of hosts' disks"),
    ("tools/testing/vfio_lab/modules/accel_load/compress.c", "window", "of a compressor"),
    ("tools/testing/vfio_lab/qemu/README.md", "window", "of a compressor"),
    ("tools/testing/vfio_lab/qemu/hisi_acc_props.c", "function", "a value of kick-scope"),
    ("tools/testing/vfio_lab/qemu/hisi_zip.c", "window", "of a compressor"),
    ("tools/testing/vfio_lab/tests/lab/test_apt_sources.py", "images", "Debian's"),
    ("tools/testing/vfio_lab/tests/kernels/test_own_kernel.py", "image", "the kernel's file"),
    ("tools/testing/vfio_lab/tests/lab/test_splats.py", "function", "of the kernel"),
    ("tools/testing/vfio_lab/tests/model/test_model_source.py", "function", "of C"),
    ("tools/testing/vfio_lab/tests/model/test_model_source.py", "functions", "of C"),
}
#: made from the docstrings of tests, and changed with these
GENERATED = ("lab-tests.rst", "tests.rst")
DRIVER = ("drivers/vfio/", "dkms/", "tools/testing/vfio_lab/tests/mutants/")
DEVICE = (*DRIVER, *(f"tools/testing/vfio_lab/{folder}/" for folder in ("modules", "programs", "qemu", "tests")))
PLACES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "debian/*", "Documentation/**/*.rst", "Documentation/ABI/*/*",
          "Makefile", "Kconfig", "kernel/configs/*", "include/uapi/linux/*.h",
          *(f"drivers/vfio/pci/hisilicon/**/{name}" for name in ("*.[ch]", "Kconfig", "Makefile")),
          "dkms/**/*.[ch]", "dkms/*.sh", "dkms/Kbuild", "drivers/crypto/hisilicon/*.patch",
          *(f"tools/hisi-acc-check/{name}" for name in ("*.[ch]", "*.8", "Makefile")),
          *(f"tools/testing/selftests/vfio/{name}" for name in ("**/*.[ch]", "*.mk", "*.patch", "config", "settings")),
          *(f"tools/testing/vfio_lab/{place}" for place in (
              "tests/**/*.py", "tests/mutants/**/*.patch", "lab/**/*.py", "benchmarks/*.py", "benchmarks/*.md",
              "tests/expected/*", "programs/**/*.[ch]", "programs/*.sh", "programs/**/init", "modules/**/*.[ch]", "qemu/*.[ch]",
              "qemu/*.patch", "qemu/trace-events", "qemu/README.md", "configs/*", "series/*", "upstream/*")))
DOCUMENTS = [place for pattern in PLACES for place in sorted(paths.ROOT.glob(pattern))
             if place.is_file() and place.name not in GENERATED]
#: a line's end, and what the next line of a comment begins with
BREAK = r"(?:\s|\n[ \t]*(?:\*|#|//)?)+"
NAMES = re.compile(r"^(?:\s*KUNIT_CASE(?:_PARAM)?\(|TEST(?:_F|_F_TIMEOUT)?\((?:\w+, )?)(\w+)", re.M)


def words(terms: dict[str, str]) -> re.Pattern[str]:
    """A pattern that finds each term, also if it is broken over lines."""
    term = "|".join(f"(?:{term})" for term in terms).replace(r"(?<!physical )(?<!virtual )", "\0")
    term = term.replace(" ", BREAK).replace("-", r"-\s*").replace("\0", r"(?<!physical )(?<!virtual )")
    return re.compile(rf"(?<![\w/.@-])(?:{term})(?![\w/-]|\.\w)", re.I)


WORDS, OF_DEVICES = words(TERMS), words({**TERMS, **OF_DEVICE})
OF_DRIVERS = words({**TERMS, **OF_DEVICE, **OF_DRIVER})


def of_python(text: str, messages: bool = False) -> str:
    """Names of tests, docstrings, messages of assertions and comments of a Python source, and its other
    strings that are sentences. Lines stay."""
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
        elif messages and isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value \
                and re.search(r"[A-Za-z]{2} [a-z]+ [a-z]", node.value) and not re.search(r"[\\;|$]", node.value):
            found[node.lineno - 1] += f" {node.value}"
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            found[token.start[0] - 1] += token.string
    return "\n".join(found)


def of_c(text: str, identifiers: bool) -> str:
    """Comments, strings and names of tests of a C source, and all its identifiers as words. Lines stay."""
    pieces = re.split(r'(/\*.*?\*/|"(?:[^"\\\n]|\\.)*")', text, flags=re.S)
    for number in range(0, len(pieces), 2):
        kept = re.sub(r"\w+", lambda name: name[0].replace("_", " "), pieces[number]) if identifiers else \
            "".join(line + "\n" for line in (
                " ".join(name.replace("_", " ") for name in NAMES.findall(line))
                for line in pieces[number].split("\n")))[:-1]
        pieces[number] = kept
    return "".join(pieces)


def prose(place: Path) -> str:
    """What a document says in its own words: without code, names, and links' targets. Lines stay."""
    text = place.read_text(encoding="utf-8")

    def blank(found: re.Match[str]) -> str:
        return "\n" * found[0].count("\n")

    if place.suffix in (".c", ".h"):
        return of_c(text, place.is_relative_to(paths.ROOT) and str(place.relative_to(paths.ROOT)).startswith(DRIVER))
    if place.suffix == ".py":
        text = of_python(text, place.is_relative_to(paths.LAB / "lab"))
    if place.suffix == ".patch":
        # its name, and its message
        text = f"{place.stem.replace('-', ' ')}: " + re.split(r"^(?:---|diff) ", text, maxsplit=1, flags=re.M)[0]
    if place.suffix == ".md":
        text = re.sub(r"^```\n.*?^```$", blank, text, flags=re.M | re.S)
        text = re.sub(r"\]\([^)]*\)", "]", text)
    if place.suffix == ".rst":
        # the indented lines below
        text = re.sub(r"^(( *)(?:\.\. code-block::.*|(?!\.\. ).*::))((?:\n|\n\2 +.*)+)$",
                      lambda found: found[1] + "\n" * found[3].count("\n"), text, flags=re.M)
    return re.sub(r"(`+)(?:(?!\1).)+\1", blank, text, flags=re.S)


def used(place: Path, pattern: re.Pattern[str] = WORDS) -> list[tuple[int, str]]:
    """The words that a document should not use: line and word."""
    text = prose(place)
    return [(text.count("\n", 0, found.start()) + 1, re.sub(r"[\s*#/]+", " ", found[0]).lower())
            for found in pattern.finditer(text)]


@pytest.mark.parametrize("place", DOCUMENTS, ids=lambda place: str(place.relative_to(paths.ROOT)))
def test_documents_use_standard_terms(place):
    """A word of TERMS must not come back; ALLOWED has the exceptions."""
    name = str(place.relative_to(paths.ROOT))
    allowed = {word for file, word, _ in ALLOWED if file == name}
    found = used(place, OF_DRIVERS if name.startswith(DRIVER) else OF_DEVICES if name.startswith(DEVICE) else WORDS)
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
    page.write_text('/* A data\n * file */\nTEST_F(one, the_blackout)\n\tKUNIT_CASE(image_is),\nint claim;\n')
    assert used(page) == [(1, "data file"), (3, "blackout"), (4, "image")]
    assert "int the claim ;" in of_c("int the_claim;", True).replace(";", " ;")
    page.write_text('/* A virtual function, function-level, the function\n * table, a\n * function */\nint function;\n')
    assert used(page, OF_DEVICES) == [(3, "function")] and used(page) == []
    page = tmp_path / "no-image-here.patch"
    page.write_text("SPDX\n\nThe\nblackout.\n\n--- a/image\n+++ b/image\n+ours\n")
    assert used(page) == [(1, "image"), (4, "blackout")]
    page = tmp_path / "Makefile"
    page.write_text("a:\t## the data\n# file of $(IMAGE)\n")
    assert used(page) == [(1, "data file"), (2, "image")]
    page = tmp_path / "page.md"
    page.write_text("The blackout of [it](legacy.md), `told`:\n```\nquiesce\n```\nThe image.\n")
    assert used(page) == [(1, "blackout"), (5, "image")]
    page = tmp_path / "page.py"
    page.write_text('"""The blackout\nof `ours`."""\nimage = "legacy"  # of ours\n\n\ndef facts():\n    """Told."""\n'
                    '    assert image["told"], f"{image} of a room"\n    assert ours, ours["told"]\n\n\n'
                    'def test_of_the_house():\n    pass\n')
    assert used(page) == [(1, "blackout"), (3, "ours"), (7, "told"), (8, "room"), (12, "house")]
    assert of_python('help = "of the image"; name = "image"\n', messages=True) == " of the image\n"
