# SPDX-License-Identifier: GPL-2.0
"""The project's patches in a QEMU source tree that clones share: all must be applied or none, and
they must be removable."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from lab.build import qemu
from lab.build.qemu import HOOK, _patch
from lab.core import paths
from lab.core.errors import LabError

PLAIN, PATCHED = "one\ntwo\nthree\n", "one\nours\nthree\n"


def patch(*names: str, context: str = "three") -> bytes:
    """A patch of the second line of each file."""
    return "".join(f"--- a/{name}\n+++ b/{name}\n@@ -1,3 +1,3 @@\n one\n-two\n+ours\n {context}\n"
                   for name in names).encode()


@pytest.fixture
def source(tmp_path) -> Path:
    """Sources of two files."""
    folder = tmp_path / "src"
    folder.mkdir()
    for name in "ab":
        (folder / name).write_text(PLAIN)
    return folder


def content(source: Path) -> list[str]:
    """Current contents of the two files."""
    return [(source / name).read_text() for name in "ab"]


def test_patches_follow_each_other(source, tmp_path):
    """Another clone's patches must be reverted before this one's are applied."""
    _patch(source, patch("a", "b"), tmp_path / "log")
    assert content(source) == [PATCHED, PATCHED]
    _patch(source, patch("b"), tmp_path / "log")
    assert content(source) == [PLAIN, PATCHED]
    assert (source.parent / HOOK).read_bytes() == patch("b")


def test_a_patch_that_fits_only_roughly_is_refused(source, tmp_path):
    """A patch that applies with fuzz could not be reverted: it must be rejected, and change nothing."""
    with pytest.raises(LabError, match="^The patches do not apply to this QEMU.$"):
        _patch(source, patch("a") + patch("b", context="five"), tmp_path / "log")
    assert content(source) == [PLAIN, PLAIN] and not (source.parent / HOOK).exists()


def test_patches_that_cannot_be_taken_out_stay_as_a_whole(source, tmp_path):
    """If a patch cannot be reverted, all must stay applied: otherwise later builds fail, and the
    record of applied patches is wrong."""
    _patch(source, patch("a", "b"), tmp_path / "log")
    (source / "b").write_text("somebody else's\n")
    with pytest.raises(LabError, match="^Former patches cannot be taken out of QEMU.$"):
        _patch(source, patch("a"), tmp_path / "log")
    assert content(source)[0] == PATCHED
    assert (source.parent / HOOK).read_bytes() == patch("a", "b")


def test_the_projects_patches_can_be_taken_out_of_qemu(context, source, tmp_path):
    """The project's patches to QEMU must apply, and be reverted as they are: one after another, in the
    same order. So no two may change neighbouring lines."""
    hook = b"\n".join(one.read_bytes() for one in sorted(paths.MODEL.glob("*.patch")))
    names = sorted(set(re.findall(r"^--- a/(\S+)", hook.decode(), re.M)))
    (archive,) = qemu.sources(context).glob("*.orig.tar.xz")
    subprocess.run(["tar", "-xJf", archive, "-C", source, "--strip-components=1", "--wildcards",
                    *(f"*/{name}" for name in names)], check=True)
    before = {name: (source / name).read_bytes() for name in names}
    _patch(source, hook, tmp_path / "log")
    assert all((source / name).read_bytes() != content for name, content in before.items())
    _patch(source, patch("a"), tmp_path / "log")
    assert {name: (source / name).read_bytes() for name in names} == before
