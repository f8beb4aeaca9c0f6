"""Labels from raw bars the slow way (L4), the random-walk forecasts of H.1, and the sign map."""

from __future__ import annotations

import doctest
import math

import numpy as np
import polars as pl
import pytest
from worlds import CALENDAR

from bqx.base.errors import UsageError
from bqx.features.anchors import Anchors
from bqx.features.streams import WINDOWS, Streams
from bqx.market.calendar import Calendar, month_span
from bqx.market.panel import make_panel
from bqx.market.simulated import simulate
from bqx.research import target_set
from bqx.research.labels import ASSUMED_COST, Labels, bars_left, labels_of
from bqx.research.target_set import research_targets, target, targets_all
from bqx.research.targets import HORIZONS, targets


def _made(days: int = 40, quotes: bool = True) -> tuple[Labels, Streams]:
    start = CALENDAR.segment_start(month_span("2023_02")[0])
    end = CALENDAR.at_ordinal(CALENDAR.ordinal(start) + days * 1440)
    bars = simulate(CALENDAR, start, end, seed=5, pairs=("eurusd",))
    panel = make_panel(bars, ("eurusd",), CALENDAR.grid(start, end), quotes=quotes)
    streams = Streams(panel, CALENDAR, Anchors())
    return labels_of(streams, CALENDAR, start, end), streams


@pytest.fixture(scope="module")
def made() -> tuple[Labels, Streams]:
    return _made()


def test_labels_equal_those_from_raw_closes(made: tuple[Labels, Streams]) -> None:
    """L4: at sampled times, from the definition of raw BQX on the carried closes."""
    labels, streams = made
    close, seg = streams.panel.close[:, 0], streams.panel.grid.seg_id
    rng = np.random.default_rng(0)
    compared = closed = 0
    for r in rng.integers(2000, len(close) - 80, size=1500):
        for h in HORIZONS:
            if seg[r + h] != seg[r]:
                assert labels.left[r] < h and all(np.isnan(labels.values[f"a_{h}_{w}"][r]) for w in WINDOWS)
                closed += 1
                continue
            assert labels.left[r] >= h
            if np.isfinite(close[[r, r + h]]).all():
                want = 1e4 * math.log(close[r + h] / close[r])
                assert labels.values[f"r_{h}"][r] == pytest.approx(want, abs=2e-4)
            window = close[r : r + h]  # w = h: the h closes before t + h
            if np.isfinite(window).all() and np.isfinite(close[r + h]):
                raw = sum((x - close[r + h]) / close[r + h] for x in window)
                want = -1e4 * raw / target_set.root(h)
                assert labels.values[f"a_{h}_{h}"][r] == pytest.approx(want, rel=1e-4, abs=1e-5)
                compared += 1
    assert compared > 5000 and closed > 20


def test_y3_with_window_equal_horizon_is_the_label_of_the_first_answer(made: tuple[Labels, Streams]) -> None:
    labels, streams = made
    M = {h: streams.oriented(h) for h in HORIZONS}
    old = targets(M, streams.sigma, streams.panel.grid.seg_id)[:, 0]
    for k, h in enumerate(HORIZONS):
        np.testing.assert_allclose(target(f"y3_{h}_{h}").value(labels), old[:, k], rtol=1e-6)
    assert np.isfinite(old).sum() > 100_000


