# SPDX-License-Identifier: GPL-2.0
"""The driver as it is at each patch of the series: the present driver without the code
that later patches add.

A cut that does not match is an error, so `make series` and its test fail if a change of
the driver does not fit a cut.
"""

from __future__ import annotations

import re

from ..core import paths
from ..core.errors import LabError
from ..build.kernel_tree import DRIVER

#: path in a kernel tree, and text
Files = dict[str, str]

SKETCHES = paths.LAB / "series"


def cut(text: str, pattern: str, by: str = "", count: int = 1, what: str = "") -> str:
    """Replace the matches of a pattern; there must be `count` (0: at least one)."""
    text, found = re.subn(pattern, by, text, flags=re.M | re.S)
    if found != count and (count or not found):
        raise LabError(f"the series no longer fits the driver: {found} matches of {what or pattern!r}, "
                       f"expected {count or 'at least one'}.")
    return text


def without_function(text: str, name: str) -> str:
    """Remove a function, its comment, and the empty line after it."""
    comment = r"(?:^/\*(?:(?!\*/).)*\*/\n)?"
    return cut(text, rf"{comment}^[a-z][^\n;{{}}=]*(?:\n[^\n;{{}}=]+)??\b{name}\((?:(?!\n\{{)[^;])*\n\{{\n.*?^\}}\n(?:\n|\Z)",
               what=f"the function {name}()").rstrip("\n") + "\n"


def without_objects(files: Files) -> None:
    """Remove objects without source file from the Makefile."""
    place = f"{DRIVER}/Makefile"
    lines = []
    for line in files[place].splitlines():
        objects = re.findall(r"\b(\w+)\.o\b", line)
        gone = [o for o in objects if f"{DRIVER}/{o}.c" not in files and not o.startswith("hisi_acc")]
        if gone and len(gone) == len(objects):
            continue
        for name in gone:
            line = re.sub(rf" ?\b{name}\.o\b", "", line)
        lines.append(line)
    text = "\n".join(lines) + "\n"
    # modules without objects
    for module in re.findall(r"^obj-\S+ \+= (\w+)\.o$", text, re.M):
        if not re.search(rf"^{module}-", text, re.M):
            text = re.sub(rf"^obj-\S+ \+= {module}\.o\n", "", text, flags=re.M)
    files[place] = re.sub(r"\n{3,}", "\n\n", text).strip("\n") + "\n"


def without_debugfs(files: Files) -> None:
    """Remove debugfs and tracepoints."""
    for name in ("debugfs.c", "qm_show.c", "trace.h"):
        del files[f"{DRIVER}/{name}"]

    place = f"{DRIVER}/hisi_acc_vfio_pci.h"
    text = cut(files[place], r"^ \* (?:qm_show|debugfs)\.c [^\n]*\n", count=2)
    text = cut(text, r"^struct seq_file;\n")
    text = cut(text, r"^void hisi_acc_\w*show\w*\([^;]*;\n", count=3)
    files[place] = cut(text, r"^/\* debugfs\.c \*/\n.*?^#endif\n\n")

    place = f"{DRIVER}/qm.h"
    files[place] = cut(files[place], r"What qm\.c, qm_open\.c and qm_show\.c share", "What qm.c and qm_open.c share")
    place = f"{DRIVER}/main.c"
    files[place] = cut(files[place], r"^\telse if \(vf->pf_qm\)\n\t\thisi_acc_debugfs_init\(vf\);\n")
    place = f"{DRIVER}/Makefile"
    files[place] = cut(files[place], r"^# define_trace[^\n]*\nCFLAGS_[^\n]*\n\n")

    place = f"{DRIVER}/migf.c"
    text = cut(files[place], r'^#include "trace\.h"\n')
    text = cut(text, r"^#include <linux/seq_file\.h>\n")
    text = cut(text, r"^\ttrace_hisi_acc_\w+\([^;]*;\n", count=0)
    files[place] = without_function(text, "hisi_acc_migf_show")

    place = f"{DRIVER}/migrate.c"
    text = cut(files[place], r'^\n#define CREATE_TRACE_POINTS\n#include "trace\.h"\n')
    text = cut(text, r"^#include <linux/ktime\.h>\n")
    text = cut(text, r"^\tbool was_paused = [^\n]*\n")
    text = cut(text, r"^\tu64 start = trace_[^\n]*\n")
    text = cut(text, r"^\n?\ttrace_hisi_acc_\w+\([^;]*;\n", count=0)
    # variables that only the tracepoint uses
    files[place] = cut(text, r"^\tint err = (hisi_acc_qm_\w+\(vf\));\n\treturn err;\n", r"\treturn \1;\n", count=2)


