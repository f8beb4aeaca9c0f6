"""Indicators of longer bars against TA-Lib on the bars themselves, built one by one."""

from __future__ import annotations

import numpy as np
import pytest
import talib

from bqx.features.kernels.scaled import PATH, scaled

S = 4
"""Minutes a bar, for speed: nothing depends on it but the distance of closes."""


def test_against_talib() -> None:
    """RSI, EMA, ATR, MACD, standard deviations and means of the last bars, at rows of every phase."""
    rng = np.random.default_rng(4)
    n = 1500
    close = np.cumsum(rng.normal(size=n)) + 100.0
    high, low = close + rng.random(n), close - rng.random(n)
    top = np.array([high[max(0, r - S + 1) : r + 1].max() for r in range(n)])
    bottom = np.array([low[max(0, r - S + 1) : r + 1].min() for r in range(n)])
    columns = [x[:, None] for x in (close, top - close, close - bottom)]
    age, none = np.arange(n, dtype=np.int32), np.empty((0, 1))
    found = [x[:, 0] for x in scaled(*columns, age, S, (np.zeros(n, dtype=np.int32), none))]
    for r in range(PATH * S + 40, n, 91):
        at = np.arange(r - (PATH - 1) * S, r + 1, S)
        c, h, lo = close[at], top[at], bottom[at]
        assert found[0][r] == pytest.approx(c[-1] - talib.SMA(c, 10)[-1], abs=1e-9)
        assert found[1][r] == pytest.approx(c[-1] - talib.EMA(c[-100:], 20)[-1], abs=1e-9)
        assert found[2][r] == pytest.approx(np.std(np.diff(c)[-20:], ddof=1), rel=1e-9)
        assert found[4][r] == pytest.approx(talib.RSI(c[-141:], 14)[-1], rel=1e-9)
        # TA-Lib starts its fast mean where the slow one has its first value: 1e-9 of it is left after 149 bars
        assert found[5][r] == pytest.approx(talib.MACD(c, 12, 26, 9)[2][-1], abs=1e-6)
        assert found[6][r] == pytest.approx(talib.ATR(h[-141:], lo[-141:], c[-141:], 14)[-1], rel=1e-9)
        assert found[7][r] == pytest.approx(4 * talib.STDDEV(c, 20)[-1], rel=1e-7)
        step = np.diff(c)
        assert found[3][r] == pytest.approx(np.corrcoef(step[-20:], step[-21:-1])[0, 1], rel=1e-9)


def test_closures_leave_no_gap() -> None:
    """A gap between two segments moves nothing."""
    rng = np.random.default_rng(6)
    step = rng.normal(size=(1500, 1))
    whole = np.cumsum(step, axis=0)
    cut = 900
    later = whole - np.where(np.arange(1500) >= cut, whole[cut - 1], 0.0)[:, None]
    age = np.concatenate([np.arange(cut), np.arange(1500 - cut)]).astype(np.int32)
    segment = (np.arange(1500) >= cut).astype(np.int32)
    ends = np.array([[whole[cut - 1, 0]], [later[-1, 0]]])
    flat = np.zeros((1500, 1))
    none = np.empty((0, 1))
    one = scaled(whole, flat, flat, np.arange(1500, dtype=np.int32), S, (np.zeros(1500, dtype=np.int32), none))
    two = scaled(later, flat, flat, age, S, (segment, ends))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9)
        assert np.isfinite(b[cut:]).all()
