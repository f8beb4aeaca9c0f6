"""Periodograms of windows of 128 values inside a segment: a transform of fixed length, with constants of our own.

A window is transformed anew for each bar from its own values, so that nothing of an older bar can linger. The lanes are
the inner loops of all but the logarithms' sum: 128 real values are 64 complex ones, six stages of butterflies, and a
last step that takes the two halves apart (Press et al. 2007, 12.3).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel
from bqx.features.kernels.mathfun import log_ratio, turn
from bqx.features.kernels.moments import TINY

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]

LENGTH = 128
HALF = 64
LOW = 6
"""Frequencies 1 .. LOW of 128 bars: periods of 20 bars and more."""
HIGH = 26
"""From here on periods of 5 bars and less."""
APART = 2
"""A second frequency is farther than this from the first."""
EDGE = 0.95

TURNS = np.array([turn(k, LENGTH) for k in range(LENGTH)])
"""Sine and cosine of 2 pi k / 128."""
HANN = np.array([0.5 - 0.5 * turn(k, LENGTH)[1] for k in range(LENGTH)])
"""Hann's window, periodic."""
REVERSED = np.array([int(f"{k:06b}"[::-1], 2) for k in range(HALF)])

DOMINANT, POWER, SECOND, HARMONIC, LOWER, UPPER, ENTROPY, EDGES, TOTAL, NOISE, CYCLIC = range(11)
MEASURES = 11


@kernel
def _butterflies(re: F8, im: F8) -> None:
    """Transform 64 complex rows, given in bit-reversed order, in place: sum of z exp(-2 pi i m k / 64)."""
    p = re.shape[1]
    size = 2
    while size <= HALF:
        half, step = size // 2, LENGTH // size
        for start in range(0, HALF, size):
            for k in range(half):
                s, c = -TURNS[k * step, 0], TURNS[k * step, 1]
                a, b = start + k, start + k + half
                for j in range(p):
                    x = c * re[b, j] - s * im[b, j]
                    y = c * im[b, j] + s * re[b, j]
                    re[b, j] = re[a, j] - x
                    im[b, j] = im[a, j] - y
                    re[a, j] += x
                    im[a, j] += y
        size *= 2


@kernel
def _powers(re: F8, im: F8, power: F8) -> None:
    """Squared sizes of frequencies 1 .. 64 of the 128 real values into rows 0 .. 63."""
    p = re.shape[1]
    for k in range(1, HALF):
        m = HALF - k
        s, c = -TURNS[k, 0], TURNS[k, 1]
        for j in range(p):
            even, odd = 0.5 * (re[k, j] + re[m, j]), 0.5 * (im[k, j] - im[m, j])
            x, y = 0.5 * (im[k, j] + im[m, j]), -0.5 * (re[k, j] - re[m, j])
            u = even + (c * x - s * y)
            v = odd + (c * y + s * x)
            power[k - 1, j] = u * u + v * v
    for j in range(p):
        u = re[0, j] - im[0, j]
        power[HALF - 1, j] = u * u


@kernel
def load(x: F8, r: int, need: int, room: tuple[F8, F8, F8]) -> None:
    """The window that ends at row r of the ring `x` into the first two arrays of `room`: distances from its mean,
    weighted; a hole has none. room[2] (3, pairs) : its first row becomes 1 where at least `need` values are valid and
    not all equal, else NaN."""
    re, im, aside = room
    cap, p = x.shape
    for j in range(p):
        aside[0, j], aside[1, j], aside[2, j] = 0.0, np.inf, -np.inf
    for i in range(LENGTH):
        row = (r - LENGTH + 1 + i) % cap
        for j in range(p):
            v = x[row, j]
            valid = v == v
            aside[0, j] += 1.0 if valid else 0.0
            aside[1, j] = v if v < aside[1, j] else aside[1, j]
            aside[2, j] = v if v > aside[2, j] else aside[2, j]
    for j in range(p):
        varied = aside[2, j] - aside[1, j] > TINY
        aside[2, j] = aside[0, j]
        aside[0, j] = 1.0 if (aside[2, j] >= need) & varied else np.nan
        re[0, j] = 0.0
    for i in range(LENGTH):  # about the smallest value, so that the mean of a steady drift keeps its digits
        row = (r - LENGTH + 1 + i) % cap
        for j in range(p):
            v = x[row, j] - aside[1, j]
            re[0, j] += v if v == v else 0.0
    for j in range(p):
        aside[1, j] += re[0, j] / aside[2, j]
    for m in range(HALF):
        row, after, at = (r - LENGTH + 1 + 2 * m) % cap, (r - LENGTH + 2 + 2 * m) % cap, REVERSED[m]
        one, two = HANN[2 * m], HANN[2 * m + 1]
        for j in range(p):
            a, b = x[row, j] - aside[1, j], x[after, j] - aside[1, j]
            re[at, j] = one * a if a == a else 0.0
            im[at, j] = two * b if b == b else 0.0


