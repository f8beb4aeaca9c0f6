"""cross_sectional the slow way: numpy on the rows themselves; what is needed again lives as long as its streams."""

from __future__ import annotations

import math
from collections.abc import Callable
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from bqx.features.streams import Domain, Streams

F8 = NDArray[np.float64]

_KEPT: WeakKeyDictionary[Streams, dict[object, F8]] = WeakKeyDictionary()


def _once(streams: Streams, key: object, make: Callable[[], F8]) -> F8:
    kept = _KEPT.setdefault(streams, {})
    if key not in kept:
        kept[key] = make()
    return kept[key]


def reference(streams: Streams, column: str, row: int, pair: int) -> float:
    kind, _, of = column.removeprefix("xs_").rpartition("_")
    if kind in ("pc1_share", "avg_corr"):
        at = row - int(streams.panel.grid.seg_age[row]) % 15 if kind == "pc1_share" else row
        matrix = _matrix_reference(_dy_reference(streams, of)[at - 239 : at + 1], 216)
        if kind == "pc1_share":
            return float(np.linalg.eigvalsh(matrix)[-1] / len(matrix))
        return float(np.mean(np.abs(matrix[np.triu_indices(len(matrix), 1)])))
    if kind == "pc1_load":
        return float(_loads_reference(streams, of, row)[pair])
    if kind == "idio_z":
        left = _idio_reference(streams, of, pair)[row - 239 : row + 1]
        return float((left[-1] - np.nanmean(left)) / np.nanstd(left, ddof=1))
    if kind == "rank_stab":
        name = "ret60" if of == "rate" else "m60"
        now, then = (_values_reference(streams, name, at).astype(np.float32) for at in (row, row - 15))
        both = ~np.isnan(now) & ~np.isnan(then)
        return float(np.corrcoef(_midranks_reference(now[both]), _midranks_reference(then[both]))[0, 1])
    x = _values_reference(streams, of, row)
    if kind == "breadth":
        signs = np.sign(x * _loads_reference(streams, "rate" if of.startswith("ret") else "bqx", row))
        return abs(float(np.nanmean(signs)))
    own, x = float(x[pair]), x[~np.isnan(x)]
    median = float(np.median(x))
    spread = 1.4826 * float(np.median(np.abs(x - median)))
    if kind in ("rank", "top3", "bot3"):
        x, own = x.astype(np.float32), float(np.float32(own))  # rounding breaks no tie
        if kind == "rank":
            return float((_midranks_reference(x)[x == own][0] - 0.5) / len(x))
        return float((x > own).sum() < 3 if kind == "top3" else (x < own).sum() < 3)
    return {"z": (own - median) / spread if spread else math.nan, "gap": own - median, "disp": spread}[kind]


def _midranks_reference(x: F8 | NDArray[np.float32]) -> F8:
    ordered = np.sort(x)
    return (np.searchsorted(ordered, x, "left") + np.searchsorted(ordered, x, "right") + 1) / 2.0


def _values_reference(streams: Streams, name: str, row: int) -> F8:
    """The variable of all pairs, NaN where the pair is not in the panel."""
    panel, age = streams.panel, int(streams.panel.grid.seg_age[row])
    with np.errstate(invalid="ignore"):
        if name == "rv60":
            dy = streams.rate_change[row - 59 : row + 1] if age >= 59 else np.full((60, panel.shape[1]), np.nan)
            n = (~np.isnan(dy)).sum(axis=0)
            x = np.where(n >= 54, np.sqrt(np.nansum(dy * dy, axis=0) * 60 / np.maximum(n, 1)), np.nan)
        elif name == "relvol":
            v = panel.volume[row - 60 : row] if age >= 60 else np.full((60, panel.shape[1]), np.nan)
            n = (~np.isnan(v)).sum(axis=0)
            total = np.nansum(v, axis=0)
            mean = np.where((n >= 54) & (total > 0), total / np.maximum(n, 1), np.nan)
            x = panel.volume[row] / mean
        elif name.startswith("ret"):
            w = int(name[3:])
            y = streams.rate_close
            x = y[row] - y[row - w] if age >= w else np.full(panel.shape[1], np.nan)
        else:
            w = int(name[1:])
            close = panel.close[row - w : row] if age >= w else np.full((w, panel.shape[1]), np.nan)
            n = (~np.isnan(close)).sum(axis=0)
            away = np.nansum(panel.close[row] - close, axis=0) / np.maximum(n, 1)
            scale = math.sqrt(w * (w + 1) * (2 * w + 1) / 6)
            x = np.where(n >= (w if w < 20 else 0.9 * w), 1e4 * w * away / panel.close[row] / scale, np.nan)
    x = np.where(np.abs(x) <= 1e-9, 0.0, x)
    return np.where(panel.fill_run[row] > 2, np.nan, x)


