"""Three windows of two days in which live is held against batch, and what is shown in them."""

from __future__ import annotations

from datetime import UTC, datetime

from bqx.features.checks import World
from bqx.features.declare import Dataset
from bqx.features.live.check import check_live
from bqx.features.live.dataset import twin
from bqx.market.calendar import minute_of

LONG = ("regime_trend_rate", "regime_trend_bqx", "hmm_regime_dual", "error_correction_dual")
"""Datasets that take half of the time of all."""


def _at(month: int, day: int) -> int:
    return minute_of(datetime(2024, month, day, 10, tzinfo=UTC))


WINDOWS = (
    (_at(2, 29), _at(3, 1)),  # a month's end, in a leap year
    (_at(3, 1), _at(3, 4)),  # a week end
    (_at(3, 8), _at(3, 12)),  # a week end over which New York's clocks change, and holes
)


def live_is_batch(home: Dataset, world: World) -> None:
    """Every column, in blocks of one minute and of many, a holiday and holes among them, restored ten times."""
    assert twin(home).stepped
    results = check_live(home, world, WINDOWS, singles=12, saves=10)
    failed = [f"{r.column}: {r.reason}" for r in results if not r.passed]
    assert not failed, failed[:5]
    assert len(results) == len(home.columns)