@kernel
def _peaks(power: F8, ok: F8, out: F8, row: int) -> None:
    """Frequencies of the largest power and of the largest farther away, and the share at twice the first one."""
    for j in range(power.shape[1]):
        best = 0
        for k in range(1, HALF):
            best = k if power[k, j] > power[best, j] else best
        second = -1
        for k in range(HALF):
            if abs(k - best) > APART and (second < 0 or power[k, j] > power[second, j]):
                second = k
        about, twice = 0.0, 0.0
        top = 2 * best + 1  # frequency k has row k - 1
        for d in range(-1, 2):
            about += power[best + d, j] if 0 <= best + d < HALF else 0.0
            twice += power[top + d, j] if top + d < HALF else 0.0
        out[DOMINANT, row, j] = (best + 1) / 128.0 * ok[j]
        out[POWER, row, j] = power[best, j] * ok[j]
        out[SECOND, row, j] = (second + 1) / 128.0 * ok[j]
        out[HARMONIC, row, j] = twice / about * ok[j] if top + 1 < HALF else np.nan


@kernel
def _shares(power: F8, ok: F8, sums: F8, out: F8, row: int) -> None:
    """Total, shares of slow and fast parts, entropy and spectral edge; sums : (4, pairs)."""
    p = power.shape[1]
    for k in range(4):
        for j in range(p):
            sums[k, j] = 0.0
    for k in range(HALF):
        for j in range(p):
            sums[0, j] += power[k, j]
        if k < LOW:
            for j in range(p):
                sums[1, j] += power[k, j]
        if k >= HIGH - 1:
            for j in range(p):
                sums[2, j] += power[k, j]
    for j in range(p):
        total = sums[0, j] * ok[j]
        out[TOTAL, row, j] = total
        out[POWER, row, j] = out[POWER, row, j] / total
        out[LOWER, row, j] = sums[1, j] / total
        out[UPPER, row, j] = sums[2, j] / total
        out[NOISE, row, j] = log_ratio(sums[2, j], sums[1, j]) * ok[j]
        out[ENTROPY, row, j] = 0.0
        out[EDGES, row, j] = 0.0
    for k in range(HALF):
        for j in range(p):
            share = power[k, j] / out[TOTAL, row, j]
            some = share > 0.0
            out[ENTROPY, row, j] -= share * log_ratio(share if some else 1.0, 1.0)
            sums[3, j] += power[k, j]
            below = sums[3, j] < EDGE * sums[0, j]
            out[EDGES, row, j] += 1.0 / 128.0 if below else 0.0
    whole = log_ratio(64.0, 1.0)
    for j in range(p):
        out[ENTROPY, row, j] = out[ENTROPY, row, j] / whole * ok[j]
        out[EDGES, row, j] = (out[EDGES, row, j] + 1.0 / 128.0) * ok[j]


@kernel
def _order(power: F8) -> None:
    """Sort the rows of each lane (Batcher 1968, odd-even merging): the same comparisons whatever the values."""
    p = power.shape[1]
    half = 1
    while half < HALF:
        step = half
        while step >= 1:
            start = step % half
            while start + step < HALF:
                for i in range(min(step, HALF - start - step)):
                    a, b = start + i, start + i + step
                    if a // (2 * half) == b // (2 * half):
                        for j in range(p):
                            u, v = power[a, j], power[b, j]
                            power[a, j] = u if u < v else v
                            power[b, j] = v if u < v else u
                start += 2 * step
            step //= 2
        half *= 2


@kernel
def spectra_row(x: F8, r: int, seg_age: int, need: int, rooms: tuple[F8, F8, F8, F8, F8], out: F8, row: int) -> None:
    """Measures of the window that ends at row r of the ring `x` into out[:, row]."""
    re, im, aside, power, sums = rooms
    p = x.shape[1]
    if seg_age < LENGTH - 1:
        for k in range(MEASURES):
            for j in range(p):
                out[k, row, j] = np.nan
        return
    load(x, r, need, (re, im, aside))
    _butterflies(re, im)
    _powers(re, im, power)
    _peaks(power, aside[0], out, row)
    _shares(power, aside[0], sums, out, row)
    _order(power)
    for j in range(p):
        middle = 0.5 * (power[HALF // 2 - 1, j] + power[HALF // 2, j])
        best = power[HALF - 1, j]
        known = (aside[0, j] == aside[0, j]) & (middle > 0.0)
        y = log_ratio(best if known else 1.0, middle if known else 1.0)
        out[CYCLIC, row, j] = y if known else np.nan


@kernel
def spectra_from(x: F8, seg_age: I4, start: int, need: int, out: F8) -> None:
    """:func:`spectra` of rows `start` .. of x; `out` has a row for each of these."""
    p = x.shape[1]
    rooms = (np.empty((HALF, p)), np.empty((HALF, p)), np.empty((3, p)), np.empty((HALF, p)), np.empty((4, p)))
    for r in range(start, len(x)):
        spectra_row(x, r, seg_age[r], need, rooms, out, r - start)


def spectra(x: F8, seg_age: I4, need: int) -> tuple[F8, ...]:
    """Of the last 128 rows of the segment, about their mean, under Hann's window, with power P_k at k / 128 for
    k = 1 .. 64 (Welch 1967 for the window): DOMINANT and SECOND frequency, share POWER of the first (Fisher's g),
    HARMONIC ratio, shares LOWER and UPPER, ENTROPY / ln 64, EDGES (95 %), TOTAL power, ln(upper / lower) NOISE and
    ln(largest / median) CYCLIC. A hole counts as the mean; NaN below `need` valid values and where these are equal.
    Shapes (n, pairs)."""
    out = np.empty((MEASURES, *x.shape))
    spectra_from(x, seg_age, 0, need, out)
    return tuple(out)
