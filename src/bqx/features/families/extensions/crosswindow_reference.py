"""crosswindow the slow way: windows afresh in plain numpy. Columns of other families, which have references of their
own, are taken as their families compute them."""

from __future__ import annotations

import math
from collections import Counter
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import Reference
from bqx.features.families.momentum import DATASETS as MOMENTUM
from bqx.features.families.regime_trend import DATASETS as REGIME_TREND
from bqx.features.families.returns import DATASETS as RETURNS
from bqx.features.streams import Domain, Streams

F8 = NDArray[np.float64]
_HOMES = {home.name: home for home in (*MOMENTUM, *REGIME_TREND, *RETURNS)}
_KEPT: WeakKeyDictionary[Streams, dict[tuple[str, str], F8]] = WeakKeyDictionary()
LINES = (15, 30, 60, 240)


def _column_reference(streams: Streams, home: str, name: str) -> F8:
    kept = _KEPT.setdefault(streams, {})
    if (home, name) not in kept:
        kept[home, name] = _HOMES[home].compute(streams, [name])[name]
    return kept[home, name]


def _correlation_reference(a: F8, b: F8) -> float:
    both = ~(np.isnan(a) | np.isnan(b))
    return float(np.corrcoef(a[both], b[both])[0, 1])


def _share_reference(values: list[float]) -> float:
    rises, falls = sum(v > 1e-9 for v in values), sum(v < -1e-9 for v in values)
    return max(rises, falls, len(values) - min(rises, falls)) / len(values)


def _lags_reference(dy: F8, age: NDArray[np.int32]) -> list[float]:
    """|correlation| with the values 1 ... 30 before in the same segment, over 240 rows."""
    now = np.broadcast_to(dy[len(dy) - 240 :], (30, 240))
    then = np.lib.stride_tricks.sliding_window_view(dy[len(dy) - 270 : -1], 240)[::-1]
    inside = age[None, len(age) - 240 :] >= np.arange(1, 31)[:, None]
    both = ~(np.isnan(now) | np.isnan(then)) & inside
    n = both.sum(axis=1, keepdims=True)
    a, b = (np.where(both, x, 0.0) for x in (now, then))
    a, b = (np.where(both, x - x.sum(axis=1, keepdims=True) / n, 0.0) for x in (a, b))
    found = (a * b).sum(axis=1) / np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    return [abs(float(v)) for v in found]


def _granger_reference(y: F8, x: F8) -> float:
    """y, x : the last 496 values. Two least-squares fits and the F of their squares."""
    rows = []
    for k in range(32):
        at = len(y) - 1 - 15 * k
        rows.append([y[at], 1.0, y[at - 15], y[at - 30], x[at - 15], x[at - 30]])
    table = np.array(rows)
    table = table[~np.isnan(table).any(axis=1)]
    left = []
    for columns in (table[:, 1:4], table[:, 1:6]):
        errors = table[:, 0] - columns @ np.linalg.lstsq(columns, table[:, 0], rcond=None)[0]
        left.append(float(errors @ errors))
    return math.log((left[0] - left[1]) / 2 / (left[1] / (len(table) - 5)))


def _transfer_reference(now: F8, source: F8, past: F8) -> float:
    """Sums over the triples that occur of p(a, b, c) ln(p(a | b, c) / p(a | c))."""
    whole = ~(np.isnan(now) | np.isnan(source) | np.isnan(past))
    signs = [np.where(np.abs(v) <= 1e-9, 0, np.sign(v))[whole].astype(int).tolist() for v in (now, source, past)]
    triples = Counter(zip(*signs, strict=True))
    ac, bc, c = Counter(zip(signs[0], signs[2], strict=True)), Counter(zip(*signs[1:], strict=True)), Counter(signs[2])
    total = [m * math.log(m * c[k] / (ac[i, k] * bc[j, k])) for (i, j, k), m in triples.items()]
    return max(math.fsum(total) / len(signs[0]), 0.0)


class _Lane:
    """One pair up to a row; windows are slices that end there."""

    def __init__(self, streams: Streams, domain: Domain, row: int, pair: int) -> None:
        stream = streams.stream(domain)
        self.streams, self.domain, self.row, self.pair = streams, domain, row, pair
        self.age = streams.panel.grid.seg_age[: row + 1]
        self.y, self.dy = stream.close[: row + 1, pair], stream.change[: row + 1, pair]

    def other(self, family: str, name: str, bars: int = 1) -> F8:
        found = _column_reference(self.streams, f"{family}_{self.domain}", name)[:, self.pair]
        return found[max(0, self.row - bars + 1) : self.row + 1]

    def moved(self, w: int, bars: int, lag: int = 0) -> F8:
        """y(s - lag) - y(s - lag - w) for the last `bars` rows s."""
        return self.inside(self.y, bars, lag) - self.inside(self.y, bars, lag + w)

    def roots_reference(self, w: int, bars: int, lag: int = 0) -> F8:
        """RV_w(s - lag) for the last `bars` rows s: sums over the valid changes, scaled to w."""
        out = np.full(bars, np.nan)
        last = self.row - lag - np.arange(bars)[::-1]
        there = (last >= w - 1) & (self.age[self.row - np.arange(bars)[::-1]] >= lag + w - 1)
        v = self.dy[last[there][:, None] - np.arange(w)]
        n = (~np.isnan(v)).sum(axis=1)
        found = np.sqrt(np.nansum(v * v, axis=1) * w / np.maximum(n, 1))
        out[there] = np.where(n >= (w if w < 20 else math.ceil(0.9 * w)), found, np.nan)
        return out

    def inside(self, x: F8, bars: int, lag: int) -> F8:
        """x of `lag` rows ago at each of the last `bars` rows, where that is in one segment; x ends at the row."""
        at = len(x) - 1 - lag - np.arange(bars)[::-1]
        there = (at >= 0) & (self.age[self.row - np.arange(bars)[::-1]] >= lag)
        return np.where(there, x[np.maximum(at, 0)], np.nan)


