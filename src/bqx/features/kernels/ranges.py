"""A bar against the bar before it, both in one segment (Wilder 1978)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]


@kernel
def _span(h: float, lo: float, c: float) -> float:
    """Largest of h - l, |h - c| and |l - c|; NaN where one is."""
    widest, above, below = h - lo, abs(h - c), abs(lo - c)
    widest = above if above > widest else widest
    widest = below if below > widest else widest
    return widest if (h == h) & (c == c) else np.nan


@kernel
def _excess(a: float, b: float) -> float:
    """a where it is above 0 and above b, else 0; NaN where one is."""
    more = a if (a > b) & (a > 0.0) else 0.0
    return more if (a == a) & (b == b) else np.nan


@kernel
def movement_row(high: F8, low: F8, close: F8, r: int, seg_age: int, out: tuple[F8, F8, F8], at: int) -> None:
    """Row r of :func:`movements` from rings (row k at k % len) into row `at` of `out`."""
    span, plus, minus = out
    cap = len(high)
    now, before = r % cap, (r - 1) % cap
    for j in range(high.shape[1]):
        up, down = high[now, j] - high[before, j], low[before, j] - low[now, j]
        span[at, j] = _span(high[now, j], low[now, j], close[before, j]) if seg_age >= 1 else np.nan
        plus[at, j] = _excess(up, down) if seg_age >= 1 else np.nan
        minus[at, j] = _excess(down, up) if seg_age >= 1 else np.nan


@kernel
def _spans(h: F8, lo: F8, c: F8, out: F8) -> None:
    for i in range(len(out)):
        out[i] = _span(h[i], lo[i], c[i])


@kernel
def _moves(h: F8, h_before: F8, lo: F8, lo_before: F8, out: F8, sign: int) -> None:
    for i in range(len(out)):
        up, down = h[i] - h_before[i], lo_before[i] - lo[i]
        out[i] = _excess(up, down) if sign > 0 else _excess(down, up)


def movements(high: F8, low: F8, close: F8, seg_age: I4) -> tuple[F8, F8, F8]:
    """True range, plus and minus directional movement of every bar; NaN without the bar before. Shapes (n, pairs).

    plus : rise of the high where it is above 0 and above the fall of the low, else 0; minus mirrored.
    """
    out = (np.empty(high.shape), np.empty(high.shape), np.empty(high.shape))
    _movements(high, low, close, seg_age, out)
    return out


@kernel
def _movements(high: F8, low: F8, close: F8, seg_age: I4, out: tuple[F8, F8, F8]) -> None:
    n, p = high.shape
    if n == 0:
        return
    h, lo, c, size = high.reshape(n * p), low.reshape(n * p), close.reshape(n * p), n * p
    _spans(h[p:], lo[p:], c[: size - p], out[0].reshape(size)[p:])
    _moves(h[p:], h[: size - p], lo[p:], lo[: size - p], out[1].reshape(size)[p:], 1)
    _moves(h[p:], h[: size - p], lo[p:], lo[: size - p], out[2].reshape(size)[p:], -1)
    for r in range(n):
        if seg_age[r] == 0:
            for x in out:
                for j in range(p):
                    x[r, j] = np.nan
