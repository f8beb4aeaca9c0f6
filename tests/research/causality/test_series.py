"""Steps do not overlap, stay in their segment, know only the past's volatility; the gap takes rounding away."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from bqx.features.anchors import Anchors
from bqx.features.streams import Streams
from bqx.market.calendar import Calendar, minute_of
from bqx.market.panel import make_panel
from bqx.market.simulated import simulate
from bqx.research.causality.gaps import Gaps
from bqx.research.causality.series import Series, from_bars, lead

PAIRS = ("audusd", "eurjpy", "eurusd", "usdjpy")
CALENDAR = Calendar.load()
START = minute_of(datetime(2024, 1, 11, 22, tzinfo=UTC))
END = minute_of(datetime(2024, 1, 16, 22, tzinfo=UTC))


@pytest.fixture(scope="module")
def bars() -> dict[str, pl.DataFrame]:
    begin = lead(CALENDAR, START)
    return simulate(CALENDAR, begin, END, seed=2, pairs=PAIRS, origin_minute=begin)


@pytest.fixture(scope="module")
def made(bars: dict[str, pl.DataFrame]) -> list[Series]:
    return from_bars(bars, CALENDAR, ["return_1", "return_5", "bqx_15"], START, END)


def test_values_from_closes(made: list[Series], bars: dict[str, pl.DataFrame]) -> None:
    """A 5-minute step is the sum of its five minutes, over the deviation known before it, sqrt(5) of it."""
    grid = CALENDAR.grid(lead(CALENDAR, START), END)
    streams = Streams(make_panel(bars, PAIRS, grid), CALENDAR, Anchors())
    one, five, bqx = made
    assert five.every == 5
    assert (np.diff(five.minute) >= 5).all()
    row = int(np.searchsorted(grid.minute, five.minute[200]))
    move = 1e4 * np.log(streams.panel.close[row] / streams.panel.close[row - 5])
    np.testing.assert_allclose(five.values[200], move / (np.sqrt(5) * streams.sigma[row - 4]), rtol=1e-8)
    row = int(np.searchsorted(grid.minute, bqx.minute[90]))
    np.testing.assert_allclose(bqx.values[90], streams.oriented(15)[row] / streams.sigma[row - 14], rtol=1e-12)
    assert 0.7 < np.nanstd(one.values) < 1.4
    assert 0.7 < np.nanstd(bqx.values) < 1.4


def test_no_step_crosses_a_closure(made: list[Series]) -> None:
    one = made[0]
    opens = np.flatnonzero(np.diff(one.segment) != 0) + 1
    assert len(opens) == 1
    assert np.isnan(one.values[opens]).all()
    assert np.isfinite(one.values[opens + 1]).all()


def test_a_later_bar_moves_no_earlier_step(bars: dict[str, pl.DataFrame], made: list[Series]) -> None:
    cut = int(made[1].minute[600])
    bent = {
        pair: f.with_columns(
            pl.when(pl.col("ts_utc").dt.epoch("us") // 60_000_000 > cut)
            .then(pl.col(c) * 1.01)
            .otherwise(pl.col(c))
            .alias(c)
            for c in ("open", "high", "low", "close")
        )
        for pair, f in bars.items()
    }
    again = from_bars(bent, CALENDAR, ["return_5"], START, END)[0]
    np.testing.assert_array_equal(again.values[:601], made[1].values[:601])
    assert not np.array_equal(again.values[602], made[1].values[602])


def test_innovations_are_not_serially_correlated(made: list[Series]) -> None:
    """M_15 each minute has autocorrelation 0.9 at lag 1; sampled every 15 bars none."""
    x = made[2].values[np.isfinite(made[2].values).all(axis=1)]
    for j in range(x.shape[1]):
        assert abs(np.corrcoef(x[1:, j], x[:-1, j])[0, 1]) < 3.5 / np.sqrt(len(x))


def test_gap_is_what_rounding_leaves(made: list[Series]) -> None:
    """A triangle's gap is below a pip or two, is known at the step's end, and closes: the next step goes against it."""
    one = made[0]
    assert set(one.gaps) == {"eurjpy", "eurusd", "usdjpy"}, "audusd hangs on one side only"
    assert Gaps.of(one.names).names == ("eurjpy", "eurusd", "usdjpy")
    assert one.levels is not None
    gap = one.levels[:, 1] - one.levels[:, 2] - one.levels[:, 3]
    assert one.scale is not None
    np.testing.assert_allclose(one.gaps["eurjpy"], gap / one.scale[:, 1], rtol=1e-9, atol=1e-9)
    both = np.isfinite(one.values[1:, 1]) & np.isfinite(gap[:-1])
    assert np.corrcoef(one.values[1:, 1][both], gap[:-1][both])[0, 1] < -0.02
    assert made[0].only(["audusd", "eurusd"]).gaps == {}
