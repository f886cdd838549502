# SPDX-License-Identifier: GPL-2.0
"""Our patches in the tree of QEMU's sources that clones share: they are all in it, or
none is, and they can be taken out again."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.core.errors import LabError
from lab.build.qemu import HOOK, _patch

PLAIN, PATCHED = "one\ntwo\nthree\n", "one\nours\nthree\n"


def patch(*names: str, context: str = "three") -> bytes:
    """Changes the second line of each file."""
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
    """What the two files are now."""
    return [(source / name).read_text() for name in "ab"]


def test_patches_follow_each_other(source, tmp_path):
    """What another clone's patches changed must be as it was before ours come."""
    _patch(source, patch("a", "b"), tmp_path / "log")
    assert content(source) == [PATCHED, PATCHED]
    _patch(source, patch("b"), tmp_path / "log")
    assert content(source) == [PLAIN, PATCHED]
    assert (source.parent / HOOK).read_bytes() == patch("b")


def test_a_patch_that_fits_only_roughly_is_refused(source, tmp_path):
    """It could not be taken out again: nothing of it must get into the sources."""
    with pytest.raises(LabError, match="^Our patches do not apply to this QEMU.$"):
        _patch(source, patch("a") + patch("b", context="five"), tmp_path / "log")
    assert content(source) == [PLAIN, PLAIN] and not (source.parent / HOOK).exists()


def test_patches_that_cannot_be_taken_out_stay_as_a_whole(source, tmp_path):
    """Half of them would make all later builds fail, and the record of what is applied
    would be wrong."""
    _patch(source, patch("a", "b"), tmp_path / "log")
    (source / "b").write_text("somebody else's\n")
    with pytest.raises(LabError, match="^Former patches cannot be taken out of QEMU.$"):
        _patch(source, patch("a"), tmp_path / "log")
    assert content(source)[0] == PATCHED
    assert (source.parent / HOOK).read_bytes() == patch("a", "b")
