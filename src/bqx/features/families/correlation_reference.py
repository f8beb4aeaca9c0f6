"""correlation the slow way: numpy on the windows themselves; whole series of a pair live as long as their streams."""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import Reference
from bqx.features.groups import Group
from bqx.features.streams import Domain, Streams
from bqx.market.pairs import PAIRS

F8 = NDArray[np.float64]

_KEPT: WeakKeyDictionary[Streams, dict[object, F8]] = WeakKeyDictionary()


def _once(streams: Streams, key: object, make: Callable[[], F8]) -> F8:
    kept = _KEPT.setdefault(streams, {})
    if key not in kept:
        kept[key] = make()
    return kept[key]


def _members_reference(streams: Streams, pair: int, group: Group) -> list[tuple[int, int]]:
    """Lane and sign of each member, from the letters of the pairs' names."""
    names = streams.panel.pairs
    base, quote = names[pair][:3], names[pair][3:]
    out = []
    for other in PAIRS:
        if other == names[pair] or other not in names:
            continue
        lane = names.index(other)
        if group == "cross" and not (base in other or quote in other):
            out.append((lane, 1))
        if group == "base" and base in other:
            out.append((lane, 1 if other.startswith(base) else -1))
        if group == "quote" and quote in other:
            out.append((lane, 1 if other.endswith(quote) else -1))
    return out


def _moving_reference(a: F8, b: F8, age: NDArray[np.int32], w: int) -> F8:
    """Correlations of all windows of a segment from differences of cumulated sums in extended precision."""
    both = ~np.isnan(a) & ~np.isnan(b)
    u, v = (np.where(both, x, 0.0).astype(np.longdouble) for x in (a, b))

    def total(x: NDArray[np.longdouble]) -> NDArray[np.longdouble]:
        run = np.concatenate([np.zeros(1, np.longdouble), np.cumsum(x)])
        return np.asarray(run[w:] - run[:-w])

    n = total(both.astype(np.longdouble))
    su, sv = total(u), total(v)
    uu, vv, uv = n * total(u * u) - su * su, n * total(v * v) - sv * sv, n * total(u * v) - su * sv
    ok = (uu > 1e-18 * n * n) & (vv > 1e-18 * n * n) & (n >= 0.9 * w) & (age[w - 1 :] >= w - 1)
    out = np.full(len(a), np.nan)
    out[w - 1 :][ok] = (uv[ok] / np.sqrt(uu[ok] * vv[ok])).astype(np.float64)
    return out


def make_reference(domain: Domain, parse: Callable[[str], tuple[str, Group, int]]) -> Reference:
    def reference(streams: Streams, column: str, row: int, pair: int) -> float:
        kind, group, w = parse(column)
        lanes = _members_reference(streams, pair, group)
        stream, age = streams.stream(domain), streams.panel.grid.seg_age
        series = stream.change if domain == "rate" else stream.close

        def x() -> F8:
            return np.where(streams.panel.fill_run > 2, np.nan, series)

        values = _once(streams, domain, x)
        if kind == "corr":
            each = _pairs_reference(values, row, w, pair, lanes)
            return float(np.mean(np.abs(each) if group == "cross" else each))
        if kind in ("corr_delta", "corr_z", "corr_stability"):

            def mean() -> F8:
                found = np.array([s * _moving_reference(values[:, pair], values[:, k], age, w) for k, s in lanes])
                return np.asarray(np.mean(np.abs(found) if group == "cross" else found, axis=0))

            moving = _once(streams, (domain, group, pair), mean)
            if kind == "corr_delta":
                return float(moving[row] - moving[row - 15])
            past = moving[max(0, row - (1440 if kind == "corr_z" else 240) + 1) : row + 1]
            deviation = np.nanstd(past, ddof=1)
            return float((moving[row] - np.nanmean(past)) / deviation if kind == "corr_z" else deviation)
        if kind in ("rel_strength", "divergence"):
            change = stream.close[row] - stream.close[row - w]
            turned = [s * change[k] for k, s in lanes]
            deviation = np.std(turned, ddof=1)
            return float(deviation if kind == "divergence" else (change[pair] - np.mean(turned)) / deviation)
        if kind == "vol_ratio":
            recent = series[row - w + 1 : row + 1]
            return float(_std_reference(recent[:, pair]) / np.mean([_std_reference(recent[:, k]) for k, _ in lanes]))
        rows = values[row - w : row + 1]
        g = np.mean(np.array([s * rows[:, k] for k, s in lanes]), axis=0)
        own = rows[:, pair]
        return _corr_reference(g[:-1], own[1:]) - _corr_reference(own[:-1], g[1:])

    return reference


def _pairs_reference(x: F8, row: int, w: int, pair: int, lanes: list[tuple[int, int]]) -> F8:
    """Correlations of one lane with each of some others, turned by their signs, over the rows both have."""
    rows = x[row - w + 1 : row + 1]
    b = rows[:, [k for k, _ in lanes]]
    both = ~np.isnan(b) & ~np.isnan(rows[:, [pair]])
    n = both.sum(axis=0)
    a, b = np.where(both, rows[:, [pair]], 0.0), np.where(both, b, 0.0)
    a, b = np.where(both, a - a.sum(axis=0) / n, 0.0), np.where(both, b - b.sum(axis=0) / n, 0.0)
    signs = np.array([s for _, s in lanes])
    return np.asarray(signs * (a * b).sum(axis=0) / np.sqrt((a * a).sum(axis=0) * (b * b).sum(axis=0)))


def _std_reference(x: F8) -> float:
    return float(np.std(x[~np.isnan(x)], ddof=1))


def _corr_reference(a: F8, b: F8) -> float:
    both = ~np.isnan(a) & ~np.isnan(b)
    return float(np.corrcoef(a[both], b[both])[0, 1])
