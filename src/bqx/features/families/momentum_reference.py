"""The momentum family the slow, obvious way: one lane, every window and recursion afresh, textbook formulas."""

from __future__ import annotations

import math
from itertools import groupby
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import Reference
from bqx.features.families.technical_reference import make_reference as technical_reference
from bqx.features.streams import Domain, Streams

F8 = NDArray[np.float64]


def make_reference(domain: Domain, w: int) -> Reference:
    atr = technical_reference(domain)

    def reference(streams: Streams, column: str, row: int, pair: int) -> float:
        lanes = _LANES.setdefault(streams, {})
        if (domain, pair) not in lanes:
            lanes[domain, pair] = _Lane(streams, domain, pair)
        if column == "breakout":
            return lanes[domain, pair].breakout(row, w) / atr(streams, "atr_60", row, pair)
        return lanes[domain, pair].value_reference(column, row, w)

    return reference


class _Lane:
    """One pair. Windows are rows r - n + 1 .. r; all rows of those shorter than 241 are in one segment."""

    def __init__(self, streams: Streams, domain: Domain, pair: int) -> None:
        s = streams.stream(domain)
        self.high, self.low, self.y, self.dy = (x[:, pair].copy() for x in (s.high, s.low, s.close, s.change))
        self.age, self.segment = streams.panel.grid.seg_age, streams.segment
        self.ends = s.ends[:, pair] if len(s.ends) else np.zeros(int(self.segment[-1]) + 1)
        self.moves: dict[int, F8] = {}

    def joined(self, first: int, r: int) -> F8:
        """Levels of rows first .. r counted from the zero of row r's segment, closure gaps taken out."""
        parts = []
        for s in range(int(self.segment[first]), int(self.segment[r]) + 1):
            begin, end = (int(x) for x in np.searchsorted(self.segment, [s, s + 1]))
            later = self.ends[s : int(self.segment[r])]
            parts.append(self.y[max(begin, first) : min(end, r + 1)] - math.fsum(v for v in later if not math.isnan(v)))
        return np.concatenate(parts)

    def value_reference(self, column: str, r: int, w: int) -> float:
        y, now = self.y[r - w + 1 : r + 1], float(self.y[r])
        match column:
            case "mom_acc":
                moved = float(now - self.y[r - w]) - float(self.y[r - w] - self.y[r - 2 * w])
                return moved / (float(np.std(_valid(self.dy, r, 4 * w), ddof=1)) * math.sqrt(2 * w))
            case "sma_gap":
                return now - float(np.mean(y[~np.isnan(y)]))
            case "ema_gap":
                return now - self.ema_reference(r, w)
            case "ema_cross":
                return self.ema_reference(r, w // 3) - self.ema_reference(r, w)
            case "lin_t":
                return _newey_west_reference(y)
            case "trend_div":
                return _newey_west_reference(y) - _newey_west_reference(self.joined(max(0, r - 4 * w + 1), r))
            case "efficiency":
                dy = _valid(self.dy, r, w)
                return abs(math.fsum(dy)) / math.fsum(abs(v) for v in dy)
            case "sign_balance":
                return float(np.mean(_signs(_valid(self.dy, r, w))))
            case "streak":
                return _streak(_signs(self.dy[r - w + 1 : r + 1])) / w
            case "runup":
                return now - float(np.min(_valid(self.low, r, w)))
            case "drawdown":
                return now - float(np.max(_valid(self.high, r, w)))
            case "pos_range":
                bottom = float(np.min(_valid(self.low, r, w)))
                return (now - bottom) / (float(np.max(_valid(self.high, r, w))) - bottom)
            case "ac1":
                return self.serial_reference(r, 4 * w)
            case "mom_rank":
                return self.rank(r, w)
        return _fit_reference(column, y)

    def ema_reference(self, r: int, n: int) -> float:
        """Weights written out: those of the seed and of the values after it."""
        start = r - int(self.age[r])
        path = self.joined(max(0, start - 10 * n), r)
        path = path[~np.isnan(path)]
        keep = 1.0 - 2.0 / (n + 1)
        later = path[n:]
        weights = (1.0 - keep) * keep ** np.arange(len(later), dtype=float)[::-1]
        return keep ** len(later) * float(np.mean(path[:n])) + float(np.dot(weights, later))

    def serial_reference(self, r: int, pairs: int) -> float:
        rows = np.arange(max(1, r - pairs + 1), r + 1)
        rows = rows[self.age[rows] >= 1]
        now, then = self.dy[rows], self.dy[rows - 1]
        both = ~(np.isnan(now) | np.isnan(then))
        return float(np.corrcoef(now[both], then[both])[0, 1])

    def rank(self, r: int, w: int) -> float:
        if w not in self.moves:
            self.moves[w] = np.array([self.moved(k, w) for k in range(len(self.y))])
        found = (np.rint(self.moves[w][max(0, r - 1439) : r + 1] * 65536) / 65536).astype(np.float32)
        found = found[~np.isnan(found)]
        return float((found < found[-1]).sum() + 0.5 * (found == found[-1]).sum()) / len(found)

    def moved(self, k: int, w: int) -> float:
        """The sum of the parts in each segment, oldest first."""
        if k < w:
            return math.nan
        old, now = int(self.segment[k - w]), int(self.segment[k])
        if old == now:
            return float(self.y[k] - self.y[k - w])
        return float(sum(self.ends[old + 1 : now], self.ends[old] - self.y[k - w]) + self.y[k])

    def breakout(self, r: int, w: int) -> float:
        above = float(self.y[r]) - float(np.max(_valid(self.high, r - 1, w)))
        below = float(self.y[r]) - float(np.min(_valid(self.low, r - 1, w)))
        return above if above > 0 else min(below, 0.0)


def _valid(x: F8, r: int, n: int) -> F8:
    found = x[max(0, r - n + 1) : r + 1]
    return found[~np.isnan(found)]


def _signs(dy: F8) -> F8:
    """Changes below 1e-9 bps are none; missing ones too."""
    return np.where(np.abs(dy) > 1e-9, np.sign(dy), 0.0)


def _streak(signs: F8) -> float:
    best, longest = 0.0, 0
    for sign, run in groupby(signs):
        length = len(list(run))
        if sign != 0.0 and length >= longest:
            best, longest = float(sign) * length, length
    return best


def _newey_west_reference(y: F8) -> float:
    """Autocovariances of u e one by one, weighted by Bartlett's kernel; what is missing is in none."""
    lag = int(4 * (len(y) / 100) ** (2 / 9))
    valid = ~np.isnan(y)
    k = np.arange(len(y), dtype=float)
    u = np.where(valid, k - np.mean(k[valid]), 0.0)
    v = np.where(valid, y - np.mean(y[valid]), 0.0)
    v = np.where(valid, v - np.mean(v[valid]), 0.0)
    b = math.fsum(u * v) / math.fsum(u * u)
    g = u * (v - b * u)
    total = math.fsum(g * g)
    for i in range(1, lag + 1):
        total += 2 * (1 - i / (lag + 1)) * math.fsum(g[i:] * g[:-i])
    return b * math.fsum(u * u) / math.sqrt(total)


def _fit_reference(column: str, y: F8) -> float:
    """Line and parabola by Householder's least squares, x = 0 now, one unit a window."""
    valid = ~np.isnan(y)
    w = len(y)
    x = (np.arange(w, dtype=float)[valid] - (w - 1)) / w
    v = y[valid] - np.mean(y[valid])
    powers = np.column_stack([np.ones(len(x)), x, x * x])
    line, curve = (np.linalg.lstsq(powers[:, :n], v)[0] for n in (2, 3))
    whole, one, two = (float(np.sum(e * e)) for e in (v, v - powers[:, :2] @ line, v - powers @ curve))
    match column:
        case "lin_slope":
            return float(line[1]) / w
        case "lin_r2":
            return 1.0 - one / whole
        case "quad_curv":
            return 2.0 * float(curve[2]) / w**2
        case "quad_r2_gain":
            return (one - two) / whole
        case "quad_apex":
            return float(np.clip(-curve[1] / (2.0 * curve[2]) * w, -w, w))
    return (float(v[-1]) - float(curve[0])) / math.sqrt(two / len(v))


_LANES: WeakKeyDictionary[Streams, dict[tuple[Domain, int], _Lane]] = WeakKeyDictionary()
