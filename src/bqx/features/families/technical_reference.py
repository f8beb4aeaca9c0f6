"""The technical family the slow, obvious way: one lane at a time, plain numbers, every window and recursion afresh."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Sequence
from weakref import WeakKeyDictionary

from bqx.features.declare import Reference
from bqx.features.streams import Domain, Streams
from bqx.features.support import needed

Lane = Sequence[float]
NAN = math.nan


def make_reference(domain: Domain) -> Reference:
    def reference(streams: Streams, column: str, row: int, pair: int) -> float:
        lanes = _LANES.setdefault(streams, {})
        if (domain, pair) not in lanes:
            lanes[domain, pair] = _Lane(streams, domain, pair)
        return lanes[domain, pair].value(column, row)

    return reference


def _divided(a: float, b: float) -> float:
    return NAN if math.isnan(a) or math.isnan(b) or abs(b) <= max(1e-9, 1e-12 * abs(a)) else a / b


class _Lane:
    """One pair: windows row by row, what is smoothed or looked back at as whole columns, each worked out once."""

    def __init__(self, streams: Streams, domain: Domain, pair: int) -> None:
        s = streams.stream(domain)
        self.high, self.low, self.close, self.change = (
            array("d", x[:, pair]) for x in (s.high, s.low, s.close, s.change)
        )
        self.age = [int(a) for a in streams.panel.grid.seg_age]
        self.n = len(self.age)
        self.starts = [r for r in range(self.n) if self.age[r] == 0]
        self.closures = domain == "rate"
        self.known: dict[str, Lane] = {}

    def column(self, name: str) -> Lane:
        if name not in self.known:
            self.known[name] = array("d", self._make(name))
        return self.known[name]

    def value(self, name: str, r: int) -> float:
        """By the words of the catalogue; a suffix works on the column before it."""
        for suffix, make in (("_slope_", self._slope), ("_z_", self._z), ("_mean_", self._mean)):
            base, found, n = name.partition(suffix)
            if found:
                base = "atr_14" if base == "atr" else base
                return make(self.column(base), r, int(n.removeprefix("14_")))
        head, _, tail = name.rpartition("_")
        match head:
            case "cci":
                return self._cci(r, int(tail))
            case "roc":
                return self._back(self.close, r, int(tail))
            case "stoch_k" | "raw_k":
                return 100.0 * self._place(self.close, self.high, self.low, r, int(tail))
            case "williams_r":
                return 100.0 * (self._place(self.close, self.high, self.low, r, int(tail)) - 1.0)
            case "stoch_rsi":
                rsi = self.column("rsi_14")
                return 100.0 * self._place(rsi, rsi, rsi, r, int(tail))
            case "atr_ratio_14":
                return _divided(self.column("atr_14")[r], self.column("atr_60")[r])
        match name:
            case "stoch_k":
                return self._third(self.column("raw_k_14"), r)
            case "stoch_d":
                return self._third(self.column("stoch_k"), r)
            case "stoch_slow_d":
                return self._third(self.column("stoch_d"), r)
        return self.column(name)[r]

    def _make(self, name: str) -> Iterable[float]:
        head, _, tail = name.rpartition("_")
        match head:
            case "rsi":
                return self._rsi(int(tail))
            case "atr":
                return self._smoothed(self.column("move_0"), int(tail), 1.0 / int(tail), 10, 20)
            case "plus_di" | "minus_di":
                return self._di(1 if head == "plus_di" else 2, int(tail))
            case "move":
                return self._movement(int(tail))
            case "dx":
                return self._dx(int(tail))
            case "adx":
                return self._smoothed(self.column(f"dx_{tail}"), int(tail), 1.0 / int(tail), 10, 20)
            case "stoch_cross":
                return self._cross_age()
            case "cci_20_extreme":
                return self._extreme_age()
            case "macd" | "macd_5_35":
                return self._convergence(head, tail)
        return (self.value(name, r) for r in range(self.n))

    def _convergence(self, prefix: str, what: str) -> Lane:
        fast, slow, n = (5, 35, 5) if prefix == "macd_5_35" else (12, 26, 9)
        if what == "signal":
            return self._ema(self.column(f"{prefix}_line"), n, False)
        if what == "line":
            a, b = self._ema(self.close, fast, self.closures), self._ema(self.close, slow, self.closures)
        else:
            a, b = self.column(f"{prefix}_line"), self.column(f"{prefix}_signal")
        return [x - y for x, y in zip(a, b, strict=True)]

    def _window(self, x: Lane, r: int, n: int, age: int | None = None) -> list[float]:
        """Valid values of the last n bars; none unless all bars are in the segment, x is valid now and enough are."""
        if (self.age[r] if age is None else age) < n - 1 or math.isnan(x[r]):
            return []
        found = [v for v in x[r - n + 1 : r + 1] if not math.isnan(v)]
        return found if len(found) >= needed(n) else []

    def _back(self, x: Lane, r: int, bars: int) -> float:
        return x[r] - x[r - bars] if self.age[r] >= bars else NAN

    def _slope(self, x: Lane, r: int, bars: int) -> float:
        return self._back(x, r, bars) / bars

    def _mean(self, x: Lane, r: int, n: int) -> float:
        w = self._window(x, r, n)
        return math.fsum(w) / len(w) if w else NAN

    def _z(self, x: Lane, r: int, n: int) -> float:
        w = self._window(x, r, n)
        if not w or max(w) == min(w):
            return NAN
        mean = math.fsum(w) / len(w)
        deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in w) / (len(w) - 1))
        return _divided(x[r] - mean, deviation)

    def _third(self, x: Lane, r: int) -> float:
        return math.fsum(x[r - 2 : r + 1]) / 3 if self.age[r] >= 2 else NAN

    def _place(self, x: Lane, high: Lane, low: Lane, r: int, n: int) -> float:
        """(x - lowest) / (highest - lowest) of n bars."""
        above, below = self._window(high, r, n), self._window(low, r, n)
        return _divided(x[r] - min(below), max(above) - min(below)) if above and below else NAN

    def _cci(self, r: int, n: int) -> float:
        typical = [(h + low + c) / 3 for h, low, c in self._bars(max(0, r - n + 1), r + 1)]
        w = self._window(typical, len(typical) - 1, n, self.age[r])
        if not w or max(w) == min(w):
            return NAN
        mean = math.fsum(w) / len(w)
        return _divided(typical[-1] - mean, 0.015 * math.fsum(abs(v - mean) for v in w) / len(w))

    def _bars(self, a: int, b: int) -> Iterable[tuple[float, float, float]]:
        return zip(self.high[a:b], self.low[a:b], self.close[a:b], strict=True)

    def _smoothed(self, x: Lane, n: int, alpha: float, need: int, burn: int, levels: bool = False) -> Lane:
        """Each segment afresh from `burn` n bars before it; levels are first counted from the segment's own zero."""
        out = [NAN] * self.n
        for start, end in zip(self.starts, [*self.starts[1:], self.n], strict=True):
            taken: list[float] = []
            mean = NAN
            path = self._joined(start, end, burn * n) if levels else x[max(0, start - burn * n) : end]
            for k, v in zip(range(end - len(path), end), path, strict=True):
                if math.isnan(v):
                    continue
                taken.append(v)
                mean = math.fsum(taken) / len(taken) if len(taken) <= n else (1.0 - alpha) * mean + alpha * v
                if k >= start and len(taken) >= need * n:
                    out[k] = mean
        return out

    def _joined(self, start: int, end: int, burn: int) -> Lane:
        """Closes from `burn` bars before `start` on, with the closure gaps in between taken out."""
        path = list(self.close[start:end])
        first, offset = max(0, start - burn), 0.0
        for stop, begin in zip(self.starts[::-1], [*self.starts[-2::-1], 0], strict=False):
            if stop > start or stop <= first:
                continue
            priced = [v for v in self.close[begin:stop] if not math.isnan(v)]
            offset -= priced[-1] if priced else 0.0
            path = [v + offset for v in self.close[max(begin, first) : stop]] + path
        return path

    def _ema(self, x: Lane, n: int, levels: bool) -> Lane:
        return self._smoothed(x, n, 2.0 / (n + 1), 5, 10, levels)

    def _rsi(self, n: int) -> Lane:
        up = self._smoothed([max(v, 0.0) if v == v else NAN for v in self.change], n, 1.0 / n, 10, 20)
        down = self._smoothed([max(-v, 0.0) if v == v else NAN for v in self.change], n, 1.0 / n, 10, 20)
        return [50.0 if a == b == 0.0 else 100.0 * _divided(a, a + b) for a, b in zip(up, down, strict=True)]

    def _movement(self, which: int) -> Lane:
        """True range (0), +DM (1) or -DM (2)."""
        out = []
        for r in range(self.n):
            if self.age[r] == 0 or math.isnan(self.close[r]) or math.isnan(self.close[r - 1]):
                out.append(NAN)
                continue
            h, low, before = self.high[r], self.low[r], self.close[r - 1]
            up, down = h - self.high[r - 1], self.low[r - 1] - low
            span = max(h, before) - min(low, before)
            out.append((span, up if up > max(down, 0.0) else 0.0, down if down > max(up, 0.0) else 0.0)[which])
        return out

    def _di(self, which: int, n: int) -> Lane:
        moved = self._smoothed(self.column(f"move_{which}"), n, 1.0 / n, 10, 20)
        spans = self.column(f"atr_{n}")
        return [_divided(100.0 * a, b) for a, b in zip(moved, spans, strict=True)]

    def _dx(self, n: int) -> Lane:
        both = zip(self.column(f"plus_di_{n}"), self.column(f"minus_di_{n}"), strict=True)
        return [_divided(100.0 * abs(a - b), a + b) for a, b in both]

    def _ages(self, x: Lane, age: Callable[[Lane], int], cap: int) -> Lane:
        """`age` of the last cap + 1 valid values, if the trajectory has as many."""
        out = [NAN] * self.n
        for start, end in zip(self.starts, [*self.starts[1:], self.n], strict=True):
            seen = [v for v in x[max(0, start - 480) : start] if not math.isnan(v)]
            for r in range(start, end):
                if math.isnan(x[r]):
                    continue
                seen.append(x[r])
                if len(seen) > cap:
                    out[r] = float(min(age(seen[-cap - 1 :]), cap))
        return out

    def _cross_age(self) -> Lane:
        def age(values: Lane) -> int:
            signs = [(v > 1e-6) - (v < -1e-6) for v in values[::-1]]
            run = next((k for k, sign in enumerate(signs) if sign != signs[0]), len(signs))
            return run - 1

        gaps = [a - b for a, b in zip(self.column("stoch_k"), self.column("stoch_d"), strict=True)]
        return self._ages(gaps, age, 60)

    def _extreme_age(self) -> Lane:
        def age(values: Lane) -> int:
            return next((k for k, v in enumerate(values[::-1]) if abs(v) > 100.0), len(values))

        return self._ages(self.column("cci_20"), age, 240)


_LANES: WeakKeyDictionary[Streams, dict[tuple[Domain, int], _Lane]] = WeakKeyDictionary()