def make_reference(domain: Domain) -> Reference:
    def reference(streams: Streams, column: str, row: int, pair: int) -> float:
        return _value_reference(_Lane(streams, domain, row, pair), column)

    return reference


def _value_reference(lane: _Lane, column: str) -> float:
    match column:
        case "momentum_persistence_w15_w60":
            return _correlation_reference(lane.moved(15, 240, 60), lane.moved(60, 240))
        case "momentum_transfer_w30_w75":
            return _correlation_reference(lane.moved(30, 240, 75), lane.moved(75, 240))
        case "momentum_acceleration_w45_w90":
            dy = lane.dy[-240:]
            sigma = float(np.std(dy[~np.isnan(dy)], ddof=1))
            short, long = (float(lane.moved(w, 1)[0]) / math.sqrt(w) for w in (45, 90))
            return short / sigma - long / sigma
        case "momentum_divergence" | "momentum_clustering":
            scores = [float(lane.other("returns_std", f"retz_{h}")[0]) for h in (15, 30, 45, 60, 75)]
            return float(np.std(scores, ddof=1)) if column.endswith("divergence") else _share_reference(scores)
        case "vol_transmission_short_long":
            return _correlation_reference(
                np.log(lane.roots_reference(15, 480, 15)), np.log(lane.roots_reference(60, 480))
            )
        case "vol_spillover":
            logs = [np.log(lane.roots_reference(w, 480, k)) for w, k in ((15, 60), (60, 60), (60, 0))]
            table = np.column_stack([*logs[:2], np.ones(480), logs[2]])
            table = table[~np.isnan(table).any(axis=1)]
            return float(np.linalg.lstsq(table[:, :3], table[:, 3], rcond=None)[0][0])
        case "vol_ratio_cascade" | "vol_term_structure_change":
            lags = (0, 15) if column.endswith("change") else (0,)
            found = [math.log(2 * lane.roots_reference(15, 1, k)[0] / lane.roots_reference(60, 1, k)[0]) for k in lags]
            return found[0] - found[1] if len(found) == 2 else found[0]
        case "r2_stability":
            return float(np.std([lane.other(f"momentum_w{w}", "lin_r2")[0] for w in LINES], ddof=1))
        case "prediction_error_propagation":
            early = lane.other("momentum_w15", "resid_end", lane.row + 1)
            return _correlation_reference(lane.inside(early, 240, 15), lane.other("momentum_w60", "resid_end", 240))
        case "curvature_consistency":
            return _share_reference([float(lane.other(f"momentum_w{w}", "quad_curv")[0]) for w in LINES])
        case "slope_evolution":
            x = np.log(LINES) - np.mean(np.log(LINES))
            slopes = np.array([lane.other(f"momentum_w{w}", "lin_slope")[0] for w in LINES])
            return float(x @ slopes) / float(x @ x)
        case "dependency_strength":
            return max(_lags_reference(lane.dy, lane.age))
        case "dependency_lag":
            return 1.0 + int(np.argmax(_lags_reference(lane.dy, lane.age)))
        case "granger_w15_w60":
            y, x = (lane.other("returns_std", f"retz_{h}", 496) for h in (60, 15))
            return _granger_reference(y, x)
        case "information_flow":
            return _transfer_reference(lane.moved(15, 480), lane.moved(15, 480, 15), lane.moved(15, 480, 1))
        case "predictive_power_decay":
            k = np.arange(1, 31) - 15.5
            return float(k @ np.array(_lags_reference(lane.dy, lane.age))) / float(k @ k)
        case "synchrony":
            a, b, c = (lane.moved(w, 240) for w in (15, 30, 60))
            return math.fsum(_correlation_reference(u, v) for u, v in ((a, b), (a, c), (b, c))) / 3
        case "regime_consistency":
            state = lane.other("regime_trend", "tr_state_60", 60)
            known = state[~np.isnan(state)]
            return float((known == state[-1]).sum()) / len(known)
        case "shock_transmission":
            early = np.abs(lane.other("momentum_w15", "resid_end", lane.row + 1))
            return _correlation_reference(lane.inside(early, 480, 15), lane.roots_reference(60, 480))
    trends = [abs(float(lane.other(f"momentum_w{w}", "lin_t")[0])) for w in LINES]
    if column == "window_dominance":
        return float(np.argmax(trends))
    return 1.0 / math.fsum(math.exp(t - trends[0]) for t in trends)
