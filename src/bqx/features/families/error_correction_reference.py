"""Slow references: residuals from numpy's solvers on paths of cumulated changes; the rest on the emitted residuals."""

from __future__ import annotations

import math
from fractions import Fraction
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from bqx.features.families.error_correction_support import MAJORS, bridge, legs, others, related
from bqx.features.panel_support import STALE
from bqx.features.streams import Streams
from bqx.market.calendar import month_of
from bqx.market.pairs import PAIRS, parse_pair

F8 = NDArray[np.float64]
_memos: WeakKeyDictionary[Streams, dict[tuple[object, ...], F8]] = WeakKeyDictionary()


def _memo_reference(streams: Streams) -> dict[tuple[object, ...], F8]:
    return _memos.setdefault(streams, {})


def _path_reference(streams: Streams, domain: str, pair: str) -> F8:
    """Level of a pair without closure gaps, from any zero."""
    memo = _memo_reference(streams)
    if (key := ("path", domain, pair)) not in memo:
        panel = streams.panel
        lane = panel.pairs.index(pair)
        close = panel.close[:, lane]
        if domain == "rate":
            step = streams.rate_change[:, lane]
            memo[key] = np.where(np.isnan(close), np.nan, np.cumsum(np.nan_to_num(step)))
        else:
            memo[key] = streams.oriented(60)[:, lane]
    return memo[key]


def _strength_reference(streams: Streams, domain: str, currency: str) -> F8:
    """Mean level of a currency against the 7 others."""
    memo = _memo_reference(streams)
    if (key := ("strength", domain, currency)) not in memo:
        known = [(pair, parse_pair(pair)) for pair in PAIRS]
        signs = {pair: (own.base == currency) - (own.quote == currency) for pair, own in known}
        memo[key] = np.array([s * _path_reference(streams, domain, pair) for pair, s in signs.items() if s]).mean(
            axis=0
        )
    return memo[key]


def _group_reference(streams: Streams, domain: str, pair: str, side: int) -> F8:
    """Mean of the 6 others with the base (side 0) or quote currency, turned as the pair."""
    memo = _memo_reference(streams)
    if (key := ("group", domain, pair, side)) not in memo:
        members = [legs(pair, third)[side] for third in others(pair)]
        memo[key] = np.array([sign * _path_reference(streams, domain, name) for name, sign in members]).mean(axis=0)
    return memo[key]


def _sister_reference(streams: Streams, row: int, pair: str) -> str:
    """The related pair that went along most in the month before."""
    panel = streams.panel
    point = row - int(panel.grid.seg_age[row]) % 60
    now = month_of(int(panel.grid.minute[point]))
    memo = _memo_reference(streams)
    if (key := ("sister", now, pair)) not in memo:
        months = panel.grid.minute.astype("datetime64[m]").astype("datetime64[M]")
        rows = months == np.datetime64(now.replace("_", "-")) - 1
        change = np.where(panel.fill_run[rows] <= STALE, streams.rate_change[rows], np.nan)
        own, best = change[:, panel.pairs.index(pair)], []
        for name in related(pair):
            other = change[:, panel.pairs.index(name)]
            both = ~(np.isnan(own) | np.isnan(other))
            best.append(abs(np.corrcoef(own[both], other[both])[0, 1]))
        memo[key] = np.array([PAIRS.index(related(pair)[int(np.argmax(best))])])
    return PAIRS[int(memo[key][0])]


def _line_reference(streams: Streams, a: F8, b: F8, row: int) -> float:
    """Distance of a from its line on b over 2,880 rows up to the latest hour point."""
    point = row - int(streams.panel.grid.seg_age[row]) % 60
    rows = slice(max(0, point - 2879), point + 1)
    both = ~(np.isnan(a[rows]) | np.isnan(b[rows]))
    x, y = b[rows][both], a[rows][both]
    centre, middle = x.mean(), y.mean()
    slope = ((x - centre) * (y - middle)).sum() / ((x - centre) ** 2).sum()
    return float((a[row] - middle) - slope * (b[row] - centre))


def _majors_reference(streams: Streams, domain: str, row: int) -> float:
    """The first vector as the first canonical direction, from one factor of all products."""
    levels = np.column_stack([_path_reference(streams, domain, name) for name in MAJORS])
    point = row - int(streams.panel.grid.seg_age[row]) % 60
    memo = _memo_reference(streams)
    if (key := ("vector", domain, point)) not in memo:
        x = levels[max(0, point - 7199) : point + 1]
        middle = np.nanmean(x, axis=0)
        d, level = np.diff(x, axis=0), np.column_stack([x - middle, np.ones(len(x))])
        change, lagged, before = d[2:], np.column_stack([d[1:-1], d[:-2]]), level[2:-1]
        whole = ~(np.isnan(change) | np.isnan(before[:, :7])).any(axis=1) & ~np.isnan(lagged).any(axis=1)
        design = np.column_stack([lagged[whole], before[whole], change[whole]])
        upper = np.linalg.cholesky(np.einsum("ri,rj->ij", design, design)).T
        basis, _ = np.linalg.qr(
            upper[14:, 22:]
        )  # of what the lags leave of the changes, in the levels' directions first
        _, _, right = np.linalg.svd(basis[:8].T)
        vector = np.linalg.solve(upper[14:22, 14:22], right[0])
        vector = vector / np.linalg.norm(vector[:7]) * (1.0 if vector[0] >= 0 else -1.0)
        memo[key] = np.r_[vector, middle]
    vector, middle = memo[key][:8], memo[key][8:]
    return float(vector[:7] @ (levels[row] - middle) + vector[7])


