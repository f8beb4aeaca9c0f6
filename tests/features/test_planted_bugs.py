"""Planted mistakes: each must be caught, by the check that is named for it and by no fewer than are listed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from bqx.features.catalogue import datasets
from bqx.features.checks import CHECKS, World
from bqx.features.declare import Dataset
from bqx.features.kernels import ewma, momentum
from bqx.features.streams import HALF_LIFE, SIGMA_NEED, Streams, ewma_weight
from bqx.features.support import counts
from bqx.market.calendar import minute_of, month_span

F8 = NDArray[np.float64]
CAUSAL, ANCHORED, NULLS, STAND_INS = "P1 causal", "P2 anchored", "P3 null pattern", "P3 stand-ins"
SCALE, BASELINE, BOUNDS, REFERENCE = "P4 scale-free", "P4 baseline", "bounds", "reference"


def shifted(x: F8, rows: int) -> F8:
    """Row r holds row r - rows."""
    out = np.full_like(x, np.nan)
    if rows > 0:
        out[rows:] = x[:-rows]
    else:
        out[:rows] = x[-rows:]
    return out


def windows(x: F8, w: int) -> F8:
    """Rows r - w .. r - 1 of every lane, shape (n, pairs, w); NaN outside."""
    padded = np.vstack([np.full((w, x.shape[1]), np.nan), x[:-1]])
    return np.lib.stride_tricks.sliding_window_view(padded, w, axis=0)


def one_bar_early(streams: Streams, name: str, honest: F8) -> F8:
    return shifted(honest, -1)


def centred(streams: Streams, name: str, honest: F8) -> F8:
    """avg_index of the window around t in place of the one before it."""
    return shifted(honest, -7)


def whole_sample(streams: Streams, name: str, honest: F8) -> F8:
    """Divided by the standard deviation of all there is, as a notebook would."""
    return honest / np.sqrt(np.nanmean(honest**2))


def null_at_month_start(streams: Streams, name: str, honest: F8) -> F8:
    """The month is built without the bars before it: its first 60 rows have no full window."""
    out = honest.copy()
    row = streams.panel.grid.index(month_span("2024_03")[0])
    if 0 < row < len(out):
        out[row : row + 60] = np.nan
    return out


def restarted_each_month(streams: Streams, name: str, honest: F8) -> F8:
    """The recursion begins anew with the month and is right again later; never NULL."""
    row = streams.panel.grid.index(month_span("2024_03")[0])
    if not 0 < row < len(honest):
        return honest
    age = streams.panel.grid.seg_age.copy()
    age[row:] = np.arange(len(age) - row)
    fresh = ewma.ewma_deviation(streams.rate_change, age, ewma_weight(HALF_LIFE), HALF_LIFE, 1, 0)
    out = honest.copy()
    span = slice(row + 120, row + 1000)
    out[span] = honest[span] * streams.sigma[span] / fresh[span]
    return out


def state_from_the_build(streams: Streams, name: str, honest: F8) -> F8:
    """One trajectory from the first loaded bar, in place of one a segment."""
    never = np.ones_like(streams.panel.grid.seg_age)
    never[0] = 0
    sigma = ewma.ewma_deviation(streams.rate_change, never, ewma_weight(HALF_LIFE), HALF_LIFE, SIGMA_NEED, 0)
    return np.where(np.isnan(sigma), honest, honest * streams.sigma / sigma)


def sums_from_the_build(streams: Streams, name: str, honest: F8) -> F8:
    """The mean of 15 closes as a difference of two running sums that begin with the loaded bars."""
    close = np.nan_to_num(streams.panel.close)
    total = np.cumsum(close, axis=0)
    mean = (shifted(total, 1) - shifted(total, 16)) / 15
    scale = 100.0 / streams.anchors.mids(streams.panel.pairs)
    whole = ~np.isnan(windows(streams.panel.close, 15)).any(axis=2) & ~np.isnan(mean)
    return np.where(whole & ~np.isnan(honest), mean * scale, honest)


def restart_by_row(streams: Streams, name: str, honest: F8) -> F8:
    """Sums restart every 1,024 loaded rows, not every 1,024 open minutes of the segment."""
    panel = streams.panel
    out = honest.copy()
    for begin in range(0, len(honest), 1024):
        rows = slice(begin, begin + 1024)
        start = max(0, begin - 15)
        age = np.arange(len(panel.close[start : begin + 1024]), dtype=np.int32)
        shift, excess, _ = momentum.previous_closes(panel.close[start : begin + 1024], age, 15, 15)
        again = momentum.momentum(shift, excess, panel.close[start : begin + 1024], 15.0)[begin - start :]
        out[rows] = np.where(np.isnan(honest[rows]) | np.isnan(again), honest[rows], again)
    return out


def other_pairs(streams: Streams, name: str, honest: F8) -> F8:
    """A hundredth of the other pairs' average enters."""
    return honest + 0.01 * np.nan_to_num(np.nanmean(np.nan_to_num(honest), axis=1))[:, None]


