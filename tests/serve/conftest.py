"""A market that goes live on a Friday evening, and what batch says of it; made once."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import live_world
import numpy as np
import polars as pl
import pytest

from bqx.build.project import Project

Truth = dict[int, dict[str, np.ndarray]]


@pytest.fixture(scope="session")
def live_frames() -> dict[str, pl.DataFrame]:
    return live_world.market()


@pytest.fixture(scope="session")
def live_root(tmp_path_factory: pytest.TempPathFactory, live_frames: dict[str, pl.DataFrame]) -> Path:
    """A project with the bars before LIVE; copy it before use."""
    root = tmp_path_factory.mktemp("live") / "p"
    live_world.project(root, live_frames).close()
    return root


@pytest.fixture(scope="session")
def truth(live_root: Path, live_frames: dict[str, pl.DataFrame]) -> Truth:
    """Batch over the live span: minute -> dataset -> (columns, pairs) float32."""
    project = Project.open(live_root)
    found = dict(live_world.batch(live_frames, project))
    project.close()
    return found


@pytest.fixture
def live_project(tmp_path: Path, live_root: Path) -> Iterator[Callable[[], Project]]:
    """live_project() -> a project of its own."""
    made: list[Project] = []

    def make() -> Project:
        target = tmp_path / f"p{len(made)}"
        shutil.copytree(live_root, target)
        made.append(Project.open(target))
        return made[-1]

    yield make
    for project in made:
        project.close()
