"""A value against those at the same minute of the week in weeks before: what is usual at this time of this day."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.divide import FLOOR, divides
from bqx.features.kernels.jit import batch, kernel

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]

WEEKS, LEAST = 8, 4
"""Weeks before the current one that are looked at; of these, how many must have values."""
AROUND, SEEN = 2, 3
"""Minutes on either side that belong to the same minute of the week; how many of these five a week must have."""

SHIFT, S1, S2, COUNT, HAD = range(5)
STATE_ROWS = 5


def places(week: I4, slot: I4, slots: int) -> I4:
    """Row of each minute of each week, -1 where there is none, with WEEKS empty weeks before the first and AROUND empty
    minutes before and after each week. Shape (WEEKS + weeks, slots + 2 AROUND).

    week, slot : number of the week, ascending, and minute of the week, 0 to slots - 1, of each row.
    """
    weeks = int(week[-1]) - int(week[0]) + 1 if len(week) else 0
    out = np.full((WEEKS + weeks, slots + 2 * AROUND), -1, dtype=np.int32)
    if weeks:
        out[week - week[0] + WEEKS, slot + AROUND] = np.arange(len(week))
    return out


@kernel
def _take_week(x: F8, place: I4, week: int, slot: int, state: F8) -> None:
    """Add the five values of one week around `slot` of the ring `x`. No branches, so that lanes vectorise."""
    cap, p = x.shape
    r0, r1, r2 = place[week, slot], place[week, slot + 1], place[week, slot + 2]
    r3, r4 = place[week, slot + 3], place[week, slot + 4]
    if max(max(max(r0, r1), max(r2, r3)), r4) < 0:
        return
    # a row that does not exist is row 0 plus NaN
    no0, no1 = np.nan if r0 < 0 else 0.0, np.nan if r1 < 0 else 0.0
    no2, no3 = np.nan if r2 < 0 else 0.0, np.nan if r3 < 0 else 0.0
    no4 = np.nan if r4 < 0 else 0.0
    r0, r1, r2, r3, r4 = max(r0, 0) % cap, max(r1, 0) % cap, max(r2, 0) % cap, max(r3, 0) % cap, max(r4, 0) % cap
    for j in range(p):
        a, b, c, d, e = x[r0, j] + no0, x[r1, j] + no1, x[r2, j] + no2, x[r3, j] + no3, x[r4, j] + no4
        shift = state[SHIFT, j]
        shift = shift if shift == shift else a
        shift = shift if shift == shift else b
        shift = shift if shift == shift else c
        shift = shift if shift == shift else d
        shift = shift if shift == shift else e
        n = (1.0 if a == a else 0.0) + (1.0 if b == b else 0.0) + (1.0 if c == c else 0.0)
        n = (n + (1.0 if d == d else 0.0)) + (1.0 if e == e else 0.0)
        a = a - shift if a == a else 0.0
        b = b - shift if b == b else 0.0
        c = c - shift if c == c else 0.0
        d = d - shift if d == d else 0.0
        e = e - shift if e == e else 0.0
        state[SHIFT, j] = shift
        state[S1, j] = ((((state[S1, j] + a) + b) + c) + d) + e
        state[S2, j] = ((((state[S2, j] + a * a) + b * b) + c * c) + d * d) + e * e
        state[COUNT, j] += n
        state[HAD, j] += 1.0 if n >= SEEN else 0.0


@kernel
def _take_weeks(x: F8, place: I4, week: int, slot: int, state: F8) -> None:
    """Sums over the WEEKS weeks before `week` into `state`."""
    for j in range(x.shape[1]):
        state[SHIFT, j] = np.nan
        state[S1, j], state[S2, j], state[COUNT, j], state[HAD, j] = 0.0, 0.0, 0.0, 0.0
    for k in range(week, week + WEEKS):
        _take_week(x, place, k, slot, state)


@kernel
def weekly_step(x: F8, r: int, place: I4, week: int, slot: int, least: float, state: F8, out: F8, row: int) -> None:
    """Standard score of bar r of the ring `x` (row k at k % len(x)) into out[row].

    place : see :func:`places`; bar r has minute `slot` of week `week`, counted from place's first week with rows.
    A deviation of at most `least` is none. state (STATE_ROWS, pairs) is scratch. Sums are shifted by the oldest value,
    one of the sample: their squares lose at most a factor of its size (40), and are 0 only where all values are equal.
    """
    cap, p = x.shape
    _take_weeks(x, place, week, slot, state)
    for j in range(p):
        n, s = state[COUNT, j], state[S1, j]
        a = (x[r % cap, j] - state[SHIFT, j]) - s / n
        b = np.sqrt((state[S2, j] - s * (s / n)) / (n - 1.0))
        ok = (state[HAD, j] >= LEAST) & (state[S2, j] > 0.0) & (b > least) & divides(b, a)
        out[row, j] = a / b if ok else np.nan


@batch
def _weekly_scores(out: F8, x: F8, place: I4, week: I4, slot: I4, least: float) -> None:
    state = np.empty((STATE_ROWS, x.shape[1]))
    for r in range(len(x)):
        weekly_step(x, r, place, week[r] - week[0], slot[r], least, state, out, r)


def weekly_scores(x: F8, week: I4, slot: I4, slots: int, least: float = FLOOR) -> F8:
    """(x - mean) / sample standard deviation of the values at the same minute of the week, +-AROUND, of the previous
    WEEKS weeks, the current one excluded (after Andersen & Bollerslev 1997). NaN where x is, where fewer than LEAST
    weeks have SEEN values there, and where these are all equal or deviate by at most `least`. Shape (n,
    pairs).

    week, slot : see :func:`places`; a value depends on those bars only, wherever `x` begins.
    """
    return _weekly_scores(x, places(week, slot, slots), week, slot, least)


@kernel
def deviation_step(x: F8, place: I4, week: int, slot: int, least: float, state: F8, out: F8, row: int) -> None:
    """As :func:`weekly_step`: the deviation alone, whatever x is at the bar itself."""
    _take_weeks(x, place, week, slot, state)
    for j in range(x.shape[1]):
        n, s = state[COUNT, j], state[S1, j]
        b = np.sqrt((state[S2, j] - s * (s / n)) / (n - 1.0))
        ok = (state[HAD, j] >= LEAST) & (state[S2, j] > 0.0) & (b > least)
        out[row, j] = b if ok else np.nan


@batch
def _weekly_deviations(out: F8, x: F8, place: I4, week: I4, slot: I4, least: float) -> None:
    state = np.empty((STATE_ROWS, x.shape[1]))
    for r in range(len(x)):
        deviation_step(x, place, week[r] - week[0], slot[r], least, state, out, r)


def weekly_deviations(x: F8, week: I4, slot: I4, slots: int, least: float = FLOOR) -> F8:
    """The sample standard deviation that :func:`weekly_scores` divides by; NaN where fewer than LEAST weeks have SEEN
    values there, and where these deviate by at most `least`. Shape (n, pairs)."""
    return _weekly_deviations(x, places(week, slot, slots), week, slot, least)


def weekly_score_reference(x: F8, week: I4, slot: I4, row: int) -> float:
    """One score of one lane (n,), by looking through all rows."""
    age = week[row] - week
    near = (np.abs(slot - slot[row]) <= AROUND) & (age >= 1) & (age <= WEEKS) & ~np.isnan(x)
    values = x[near]
    return float((x[row] - np.mean(values)) / np.std(values, ddof=1))