def _dy_reference(streams: Streams, domain: str) -> F8:
    side: Domain = "rate" if domain == "rate" else "bqx"

    def make() -> F8:
        return np.where(streams.panel.fill_run > 2, np.nan, streams.stream(side).change)

    return _once(streams, domain, make)


def _matrix_reference(rows: F8, need: int) -> F8:
    """Correlations, over common rows, of the columns with enough values that differ."""
    valid = ~np.isnan(rows)
    high, low = np.where(valid, rows, -np.inf).max(axis=0), np.where(valid, rows, np.inf).min(axis=0)
    keep = (valid.sum(axis=0) >= need) & (high > low)
    v = valid[:, keep].astype(np.float64)
    x = np.where(valid[:, keep], rows[:, keep], 0.0)
    x = np.where(valid[:, keep], x - x.sum(axis=0) / v.sum(axis=0), 0.0)
    n, first, squares = v.T @ v, x.T @ v, (x * x).T @ v
    spread = squares - first * first / n
    return np.asarray((x.T @ x - first * first.T / n) / np.sqrt(spread * spread.T))


def _loads_reference(streams: Streams, domain: str, row: int) -> F8:
    """Loadings on the first component of the 1,440 bars before the trade day of a row."""
    grid = streams.panel.grid
    first = row - int(np.argmax(grid.day[row::-1] != grid.day[row])) + 1

    def make() -> F8:
        names = streams.panel.pairs
        rows = _dy_reference(streams, domain)[first - 1440 : first]
        keep = (~np.isnan(rows)).sum(axis=0) >= 1296
        vector = np.linalg.eigh(_matrix_reference(rows, 1296))[1][:, -1]
        out = np.full(len(names), np.nan)
        out[keep] = vector
        return out if out[names.index("eurusd")] > 0 else -out

    return _once(streams, ("loads", domain, first), make)


def _idio_reference(streams: Streams, domain: str, pair: int) -> F8:
    """dy less what the first component says, of all rows of one pair."""

    def common() -> F8:
        dy, out = _dy_reference(streams, domain), np.full(len(streams.panel.grid), np.nan)
        for first in range(1440, len(out), 1440):
            weight = _loads_reference(streams, domain, first)
            for row in range(first, min(first + 1440, len(out))):
                both = ~np.isnan(dy[row]) & ~np.isnan(weight)
                if both.sum() >= 20:
                    out[row] = np.sum(weight[both] * dy[row, both]) / np.sum(weight[both] ** 2)
        return out

    def make() -> F8:
        y, f = _dy_reference(streams, domain)[:, pair], _once(streams, ("factor", domain), common)
        both = ~np.isnan(y) & ~np.isnan(f)
        u, v = (np.where(both, x, 0.0).astype(np.longdouble) for x in (y, f))
        totals = [np.r_[np.longdouble(0), np.cumsum(x)] for x in (both.astype(np.longdouble), u, v, u * v, v * v)]
        n, su, sv, uv, vv = (t[1440:-1] - t[:-1441] for t in totals)
        slope = np.full(len(y), np.nan, dtype=np.longdouble)
        slope[1440:] = np.where(n >= 1296, n * uv - su * sv, np.nan) / np.maximum(n * vv - sv * sv, 1e-300)
        return np.where(both, u - slope * v, np.nan).astype(np.float64)

    return _once(streams, ("idio", domain, pair), make)
