"""What can be forecast of BQX levels and changes on a random walk, without any skill."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]


def squares(n: int) -> float:
    """S(n) = 1 + 4 + ... + n^2."""
    return n * (n + 1) * (2 * n + 1) / 6


def level_r2(window: int, horizon: int) -> float:
    """R2 of E[M_w(t + h)] for the level M_w(t + h): S(w - h) / S(w) for h < w, else 0.

    >>> round(level_r2(75, 15), 3)
    0.515
    """
    return squares(window - horizon) / squares(window) if horizon < window else 0.0


def change_r2(window: int, horizon: int) -> float:
    """R2 for the change M_w(t + h) - M_w(t): known variance over known and unknown.

    >>> round(change_r2(60, 45), 3)
    0.46
    """
    if horizon >= window:
        return 0.5
    known = (window - horizon) * horizon**2 + squares(horizon)
    return known / (known + squares(window) - squares(window - horizon))


def hit_rate(r2: float) -> float:
    """Share of right signs of a forecast with that R2, forecast and outcome jointly normal.

    >>> round(hit_rate(0.206), 2)
    0.65
    """
    return 0.5 + math.asin(math.sqrt(r2)) / math.pi


def momentum(returns: F8, window: int) -> F8:
    """M_w at each bar of returns (n,): weight w on the newest, 1 on the oldest; NaN for the first w - 1."""
    n, w = len(returns), window
    out = np.full(n, np.nan)
    total = np.r_[0.0, np.cumsum(returns)]
    drift = np.r_[0.0, np.cumsum(np.arange(n) * returns)]
    end = np.arange(w - 1, n)
    first = end - w + 1
    out[end] = drift[end + 1] - drift[first] - (first - 1.0) * (total[end + 1] - total[first])
    return out


def simulated(returns: F8, window: int, horizon: int, *, change: bool = False) -> tuple[float, float]:
    """R2 and share of right signs of the random-walk forecast on `returns` (n,), any horizon below n."""
    m = momentum(returns, window)
    now, ahead = m[:-horizon], m[horizon:]
    known = momentum(returns, window - horizon)[:-horizon] if horizon < window else np.zeros(len(now))
    forecast = known - now if change else known
    truth = ahead - now if change else ahead
    ok = np.isfinite(truth) & np.isfinite(forecast)
    y, f = truth[ok], forecast[ok]
    signed = (f != 0.0) & (y != 0.0)
    hits = float((np.sign(y) == np.sign(f))[signed].mean()) if signed.any() else 0.5
    return 1.0 - float(((y - f) ** 2).sum() / (y**2).sum()), hits