def test_random_walk_forecasts_give_the_mechanical_r2() -> None:
    """H.1 by simulation: R2 of the level and of the change without any skill, and none beyond (L8)."""
    n, rng = 300_000, np.random.default_rng(1)
    grid = CALENDAR.grid(month_span("2022_01")[0], month_span("2023_01")[0])
    price = 100 * np.exp(1e-4 * np.cumsum(rng.normal(size=n)))
    # one endless segment: the real calendar's closures are tested elsewhere
    labels = _walk_labels(price, grid.minute[0])
    table = {("y1", 15, 60): 0.425, ("y1", 15, 75): 0.515, ("y1", 30, 75): 0.219, ("y1", 30, 60): 0.128,
             ("y2", 15, 60): 0.211, ("y2", 30, 60): 0.362, ("y2", 60, 60): 0.500, ("y2", 45, 75): 0.407}  # fmt: skip
    for (kind, h, w), want in table.items():
        t = target(f"{kind}_{h}_{w}")
        y, f = t.value(labels), t.walk(labels)
        ok = np.isfinite(y) & np.isfinite(f)
        r2 = 1 - ((y - f)[ok] ** 2).sum() / (y[ok] ** 2).sum()
        assert r2 == pytest.approx(want, abs=0.012), t.name
    for t in research_targets():
        assert (t.walk(labels) == 0).all()
    y = target("y3_15_60").value(labels)
    known = labels.values["m_60"].astype(float)
    ok = np.isfinite(y)
    assert abs(np.corrcoef(y[ok], known[ok])[0, 1]) < 0.03, "the innovation holds nothing known at t"
    for q in (10, 50, 90):
        for name in (f"y6_y3_30_30_q{q}", f"y6_y4_30_q{q}"):
            t = target(name)
            y, f = t.value(labels), t.walk(labels)
            assert np.mean(y[np.isfinite(y)] < f[0]) == pytest.approx(q / 100, abs=0.02), name
            assert t.loss == "pinball"


def _walk_labels(price: np.ndarray, first: int) -> Labels:
    """Labels of an endless random walk from the increments, by convolution."""
    r = np.diff(np.log(price), prepend=np.log(price[0])) * 1e4
    n = len(r)
    M = {w: np.convolve(r, np.arange(w, 0, -1) / target_set.root(w))[:n] for w in WINDOWS}
    level = np.cumsum(r)
    values = {"sigma": np.ones(n), "cost": np.ones(n)} | {f"m_{w}": M[w] for w in WINDOWS}
    for h in HORIZONS:
        pad = np.full(h, np.nan)
        values |= {f"a_{h}_{w}": np.r_[M[w][h:], pad] for w in WINDOWS}
        values[f"r_{h}"] = np.r_[level[h:] - level[:-h], pad]
    at = np.arange(n, dtype=np.int64)
    return Labels(first + at, at, at, np.full(n, 7200), {k: v.astype(np.float32) for k, v in values.items()})


def test_signs_and_band(made: tuple[Labels, Streams]) -> None:
    """Positive is a rising price; inside one round trip the class is 0; the cost is the quoted spread."""
    labels, _ = made
    cost, move, sign = labels.values["cost"], labels.values["r_60"], target("y5_60").value(labels)
    ok = np.isfinite(sign)
    np.testing.assert_array_equal(sign[ok], np.where(np.abs(move) <= cost, 0, np.sign(move))[ok])
    assert {-1.0, 0.0, 1.0} == set(sign[ok]) and len(np.unique(cost)) > 100
    y3, y4 = target("y3_60_60").value(labels), target("y4_60").value(labels)
    both = np.isfinite(y3) & np.isfinite(y4)
    assert np.corrcoef(y3[both], y4[both])[0, 1] > 0.8, "oriented: momentum and return have one sign"
    without, _ = _made(days=8, quotes=False)
    assert (without.values["cost"] == ASSUMED_COST).all()


def test_bars_left_by_brute_force(holiday_calendar: Calendar) -> None:
    grid = holiday_calendar.grid(*month_span("2024_03"))
    left = bars_left(holiday_calendar, grid.minute)
    open_minutes = set(holiday_calendar.grid(month_span("2024_03")[0], month_span("2024_04")[0] + 9 * 1440).minute)
    for r in range(0, len(grid), 997):
        count, m = 0, int(grid.minute[r])
        while m + 1 in open_minutes:
            m, count = m + 1, count + 1
        assert left[r] == count


def test_frames_and_names(made: tuple[Labels, Streams]) -> None:
    labels, _ = made
    back = Labels.of_frame(labels.frame())
    assert dict(labels.frame().schema) == Labels.schema()
    assert all(np.array_equal(back.values[k], labels.values[k], equal_nan=True) for k in labels.values)
    assert np.array_equal(back.minute, labels.minute) and np.array_equal(back.left, labels.left)
    assert not any(s.is_nan().any() for s in labels.frame() if s.dtype == pl.Float32), "NULL is null"
    assert len(targets_all()) == 140 and len(research_targets()) == 10
    with pytest.raises(UsageError, match="y3_60_61"):
        target("y3_60_61")
    assert doctest.testmod(target_set).failed == 0
