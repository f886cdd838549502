# SPDX-License-Identifier: GPL-2.0
"""The header include/uapi/linux/vfio.h must match the kernel's own.


All constants and layouts of this header are compiled into a table, with this header and with the
kernel's. The compiler's output must be identical, so a wrong number, type or member is detected.
"""

import re
import subprocess

import pytest

from lab.core import paths, versions
from lab.build import kernel

HEADER = paths.ROOT / "include/uapi/linux/vfio.h"
COMPILERS = ("gcc", "aarch64-linux-gnu-gcc")
# In kernel sources, but not in exported headers
PLAIN = ("-D__user=", "-D__counted_by(m)=", "-I/usr/include")

#: What the oldest series lacks, and structures that have grown since
LATER = {"VFIO_DEVICE_BIND_FLAG_TOKEN", "VFIO_DEVICE_ATTACH_PASID", "VFIO_DEVICE_DETACH_PASID",
         "VFIO_PRECOPY_INFO_REINIT", "VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2"}
GROWN = {"vfio_device_bind_iommufd", "vfio_device_attach_iommufd_pt", "vfio_device_detach_iommufd_pt"}

#: In the kernel's header, left out of this one
LEFT_OUT = re.compile(
    r"VFIO_(EEH|SPAPR\w*|IOMMU_SPAPR|CCW|AP|GFX)_|VFIO_EEH$|VFIO_DEVICE_(GFX|FLAGS_(AMBA|CCW|AP|FSL_MC|CDX)$)|"
    r"VFIO_DEVICE_API_(PLATFORM|AMBA|CCW|AP)|VFIO_DEVICE_INFO_CAP_|VFIO_PCI_ATOMIC|VFIO_REGION_(SUB)?TYPE_|"
    r"VFIO_REGION_INFO_CAP_NVLINK2|VFIO_DEVICE_STATE_(V1_|MASK|VALID|IS_ERROR|SET_ERROR)|"
    r"VFIO_DEVICE_(QUERY_GFX|GET_GFX)|_NESTING_IOMMU$|VFIO_IOMMU_(EN|DIS)ABLE$|VFIO_IOMMU_DIRTY_PAGES|"
    r"VFIO_IOMMU_TYPE1_INFO_(CAP_MIGRATION|DMA_AVAIL)|VFIO_DEVICE_FEATURE_(DMA_BUF|ZPCI_ERROR)$")


def macros(header) -> set[str]:
    """Names that a header defines, except its include guard."""
    text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)
    return set(re.findall(r"^\s*#define\s+(\w+)\b(?!\s*$)", text, re.M))


def plain() -> str:
    """The declarations of this header alone."""
    text = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.S)
    return re.sub(r"^\s*#(.*\\\n)*.*\n", "", text, flags=re.M)


def members(body: str) -> list[tuple[str, bool]]:
    """Names of a structure's members, including those of its unions, and which are flexible arrays."""
    found = re.findall(r"^\s+(?:struct )?\w+\s+(\w+)(\[\])?;", body, re.M)
    assert len(found) == body.count(";") - body.count("};"), body
    return [(name, bool(array)) for name, array in found]


def structures() -> dict[str, list[tuple[str, bool]]]:
    """Structures of this header with their members."""
    found = re.findall(r"^struct (\w+) \{\n(.*?)^\};", plain(), re.S | re.M)
    assert len(found) == len(re.findall(r"^struct \w+ \{", plain(), re.M)) > 20
    return {name: members(body) for name, body in found}


def enumerators() -> list[str]:
    """Enumerators of this header."""
    return [name for body in re.findall(r"^enum[^{]*\{(.*?)\};", plain(), re.S | re.M)
            for name in re.findall(r"(\w+)\s*=", body)]


