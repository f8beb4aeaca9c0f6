"""The family of settings and what luck gets, against the trades they are made of."""

from __future__ import annotations

import numpy as np
import pytest
from market_worlds import SMALL_END, SMALL_START, feed, forecasts

from bqx.research.backtest.costs import Costs
from bqx.research.backtest.family import THRESHOLDS, Family
from bqx.research.backtest.financing import Financing
from bqx.research.backtest.judge import benchmarks
from bqx.research.backtest.outcomes import outcomes
from bqx.research.backtest.profit import Book
from bqx.research.backtest.signal import SignalRule
from bqx.research.backtest.simulate import Setup, simulate
from bqx.research.backtest.sizing import Sizing
from bqx.research.backtest.zones import NoTrade

FREE = Costs(0.0, 0.0, 0.0, 0.0, Financing(0.0))


def _family(small_frames, calendar, cost, seeds=60, r2=0.05) -> tuple[Family, list, object]:
    given = feed(small_frames, calendar, SMALL_START, SMALL_END, cost=cost)
    market = given.market(SMALL_START, SMALL_END)
    tables = forecasts(small_frames, calendar, SMALL_START, SMALL_END, r2=r2)
    family = Family(np.unique(market.grid.day).astype(np.int64), SignalRule(), Sizing(currency_cap=None), seeds=seeds)
    for t in tables:
        family.add(outcomes(t, market, calendar, FREE, NoTrade()))
    return family, tables, given


def test_members_are_what_the_event_loop_trades(small_frames, holiday_calendar):
    """Threshold 1 of all horizons is the strategy; twice the cost is the strategy with a margin of one cost."""
    family, tables, given = _family(small_frames, holiday_calendar, 0.4)
    keys, matrix = family.matrix()
    assert keys == [(h, k) for h in (0, 15, 60) for k in THRESHOLDS]
    for column, margin in ((0, 0.0), (3, 0.4)):
        setup = Setup(SignalRule(margin), FREE, sizing=Sizing(currency_cap=None))
        done = simulate(given.markets(), holiday_calendar, tables, setup)
        closed = done.pnl.cumsum()
        np.testing.assert_allclose(matrix[:, column].sum(), done.pnl.sum(), atol=1e-9)
        late = sum(t.exited - t.decided > t.horizon + 1 for t in done.trades)
        assert np.abs(matrix[:, column].cumsum() - closed).max() < 60.0 + late, "realised against marked to market"
    np.testing.assert_allclose(matrix[:, 0], matrix[:, 4] + matrix[:, 8], atol=1e-9)
    own = Book.concat(family.strategy)
    assert float(own.weight @ own.net()) == pytest.approx(matrix[:, 0].sum())


@pytest.mark.parametrize("cost", [0.0, 0.4])
def test_luck_loses_the_cost(small_frames, holiday_calendar, cost):
    """Random sides on a random walk: the mean over seeds is minus the cost of the strategy's own turnover, whatever it
    knows; a strategy that knows something is beyond luck."""
    family, _, _ = _family(small_frames, holiday_calendar, cost)
    own = Book.concat(family.strategy)
    random = family.random.sum(axis=1) / own.weight.sum()
    assert abs(random.mean() + cost) < 4 * random.std() / len(random) ** 0.5 + 0.02
    found = benchmarks(family, family.days)
    assert found["random"]["p"] == pytest.approx(1 / 61)
    low, _, high = found["random"]["expectancy_bps"]
    walk = found["random_walk_signal"]
    assert low - 0.3 < walk["mean"] < high + 0.3
    assert found["zero"]["expectancy_bps"] == 0.0


def test_equal_seeds_equal_luck(small_frames, holiday_calendar):
    one, two = (_family(small_frames, holiday_calendar, 0.4, seeds=20)[0] for _ in range(2))
    assert np.array_equal(one.random, two.random)
    noise = _family(small_frames, holiday_calendar, 0.0, r2=0.0)[0]
    assert 0.02 < benchmarks(noise, noise.days)["random"]["p"] < 0.98
