"""What `make demo` installs is enough: every import and every version asked for is in the run-time lock."""

from __future__ import annotations

import ast
import re
import sys
from fnmatch import fnmatch
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from bqx.features.catalogue import own_datasets
from bqx.features.kernels.jit import cached
from bqx.features.warm import warm
from bqx.ops.demo_versions import LIBRARIES

ROOT = Path(__file__).parent.parent
LOCKED = {
    re.sub(r"[-_.]+", "-", name).lower()
    for name in re.findall(r"^([A-Za-z0-9][\w.-]*)==", (ROOT / "requirements" / "runtime.lock").read_text(), re.M)
}
YOURS = {"mlflow", "pandas", "pyarrow"}
"""Imported only where a user asks for a frame of that library, or gives the address of that server."""


def imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    names |= {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module and not n.level}
    return {name.split(".")[0] for name in names}


def test_every_import_is_locked() -> None:
    used = set().union(*(imported(p) for p in (ROOT / "src").rglob("*.py"))) - set(sys.stdlib_module_names) - {"bqx"}
    assert {"polars", "numba", "click"} <= used
    owners = packages_distributions()
    absent = {
        name
        for name in used - YOURS
        if not any(re.sub(r"[-_.]+", "-", d).lower() in LOCKED for d in owners.get(name, ["?"]))
    }
    assert not absent


def test_versions_shown_are_of_locked_libraries() -> None:
    assert {name.lower() for name in LIBRARIES} <= LOCKED


def test_warming_covers_the_catalogue() -> None:
    told: list[str] = []
    assert warm(note=told.append) == sum(len(own_datasets()[name].columns) for name in told)
    assert warm(note=told.append) == 0 or not cached()


def test_every_test_file_is_collected(request: pytest.FixtureRequest) -> None:
    """pytest passes folders named `build` over unless told otherwise."""
    skipped = request.config.getini("norecursedirs")
    folders = {path.parent.name for path in (ROOT / "tests").rglob("test_*.py")}
    assert not [f for f in folders for pattern in skipped if fnmatch(f, pattern)]
