"""The same quantities to 50 digits, by their definitions."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from mpmath import mp

from benchmarks.kernels.bars import Bars

mp.dps = 50
Value = Any  # mpmath has no types
Row = Callable[["Exact", int], tuple[Value, ...]]


class Exact:
    """Lane 0 of some bars as mpmath numbers; recursions are run once and kept."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._kept: dict[Any, Any] = {}

    def _field(self, name: str) -> list[Value]:
        return [mp.mpf(float(v)) for v in getattr(self._bars, name)[:, 0]]

    @cached_property
    def y(self) -> list[Value]:
        return self._field("y")

    @cached_property
    def dy(self) -> list[Value]:
        return self._field("dy")

    @cached_property
    def high(self) -> list[Value]:
        return self._field("high")

    @cached_property
    def low(self) -> list[Value]:
        return self._field("low")

    def keep(self, key: Any, make: Callable[[], Any]) -> Any:
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def smooth(self, key: str, x: list[Value], alpha: Value, seed: int) -> list[Value]:
        """Mean of the first `seed` numbers, then s += alpha (x - s); NaN before the first number."""

        def run() -> list[Value]:
            out, mean, taken = [], mp.mpf(0), 0
            for v in x:
                if not mp.isnan(v):
                    taken += 1
                    mean += (mp.mpf(1) / taken if taken <= seed else alpha) * (v - mean)
                out.append(mean)
            return out

        return list(self.keep((key, alpha, seed), run))


def _moments(window: list[Value]) -> tuple[Value, Value, Value, Value]:
    """Mean and the second to fourth central moments."""
    n = len(window)
    mean = mp.fsum(window) / n
    return (mean, *(mp.fsum([(v - mean) ** k for v in window]) / n for k in (2, 3, 4)))


def mean_deviation(n: int, ddof: int = 1, before: int = 0) -> Row:
    """Mean and deviation of n values that end `before` rows ago."""

    def row(x: Exact, r: int) -> tuple[Value, ...]:
        window = x.y[r - before - n + 1 : r - before + 1]
        mean, square, _, _ = _moments(window)
        return mean, mp.sqrt(square * n / (n - ddof))

    return row


def deviation(n: int) -> Row:
    return lambda x, r: mean_deviation(n)(x, r)[1:]


def z_score(n: int) -> Row:
    def row(x: Exact, r: int) -> tuple[Value, ...]:
        mean, sd = mean_deviation(n)(x, r)
        return ((x.y[r] - mean) / sd,)

    return row


def shape(n: int) -> Row:
    """Mean, deviation, G1 and G2 (Joanes & Gill 1998)."""

    def row(x: Exact, r: int) -> tuple[Value, ...]:
        mean, m2, m3, m4 = _moments(x.y[r - n + 1 : r + 1])
        skew = m3 / m2 ** mp.mpf("1.5") * mp.sqrt(n * (n - 1)) / (n - 2)
        kurt = mp.mpf(n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * (m4 / m2**2 - 3) + 6)
        return mean, mp.sqrt(m2 * n / (n - 1)), skew, kurt

    return row


def bands(n: int) -> Row:
    """Mean and two population deviations above and below."""

    def row(x: Exact, r: int) -> tuple[Value, ...]:
        mean, sd = mean_deviation(n, 0)(x, r)
        return mean + 2 * sd, mean, mean - 2 * sd

    return row


def percent(n: int) -> Row:
    """Where y lies between the bands: 0 at the lower, 1 at the upper."""

    def row(x: Exact, r: int) -> tuple[Value, ...]:
        upper, _, lower = bands(n)(x, r)
        return ((x.y[r] - lower) / (upper - lower),)

    return row


def lag(n: int) -> Row:
    return lambda x, r: (x.y[r] - x.y[r - n],)


def log_level(x: Exact, r: int) -> tuple[Value, ...]:
    return (10**4 * mp.log(x.y[r] / x.y[0]),)


def slope(n: int) -> Row:
    """Of the least-squares line, per row."""

    def row(x: Exact, r: int) -> tuple[Value, ...]:
        window = x.y[r - n + 1 : r + 1]
        middle = mp.mpf(n - 1) / 2
        squares = mp.fsum([(k - middle) ** 2 for k in range(n)])
        return (mp.fsum([(k - middle) * v for k, v in enumerate(window)]) / squares,)

    return row


def quantiles(n: int, percents: tuple[int, ...]) -> Row:
    def row(x: Exact, r: int) -> tuple[Value, ...]:
        window = sorted(x.y[r - n + 1 : r + 1])
        out = []
        for q in percents:
            k, rest = divmod((n - 1) * q, 100)
            above = window[min(k + 1, n - 1)]
            out.append(window[k] + (above - window[k]) * mp.mpf(rest) / 100)
        return tuple(out)

    return row