def zero_for_null(streams: Streams, name: str, honest: F8) -> F8:
    return np.nan_to_num(honest)


def hundred_for_null(streams: Streams, name: str, honest: F8) -> F8:
    """An index that is 100 where it is not known."""
    return np.nan_to_num(honest, nan=100.0)


def infinite(streams: Streams, name: str, honest: F8) -> F8:
    """A division by zero that got through, once in 1,000 minutes."""
    return np.where((streams.panel.grid.minute % 1000 == 0)[:, None] & (honest > 0), np.inf, honest)


def population_deviation(streams: Streams, name: str, honest: F8) -> F8:
    w = 75 if name.startswith("agg") else int(name[1:3])
    count = np.maximum(shifted(counts(~np.isnan(streams.panel.close), w).astype(np.float64), 1), 1)
    return honest * np.sqrt((count - 1) / count)


def fewer_are_enough(streams: Streams, name: str, honest: F8) -> F8:
    """min_periods of 8 in place of 14 of 15 (all of them): a mean where NULL is declared."""
    close, age = streams.panel.close, streams.panel.grid.seg_age
    shift, excess, _ = momentum.previous_closes(close, age, 15, 8)
    return np.where(np.isnan(honest), momentum.momentum(shift, excess, close, 15.0), honest)


def carried_on(streams: Streams, name: str, honest: F8) -> F8:
    """The last value stands in for every NULL after it, over holes and weekends."""
    rows = np.where(np.isnan(honest), 0, np.arange(len(honest))[:, None])
    return np.take_along_axis(honest, np.maximum.accumulate(rows, axis=0), axis=0)


def price_enters(streams: Streams, name: str, honest: F8) -> F8:
    """A difference of prices where one of logs is declared."""
    return honest * streams.panel.close


def baseline_enters(streams: Streams, name: str, honest: F8) -> F8:
    """Multiplied by the index / 100: free of scale, but T0 moves it."""
    return honest * streams.panel.close / streams.anchors.mids(streams.panel.pairs)


def percent(streams: Streams, name: str, honest: F8) -> F8:
    """A flag written as 0 and 100."""
    return honest * 100.0


@dataclass(frozen=True)
class Bug:
    dataset: str
    columns: tuple[str, ...]
    plant: Callable[[Streams, str, F8], F8]
    caught_by: frozenset[str]


def bug(dataset: str, columns: str, plant: Callable[[Streams, str, F8], F8], *caught_by: str) -> Bug:
    return Bug(dataset, tuple(columns.split()), plant, frozenset(caught_by))


