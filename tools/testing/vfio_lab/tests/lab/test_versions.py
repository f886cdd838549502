# SPDX-License-Identifier: GPL-2.0
"""The table of releases, and what is used if the mirror has others."""

from __future__ import annotations

import io
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

import conftest
from kernels import EACH
from lab.core import paths, versions
from lab.core.context import Context
from lab.core.errors import LabError
from lab.core.progress import Steps
from lab.build import kernel
from lab.scenario.config import HostConfig

NEWER = "7.4"


class Index:
    """A mirror's index with exactly these kernel sources."""

    def __init__(self, *series: str) -> None:
        self.series = series

    def candidate(self, package: str) -> str | None:
        name = package.removeprefix("linux-source-")
        return f"{name}.1-1" if name in self.series else None

    def names(self, pattern: str) -> list[str]:
        return [name for name in (f"linux-source-{series}" for series in self.series) if re.fullmatch(pattern, name)]


def lab(*series: str):
    """A context with an empty cache and such an index, and its messages."""
    said = io.StringIO()
    return SimpleNamespace(cache=SimpleNamespace(newest=lambda kind: None), steps=Steps(said), apt=Index(*series)), said


def test_each_known_series_is_taken_as_long_as_the_mirror_has_it():
    """A known series must be used while the mirror has it."""
    context, said = lab(NEWER, *versions.SERIES)
    assert [kernel._choose(series, context)[0] for series in versions.SERIES] == list(versions.SERIES)
    assert said.getvalue() == ""


@pytest.mark.parametrize("gone", versions.SERIES)
def test_without_a_series_the_newest_is_taken_with_a_note(gone):
    """If the mirror has dropped a series, another one must be used, with a message."""
    left = [series for series in versions.SERIES if series != gone]
    context, said = lab(*left)
    assert kernel._choose(gone, context) == (left[0], f"{left[0]}.1-1")
    assert f"has no kernel {gone}; the lab takes {left[0]} instead" in said.getvalue()


def test_an_unknown_series_is_treated_as_the_default():
    """An unknown series must be treated as the default."""
    context, said = lab(NEWER, versions.LTS)
    assert kernel._choose(versions.DEFAULT, context)[0] == NEWER
    assert f"takes {NEWER} instead" in said.getvalue()
    assert kernel.fragment_text(NEWER) == kernel.fragment_text(versions.DEFAULT)


def test_without_any_kernel_the_error_is_one_sentence():
    """Without any kernel, the error must say so."""
    context, _ = lab()
    with pytest.raises(LabError, match="mirror has no package linux-source"):
        kernel._choose(versions.DEFAULT, context)


@pytest.fixture
def without_a_symbol(context: Context, tmp_path: Path) -> Path:
    """The default series' sources without the option that declares AIO."""
    source = kernel.sources(versions.DEFAULT, context)
    tree = tmp_path / "source"
    tree.mkdir()
    for path in source.iterdir():
        if path.name != "init":
            (tree / path.name).symlink_to(path)
    (tree / "init").mkdir()
    for path in (source / "init").iterdir():
        (tree / "init" / path.name).symlink_to(path)
    (tree / "init/Kconfig").unlink()
    text = (source / "init/Kconfig").read_text(encoding="utf-8")
    (tree / "init/Kconfig").write_text(re.sub(r"^config AIO$", "config GONE", text, flags=re.M), encoding="utf-8")
    return tree


@pytest.mark.slow("configures another kernel")
def test_an_unknown_series_may_lack_a_symbol(context, tmp_path, without_a_symbol):
    """The configuration of an unknown series must not fail for a missing symbol; that of a known
    series must."""
    said = io.StringIO()
    loose = SimpleNamespace(steps=Steps(said))
    for name in (NEWER, versions.DEFAULT):
        build = tmp_path / name
        build.mkdir()
        text = kernel.fragment_text(name)
        if name == NEWER:
            kernel._configure(name, text, without_a_symbol, build, tmp_path / "log", loose)
            assert f"Kernel {NEWER} does not accept these lines of its configuration: CONFIG_AIO=y." in said.getvalue()
        else:
            with pytest.raises(LabError, match="does not accept.*CONFIG_AIO=y"):
                kernel._configure(name, text, without_a_symbol, build, tmp_path / "log", loose)


def test_a_test_of_a_series_that_is_gone_is_skipped_with_its_reason():
    """A test of a missing series must be skipped with the reason."""
    context, _ = lab(versions.DEFAULT)
    gone = next(series for series in versions.SERIES if series != versions.DEFAULT)
    for value, reason in ((versions.DEFAULT, None), ("sec", None), (gone, f"the mirror has no kernel {gone}"),
                          (kernel.flavoured("debug", gone), f"the mirror has no kernel {gone}")):
        item = SimpleNamespace(callspec=SimpleNamespace(params={"version": value, "other": 1}))
        assert conftest.unavailable(item, context) == reason
    assert conftest.unavailable(SimpleNamespace(), context) is None


@pytest.mark.parametrize("version", EACH)
def test_a_host_has_what_its_programs_take_for_granted(boot, version):
    """A host's kernel must have what programs use without checking: /proc/sys settings, file locks."""
    host = boot(HostConfig(kernel=version, driver="stock", vfs=1))
    host.ssh.run("[ -w /proc/sys/kernel/printk ] && [ -e /proc/locks ]")


def test_nothing_else_names_a_release():
    """No Python file but the table may name a release, so that a new series is one line there."""
    names = [*versions.SERIES, *(release.name for release in (*versions.VMMS, *versions.LIBVIRTS))]
    literal = re.compile(rf"""["'](?:{"|".join(map(re.escape, names))})[-"']""")
    table, here = paths.LAB / "lab/core/versions.py", Path(__file__)
    found = [f"{path.name}:{number}: {line.strip()}" for folder in ("lab", "tests", "benchmarks")
             for path in sorted((paths.LAB / folder).rglob("*.py")) if path not in (table, here)
             for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if literal.search(line)]
    assert found == []
