# SPDX-License-Identifier: GPL-2.0
"""Imports between the lab's packages must go in one direction."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from lab.core import paths

#: each may import itself and earlier ones; probe and release must not import each other
ORDER = {"core": (), "build": ("core",), "scenario": ("core", "build"), "probe": ("core", "build", "scenario"),
         "release": ("core", "build", "scenario"), "cli": ("core", "build", "scenario", "probe", "release")}


def imported(file: Path) -> Iterator[str]:
    """The packages of the lab that a file imports."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            if node.level == 2:
                yield node.module.split(".")[0]
            elif node.level == 0 and node.module.startswith("lab."):
                yield node.module.split(".")[1]
            elif node.level == 0 and node.module == "lab":
                yield from (alias.name for alias in node.names)


def test_imports_go_one_way():
    """No package may import a later one."""
    assert {folder.name for folder in (paths.LAB / "lab").iterdir() if (folder / "__init__.py").is_file()} == set(ORDER)
    wrong = [f"{package}/{file.name} imports lab.{other}" for package, allowed in ORDER.items()
             for file in sorted((paths.LAB / "lab" / package).glob("*.py"))
             for other in imported(file) if other not in (package, *allowed)]
    assert wrong == []


def test_no_file_is_beside_the_directories():
    """Each test must be in the directory of its subject, each module of the lab in a package."""
    beside = [path.name for folder in ("lab", "tests") for path in (paths.LAB / folder).glob("*.py")
              if path.name not in ("__init__.py", "conftest.py")]
    assert beside == []


def test_tests_import_only_from_their_directory_and_support():
    """Each directory, and each file, must be runnable alone."""
    folder_of = {path.stem: path.parent.name for path in (paths.LAB / "tests").glob("*/*.py")}
    wrong = [f"{path.parent.name}/{path.name} imports {module}" for path in (paths.LAB / "tests").glob("*/*.py")
             for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
             for module in ([node.module] if isinstance(node, ast.ImportFrom) else
                            [alias.name for alias in node.names] if isinstance(node, ast.Import) else [])
             if folder_of.get(module or "", "support") not in (path.parent.name, "support")]
    assert wrong == []
