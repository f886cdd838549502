# SPDX-License-Identifier: GPL-2.0
"""What Debian's policy requires of debian/: licences and authors of each file, a person as
maintainer, the current policy, autopkgtests. Nothing is built."""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path

from lab.core import files, paths, versions
from lab.build import qemu
from lab.build.kernel import sources

DEBIAN = paths.ROOT / "debian"
OURS = "the developers of hisi_acc_vfio_pci"
SYSCALL_NOTE = "GPL-2 with Linux-syscall-note exception"
#: as debian/copyright has them
LICENCES = {"GPL-2.0": "GPL-2", "GPL-2.0-only": "GPL-2", "GPL-2.0 WITH Linux-syscall-note": SYSCALL_NOTE}
#: a holder after "Copyright (C) 2014-2016 ", without a mail address and the form of a company
HOLDER = re.compile(r"Copyright \([cC]\) [\d, -]+?,? *([A-Z][^<\n]*?)(?:,? Inc\b|,? ?C[oO]\., ?L[tT][dD])?[ .]*(?:All rights reserved\.?)?"
                    r"[ .]*(?:<.*)?(?:\*/)?$", re.M)


def paragraphs(text: str) -> list[dict[str, str]]:
    """The paragraphs of a file as debian/control is one, without comments."""
    text = re.sub(r"^#.*\n", "", text, flags=re.M)
    return [{name: value.strip() for name, value in re.findall(r"^([\w-]+):((?:.*)(?:\n[ \t].*)*)", part, re.M)}
            for part in re.split(r"\n\n+", text) if part.strip()]


def control(name: str = "control") -> list[dict[str, str]]:
    """The paragraphs of a file of debian/."""
    return paragraphs((DEBIAN / name).read_text(encoding="utf-8"))


def stanza(name: str) -> dict[str, str]:
    """The paragraph of debian/copyright that a file belongs to: the last one that matches."""
    return [part for part in control("copyright") if any(fnmatch.fnmatchcase(name, p) for p in part.get("Files", "").split())][-1]


def holders(text: str) -> set[str]:
    """Whom a source's copyright lines name, in small letters."""
    return {holder.lower() for holder in HOLDER.findall(text)}


def test_each_file_has_its_licence_in_debian_copyright():
    """debian/copyright must have each file under the licence of its SPDX identifier; each of its
    patterns must match a file, and each licence must have its text."""
    names = files.listed()
    for name in names:
        found = re.search(r"SPDX-License-Identifier: ([\w.-]+(?: WITH [\w-]+)?)", (paths.ROOT / name).read_text()[:400])
        if found:
            listed = stanza(name)["License"].split(" and ")
            assert LICENCES[found[1]] in listed, name
    parts = control("copyright")
    for pattern in [pattern for part in parts for pattern in part.get("Files", "").split()]:
        assert fnmatch.filter(names, pattern), f"{pattern} matches no file"
    texts = {part["License"].splitlines()[0] for part in parts if "Files" not in part and "License" in part}
    used = {name for part in parts if "Files" in part for name in part["License"].split(" and ")}
    assert used == texts


def test_the_syscall_note_is_quoted(context):
    """debian/copyright must have the text of the note in the kernel's LICENSES."""
    note = sources(versions.DEFAULT, context) / "LICENSES/exceptions/Linux-syscall-note"
    text = note.read_text().partition("License-Text:")[2]
    (quoted,) = [part["License"] for part in control("copyright") if "Files" not in part and
                 part.get("License", "").startswith(SYSCALL_NOTE)]
    assert " ".join(text.split()) in " ".join(quoted.replace("\n .\n", "\n").split())


def test_each_copyright_line_is_in_debian_copyright():
    """Whoever a source names as author of a part must be in debian/copyright."""
    found = {}
    for name in [name for name in files.listed() if name.endswith((".c", ".h"))]:
        for holder in holders((paths.ROOT / name).read_text()):
            found[name] = holder
            assert holder in stanza(name)["Copyright"].lower(), f"{name}: {holder}"
    assert "drivers/vfio/pci/hisilicon/qm.h" in found


def patched(name: str) -> list[str]:
    """The files of other projects that a patch changes."""
    return [place for place in re.findall(r"^\+\+\+ b/(\S+)", (paths.ROOT / name).read_text(), re.M)
            if not any((folder / place).exists() for folder in (paths.ROOT, paths.DRIVER, paths.ROOT / "samples/edu_vfio_pci"))]


