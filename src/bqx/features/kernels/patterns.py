"""Ordinal patterns of three values in a row, and their entropy (Bandt & Pompe 2002)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel
from bqx.features.kernels.mathfun import log_ratio

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
I8 = NDArray[np.int64]

PATTERNS = 6
NONE = PATTERNS
"""Code of a row without a pattern; it is counted and not looked at."""
TIE = 1e-9
"""Values this near (bps) are equal: mid prices from other bids and asks differ in the last bit, ticks by 1e-3 bps."""


@kernel
def pattern(a: float, b: float, c: float) -> int:
    """0 .. 5 for the order of three values in time; of equal ones the earlier is the lower. NONE with a NaN."""
    if not (a == a and b == b and c == c):
        return NONE
    rises, on, over = b - a >= -TIE, c - b >= -TIE, c - a >= -TIE
    if rises:
        return 0 if on else 1 if over else 2
    return 3 if over else 4 if on else 5


def patterns(y: F8, seg_age: I4) -> I8:
    """Code of rows r - 2 .. r at every bar, NONE unless they lie in one segment. Shape (n, pairs)."""
    out = np.full(y.shape, NONE, dtype=np.int64)
    _patterns(y, seg_age, out)
    return out


@kernel
def _patterns(y: F8, seg_age: I4, out: I8) -> None:
    n, p = y.shape
    for r in range(2, n):
        if seg_age[r] >= 2:
            for j in range(p):
                out[r, j] = pattern(y[r - 2, j], y[r - 1, j], y[r, j])


@kernel
def entropy_table(longest: int) -> F8:
    """c ln c for c = 0 .. longest. Shape (longest + 1,)."""
    out = np.zeros(longest + 1)
    for c in range(2, longest + 1):
        out[c] = c * log_ratio(float(c), 1.0)
    return out


@kernel
def entropy_step(
    codes: I8, r: int, seg_age: int, window: int, need: int, flat: NDArray[np.bool_], table: F8, counts: I8, out: F8,
    row: int,
) -> None:  # fmt: skip
    """Take the code of bar r in (ring: row k at k % len(codes)); emit entropy / ln 6 into out[row].

    counts (PATTERNS + 1, pairs). NaN below `need` patterns, and where `flat`: a price that stands still has an order
    by the rule for ties only.
    """
    cap = len(codes)
    if seg_age == 0:
        for k in range(len(counts)):
            for j in range(codes.shape[1]):
                counts[k, j] = 0
    whole = 1.0 / log_ratio(float(PATTERNS), 1.0)
    for j in range(codes.shape[1]):
        counts[codes[r % cap, j], j] += 1
        if seg_age >= window:
            counts[codes[(r - window) % cap, j], j] -= 1
        n, total, most = 0, 0.0, 0
        for k in range(PATTERNS):
            c = counts[k, j]
            n += c
            total += table[c]
            most = max(most, c)
        value = (table[n] - total) / n * whole if most < n else 0.0
        ok = n >= need and seg_age >= window - 1 and not flat[row, j]
        out[row, j] = min(value, 1.0) if ok else np.nan


def permutation_entropy(codes: I8, seg_age: I4, window: int, need: int, flat: NDArray[np.bool_]) -> F8:
    """Entropy of the last `window` patterns of the segment, in units of ln 6. Shape (n, pairs)."""
    out = np.empty(codes.shape)
    _permutation_entropy(codes, seg_age, window, need, flat, out)
    return out


@kernel
def _permutation_entropy(codes: I8, seg_age: I4, window: int, need: int, flat: NDArray[np.bool_], out: F8) -> None:
    n, p = codes.shape
    counts, table = np.zeros((PATTERNS + 1, p), dtype=np.int64), entropy_table(window)
    for r in range(n):
        entropy_step(codes, r, seg_age[r], window, need, flat, table, counts, out, r)


def standstill(y: F8, seg_age: I4, window: int) -> NDArray[np.bool_]:
    """Whether the valid values of the last `window` rows of the segment are equal (each to the one before it), by runs.
    Shape (n, pairs)."""
    out = np.empty(y.shape, dtype=np.bool_)
    _standstill(y, seg_age, window, out)
    return out


@kernel
def _standstill(y: F8, seg_age: I4, window: int, out: NDArray[np.bool_]) -> None:
    n, p = y.shape
    other, latest, last = np.zeros(p, dtype=np.int64), np.zeros(p, dtype=np.int64), np.zeros(p)
    for r in range(n):
        if seg_age[r] == 0:
            other[:], latest[:] = r - 1, r - 1
        for j in range(p):
            v = y[r, j]
            if v == v:
                # `other` is the row of the last value that differs from the present one
                other[j] = latest[j] if latest[j] >= r - seg_age[r] and abs(v - last[j]) > TIE else other[j]
                latest[j], last[j] = r, v
            out[r, j] = other[j] <= r - window
