"""Currency strengths, and loops of three conversions at bid and ask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import batch, kernel
from bqx.features.kernels.mathfun import exp
from bqx.features.kernels.members import BPS, lost_in

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
I8 = NDArray[np.int64]

BEST, MIDDLE, DIRECTION, AGE = range(4)
MEASURES = 4


@batch
def exponential(out: F8, x: F8) -> None:
    """e^x, NaN for NaN. Shape (n, m)."""
    n, p = x.shape
    for r in range(n):
        for j in range(p):
            out[r, j] = exp(x[r, j])


@kernel
def _strengths(x: F8, lanes: I8, signs: F8, out: F8) -> None:
    for r in range(len(x)):
        for c in range(len(lanes)):
            total = 0.0
            for i in range(lanes.shape[1]):
                k = lanes[c, i]
                total += signs[c, i] * (x[r, k] if k >= 0 else np.nan)
            out[r, c] = total / lanes.shape[1]


def strengths(x: F8, lanes: I8, signs: F8) -> F8:
    """Mean of signs[c, i] x[:, lanes[c, i]] over i, added in their order, for each currency c; NaN where one is, or
    where a lane is -1. Shapes (n, pairs); (currencies, members); (n, currencies)."""
    out = np.empty((len(x), len(lanes)))
    _strengths(x, lanes, signs, out)
    return out


@kernel
def _share_below(x: F8, out: F8) -> None:
    n, p = x.shape
    for r in range(n):
        for j in range(p):
            total = 0.0
            for k in range(p):
                a, b = np.float32(x[r, k]), np.float32(x[r, j])
                total += 1.0 if a < b else 0.5 if a == b else np.nan if a != a or b != b else 0.0
            out[r, j] = total / p


def share_below(x: F8) -> F8:
    """(less + half of equal, itself among them) / m among the m values of a row, as float32; NaN unless all are valid.
    Shape (n, m)."""
    out = np.empty(x.shape)
    _share_below(x, out)
    return out


@kernel
def carried_from(x: F8, fill_run: I4, seg_age: I4, start: int, most: int, out: F8) -> None:
    """:func:`carried` of rows `start` .. of x; `out` has a row for each of these."""
    for r in range(start, len(x)):
        for j in range(x.shape[1]):
            run = fill_run[r, j]
            known = (run <= most) & (run <= seg_age[r])
            out[r - start, j] = x[r - run, j] if known else np.nan


def carried(x: F8, fill_run: I4, seg_age: I4, most: int) -> F8:
    """x of the minute's own quote, else of the last one, at most `most` minutes ago and in the segment. Shape (n,
    pairs)."""
    out = np.empty(x.shape)
    carried_from(x, fill_run, seg_age, 0, most, out)
    return out


@kernel
def _times(a: float, lost: float, b: float) -> tuple[float, float]:
    """(a + lost) b, rounded, and what rounding lost."""
    return a * b, lost * b + lost_in(a, b)


@kernel
def _gain(own: F8, two: F8, three: F8, turned: F8, forth: bool) -> float:
    """Gross profit in bps of a loop over three markets, each (bid, ask): the own pair, the leg from its base to the
    third currency and that from the third to its quote; turned[k] is +1 where a leg is quoted like that, else -1.
    forth : sells the own base first; else the loop runs the other way."""
    above, below, lost, spare = 1.0, 1.0, 0.0, 0.0
    if forth:
        above = above * own[0]
    else:
        below = below * own[1]
    for k in range(2):
        leg = two if k == 0 else three
        # along a leg as quoted its bid is earned, against it its ask is paid
        if (turned[k] > 0.0) != forth:
            above, lost = _times(above, lost, leg[0])
        else:
            below, spare = _times(below, spare, leg[1])
    return BPS * (((above - below) + (lost - spare)) / below)


@kernel
def _loops(bid: F8, ask: F8, mid: F8, fill_run: I4, lanes: I8, signs: F8, out: F8) -> None:
    n, p = bid.shape
    own, two, three, turned = np.empty(2), np.empty(2), np.empty(2), np.empty(2)
    for r in range(n):
        for j in range(p):
            best, which, missing = -np.inf, 0, False
            for i in range(lanes.shape[1]):
                a, b = lanes[j, i, 0], lanes[j, i, 1]
                missing |= a < 0 or b < 0
                a, b = max(a, 0), max(b, 0)
                own[0], own[1] = bid[r, j], ask[r, j]
                two[0], two[1] = bid[r, a], ask[r, a]
                three[0], three[1] = bid[r, b], ask[r, b]
                turned[0], turned[1] = signs[j, i, 0], signs[j, i, 1]
                for way in range(2):
                    gain = _gain(own, two, three, turned, way == 0)
                    missing |= gain != gain
                    if gain > best:
                        best, which = gain, (i + 1) if way == 0 else -(i + 1)
            if missing or which == 0:
                for k in range(MEASURES):
                    out[k, r, j] = np.nan
                continue
            i = abs(which) - 1
            a, b = lanes[j, i, 0], lanes[j, i, 1]
            own[:], two[:], three[:] = mid[r, j], mid[r, a], mid[r, b]
            turned[0], turned[1] = signs[j, i, 0], signs[j, i, 1]
            out[BEST, r, j] = best
            out[MIDDLE, r, j] = _gain(own, two, three, turned, which > 0)
            out[DIRECTION, r, j] = which
            out[AGE, r, j] = max(fill_run[r, j], fill_run[r, a], fill_run[r, b])


def loops(bid: F8, ask: F8, mid: F8, fill_run: I4, lanes: I8, signs: F8) -> tuple[F8, ...]:
    """Of the pair's triangles, both ways round: gross profit of the BEST loop in bps, spread paid; the same at mid
    prices (MIDDLE); which it is (DIRECTION), + its number from 1 where the own pair's base is sold, else -; minutes
    since the oldest of its three quotes (AGE). lanes, signs (pairs, triangles, 2) : legs as in `members.parity`. NaN
    where a price of any triangle is. Nearly all digits of a small profit are right. Shapes (n, pairs)."""
    out = np.empty((MEASURES, *bid.shape))
    _loops(bid, ask, mid, fill_run, lanes, signs, out)
    return tuple(out)
