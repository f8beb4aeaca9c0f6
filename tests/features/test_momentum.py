"""The momentum columns against pandas, their mirror image and planted mistakes; the kernels have their own file."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from bqx.features.checks import CHECKS, World
from bqx.features.checks.result import same_bits
from bqx.features.declare import Dataset
from bqx.features.families.momentum import DATASETS, VALUES, WINDOWS
from bqx.features.families.momentum_series import Momentum
from bqx.features.kernels import breakout, hac, lines, runs
from bqx.features.streams import Streams

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
BY_NAME = {d.name: d for d in DATASETS}
LISTED = """
mom_acc sma_gap ema_gap ema_cross lin_slope lin_r2 lin_t quad_curv quad_r2_gain quad_apex resid_end efficiency
sign_balance streak runup drawdown pos_range ac1 mom_rank breakout trend_div
"""
COLUMNS = LISTED.split()


@pytest.fixture(scope="module")
def streams(world: World) -> Streams:
    return world.streams(BY_NAME["momentum_w240_bqx"], *world.span)[0]


@pytest.mark.parametrize("domain", ["rate", "bqx"])
def test_breakout_uses_the_range_of_technical(streams: Streams, domain: str) -> None:
    from bqx.features.catalogue import datasets

    technical = datasets()[f"technical_{domain}"].compute(streams, ["atr_60"])["atr_60"]
    found = BY_NAME[f"momentum_w60_{domain}"].compute(streams, ["breakout"])["breakout"]
    s = streams.stream("rate" if domain == "rate" else "bqx")
    out = np.abs(found) > 0
    rows, lanes = np.nonzero(out)
    for r, j in list(zip(rows, lanes, strict=True))[::97]:
        above, below = np.nanmax(s.high[r - 60 : r, j]), np.nanmin(s.low[r - 60 : r, j])
        edge = above if found[r, j] > 0 else below
        assert found[r, j] == (s.close[r, j] - edge) / technical[r, j]
    share = out.sum() / (~np.isnan(found)).sum()
    assert 0.005 < share < 0.2


def mirrored(streams: Streams) -> Streams:
    """The same bars with every level turned over: y -> -y, high and low change places."""
    panel = streams.panel
    other = Streams(panel, streams.calendar, streams.anchors)
    for domain in ("rate", "bqx"):
        for field, source in (("open", "open"), ("high", "low"), ("low", "high"), ("close", "close")):
            other.__dict__[f"{domain}_{field}"] = -getattr(streams, f"{domain}_{source}")
        other.__dict__[f"{domain}_change"] = -getattr(streams, f"{domain}_change")
    other.__dict__["rate_ends"] = -streams.rate_ends
    return other


SIGNED = "mom_acc sma_gap ema_gap ema_cross lin_slope lin_t quad_curv resid_end sign_balance breakout trend_div"
UNSIGNED = "lin_r2 quad_r2_gain quad_apex efficiency ac1"


@pytest.mark.parametrize("name", ["momentum_w15_rate", "momentum_w60_bqx", "momentum_w240_rate"])
def test_mirror(streams: Streams, name: str) -> None:
    """T6: turned over, signed columns change sign, run-up and draw-down change places, the rest stays."""
    up, down = (BY_NAME[name].compute(s, COLUMNS) for s in (streams, mirrored(streams)))
    for column in SIGNED.split():
        np.testing.assert_array_equal(up[column], -down[column], err_msg=column)
    for column in UNSIGNED.split():
        np.testing.assert_array_equal(up[column], down[column], err_msg=column)
    np.testing.assert_array_equal(up["streak"], -down["streak"])
    np.testing.assert_array_equal(up["runup"], -down["drawdown"])
    np.testing.assert_allclose(up["pos_range"], 1 - down["pos_range"], atol=1e-12)
    np.testing.assert_allclose(up["mom_rank"], 1 - down["mom_rank"], atol=1e-12)


@pytest.mark.parametrize("domain", ["rate", "bqx"])
def test_moves_against_pandas(streams: Streams, domain: str) -> None:
    """Where a segment and its windows are whole pandas says the same."""
    s = streams.stream("rate" if domain == "rate" else "bqx")
    age = streams.panel.grid.seg_age
    start = int(np.flatnonzero(age == 0)[1])
    stop = start + 2800
    y, dy = pd.Series(s.close[start:stop, 0]), pd.Series(s.change[start:stop, 0])
    high, low = pd.Series(s.high[start:stop, 0]), pd.Series(s.low[start:stop, 0])
    found = {k: v[start:stop, 0] for k, v in BY_NAME[f"momentum_w60_{domain}"].compute(streams, COLUMNS).items()}
    top, bottom = high.rolling(60).max(), low.rolling(60).min()
    moved = (y.diff(60) - y.diff(60).shift(60)) / (dy.rolling(240).std() * math.sqrt(120))
    theirs: Mapping[str, pd.Series] = {
        "mom_acc": moved,
        "sma_gap": y - y.rolling(60).mean(),
        "runup": y - bottom,
        "drawdown": y - top,
        "pos_range": (y - bottom) / (top - bottom),
        "ac1": dy.rolling(240).corr(dy.shift(1)),
        "efficiency": dy.rolling(60).sum().abs() / dy.abs().rolling(60).sum(),
    }
    for name, want in theirs.items():
        both = ~np.isnan(found[name]) & want.notna().to_numpy()
        assert both.sum() > 500, name
        np.testing.assert_allclose(found[name][both], want.to_numpy()[both], rtol=1e-7, atol=1e-8, err_msg=name)


def test_breakout_row_by_row(streams: Streams) -> None:
    s = streams.stream("rate")
    top, bottom, unit = s.high + 1.0, s.low - 1.0, np.abs(s.change) + 0.1
    batch = breakout.breakout(s.close, top, bottom, unit)
    live = np.full(batch.shape, np.nan)
    now = np.empty((1, batch.shape[1]))
    for r in range(1, 3000):
        pair = [x[r - 1 : r + 1].copy() for x in (s.close, top, bottom, unit)]
        breakout.breakout_row(*pair, 1, 0, now, 0)
        live[r] = now[0]
    assert same_bits(live[:3000], batch[:3000]).all()


def test_columns() -> None:
    assert [d.name for d in DATASETS] == [f"momentum_w{w}_{d}" for d in ("rate", "bqx") for w in WINDOWS]
    for home in DATASETS:
        assert [c.name for c in home.columns] == COLUMNS == list(VALUES)
        assert (home.counted, home.inherited, home.laggable, home.stage) == (True, False, False, "1.7.1")
    assert sum(len(d.columns) for d in DATASETS) == 168


Wrong = Callable[[Streams, F8], F8]


def plant(home: Dataset, column: str, wrong: Wrong) -> Dataset:
    def compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
        return {n: wrong(streams, v) if n == column else v for n, v in home.compute(streams, names).items()}

    return replace(home, columns=tuple(c for c in home.columns if c.name == column), compute=compute)


def fit_of_the_whole_column(streams: Streams, honest: F8) -> F8:
    """A slope over 60 rows whatever closures they span, without taking the gaps out."""
    y = streams.rate_close
    never = np.arange(len(y), dtype=np.int32)
    loose = lines.slope(y, never, 60, 54, False)
    return np.where(np.isnan(loose), honest, loose)


def residual_by_sample_variance(streams: Streams, honest: F8) -> F8:
    """Degrees of freedom taken off the mean square."""
    return honest * math.sqrt(57 / 60)


def newey_west_unweighted(streams: Streams, honest: F8) -> F8:
    """White's errors: no autocovariances."""
    y, age = streams.rate_close, streams.panel.grid.seg_age
    return hac.slope_t(y, age, 60, 54, 0, False)


