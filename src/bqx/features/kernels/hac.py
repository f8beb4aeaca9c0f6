"""t statistic of a line's slope with the errors' own serial correlation (Newey & West 1987).

With g = u e, u the place less its mean and e the residual, the Bartlett-weighted sum of autocovariances of g up to lag
L is the sum of squares of all sums of L + 1 neighbours of g, divided by L + 1: never negative. Sums that lie inside
the window are slid by their parts, the 2 L that overlap its ends are added up anew. What is missing has g = 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel
from bqx.features.kernels.moments import TINY
from bqx.features.kernels.positions import KZ, ZZ, Levels, State, Z, clear, position_state, position_step, with_past
from bqx.features.kernels.sums import equal_run_step

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]

CLOSE = 1e-4
"""Where the squares that are left are a smaller part of those they come from, the window is added up anew: the sums
would lose more digits than these four."""

BB, BA, AA, AN, AP, AQ, BN, BP, BQ = range(9)
"""Rows of the sums of products of a = sum z, b = sum k z, n = sum 1, p = sum k and q = sum k^2 of L + 1 neighbours."""
BLOCK_SUMS = 9
NN, NP, NQ, PP, PQ, QQ = range(6)
"""Rows of what the sums of products of n, p and q lack because bars are missing."""
LACKS = 6

Blocks = tuple[F8, F8, F8, F8, F8, F8, F8, F8]
"""back (blocks, BLOCK_SUMS, pairs), front and total (BLOCK_SUMS, pairs), the same three of LACKS; a, b, n, p and q of
the latest block, work rows."""


def slope_t(x: F8, seg_age: I4, window: int, need: int, lag: int, across: bool, levels: Levels | None = None) -> F8:
    """Slope of the least-squares line through the valid values of the last `window` rows over its Newey-West standard
    error (Bartlett weights up to `lag`, no small-sample factor); NaN below `need` values, where all are equal and where
    they lie on a line within 1e-9 (TINY). `across` and `levels` as in `lines.slope`. Shape (n, pairs)."""
    out = np.empty(x.shape)
    for part, begin, rows in with_past(x, seg_age, window - 1 if across else 0, levels if across else None):
        _slope_t(part, begin, window, need, 0 if across else window - 1, lag, out[rows])
    return out


@kernel
def block_state(window: int, lag: int, p: int) -> Blocks:
    sums = (np.zeros((window - lag, BLOCK_SUMS, p)), np.zeros((BLOCK_SUMS, p)), np.zeros((BLOCK_SUMS, p)))
    lacks = (np.zeros((window - lag, LACKS, p)), np.zeros((LACKS, p)), np.zeros((LACKS, p)))
    return (sums[0], sums[1], sums[2], lacks[0], lacks[1], lacks[2], np.zeros((5, p)), np.zeros((5, p)))


@kernel
def _block(y: F8, r: int, k: float, lag: int, floor: int, holes: bool, shift: F8, found: F8) -> None:
    """a, b, n, p and q of rows r - lag .. r into `found`; row r has place k. holes : some may be missing."""
    cap, lanes = y.shape
    m, kappa = k - 0.5 * lag, lag * (lag + 1.0) * (lag + 2.0) / 12.0
    n, one, two = lag + 1.0, (lag + 1.0) * m, (lag + 1.0) * (m * m) + kappa
    for j in range(lanes):
        found[0, j], found[1, j] = 0.0, 0.0
        found[2, j], found[3, j], found[4, j] = n, one, two
    for i in range(lag + 1):
        row, place, absent = (r - i) % cap, k - i, r - i < floor
        if not absent:
            for j in range(lanes):
                z = y[row, j] - shift[j]
                z = z if z == z else 0.0
                found[0, j] += z
                found[1, j] += place * z
        if holes:
            for j in range(lanes):
                gone = 1.0 if absent or y[row, j] != y[row, j] else 0.0
                found[2, j] -= gone
                found[3, j] -= gone * place
                found[4, j] -= gone * (place * place)


@kernel
def _add_block(found: F8, before: F8, after: F8) -> None:
    """after = before + the block's products; three sums a loop, for longer ones do not vectorise."""
    lanes = found.shape[1]
    for j in range(lanes):
        a, b = found[0, j], found[1, j]
        after[BB, j] = before[BB, j] + b * b
        after[BA, j] = before[BA, j] + b * a
        after[AA, j] = before[AA, j] + a * a
    for j in range(lanes):
        a = found[0, j]
        after[AN, j] = before[AN, j] + found[2, j] * a
        after[AP, j] = before[AP, j] + found[3, j] * a
        after[AQ, j] = before[AQ, j] + found[4, j] * a
    for j in range(lanes):
        b = found[1, j]
        after[BN, j] = before[BN, j] + found[2, j] * b
        after[BP, j] = before[BP, j] + found[3, j] * b
        after[BQ, j] = before[BQ, j] + found[4, j] * b