RAW, STD, BASE, OHLC = "returns_raw_rate", "returns_std_rate", "base_bqx", "ohlc_rate"
BUGS = (
    bug(RAW, "ret_1 ret_60 ret_1440", one_bar_early, CAUSAL, ANCHORED, NULLS, REFERENCE),
    bug("returns_raw_bqx", "ret_15 ret_480", one_bar_early, CAUSAL, ANCHORED, NULLS, REFERENCE),
    bug(BASE, "w15_bqx_return M_60 w30_bqx_max_index", one_bar_early, CAUSAL, ANCHORED, NULLS, REFERENCE),
    bug("time_dual", "minutes_to_week_close", one_bar_early, CAUSAL, ANCHORED, NULLS, REFERENCE),
    bug(BASE, "w15_bqx_avg_index w75_bqx_stdev_index", centred, CAUSAL, ANCHORED, NULLS, REFERENCE),
    bug(RAW, "ret_1 ret_240", whole_sample, CAUSAL, ANCHORED, REFERENCE),
    bug(RAW, "ret_60 ret_480", null_at_month_start, NULLS),
    bug(STD, "retz_1 retz_60", restarted_each_month, REFERENCE),
    bug(STD, "retz_1 retz_480", state_from_the_build, ANCHORED, REFERENCE),
    bug(BASE, "w15_bqx_avg_index", sums_from_the_build, ANCHORED),
    bug(BASE, "w15_bqx_return", restart_by_row, ANCHORED),
    bug(RAW, "ret_1 ret_15", other_pairs, ANCHORED, REFERENCE),
    bug(RAW, "ret_60 ret_1440", zero_for_null, NULLS),
    bug(STD, "retz_1 retz_240", zero_for_null, NULLS),
    bug(BASE, "w15_bqx_return M_75", zero_for_null, NULLS),
    bug(BASE, "rate_index w60_bqx_max_index", zero_for_null, NULLS, STAND_INS),
    bug(BASE, "rate_index w60_bqx_max_index", hundred_for_null, NULLS),
    bug(OHLC, "rate_index open_index gap_factor", hundred_for_null, NULLS),
    bug(RAW, "ret_1", infinite, NULLS, REFERENCE),
    bug(BASE, "w15_bqx_stdev_index w75_bqx_stdev_index agg_bqx_volatility", population_deviation, REFERENCE),
    bug(BASE, "w15_bqx_return", fewer_are_enough, NULLS),
    bug(RAW, "ret_1 ret_60", carried_on, ANCHORED, NULLS),
    bug(RAW, "ret_1 ret_1440", price_enters, SCALE, REFERENCE),
    bug(STD, "retz_5", price_enters, SCALE, REFERENCE),
    bug(RAW, "ret_1 ret_1440", baseline_enters, BASELINE, REFERENCE),
    bug(BASE, "M_15", baseline_enters, BASELINE, REFERENCE),
    bug(OHLC, "is_filled", percent, BOUNDS, REFERENCE),
)


def failed(home: Dataset, world: World) -> dict[str, set[str]]:
    """Names of the checks each column fails."""
    out: dict[str, set[str]] = {c.name: set() for c in home.columns}
    for check in CHECKS.values():
        for result in check(home, world):
            if not result.passed:
                out[result.column].add(result.check)
                assert result.reason
                assert result.dataset == home.name
    return out


def narrowed(name: str, columns: Sequence[str]) -> Dataset:
    home = datasets()[name]
    return replace(home, columns=tuple(home.by_name[c] for c in columns))


def planted(plan: Bug) -> Dataset:
    home = narrowed(plan.dataset, plan.columns)

    def broken(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
        honest = home.compute(streams, names)
        return {name: plan.plant(streams, name, honest[name]) for name in names}

    return replace(home, compute=broken)


@pytest.fixture(scope="module")
def two(world: World) -> World:
    """Two pairs and three weeks of it; T0 in the first."""
    begin = datetime(2024, 2, 25, 22, tzinfo=UTC)
    frames = {p: world.frames[p].filter(pl.col("ts_utc") >= begin) for p in ("eurusd", "usdjpy")}
    return World(frames, world.calendar, minute_of(begin) + 2 * 1440)


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")  # the planted infinities
@pytest.mark.parametrize("plan", BUGS, ids=lambda b: f"{b.plant.__name__}-{b.dataset}")
def test_caught(plan: Bug, two: World) -> None:
    found = failed(planted(plan), two)
    assert found == {c: set(plan.caught_by) for c in plan.columns}


@pytest.mark.parametrize("name", sorted({b.dataset for b in BUGS}))
def test_honest_version_passes(name: str, two: World) -> None:
    columns = dict.fromkeys(c for b in BUGS if b.dataset == name for c in b.columns)
    home = narrowed(name, tuple(columns))
    assert failed(home, two) == {c: set() for c in columns}