def without_pre_copy(files: Files) -> None:
    """Remove PRE_COPY and P2P: the VF stops on the arc to STOP."""
    place = f"{DRIVER}/migrate.c"
    text = cut(files[place], r"^ \*\n \* These devices are endpoints.*?(?=^ \*/)")
    table = re.search(r"^arcs\[[^\n]*\] = \{\n(.*?)^\};", text, re.M | re.S)
    if not table:
        raise LabError("the series no longer fits the driver: migrate.c has no table of arcs.")
    rows = re.findall(r"\t/\*.*?\*/\n|\t\[STATE.*?\},\n", table[1], re.S)
    kept: list[str] = []
    for row in rows:
        row = row.replace("RUNNING_P2P", "STOP")
        if "PRE_COPY" in row or "STATE(STOP)][STATE(STOP)" in row:
            continue
        if row.startswith("\t/*") and kept and kept[-1].startswith("\t/*"):
            kept.pop()      # its group is empty
        kept.append(row)
    text = text[:table.start(1)] + "".join(kept) + text[table.end(1):]
    text = text.replace(": its match part first, if there is time for it */", " */")
    text = cut(text, r"^#define MESSAGE_MS[^\n]*\n")
    files[place] = without_function(without_function(text, "hisi_acc_arc_noop"), "hisi_acc_arc_start_saving")

    place = f"{DRIVER}/migf.c"
    text = cut(files[place], r"^\t\.(?:unlocked_ioctl = hisi_acc_migf_ioctl|compat_ioctl = compat_ptr_ioctl),\n", count=2)
    text = cut(text, r"^ \* A file that was opened in PRE_COPY first.*?^ \*\n")
    files[place] = without_function(without_function(text, "hisi_acc_migf_ioctl"), "hisi_acc_migf_precopy_info")
    place = f"{DRIVER}/main.c"
    files[place] = cut(files[place], r"VFIO_MIGRATION_STOP_COPY \|[^;]*;", "VFIO_MIGRATION_STOP_COPY;")


def _plain(ops: str) -> str:
    """The table of operations with those of vfio-pci only."""
    ops = cut(ops, r"\bhisi_acc_vf_(init|release),", r"vfio_pci_core_\1_dev,", count=2)
    ops = cut(ops, r"\bhisi_acc_vf_close,", "vfio_pci_core_close_device,")
    ops = cut(ops, r"\bhisi_acc_bar_region_info\b", "vfio_pci_ioctl_get_region_info")
    return cut(ops, r"\bhisi_acc_bar_(ioctl|read|write|mmap)\b", r"vfio_pci_core_\1", count=4)


def without_migration(files: Files) -> None:
    """Remove migration: what remains does what vfio-pci does, see series/assign.c."""
    main = files[f"{DRIVER}/main.c"]
    ops = re.search(r"^static const struct vfio_device_ops hisi_acc_vf_ops = \{.*?^\};\n", main, re.M | re.S)
    end = re.search(r"^static const struct pci_device_id ids\[\].*", main, re.M | re.S)
    if not ops or not end:
        raise LabError("the series no longer fits the driver: main.c has no hisi_acc_vf_ops or ids.")
    sketch = (SKETCHES / "assign.c").read_text(encoding="utf-8")
    keep = ("Kconfig", "Makefile", "vf_data.c", "vf_data.h", "vf_data_test.c")
    for place in [p for p in files if p.startswith(f"{DRIVER}/") and p.rsplit("/", 1)[1] not in keep]:
        del files[place]
    files[f"{DRIVER}/main.c"] = cut(sketch, "@hisi_acc_vf_ops@", _plain(ops[0])).replace(
        "@ids to end@\n", end[0].replace(" with live migration", ""))
    place = f"{DRIVER}/Makefile"
    files[place] = cut(files[place], r" vf_data\.o\b")
    place = f"{DRIVER}/Kconfig"
    files[place] = cut(files[place], r" VFs of\n\t  hardware version 3 and later also support live migration\.\n", "\n")
