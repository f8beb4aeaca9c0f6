"""Columns live equal batch to the bit: over a month's end, a week's end with a change of clocks, or a last day; in
blocks of one minute and of thousands, saved and restored ten times. Holes, a holiday and silent pairs are in the
bars."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest

from bqx.features.catalogue import own_datasets
from bqx.features.checks import World
from bqx.features.checks.result import MINIMUM
from bqx.features.declare import Dataset
from bqx.features.live.check import check_live
from bqx.features.live.dataset import twin
from bqx.market.calendar import minute_of

SPANS = tuple(
    (minute_of(datetime.fromisoformat(f"{start}:00Z")), minute_of(datetime.fromisoformat(f"{end}:00Z")))
    for start, end in (
        ("2024-02-29T12:00", "2024-03-01T06:00"),
        ("2024-03-08T18:00", "2024-03-11T06:00"),
        ("2024-03-14T12:00", "2024-03-15T06:00"),
    )
)
"""New York's clocks change on 10 March."""


DATASETS = ("base_bqx", "ohlc_rate", "time_dual", "returns_raw_rate", "returns_std_bqx", "technical_rate",
            "statistics_bqx", "bollinger_rate", "fibonacci_rate", "volume_bqx", "spread_bqx", "momentum_w60_rate",
            "regime_vol_bqx", "regime_trend_rate", "realized_volatility_dual", "correlation_rate",
            "error_correction_dual", "hmm_regime_dual", "cross_sectional_dual")  # fmt: skip
"""One of each family: the other domain and the other windows call the same kernels. The soak has them all."""

LATE = {"regime_vol_bqx", "regime_trend_rate", "hmm_regime_dual", "spread_bqx", "correlation_rate",
        "cross_sectional_dual"}  # fmt: skip
"""Those whose columns see so far back that they have values near the end of the bars only."""


@pytest.mark.parametrize("name", DATASETS)
def test_live_is_batch(name: str, world_for: Callable[[Dataset], World]) -> None:
    home = own_datasets()[name]
    found = check_live(home, world_for(home), SPANS[1:] if name in LATE else SPANS[:2], singles=20, saves=10)
    wrong = [
        f"{result.column}: {result.differing} differ, first {result.where}" for result in found if result.differing
    ]
    assert not wrong, "; ".join(wrong[:5])
    sure = {c.name for c in home.columns if "may_be_undefined" not in c.tags}
    short = [result.column for result in found if result.column in sure and result.compared < MINIMUM]
    assert not short, f"too few values compared: {short}"
    assert sum(result.compared for result in found) > MINIMUM


def test_every_dataset_is_stepped() -> None:
    """None of ours is recomputed over its look-back, which would take seconds a minute."""
    assert [name for name, home in own_datasets().items() if not twin(home).stepped] == []