@kernel
def _add_lacks(found: F8, k: float, lag: int, before: F8, after: F8) -> None:
    """after = before + what the products of n, p and q lack; 0 in lanes whose block is whole."""
    m, kappa = k - 0.5 * lag, lag * (lag + 1.0) * (lag + 2.0) / 12.0
    n, p, q = lag + 1.0, (lag + 1.0) * m, (lag + 1.0) * (m * m) + kappa
    for j in range(found.shape[1]):
        after[NN, j] = before[NN, j] + (n * n - found[2, j] * found[2, j])
        after[NP, j] = before[NP, j] + (n * p - found[2, j] * found[3, j])
        after[NQ, j] = before[NQ, j] + (n * q - found[2, j] * found[4, j])
    for j in range(found.shape[1]):
        after[PP, j] = before[PP, j] + (p * p - found[3, j] * found[3, j])
        after[PQ, j] = before[PQ, j] + (p * q - found[3, j] * found[4, j])
        after[QQ, j] = before[QQ, j] + (q * q - found[4, j] * found[4, j])


@kernel
def _blocks_step(y: F8, r: int, age: int, window: int, lag: int, floor: int, state: State, blocks: Blocks) -> None:
    """Take the block that ends at row r in; the totals then cover those that lie inside the window. The anchor is set
    already."""
    back, front, total, lack_back, lack_front, lack, found, _ = blocks
    shift, flags = state[6], state[7]
    many = window - lag
    d = age % many
    behind = flags[0] > 0.0
    if d == 0:
        clear(front)
        clear(lack_front)
        clear(lack)
        for i in range(1, many):
            _block(y, r - i, float(-i), lag, floor, behind, shift, found)
            _add_block(found, back[i - 1], back[i])
            if behind:
                _add_lacks(found, float(-i), lag, lack_back[i - 1], lack_back[i])
    holes = behind or flags[1] > 0.0
    _block(y, r, float(d), lag, floor, holes, shift, found)
    _add_block(found, front, front)
    i = many - 1 - d
    for k in range(BLOCK_SUMS):
        for j in range(y.shape[1]):
            total[k, j] = front[k, j] + back[i, k, j]
    if holes:
        _add_lacks(found, float(d), lag, lack_front, lack_front)
        for k in range(LACKS):
            for j in range(y.shape[1]):
                lack[k, j] = lack_front[k, j] + (lack_back[i, k, j] if behind else 0.0)


@kernel
def _edges(y: F8, r: int, window: int, lag: int, shift: F8, work: F8) -> None:
    """Squares of the sums that overlap an end of the window into work[2]. work[0], work[1] : mean and slope."""
    cap, p = y.shape
    half = 0.5 * (window - 1)
    for end in range(2):
        for j in range(p):
            work[3, j] = 0.0
        for i in range(lag):
            row, u = (r - i) % cap if end else (r - window + 1 + i) % cap, half - i if end else i - half
            for j in range(p):
                z = y[row, j] - shift[j]
                work[3, j] += u * ((z - work[0, j]) - work[1, j] * u)
                work[2, j] += work[3, j] * work[3, j]


