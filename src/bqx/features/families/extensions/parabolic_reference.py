"""parabolic the slow way: every parabola afresh, formulas as they are written."""

from __future__ import annotations

import math
import re

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import Reference
from bqx.features.families.extensions.reg_reference import terms_reference
from bqx.features.streams import Domain, Streams

F8 = NDArray[np.float64]
BARS = (15, 30, 45, 60, 75, 90)


def normal_reference(y: F8, name: str) -> float:
    """a1, a2, b, r2 or t2 of the window `y`."""
    if name in ("r2", "t2", "rmse"):
        return terms_reference(y, name)  # type: ignore[arg-type]
    part = {"a1": "linear", "a2": "quadratic", "b": "level"}[name]
    return terms_reference(y, part) / terms_reference(y, "deviation")  # type: ignore[arg-type]


def distances_reference(y: F8, w: int, count: int) -> F8:
    """b of the last `count` windows of `w` levels, NaN where there is none."""
    windows = np.lib.stride_tricks.sliding_window_view(y, w)[-count:]
    base = windows - y[~np.isnan(y)][-1]
    out = np.full(len(base), np.nan)
    enough = (~np.isnan(base)).sum(axis=1) >= math.ceil(0.9 * w)
    known = base[enough]
    out[enough] = (known[:, -1] - np.nanmean(known, axis=1)) / np.nanstd(known, axis=1, ddof=1)
    return out


def shares_reference(y: F8, w: int, count: int) -> F8:
    """R^2 of the last `count` windows of `w` levels, by projection where no level is missing."""
    windows = np.lib.stride_tricks.sliding_window_view(y, w)[-count:]
    x = (np.arange(w, dtype=float) - (w - 1) / 2) / w
    basis = np.linalg.qr(np.column_stack([np.ones(w), x, x * x]))[0]
    out = np.full(len(windows), np.nan)
    for k, v in enumerate(windows):
        if np.isnan(v).any():
            if (~np.isnan(v)).sum() >= math.ceil(0.9 * w):
                out[k] = terms_reference(v, "r2")
            continue
        z = v - v.mean()
        errors = z - basis @ (basis.T @ z)
        out[k] = 1.0 - float(errors @ errors) / float(z @ z)
    return out


def trend_reference(x: F8, lag: int) -> float:
    """Newey-West t statistic of the slope of the valid values of x on time."""
    valid = ~np.isnan(x)
    k = np.arange(len(x), dtype=float)
    u = np.where(valid, k - np.mean(k[valid]), 0.0)
    v = np.where(valid, x - np.mean(x[valid]), 0.0)
    slope = math.fsum(u * v) / math.fsum(u * u)
    g = u * (v - slope * u)
    total = math.fsum(g * g)
    total += sum(2 * (1 - i / (lag + 1)) * math.fsum(g[i:] * g[:-i]) for i in range(1, lag + 1))
    return slope * math.fsum(u * u) / math.sqrt(total)


def make_reference(domain: Domain) -> Reference:
    def reference(streams: Streams, column: str, row: int, pair: int) -> float:
        start = row - int(streams.panel.grid.seg_age[row])
        y = streams.stream(domain).close[start : row + 1, pair]

        def at(name: str, w: int, back: int = 0) -> float:
            return normal_reference(y[len(y) - back - w : len(y) - back], name)

        pairs = re.findall(r"_w(\d+)", column)
        short, long = (int(w) for w in pairs) if pairs else (0, 0)
        head = column[:2]
        if "contrast" in column:
            one, other = at(head, short), at(head, long)
            return (one - other) / (abs(one) + abs(other))
        if "consistency" in column:
            return float(np.std([at(head, w) for w in BARS], ddof=1))
        match column:
            case "a2_trend_slope":
                x = np.log(BARS)
                return float(np.polyfit(x - x.mean(), [at("a2", w) for w in BARS], 1)[0])
            case "a2_regime_shift":
                one, other = at("t2", 15), at("t2", 60)
                return float(one * other < 0 and min(abs(one), abs(other)) > 1)
            case "a1_acceleration":
                return at("a1", 15) - at("a1", 15, 15)
            case "a1_momentum":
                weights = [at("r2", w) for w in BARS]
                return math.fsum(r * at("a1", w) for r, w in zip(weights, BARS, strict=True)) / math.fsum(weights)
            case "b_drift_rate":
                return (at("b", 60) - at("b", 60, 15)) / 15
            case "b_reversion_tendency":
                step = np.diff(distances_reference(y[-302:], 60, 242))
                both = ~(np.isnan(step[1:]) | np.isnan(step[:-1]))
                return -float(np.corrcoef(step[1:][both], step[:-1][both])[0, 1])
            case "quality_degradation_flag":
                return float(trend_reference(shares_reference(y[-119:], 60, 60), 3) < -2)
        if column.startswith("b_gap"):
            return at("b", short) - at("b", long)
        if column.startswith("r2_spread"):
            return at("r2", short) - at("r2", long)
        return math.log(at("rmse", short) / at("rmse", long))

    return reference