def vertex_of_noise(streams: Streams, honest: F8) -> F8:
    """A vertex where there is none: 0 in place of NULL."""
    return np.nan_to_num(honest)


def streak_of_the_segment(streams: Streams, honest: F8) -> F8:
    """The longest run since the segment began, not of the window."""
    found = runs.signs(streams.rate_change, streams.panel.grid.seg_age, 240, 216)[0] * 240 / 60
    return np.where(np.isnan(found), honest, found)


def rank_with_itself_left_out(streams: Streams, honest: F8) -> F8:
    return (honest * 1440 - 0.5) / 1439


def range_with_the_bar_itself(streams: Streams, honest: F8) -> F8:
    """A close is never above a range that holds it."""
    return np.where(np.isnan(honest), honest, 0.0)


def trend_across_the_gap(streams: Streams, honest: F8) -> F8:
    """lin_t over 960 bars of levels as they are, each week from its own zero."""
    y, age = streams.rate_close, streams.panel.grid.seg_age
    return Momentum(streams, "rate", 240).trend(240) - hac.slope_t(y, age, 960, 864, 6, True)


PLANTED: list[tuple[str, str, Wrong, str]] = [
    ("momentum_w60_rate", "lin_slope", fit_of_the_whole_column, "nulls"),
    ("momentum_w60_rate", "resid_end", residual_by_sample_variance, "reference"),
    ("momentum_w60_rate", "lin_t", newey_west_unweighted, "reference"),
    ("momentum_w60_rate", "quad_apex", vertex_of_noise, "zeros"),
    ("momentum_w60_rate", "streak", streak_of_the_segment, "reference"),
    ("momentum_w60_rate", "mom_rank", rank_with_itself_left_out, "reference"),
    ("momentum_w60_rate", "breakout", range_with_the_bar_itself, "reference"),
    ("momentum_w240_rate", "trend_div", trend_across_the_gap, "reference"),
]


@pytest.mark.parametrize(("name", "column", "wrong", "check"), PLANTED, ids=[w.__name__ for *_, w, _ in PLANTED])
def test_planted_bugs_are_caught(world: World, name: str, column: str, wrong: Wrong, check: str) -> None:
    results = CHECKS[check](plant(BY_NAME[name], column, wrong), world)
    assert [r.differing > 0 for r in results if r.column == column] == [True]
