"""A small real project: three pairs of simulated bars over seventeen days in two months."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
from small_project import END, PAIRS, START, fill

from bqx.build.project import Project
from bqx.build.run import build
from bqx.market.calendar import Calendar
from bqx.market.simulated import simulate
from few_datasets import few, with_few


@pytest.fixture(scope="module")
def few_datasets() -> Iterator[None]:
    """Projects of this module have the catalogue `few`."""
    yield from with_few()


@pytest.fixture(scope="session")
def bars() -> dict[str, pl.DataFrame]:
    return simulate(Calendar.load(), START, END, seed=7, pairs=PAIRS, origin_minute=START)


@pytest.fixture(scope="session")
def unbuilt(tmp_path_factory: pytest.TempPathFactory, bars: dict[str, pl.DataFrame]) -> Path:
    """A project with bars and no features; copy it before use."""
    root = tmp_path_factory.mktemp("unbuilt") / "p"
    fill(Project.create(root, pairs=PAIRS), bars).close()
    return root


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, unbuilt: Path) -> Path:
    """The same with the catalogue `few`, built in one undisturbed run; copy it before changing it."""
    root = tmp_path_factory.mktemp("built") / "p"
    shutil.copytree(unbuilt, root)
    project = Project.open(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bqx.build.project.datasets", few)
        build(project, threads=2)
    project.close()
    return root


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Callable[[Path], Project]]:
    """copy(root) -> a project of its own."""
    made: list[Project] = []

    def make(root: Path) -> Project:
        target = tmp_path / f"copy{len(made)}"
        shutil.copytree(root, target)
        made.append(Project.open(target))
        return made[-1]

    yield make
    for project in made:
        project.close()