def test_authors_of_what_patches_change_are_in_debian_copyright(context, tmp_path):
    """For each patch of QEMU or the kernel, debian/copyright must name the authors of the files that it
    changes, and GPL-2+ where QEMU has it."""
    patches = [name for name in files.listed() if name.endswith(".patch") and patched(name)]
    assert {Path(name).parts[-2] for name in patches} == {"hisilicon", "vfio", "qemu", "upstream", "fixes"}
    qemu.unpacked({place for name in patches if "/qemu/" in name for place in patched(name)}, tmp_path, context)
    kernel = sources(versions.DEFAULT, context)
    authors = {}
    for name in patches:
        ours, tree = stanza(name), tmp_path if "/qemu/" in name else kernel
        assert ours["Copyright"].count("\n"), f"{name} has no author but {OURS}"
        for place in patched(name):
            assert Path(place).name in ours["Comment"] or name.startswith(("tools/testing/selftests", "tools/testing/vfio_lab/qemu"))
            text = (tree / place).read_text()[:2000]
            authors[place] = holders(text)
            for holder in authors[place]:
                assert holder in ours["Copyright"].lower(), f"{name} changes {place} of {holder}"
            # QEMU's LICENSE: without a licence of its own, a file is GPL-2+
            if tree == tmp_path:
                later = "any later version" in text or "GNU General Public" not in text
                assert ("GPL-2+" if later else "GPL-2") in ours["License"].split(" and "), f"{name} changes {place}"
    assert authors["hw/arm/smmuv3.c"] == {"broadcom corporation", "red hat"}
    assert authors["drivers/crypto/hisilicon/qm.c"] == {"hisilicon limited"}


def test_nothing_is_released_without_a_person():
    """Without a person among the maintainers (policy 3.3), the changelog must say UNRELEASED: Debian
    rejects such an upload."""
    source = control()[0]
    lists = re.findall(r"^L:\s*(\S+)", (paths.ROOT / "MAINTAINERS").read_text(), re.M)
    address = re.search(r"<(.+)>", source["Maintainer"])
    assert address
    if address[1] in lists and "Uploaders" not in source:
        changes = (DEBIAN / "changelog").read_text(encoding="utf-8")
        assert re.findall(r"^\S+ \(\S+\) (\S+);", changes, re.M)[0] == "UNRELEASED"


def test_a_native_package_has_no_watch_file():
    """debian/watch and Homepage must be there exactly if the format is one with an upstream tarball."""
    native = "native" in (DEBIAN / "source/format").read_text()
    assert native != (DEBIAN / "watch").exists()
    assert native != ("Homepage" in control()[0])


def test_the_policy_is_the_current_one(context):
    """Standards-Version must be the policy of the newest Debian that the lab uses, or a later one."""
    current = context.apt.candidate("debian-policy")
    stated = tuple(map(int, control()[0]["Standards-Version"].split(".")))
    assert stated >= tuple(map(int, current.split(".")[:3]))


def test_the_reason_of_each_override_is_given():
    """Each override of a lintian tag, or a group of them, must have a comment with the reason."""
    found = sorted([*DEBIAN.glob("*.lintian-overrides"), DEBIAN / "source/lintian-overrides"])
    assert len(found) == 4
    for place in found:
        groups = re.findall(r"((?:^#.*\n)*)((?:^[^#\n].*\n)+)", place.read_text(), re.M)
        assert groups and all(re.sub(r".*SPDX.*\n", "", comment) for comment, _ in groups), place.name


def test_autopkgtests_are_for_the_packages_that_they_need():
    """Each autopkgtest must be a program, and be restricted to the architecture of the package that it
    tests, as must autodep8's for DKMS."""
    source, *packages = control()
    architectures = {part["Package"]: part["Architecture"] for part in packages}
    tests = control("tests/control")
    assert {part["Tests"] for part in tests} == {"check", "lab"}
    for part in tests:
        assert (DEBIAN / "tests" / part["Tests"]).stat().st_mode & 0o111, part["Tests"]
        assert part["Architecture"] == architectures[part["Depends"]], part["Tests"]
    assert source["Testsuite"] == "autopkgtest-pkg-dkms"
    settings = (DEBIAN / "tests/autopkgtest-pkg-dkms.conf").read_text().splitlines()
    assert f"architecture={architectures['hisi-acc-vfio-pci-dkms']}" in settings