@kernel
def slope_t_step(
    y: F8, r: int, age: int, window: int, need: int, youngest: int, lag: int, floor: int, state: State, blocks: Blocks,
    run: F8, last: F8, out: F8, row: int,
) -> None:  # fmt: skip
    """Take bar r of the ring `y` in; emit the t statistic into out[row]; see `lines.line_step`."""
    equal_run_step(y, r % len(y), run, last)
    many = window - lag
    c = position_step(y, r, age, window, many, floor, state) - 0.5 * (window - 1)
    _blocks_step(y, r, age, window, lag, floor, state, blocks)
    total, holes, shift, sums, work = state[2], state[5], state[6], blocks[2], blocks[7]
    p = y.shape[1]
    if age < youngest:
        for j in range(p):
            out[row, j] = np.nan
        return
    spread = float(window) * (window * window - 1) / 12.0
    for j in range(p):
        work[0, j] = total[Z, j] / window
        work[1, j] = (total[KZ, j] - c * total[Z, j]) / spread
        work[2, j] = 0.0
    if r - window + 1 >= floor:
        _edges(y, r, window, lag, shift, work)
    n1, kappa = lag + 1.0, lag * (lag + 1.0) * (lag + 2.0) / 12.0
    v2 = many * (float(many) * many - 1.0) / 12.0
    v4 = v2 * (3.0 * many * many - 7.0) / 20.0
    pure = n1 * n1 * v4 + 2.0 * n1 * kappa * v2 + kappa * kappa * many
    for j in range(p):
        work[3, j] = (sums[BP, j] - c * sums[BN, j]) - c * (sums[AP, j] - c * sums[AN, j])
        two = (sums[BQ, j] - 2.0 * c * sums[BP, j]) + c * c * sums[BN, j]
        work[4, j] = two - c * ((sums[AQ, j] - 2.0 * c * sums[AP, j]) + c * c * sums[AN, j])
    for j in range(p):
        a, b = work[0, j], work[1, j]
        square = (sums[BB, j] - 2.0 * c * sums[BA, j]) + c * c * sums[AA, j]
        own = a * a * (n1 * n1 * v2) + b * b * pure
        whole = ((square - 2.0 * a * work[3, j]) - 2.0 * b * work[4, j]) + own + work[2, j]
        most = (sums[BB, j] + c * c * sums[AA, j]) + own
        t = b * spread / np.sqrt(whole / n1)
        zz = total[ZZ, j] - total[Z, j] * a
        flat = (run[j] >= window) | (zz <= (TINY * TINY) * window)
        t = t if whole > CLOSE * most else np.inf
        t = np.nan if flat else t
        out[row, j] = t if holes[0, j] == 0.0 else -np.inf
    for j in range(p):
        if abs(out[row, j]) == np.inf:
            n = window - holes[0, j]
            ok = n >= need and run[j] < n
            t = np.inf if ok else np.nan
            if ok and holes[0, j] > 0.0:
                t = _with_holes(y, r, max(floor, r - window + 1), window, lag, j, c, state, blocks)
            out[row, j] = _anew(y, r, max(floor, r - window + 1), lag, j, shift[j]) if t == np.inf else t