def _own_reference(streams: Streams, domain: str, row: int, pair: str) -> float:
    """p - EMA_1440(p), the EMA begun 14,400 rows before the segment."""
    path = _path_reference(streams, domain, pair)
    start = row - int(streams.panel.grid.seg_age[row])
    memo = _memo_reference(streams)
    if (key := ("ema", domain, pair, start)) not in memo:
        first = max(0, start - 14400)
        rows = path[first:]
        values = np.flatnonzero(~np.isnan(rows))
        mean, out = float(rows[values[:1440]].mean()), np.full(len(rows), np.nan)
        for k in values[1440:].tolist():
            mean += 2.0 / 1441.0 * (float(rows[k]) - mean)
            out[k] = mean
        memo[key] = np.r_[np.full(first, np.nan), out]
    return float(path[row] - memo[key][row])


def _parity_reference(streams: Streams, domain: str, pair: str, third: str, row: int) -> float:
    """Residual of a triangle: in exact fractions, or of M_60."""
    close, pairs = streams.panel.close, streams.panel.pairs
    if domain == "rate":
        ratio = Fraction(float(close[row, pairs.index(pair)]))
        for name, sign in legs(pair, third):
            price = Fraction(float(close[row, pairs.index(name)]))
            ratio = ratio / price if sign > 0 else ratio * price
        return 1e4 * math.log1p(float(ratio - 1))
    value = float(_path_reference(streams, domain, pair)[row])
    for name, sign in legs(pair, third):
        value -= sign * float(_path_reference(streams, domain, name)[row])
    return value


def _residual_reference(streams: Streams, relation: str, domain: str, row: int, lane: int) -> float:
    pair = streams.panel.pairs[lane]
    if relation in ("tri1", "trim"):
        thirds = (bridge(pair),) if relation == "tri1" else others(pair)
        found = [_parity_reference(streams, domain, pair, third, row) for third in thirds]
        return sum(found) / len(found)
    if relation == "self":
        return _own_reference(streams, domain, row, pair)
    if relation == "usd":
        return _majors_reference(streams, domain, row)
    if relation == "cur":
        known = parse_pair(pair)
        ours, theirs = (_strength_reference(streams, domain, c) for c in (known.base, known.quote))
        return _line_reference(streams, ours, theirs, row)
    own = _path_reference(streams, domain, pair)
    if relation == "sis":
        return _line_reference(
            streams, own, _path_reference(streams, domain, _sister_reference(streams, row, pair)), row
        )
    return _line_reference(streams, own, _group_reference(streams, domain, pair, int(relation == "egq")), row)


def _emitted_reference(streams: Streams, relation: str, domain: str) -> F8:
    """The residual series as emitted: the other columns are defined on it."""
    from bqx.features.families.error_correction_series import Relations

    memo = _memo_reference(streams)
    if (key := ("emitted", relation, domain)) not in memo:
        memo[key] = Relations(streams, "rate" if domain == "rate" else "bqx").of([relation])[relation]
    return memo[key]


def reference(streams: Streams, column: str, row: int, pair: int) -> float:
    """One value the slow way."""
    _, metric, relation, domain = column.split("_")
    if metric == "ect":
        return _residual_reference(streams, relation, domain, row, pair)
    error = _emitted_reference(streams, relation, domain)[:, pair]
    if metric in ("vel", "acc", "inbound"):
        now, then = error[row], error[row - 20]
        if metric == "vel":
            return float(now - then)
        return float(now - 2.0 * then + error[row - 40]) if metric == "acc" else float(abs(now) < abs(then))
    rows = slice(max(0, row - 1439), row + 1)
    if metric == "z":
        window = error[rows]
        return float((error[row] - np.nanmean(window)) / np.nanstd(window, ddof=1))
    age = streams.panel.grid.seg_age
    index = np.arange(rows.start, rows.stop)
    own = streams.panel.pairs[pair]
    level = streams.rate_close[:, pair] if domain == "rate" else _path_reference(streams, domain, own)
    if metric == "hl":
        index = index[age[index] >= 1]
        y, x = error[index], error[index - 1]
        both = ~(np.isnan(x) | np.isnan(y))
        x, y = x[both] - x[both].mean(), y[both] - y[both].mean()
        phi = float((x * y).sum() / (x * x).sum())
        return min(float(np.log(0.5) / np.log(phi)), 1440.0) if 1e-5 < phi < 1 else 1440.0 if phi >= 1 else float("nan")
    index = index[age[index] >= 2]
    design = np.column_stack([error[index - 1], level[index - 1] - level[index - 2], level[index] - level[index - 1]])
    design = design[~np.isnan(design).any(axis=1) & ~np.isnan(error[index])]
    design = design - design.mean(axis=0)
    return float(np.linalg.lstsq(design[:, :2] / design[:, :2].std(axis=0), design[:, 2], rcond=None)[0][0]
                 / design[:, 0].std())  # fmt: skip
