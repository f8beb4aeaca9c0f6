"""A small market in a project with a dataset, made once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from container_market import Market

from bqx.market.calendar import Calendar, month_span
from bqx.research.artefact import SIGNING_KEY, make_key
from bqx.research.dataset_make import make_dataset

sys.path.insert(0, str(Path(__file__).parents[3]))
from benchmarks.soak.selection_world import noise_project


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    """Six weeks of one pair, the last sealed, most columns of invented values; dataset `first`."""
    calendar = Calendar.load()
    start = calendar.week_start(month_span("2024_02")[0])
    end = calendar.at_ordinal(calendar.ordinal(start) + 6 * 7200 - 1) + 1
    root = tmp_path_factory.mktemp("market") / "project"
    project = noise_project(root, ("eurusd",), start, end, seed=3)
    make_dataset(project, "first")
    project.close()
    key, public = make_key()
    secrets = tmp_path_factory.mktemp("secrets")
    (secrets / SIGNING_KEY).write_text(key.reveal())
    (secrets / SIGNING_KEY).chmod(0o600)
    return Market(root, secrets, public, key.reveal())
