"""Baselines against pandas and against loops over bars."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from bqx.base.errors import UsageError
from bqx.research.estimators import forecaster
from bqx.research.estimators.baselines import PRIOR_ROWS, minute_of_week, past_values
from bqx.research.labels import COLUMNS, Labels
from bqx.research.target_set import target

AT = 15 * np.arange(3000, dtype=np.int64)


def test_random_walk_and_persistence() -> None:
    rng = np.random.default_rng(0)
    Y = rng.normal(size=(3000, 2))
    past = np.vstack([np.full((4, 2), np.nan), Y[:-4]]).astype(np.float32)
    assert not forecaster("random_walk").fit(past, Y, AT, 60, 0).predict(past).any()
    f = forecaster("persistence").fit(past, Y, AT, 60, 0).predict(past)
    np.testing.assert_array_equal(f[4:], past[4:].astype(np.float64))
    assert not f[:4].any()
    skill = 1 - ((Y[4:] - f[4:]) ** 2).sum() / (Y[4:] ** 2).sum()
    assert skill == pytest.approx(-1.0, abs=0.1), "persistence of independent values doubles the error"
    with pytest.raises(UsageError, match="past value of each"):
        forecaster("persistence").fit(past[:, :1], Y, AT, 60, 0)


def test_climatology_is_a_shrunk_group_mean() -> None:
    rng = np.random.default_rng(1)
    minute = 29_000_000 + AT
    X, Y = minute_of_week(minute), rng.normal(size=(3000, 2))
    model = forecaster("climatology", width=60).fit(X, Y, AT, 60, 0)
    group = pd.DataFrame(Y).groupby(X[:, 0].astype(int) // 60)
    want = group.transform("sum") / (group.transform("count") + PRIOR_ROWS)
    np.testing.assert_allclose(model.predict(X), want, rtol=1e-12)
    stamp = pd.to_datetime(minute[:50] * 60, unit="s")
    np.testing.assert_array_equal(X[:50, 0], stamp.day_of_week * 1440 + stamp.hour * 60 + stamp.minute)
    assert not model.predict(np.full((1, 1), np.nan, np.float32)).any()
    with pytest.raises(UsageError, match="do not fill a week"):
        forecaster("climatology", width=11)


def labels(n: int = 400, cut: int = 150) -> Labels:
    """Two segments of a random walk, one bar a minute; the second begins at row `cut`."""
    rng = np.random.default_rng(2)
    age = np.r_[np.arange(cut), np.arange(n - cut)].astype(np.int64)
    left = np.r_[np.arange(cut)[::-1], np.arange(n - cut)[::-1]].astype(np.int64)
    level = np.cumsum(rng.normal(size=n))
    values = {k: np.full(n, np.nan, np.float32) for k in COLUMNS}
    values["sigma"] = rng.uniform(0.5, 2.0, n).astype(np.float32)
    values["sigma"][300] = 0.0
    for h in (15, 60):
        values[f"m_{h}"] = rng.normal(size=n).astype(np.float32)
        inside = left >= h
        values[f"r_{h}"][inside] = (np.roll(level, -h) - level)[inside]
        values[f"a_{h}_{h}"][inside] = np.roll(values[f"m_{h}"], -h)[inside]
    return Labels(np.arange(n, dtype=np.int64), np.arange(n, dtype=np.int64) + 7, age, left, values)


def test_past_values_are_what_the_targets_were() -> None:
    """In units of today's sigma: the target h bars ago, where it lies in the same segment."""
    held = labels()
    momentum, change = past_values(held, (15, 60))
    sigma = held.values["sigma"].astype(np.float64)
    for k, h in enumerate((15, 60)):
        was = target(f"y4_{h}").value(held) * np.where(sigma > 0, sigma, np.nan)
        for t in range(len(held)):
            if held.seg_age[t] < h or sigma[t] == 0:
                assert math.isnan(change[t, k])
            elif sigma[t - h] > 0:
                assert change[t, k] == pytest.approx(was[t - h] / sigma[t], rel=1e-6)
    np.testing.assert_allclose(momentum[:300, 0], held.values["m_15"][:300] / sigma[:300])
    assert math.isnan(momentum[300, 0])
    with pytest.raises(UsageError, match="every open minute"):
        past_values(held.take(np.arange(0, 400, 15)), (15,))
