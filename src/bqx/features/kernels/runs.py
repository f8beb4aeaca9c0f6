"""Signs of changes over windows of a segment: their longest run and their balance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import batches, kernel
from bqx.features.kernels.moments import TINY

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]

START, END, SIGN = range(3)
"""Columns of a lane's list of runs."""
Lists = tuple[I4, I4, I4]
"""Runs (pairs, window + 1, 3), a circle; the first of each lane (pairs,); how many (pairs,)."""


@kernel
def sign_of(v: float) -> int:
    """1, -1, or 0 within 1e-9 (TINY), which rounding moves and a tick exceeds by six digits."""
    return 1 if v > TINY else -1 if v < -TINY else 0


@kernel
def run_lists(window: int, p: int) -> Lists:
    return (np.zeros((p, window + 1, 3), np.int32), np.zeros(p, np.int32), np.zeros(p, np.int32))


@kernel
def _extend(lists: Lists, j: int, age: int, sign: int, window: int) -> int:
    """Take the sign of the bar at `age` into lane j; the signed length of the longest run of the last `window` bars, of
    equals the latest.

    The list holds, oldest first, the runs that are longer than every run after them: only these can be the longest when
    the window moves on and cuts the first one shorter.
    """
    runs, first, many = lists
    cap = window + 1
    head, count = first[j], many[j]
    if sign != 0:
        tail = (head + count - 1) % cap
        if count > 0 and runs[j, tail, END] == age - 1 and runs[j, tail, SIGN] == sign:
            runs[j, tail, END] = age
        else:
            tail = (head + count) % cap
            runs[j, tail, START], runs[j, tail, END], runs[j, tail, SIGN] = age, age, sign
            count += 1
        length = age - runs[j, tail, START] + 1
        while count > 1:
            before = (tail + cap - 1) % cap
            if runs[j, before, END] - runs[j, before, START] + 1 > length:
                break
            for k in range(3):
                runs[j, before, k] = runs[j, tail, k]
            tail = before
            count -= 1
    found, oldest = 0, age - window + 1
    while count > 0:
        length = runs[j, head, END] - max(runs[j, head, START], oldest) + 1
        after = (head + 1) % cap
        if length > 0 and (count == 1 or length > runs[j, after, END] - runs[j, after, START] + 1):
            found = length * runs[j, head, SIGN]
            break
        head = after
        count -= 1
    first[j], many[j] = head, count
    return found


@kernel
def signs_step(
    change: F8, r: int, age: int, window: int, need: int, lists: Lists, valid: I4, balance: I4, out: tuple[F8, F8],
    row: int,
) -> None:  # fmt: skip
    """Take bar r of the ring `change`, `age` bars into its segment, in; emit streak and balance into row `row`.
    valid, balance : values and sum of signs in the window, one a lane."""
    cap = len(change)
    if age == 0:
        valid[:], balance[:], lists[1][:], lists[2][:] = 0, 0, 0, 0
    for j in range(change.shape[1]):
        v, old = change[r % cap, j], change[(r - window) % cap, j] if age >= window else np.nan
        sign = sign_of(v)
        valid[j] += (1 if v == v else 0) - (1 if old == old else 0)
        balance[j] += sign - sign_of(old)
        longest = _extend(lists, j, age, sign, window)
        ok = age >= window - 1 and valid[j] >= need
        out[0][row, j] = longest / window if ok else np.nan
        out[1][row, j] = balance[j] / valid[j] if ok else np.nan


@batches(2)
def signs(out: tuple[F8, F8], change: F8, seg_age: I4, window: int, need: int) -> None:
    """Signed length of the longest run of one sign among the last `window` changes of the segment over `window` (of
    equal runs the latest; no change and a missing one end a run), and the mean sign of its valid changes. NaN below
    `need` valid. Shapes (n, pairs)."""
    n, p = change.shape
    lists, valid, balance = run_lists(window, p), np.zeros(p, np.int32), np.zeros(p, np.int32)
    for r in range(n):
        signs_step(change, r, seg_age[r], window, need, lists, valid, balance, out, r)
