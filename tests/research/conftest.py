"""A small project with 33 counted datasets, most of invented values, and the dataset made of it."""

from __future__ import annotations

import pytest
from noise_worlds import REAL, WORLD_PAIRS, noise_project

from bqx.build.project import Project
from bqx.market.calendar import Calendar, month_span
from bqx.research.dataset import Dataset
from bqx.research.dataset_make import make_dataset


@pytest.fixture(scope="session")
def noise_world(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Six weeks of two pairs, 2024-01-28 to 2024-03-08: 43,000 minutes a pair, three months' partitions."""
    calendar = Calendar.load()
    start = calendar.week_start(month_span("2024_02")[0])
    end = calendar.at_ordinal(calendar.ordinal(start) + 6 * 7200 - 1) + 1
    return noise_project(tmp_path_factory.mktemp("noise") / "project", WORLD_PAIRS, start, end, seed=3, real=REAL)


@pytest.fixture(scope="session")
def noise_dataset(noise_world: Project) -> Dataset:
    make_dataset(noise_world, "first")
    return Dataset.open(noise_world, "first")
