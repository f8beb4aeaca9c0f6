"""Spreads that show in prices alone, for bars without quotes: whole-sample estimates, as a share of the price.

Each takes prices (n,) in order of time; NaN marks what is missing, and a NaN row separates bars that are not
neighbours. Below three neighbouring bars the answer is NaN. On 1-minute currency bars all of them are noisy, and the
simple ones are biased upwards by clipping at 0; so what rests on them is flagged as estimated.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]
FEWEST = 3


def roll(close: F8) -> float:
    """Roll (1984): 2 sqrt(-cov(change, change before)), 0 where the covariance is not negative."""
    change = np.diff(np.log(close))
    a, b = change[1:], change[:-1]
    ok = np.isfinite(a) & np.isfinite(b)
    if ok.sum() < FEWEST:
        return math.nan
    cov = float(np.mean((a[ok] - a[ok].mean()) * (b[ok] - b[ok].mean())))
    return 2.0 * math.sqrt(max(-cov, 0.0))


def corwin_schultz(high: F8, low: F8) -> float:
    """Corwin and Schultz (2012): mean over neighbouring bars, negative ones set to 0 as they advise."""
    h, low_ = np.log(high), np.log(low)
    beta = (h[1:] - low_[1:]) ** 2 + (h[:-1] - low_[:-1]) ** 2
    gamma = (np.maximum(h[1:], h[:-1]) - np.minimum(low_[1:], low_[:-1])) ** 2
    k = 3.0 - 2.0 * math.sqrt(2.0)
    alpha = (np.sqrt(2.0 * beta) - np.sqrt(beta)) / k - np.sqrt(gamma / k)
    spread = 2.0 * (np.exp(alpha) - 1.0) / (1.0 + np.exp(alpha))
    spread = spread[np.isfinite(spread)]
    return float(np.maximum(spread, 0.0).mean()) if len(spread) >= FEWEST else math.nan


def abdi_ranaldo(high: F8, low: F8, close: F8) -> float:
    """Abdi and Ranaldo (2017): 2 sqrt(mean((c1 - m1)(c1 - m))), c1 and m1 close and mid-range of the bar before."""
    c, m = np.log(close), 0.5 * (np.log(high) + np.log(low))
    product = (c[:-1] - m[:-1]) * (c[:-1] - m[1:])
    product = product[np.isfinite(product)]
    return 2.0 * math.sqrt(max(float(product.mean()), 0.0)) if len(product) >= FEWEST else math.nan


def edge(open_: F8, high: F8, low: F8, close: F8, *, signed: bool = False) -> float:
    """EDGE of Ardia, Guidotti and Kroencke (2024): the two moment conditions of open, mid-range and close, each
    corrected for bars that show no trade, weighted by the inverse of their variances.

    `signed` gives the root of the square with its sign, so that averages are not biased; else its absolute value.
    NaN when no bar moved.
    """
    o, h, l, c = (np.log(x) for x in (open_, high, low, close))
    m = 0.5 * (h + l)
    h1, l1, c1, m1 = h[:-1], l[:-1], c[:-1], m[:-1]
    o, h, l, m = o[1:], h[1:], l[1:], m[1:]
    ok = np.isfinite(o) & np.isfinite(h) & np.isfinite(l) & np.isfinite(c1) & np.isfinite(h1) & np.isfinite(l1)
    o, h, l, m, h1, l1, c1, m1 = (x[ok] for x in (o, h, l, m, h1, l1, c1, m1))
    if len(o) < FEWEST - 1:
        return math.nan
    moved = ((h != l) | (l != c1)).astype(np.float64)
    shown_open = float((moved * (o != h)).mean() + (moved * (o != l)).mean())
    shown_close = float((moved * (c1 != h1)).mean() + (moved * (c1 != l1)).mean())
    if moved.sum() < 2 or shown_open == 0.0 or shown_close == 0.0:
        return math.nan
    share = float(moved.mean())

    def centred(x: F8) -> F8:
        return np.asarray(x - moved * (float(x.mean()) / share))

    d1, d3, d5 = centred(m - o), centred(m - c1), centred(o - c1)
    x1 = -4.0 / shown_open * d1 * (o - m1) - 4.0 / shown_close * d3 * (c1 - m1)
    x2 = -4.0 / shown_open * d1 * (o - c1) - 4.0 / shown_close * d5 * (c1 - m1)
    e1, e2, v1, v2 = float(x1.mean()), float(x2.mean()), float(x1.var()), float(x2.var())
    square = (v2 * e1 + v1 * e2) / (v1 + v2) if v1 + v2 > 0.0 else 0.5 * (e1 + e2)
    return math.copysign(math.sqrt(abs(square)), square if signed else 1.0)
