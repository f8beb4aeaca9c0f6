"""The matrix from a real project equals the one from bars in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bqx.base.errors import CheckError
from bqx.build.choice import Choice
from bqx.build.project import Project
from bqx.build.run import build
from bqx.market.calendar import month_span
from bqx.market.simulated import simulate, simulated_source
from bqx.research.firstlight import answer, first_answer
from bqx.research.matrix import from_bars, from_project, thinning
from bqx.research.trials import Trials

PAIRS = ("audusd", "eurusd", "usdjpy")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project.create(tmp_path_factory.mktemp("p") / "project", pairs=PAIRS)
    for ym in ("2024_01", "2024_02"):
        for pair, frame in simulate(made.calendar, *month_span(ym), seed=2, pairs=PAIRS).items():
            made.bars.ingest(pair, frame, simulated_source(2))
    return made


def _span() -> tuple[int, int]:
    return month_span("2024_02")


def test_without_features_it_says_what_to_build(project: Project, tmp_path: Path) -> None:
    empty = Project.create(tmp_path / "empty", pairs=PAIRS)
    with pytest.raises(CheckError, match="no rows of returns_raw_rate"):
        answer(empty)


def test_store_and_memory_give_the_same_matrix(project: Project) -> None:
    build(project, Choice(first_month="2024_02", last_month="2024_02"))
    stored = from_project(project.bars, project.store, project.calendar, pairs=PAIRS)
    bars = project.bars.read(PAIRS, 0, 2**40)
    memory = from_bars(bars, project.calendar, *_span(), simulated=True)
    assert stored.pairs == memory.pairs and stored.columns == memory.columns and len(stored.columns) == 66
    np.testing.assert_array_equal(stored.minute, memory.minute)
    np.testing.assert_array_equal(np.isnan(stored.X), np.isnan(memory.X))
    np.testing.assert_allclose(stored.X, memory.X, rtol=1e-6, atol=1e-30)  # float32 in the store
    inside = memory.minute < memory.minute[-1] - 75
    np.testing.assert_array_equal(stored.Y[inside], memory.Y[inside])
    assert stored.simulated and stored.every == memory.every == 5 and np.isfinite(stored.Y).mean() > 0.9
    found = answer(project)
    assert found.columns == 66 and found.folds >= 2 and found.pairs == PAIRS
    assert found.verdict() == first_answer(stored).verdict()
    assert Trials(project.root).count(model="pooled ridge") == found.trials, "each is in the ledger"


def test_thinning() -> None:
    assert thinning(31_000) == 5 and thinning(372_000) == 15