@kernel
def _with_holes(
    y: F8, r: int, first: int, window: int, lag: int, j: int, centre: float, state: State, blocks: Blocks
) -> float:
    """The t statistic of a lane with missing bars, infinite where it is to be worked out anew."""
    total, holes, shift, sums, lack = state[2], state[5], state[6][j], blocks[2], blocks[5]
    cap, many = len(y), float(window - lag)
    n = window - holes[0, j]
    u = centre * holes[0, j] - holes[1, j]
    uu = window * (float(window) * window - 1.0) / 12.0
    uu -= (holes[2, j] - 2.0 * centre * holes[1, j]) + centre * centre * holes[0, j]
    uu -= u * (u / n)
    a = total[Z, j] / n
    uz = (total[KZ, j] - centre * total[Z, j]) - u * a
    b, c = uz / uu, centre + u / n
    if total[ZZ, j] - total[Z, j] * a <= (TINY * TINY) * n:
        return np.nan
    # sums of m, m^2, m^3, m^4 over the middles m of all blocks, and of products of whole blocks' n, p and q
    n1, kappa = lag + 1.0, lag * (lag + 1.0) * (lag + 2.0) / 12.0
    v2 = many * (many * many - 1.0) / 12.0
    v4 = v2 * (3.0 * many * many - 7.0) / 20.0
    square = centre * centre
    m1, m2 = many * centre, many * square + v2
    m3, m4 = centre * (many * square + 3.0 * v2), square * (many * square + 6.0 * v2) + v4
    nn, np_, nq = n1 * n1 * many - lack[NN, j], n1 * n1 * m1 - lack[NP, j], n1 * (n1 * m2 + kappa * many) - lack[NQ, j]
    pp, pq = n1 * n1 * m2 - lack[PP, j], n1 * (n1 * m3 + kappa * m1) - lack[PQ, j]
    qq = n1 * n1 * m4 + 2.0 * n1 * kappa * m2 + kappa * kappa * many - lack[QQ, j]
    one = (sums[BP, j] - c * sums[BN, j]) - c * (sums[AP, j] - c * sums[AN, j])
    two = (sums[BQ, j] - 2.0 * c * sums[BP, j]) + c * c * sums[BN, j]
    two -= c * ((sums[AQ, j] - 2.0 * c * sums[AP, j]) + c * c * sums[AN, j])
    first_two = (pp - 2.0 * c * np_) + c * c * nn
    mixed = ((pq - 2.0 * c * pp) + c * c * np_) - c * ((nq - 2.0 * c * np_) + c * c * nn)
    second = ((qq - 4.0 * c * pq) + c * c * (2.0 * nq + 4.0 * pp)) - c * c * c * (4.0 * np_ - c * nn)
    own = a * a * first_two + b * b * second
    whole = (sums[BB, j] - 2.0 * c * sums[BA, j]) + c * c * sums[AA, j]
    whole = ((whole - 2.0 * a * one) - 2.0 * b * two) + (own + 2.0 * a * b * mixed)
    most = sums[BB, j] + c * c * sums[AA, j] + own
    middle = 0.5 * (window - 1) + u / n
    for end in range(2):
        together = 0.0
        for i in range(lag):
            at = r - i if end else r - window + 1 + i
            place = (window - 1 - i if end else i) - middle
            z = y[at % cap, j] - shift if at >= first else np.nan
            together += place * ((z - a) - b * place) if z == z else 0.0
            whole += together * together
    return uz / np.sqrt(whole / n1) if whole > CLOSE * most else np.inf


@kernel
def _anew(y: F8, r: int, first: int, lag: int, j: int, shift: float) -> float:
    """The t statistic of rows first .. r of one lane, added up afresh in two passes."""
    cap = len(y)
    start, many = first % cap, r + 1 - first
    n, k_mean, z_mean = 0.0, 0.0, 0.0
    row = start
    for i in range(many):
        z = y[row, j] - shift
        if z == z:
            n += 1.0
            k_mean += float(i)
            z_mean += z
        row = row + 1 if row + 1 < cap else 0
    k_mean, z_mean = k_mean / n, z_mean / n
    uu, uz, rest = 0.0, 0.0, 0.0
    row = start
    for i in range(many):
        z = y[row, j] - shift
        if z == z:
            u = i - k_mean
            uu += u * u
            uz += u * (z - z_mean)
            rest += z - z_mean
        row = row + 1 if row + 1 < cap else 0
    b = uz / uu
    z_mean += rest / n
    squares, errors = 0.0, 0.0
    near, at = np.zeros(lag + 1), 0
    row = start
    for i in range(many + lag):
        z = y[row, j] - shift if i < many else np.nan
        u = i - k_mean
        e = (z - z_mean) - b * u if z == z else 0.0
        errors += e * e
        near[at] = u * e
        together = 0.0
        for one in range(lag + 1):
            together += near[one]
        squares += together * together
        row = row + 1 if row + 1 < cap else 0
        at = at + 1 if at < lag else 0
    return uz / np.sqrt(squares / (lag + 1)) if errors > (TINY * TINY) * n else np.nan


@kernel
def _slope_t(y: F8, begin: int, window: int, need: int, youngest: int, lag: int, out: F8) -> None:
    """Rows `begin` .. of `y` are a segment, those before it the past it may use."""
    n, p = y.shape
    state, blocks = position_state(window, p), block_state(window, lag, p)
    run, last = np.zeros(p), np.full(p, np.nan)
    for r in range(begin):
        equal_run_step(y, r, run, last)
    for r in range(begin, n):
        slope_t_step(y, r, r - begin, window, need, youngest, lag, 0, state, blocks, run, last, out, r - begin)