def correlation(n: int, lag: int) -> Row:
    def row(x: Exact, r: int) -> tuple[Value, ...]:
        a, b = x.y[r - n + 1 : r + 1], x.y[r - lag - n + 1 : r - lag + 1]
        ma, mb = mp.fsum(a) / n, mp.fsum(b) / n
        up = mp.fsum([(p - ma) * (q - mb) for p, q in zip(a, b, strict=True)])
        return (up / mp.sqrt(mp.fsum([(p - ma) ** 2 for p in a]) * mp.fsum([(q - mb) ** 2 for q in b])),)

    return row


def ema(n: int) -> Row:
    return lambda x, r: (x.smooth("y", x.y, mp.mpf(2) / (n + 1), n)[r],)


def macd(fast: int, slow: int, signal: int) -> Row:
    def row(x: Exact, r: int) -> tuple[Value, ...]:
        a, b = (x.smooth("y", x.y, mp.mpf(2) / (n + 1), n) for n in (fast, slow))
        line = x.keep(("line", fast, slow), lambda: [p - q for p, q in zip(a, b, strict=True)])
        smooth = x.smooth(f"line{fast}{slow}", line, mp.mpf(2) / (signal + 1), signal)
        return line[r], smooth[r], line[r] - smooth[r]

    return row


def rsi(n: int) -> Row:
    def row(x: Exact, r: int) -> tuple[Value, ...]:
        up = x.keep("up", lambda: [max(v, mp.mpf(0)) if not mp.isnan(v) else v for v in x.dy])
        down = x.keep("down", lambda: [max(-v, mp.mpf(0)) if not mp.isnan(v) else v for v in x.dy])
        a, b = (x.smooth(k, v, mp.mpf(1) / n, n)[r] for k, v in (("up", up), ("down", down)))
        return (100 * a / (a + b),)

    return row


def _ranges(x: Exact) -> tuple[list[Value], list[Value], list[Value]]:
    """True range, +DM, -DM."""

    def make() -> tuple[list[Value], list[Value], list[Value]]:
        none = [mp.mpf("nan")]
        span, plus, minus = list(none), list(none), list(none)
        for r in range(1, len(x.y)):
            h, lo, c = x.high[r], x.low[r], x.y[r - 1]
            up, down = h - x.high[r - 1], x.low[r - 1] - lo
            span.append(max(h - lo, abs(h - c), abs(lo - c)))
            plus.append(up if up > 0 and up > down else mp.mpf(0))
            minus.append(down if down > 0 and down > up else mp.mpf(0))
        return span, plus, minus

    found: tuple[list[Value], list[Value], list[Value]] = x.keep("ranges", make)
    return found


def atr(n: int) -> Row:
    return lambda x, r: (x.smooth("span", _ranges(x)[0], mp.mpf(1) / n, n)[r],)


def adx(n: int) -> Row:
    """ADX, DI+ and DI-."""

    def row(x: Exact, r: int) -> tuple[Value, ...]:
        span, plus, minus = (
            x.smooth(k, v, mp.mpf(1) / n, n) for k, v in zip(("span", "plus", "minus"), _ranges(x), strict=True)
        )

        def index() -> list[Value]:
            out = []
            for a, b, c in zip(plus, minus, span, strict=True):
                out.append(100 * abs(a - b) / (a + b) if len(out) >= n and c and a + b else mp.mpf("nan"))
            return out

        smooth = x.smooth(f"dx{n}", x.keep(("dx", n), index), mp.mpf(1) / n, n)
        return smooth[r], 100 * plus[r] / span[r], 100 * minus[r] / span[r]

    return row


def cci(n: int) -> Row:
    def row(x: Exact, r: int) -> tuple[Value, ...]:
        window = [(x.high[k] + x.low[k] + x.y[k]) / 3 for k in range(r - n + 1, r + 1)]
        mean = mp.fsum(window) / n
        return ((window[-1] - mean) / (mp.mpf(15) / 1000 * mp.fsum([abs(v - mean) for v in window]) / n),)

    return row


def _position(x: Exact, r: int, n: int) -> Value:
    top, bottom = max(x.high[r - n + 1 : r + 1]), min(x.low[r - n + 1 : r + 1])
    return 100 * (x.y[r] - bottom) / (top - bottom)


def stochastic(n: int) -> Row:
    """%K smoothed over 3, and its mean of 3."""

    def row(x: Exact, r: int) -> tuple[Value, ...]:
        fast = [_position(x, k, n) for k in range(r - 4, r + 1)]
        slow = [mp.fsum(fast[k - 2 : k + 1]) / 3 for k in (2, 3, 4)]
        return slow[-1], mp.fsum(slow) / 3

    return row


def williams(n: int) -> Row:
    return lambda x, r: (_position(x, r, n) - 100,)


def ewma(alpha: float, seed: int) -> Row:
    """Root of the smoothed squares up to the row before."""

    def row(x: Exact, r: int) -> tuple[Value, ...]:
        squares = x.keep("squares", lambda: [v * v for v in x.dy])
        return (mp.sqrt(x.smooth("squares", squares, mp.mpf(alpha), seed)[r - 1]),)

    return row
