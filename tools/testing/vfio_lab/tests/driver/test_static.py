# SPDX-License-Identifier: GPL-2.0
"""Static checks by the kernel's tools: W=1 builds, sparse, checkpatch, kernel-doc."""

import pathlib
import re
import shutil
import subprocess

import pytest

from lab.core import machine, paths, versions
from lab.build import overlay
from lab.build.kernel import sources

#: Debian's sparse does not know a keyword of Linux 7.2
SPARSE = ("C=2", "CF=-D__CHECK_ENDIAN__ -D__typeof_unqual__=__typeof__")
#: nor that these macros are constant
SPARSE_CANNOT = "error: bad constant expression"
#: C in the kernel's style
KERNEL_CODE = ("dkms", "drivers/vfio", "tools/hisi-acc-check", "tools/testing/selftests/vfio")


#: checks that do not apply: tracepoint macros differ from others, and user-space programs have
#: neither the kernel's macros nor its accessors, but some C keywords of mixed case
EXCEPT = {
    "trace.h": {"COMPLEX_MACRO", "PARENTHESIS_ALIGNMENT", "OPEN_ENDED_LINE"},
    "tools/": {"BIT_MACRO", "COMPLEX_MACRO", "VOLATILE", "EMBEDDED_FUNCTION_NAME"},
    "tools/hisi-acc-check/check.h": {"PREFER_DEFINED_ATTRIBUTE_MACRO"},
    "tools/testing/selftests/vfio/vfio_iommu_dirty": {"PREFER_DEFINED_ATTRIBUTE_MACRO", "ARRAY_SIZE", "CAMELCASE"},
}


def warnings_in_our_files(text: str) -> list[str]:
    """A build's messages about this project's files."""
    lines = [line for line in text.splitlines() if str(overlay.FOLDER) in line]
    module_macros = {f"{file.name}:{n}:1: {SPARSE_CANNOT}" for file in [*paths.DRIVER.rglob("*.c"), *paths.DKMS.rglob("*.c")]
                     for n, line in
                     enumerate(file.read_text().splitlines(), 1) if line.startswith("MODULE_")}
    return [line for line in lines if line.rpartition("/")[2] not in module_macros]


@pytest.fixture(scope="module")
def tree(context):
    """A kernel tree with this project's files added."""
    machine.prepare(context, machine.STATIC)
    with overlay.overlay(context) as laid:
        yield laid


@pytest.mark.parametrize("name", [name if name == "arm64-module" else pytest.param(name, marks=pytest.mark.slow("another build"))
                                  for name in overlay.TARGETS])
def test_it_builds_in_tree_without_warnings(context, tree, name):
    """The driver must build with W=1 without warnings, on both compilers and other architectures,
    built in and with endianness checks."""
    text = overlay.build(tree, overlay.TARGETS[name], context, "W=1", *(SPARSE if name == "arm64-module" else ()))
    assert warnings_in_our_files(text) == []
    built = tree.parent / "build" / name / overlay.FOLDER
    assert all((built / file).is_file() for file in ("main.o", "debugfs.o", "tests/hisi_acc_kunit.o"))


def test_without_the_mailboxs_store_no_migration_is_offered(context, tree):
    """Where a machine has no 16-byte store, migration must not be offered: each mailbox command
    would go out in two halves."""
    overlay.build(tree, overlay.TARGETS["amd64"], context, goal="qm_open.o")
    built = tree.parent / "build/amd64" / overlay.FOLDER / "qm_open.o"
    code = subprocess.run(["objdump", "-d", "--no-show-raw-insn", "--disassemble=hisi_acc_qm_can_migrate", built],
                          capture_output=True, text=True, check=True).stdout
    steps = re.findall(r"^\s+[0-9a-f]+:\s+(\w+)\s*(\S*)", code, re.M)
    assert [(what, on) for what, on in steps if what not in ("endbr64", "ret", "jmp", "nop", "nopl", "nopw", "int3")
            ] == [("xor", "%eax,%eax")], code


def test_sparse_checks_endianness(context, tree):
    """sparse must report a wrong endianness."""
    file = tree / overlay.FOLDER / "pci.c"
    text = file.read_text()
    file.write_text(text + "u32 wrong(__le32 x);\nu32 wrong(__le32 x)\n{\n\treturn x;\n}\n")
    try:
        said = warnings_in_our_files(overlay.build(tree, overlay.TARGETS["arm64-module"], context, *SPARSE, goal="pci.o"))
    finally:
        file.write_text(text)
    assert any("restricted __le32" in line for line in said)


def kernel_files() -> list[pathlib.Path]:
    """Files that the kernel's style applies to."""
    return sorted(file for folder in KERNEL_CODE for suffix in ("*.c", "*.h", "Kconfig", "Makefile")
                  for file in (paths.ROOT / folder).rglob(suffix))


def test_checkpatch_reports_nothing(context, tmp_path):
    """checkpatch.pl must report nothing."""
    script = sources(versions.DEFAULT, context) / "scripts/checkpatch.pl"
    # It writes a cache file, of mixed-case names in the headers of root, where it is run, and cannot
    # have a space in a path
    (tmp_path / "root").symlink_to(paths.ROOT)
    done = subprocess.run([script, "--root=root", "--strict", "--no-tree", "--no-summary", "--terse", "--show-types", "-f",
                           *(f"root/{file.relative_to(paths.ROOT)}" for file in kernel_files())],
                          cwd=tmp_path, capture_output=True, text=True, check=False)
    said = done.stdout.replace("root/", "").splitlines()
    lines = [re.match(r"(?P<file>[^:]+):\d+: [A-Z]+:(?P<type>\w+): ", line) for line in said]
    assert all(lines) and done.stderr == "", done.stdout + done.stderr
    assert [line.string for line in lines if not any(
        where in line["file"] and line["type"] in types for where, types in EXCEPT.items())] == []


def test_kernel_doc_reports_nothing(context):
    """kernel-doc must report nothing: each comment lists all arguments."""
    script = sources(versions.DEFAULT, context) / "scripts/kernel-doc"
    files = [file for file in kernel_files() if file.suffix in (".c", ".h")]
    done = subprocess.run([shutil.which("python3") or "python3", script, "-none", "-Wall", *files], cwd=paths.ROOT,
                          capture_output=True, text=True, check=False)
    assert done.stdout + done.stderr == "" and done.returncode == 0