def table(version: str) -> str:
    """C code that turns the header into numbers, one line of assembly each."""
    lines = []
    later, grown = (set(), set()) if versions.SERIES[version].has("precopy-v2") else (LATER, GROWN)
    for name in sorted(macros(HEADER) - later - {"VFIO_DEVICE_API_PCI_STRING"}) + enumerators():
        lines += [f"long long value_{name} = {name};"]
    lines += ["char string[] = VFIO_DEVICE_API_PCI_STRING;"]
    for name, fields in structures().items():
        if name in grown:
            continue
        what = f"struct {name}"
        lines += [f"int size_{name} = sizeof({what}), align_{name} = _Alignof({what});"]
        for field, flexible in fields:
            one = f"(({what} *)0)->{field}"
            lines += [f"int offset_{name}_{field} = __builtin_offsetof({what}, {field});",
                      f"int width_{name}_{field} = sizeof({one}{'[0]' if flexible else ''});"]
            lines += [f"_Static_assert(_Generic({one}{'[0]' if flexible else ''}, __u8: 1, __u16: 2, __u32: 3, "
                      f"__u64: 4, __s32: 5, default: 6) == {kind(name, field)}, \"type of {name}.{field}\");"]
    return "\n".join(lines) + "\n"


def kind(structure: str, field: str) -> int:
    """The type of a member in this header, as the table encodes it."""
    body = re.search(rf"^struct {structure} \{{\n(.*?)^\}};", plain(), re.S | re.M)[1]
    word = re.search(rf"(\w+)\s+{field}(\[\])?;", body)[1]
    return {"__u8": 1, "__u16": 2, "__u32": 3, "__u64": 4, "__aligned_u64": 4, "__s32": 5}.get(word, 6)


def compiled(compiler: str, header, text: str) -> str:
    """The table's assembly with one of the headers."""
    done = subprocess.run([compiler, *PLAIN, "-S", "-O1", "-fno-ident", "-Wall", "-o", "-", "-x", "c", "-"],
                          input=f'#include <linux/types.h>\n#include "{header}"\n{text}',
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def kernels_own(context, version: str):
    """The header in the kernel's sources; no kernel is built for it."""
    return kernel.sources(version, context) / "include/uapi/linux/vfio.h"


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("version", versions.SERIES)
def test_numbers_and_layouts_are_the_kernels(context, version, compiler):
    """Every constant and layout must be the kernel's, with each compiler and series."""
    text = table(version)
    ours, theirs = (compiled(compiler, header, text).splitlines()
                    for header in (HEADER, kernels_own(context, version)))
    assert [pair for pair in zip(ours, theirs) if pair[0] != pair[1]] == []
    assert len(ours) == len(theirs) > 1000


def test_what_the_oldest_series_lacks_is_documented(context):
    """The list of names that the oldest series lacks must be exact."""
    old = kernels_own(context, versions.LTS)
    assert LATER == {name for name in macros(HEADER) if name not in macros(old)}


def test_nothing_is_left_out_unnoticed(context):
    """The header must have every name that a later kernel adds for device features or migration."""
    theirs = macros(kernels_own(context, versions.DEFAULT))
    extra = {name for name in theirs - macros(HEADER) if not LEFT_OUT.search(name)}
    assert extra == set()
    assert not [name for name in macros(HEADER) if LEFT_OUT.search(name)]


@pytest.mark.parametrize("change", [
    ("VFIO_BASE + 17", "VFIO_BASE + 23"), ("STOP_COPY = 3", "STOP_COPY = 5"),
    ("__aligned_u64\tstop_copy_length", "__u32\tstop_copy_length"),
    ("__aligned_u64\tinitial_bytes;\n\t__aligned_u64\tdirty_bytes",
     "__aligned_u64\tdirty_bytes;\n\t__aligned_u64\tinitial_bytes")])
def test_the_comparison_sees_a_difference(context, tmp_path, change):
    """A changed number, enumerator, type or order must be detected."""
    assert HEADER.read_text().count(change[0]) == 1
    (tmp_path / "vfio.h").write_text(HEADER.read_text().replace(*change))
    text = table(versions.DEFAULT)
    try:
        changed = compiled("gcc", tmp_path / "vfio.h", text)
    except AssertionError as refused:
        assert "type of" in str(refused)
    else:
        assert changed != compiled("gcc", kernels_own(context, versions.DEFAULT), text)
