# SPDX-License-Identifier: GPL-2.0
"""Mutation tests of the lab: without one of its checks, one of its own tests must fail. Each patch in
tests/mutants/lab names the file that must, also as `make check` runs it."""

import re
import shutil
import subprocess
import sys

import pytest

from lab.core import paths

MUTANTS = sorted((paths.LAB / "tests/mutants/lab").glob("*.patch"))


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """This clone, with the lab and its tests copied and links to everything else."""
    root = tmp_path_factory.mktemp("clone")
    place = paths.LAB.relative_to(paths.ROOT)
    for inner in (*reversed(place.parents[:-1]), place):
        (root / inner).mkdir()
    for folder in (paths.ROOT, *(paths.ROOT / inner for inner in (*place.parents[:-1], place))):
        for child in folder.iterdir():
            target = root / child.relative_to(paths.ROOT)
            if child.parent == paths.LAB and child.name in ("lab", "tests"):
                shutil.copytree(child, target, symlinks=True)
            elif not target.exists() and child.name not in (".git", "build"):
                target.symlink_to(child)
    return root


@pytest.mark.long("runs tests of the lab again for each of its mutants")
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda path: path.stem)
def test_a_test_fails(copy, tmp_path, monkeypatch, mutant):
    """The tests in the file that the mutant names must fail."""
    monkeypatch.setenv("VFIO_LAB_BUILD", str(tmp_path))
    (test,) = re.findall(r"^Fails: (\S+)$", mutant.read_text(encoding="utf-8"), re.M)
    patch = ["patch", "-p1", "--batch", "--fuzz=0", "--silent", "-d", copy, "-i", mutant]
    subprocess.run([*patch, "--forward"], check=True)
    try:
        done = subprocess.run([sys.executable, "-B", "-m", "pytest", "-p", "no:cacheprovider", "-q", "-x", "--quick", test],
                              cwd=copy / paths.LAB.relative_to(paths.ROOT) / "tests", capture_output=True, text=True, check=False)
    finally:
        subprocess.run([*patch, "--reverse"], check=True)
    assert re.search(r"^FAILED ", done.stdout, re.M), f"{mutant.name} survives: {done.stdout[-2000:]}"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda path: path.stem)
def test_each_applies(mutant):
    """Each mutant must apply to today's lab without fuzz."""
    assert not subprocess.run(["patch", "-p1", "--batch", "--forward", "--fuzz=0", "--dry-run", "--silent", "-d", paths.ROOT,
                               "-i", mutant], check=False).returncode
