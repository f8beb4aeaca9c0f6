"""Steppers of order: extremes, ranks, quantiles, patterns. Exact, so that any algorithm gives the same bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel
from bqx.features.kernels.patterns import NONE, PATTERNS, TIE, entropy_step, entropy_table, pattern
from bqx.features.kernels.places import depth, position
from bqx.features.kernels.quantiles import order_step, quantile_places
from bqx.features.kernels.ranks import percentile_rank
from bqx.features.kernels.runs import run_lists, signs_step
from bqx.features.live.block import Block
from bqx.features.live.steppers.held import Held, empties, put_row
from bqx.features.live.steppers.rings import put
from bqx.features.live.tape import Stepper, ring, stepper

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
I8 = NDArray[np.int64]

MANY = 256
"""Rows of a block from which on the batch kernel ranks it together with the window before it."""


@kernel
def extremes_of(high: F8, low: F8, first: int, stop: int, need: float, top: F8, bottom: F8, count: F8) -> None:
    """Largest of `high` and smallest of `low` over rows first .. stop - 1 of the rings into top, bottom (pairs,), NaN
    where fewer than `need` have a value. count : scratch."""
    cap, p = high.shape
    for j in range(p):
        top[j], bottom[j], count[j] = -np.inf, np.inf, 0.0
    row = first % cap
    for _ in range(stop - first):
        for j in range(p):
            a, b = high[row, j], low[row, j]
            top[j] = a if a > top[j] else top[j]
            bottom[j] = b if b < bottom[j] else bottom[j]
            count[j] += 1.0 if a == a else 0.0
        row = row + 1 if row + 1 < cap else 0
    for j in range(p):
        top[j] = top[j] if count[j] >= need else np.nan
        bottom[j] = bottom[j] if count[j] >= need else np.nan


@kernel
def _extremes(
    high: F8, low: F8, seg_age: I4, row: int, windows: I8, needs: I8, highs: F8, lows: F8, count: F8, top: F8,
    bottom: F8,
) -> None:  # fmt: skip
    for i in range(len(high)):
        r = row + i
        put(highs, r, high, i)
        put(lows, r, low, i)
        for w in range(len(windows)):
            if seg_age[i] >= windows[w] - 1:
                extremes_of(highs, lows, r - windows[w] + 1, r + 1, float(needs[w]), top[w, i], bottom[w, i], count)
            else:
                for j in range(high.shape[1]):
                    top[w, i, j], bottom[w, i, j] = np.nan, np.nan


@stepper("window_extremes.window_extremes")
class WindowExtremes(Stepper):
    def __init__(self, high: F8, low: F8, seg_age: I4, windows: Sequence[int], needs: Sequence[int]) -> None:
        self.highs, self.lows = ring(max(windows), high.shape[1]), ring(max(windows), high.shape[1])

    def __call__(
        self, block: Block, high: F8, low: F8, seg_age: I4, windows: Sequence[int], needs: Sequence[int]
    ) -> list[tuple[F8, F8]]:
        shape = (len(windows), *high.shape)
        top, bottom = np.empty(shape), np.empty(shape)
        rules = (np.array(windows), np.array(needs), self.highs, self.lows)
        _extremes(high, low, seg_age, block.row, *rules, np.empty(high.shape[1]), top, bottom)
        return list(zip(top, bottom, strict=True))


@kernel
def _place(x: F8, bottom: F8, top: F8, sunk: bool, out: F8) -> None:
    for i in range(len(x)):
        for j in range(x.shape[1]):
            a, b, c = x[i, j], bottom[i, j], top[i, j]
            out[i, j] = depth(a, b, c) if sunk else position(a, b, c)


@stepper("places.places")
class Places(WindowExtremes):
    def __init__(
        self, x: F8, high: F8, low: F8, seg_age: I4, positions: Mapping[int, int], depths: Mapping[int, int]
    ) -> None:
        both = {**positions, **depths}
        super().__init__(high, low, seg_age, sorted(both), [])

    def __call__(  # type: ignore[override]
        self, block: Block, x: F8, high: F8, low: F8, seg_age: I4, positions: Mapping[int, int],
        depths: Mapping[int, int],
    ) -> tuple[dict[int, F8], dict[int, F8]]:  # fmt: skip
        both = {**positions, **depths}
        windows = sorted(both)
        found = dict(
            zip(windows, super().__call__(block, high, low, seg_age, windows, [both[w] for w in windows]), strict=True)
        )
        answers: list[dict[int, F8]] = []
        for chosen, sunk in ((positions, False), (depths, True)):
            answers.append({w: np.empty(x.shape) for w in chosen})
            for w, out in answers[-1].items():
                _place(x, found[w][1], found[w][0], sunk, out)
        return answers[0], answers[1]


@kernel
def peak_age_of(memory: F8, r: int, window: int, peak: F8, out: F8) -> None:
    """Rows since the latest of the largest values of the last `window` rows of the ring into out (pairs,)."""
    cap, p = memory.shape
    for j in range(p):
        peak[j], out[j] = -np.inf, np.nan
    row = (r - window + 1) % cap
    for k in range(window):
        since = float(window - 1 - k)
        for j in range(p):
            v = memory[row, j]
            higher = (v >= peak[j]) & (v > -np.inf)
            peak[j] = v if higher else peak[j]
            out[j] = since if higher else out[j]
        row = row + 1 if row + 1 < cap else 0


@kernel
def _peaks(x: F8, row: int, window: int, memory: F8, peak: F8, out: F8) -> None:
    for i in range(len(x)):
        put(memory, row + i, x, i)
        peak_age_of(memory, row + i, window, peak, out[i])


@stepper("peaks.peak_age")
class PeakAge(Stepper):
    def __init__(self, x: F8, window: int) -> None:
        self.memory = ring(window, x.shape[1])

    def __call__(self, block: Block, x: F8, window: int) -> F8:
        out = np.empty(x.shape)
        _peaks(x, block.row, window, self.memory, np.empty(x.shape[1]), out)
        return out


@kernel
def _rank(memory: NDArray[Any], now: int, need: int, counts: I4, out: F8) -> None:
    """Rank of row `now` of the ring, whose rows are the window, into out (pairs,). counts : scratch (3, pairs)."""
    p = memory.shape[1]
    for j in range(p):
        counts[0, j], counts[1, j], counts[2, j] = 0, 0, 0
    for k in range(len(memory)):
        for j in range(p):
            v, value = memory[k, j], memory[now, j]
            counts[0, j] += np.int32(v < value)
            counts[1, j] += np.int32(v == value)
            counts[2, j] += np.int32(v == v)
    for j in range(p):
        value, count = memory[now, j], counts[2, j]
        ok = value == value and count >= need
        out[j] = (2 * counts[0, j] + counts[1, j]) / (2 * count) if ok else np.nan


@kernel
def _ranks(x: NDArray[Any], row: int, need: int, memory: NDArray[Any], counts: I4, out: F8) -> None:
    for i in range(len(x)):
        put_row(memory, row + i, x, i)
        _rank(memory, (row + i) % len(memory), need, counts, out[i])


@stepper("ranks.percentile_rank")
class Rank(Stepper):
    def __init__(self, x: NDArray[Any], window: int, need: int) -> None:
        self.memory = ring(window, x.shape[1], x.dtype.type)

    def __call__(self, block: Block, x: NDArray[Any], window: int, need: int) -> F8:
        if len(x) >= MANY:
            return self._many(block, x, window, need)
        out = np.empty(x.shape)
        _ranks(x, block.row, need, self.memory, np.empty((3, x.shape[1]), dtype=np.int32), out)
        return out

    def _many(self, block: Block, x: NDArray[Any], window: int, need: int) -> F8:
        past = np.roll(self.memory, -(block.row % window), axis=0)
        whole = np.concatenate([past, x])
        self.memory[np.arange(block.stop - window, block.stop) % window] = whole[-window:]
        return percentile_rank(whole, window, need)[window:]


@kernel
def _order(
    x: F8, seg_age: I4, row: int, window: int, need: int, places: I8, parts: F8, memory: F8, held: F8, count: I8,
    out: F8, mad: F8,
) -> None:  # fmt: skip
    for i in range(len(x)):
        put(memory, row + i, x, i)
        order_step(memory, row + i, seg_age[i], window, need, places, parts, held, count, out, mad, i)


@stepper("quantiles.order_statistics")
class OrderStatistics(Stepper):
    def __init__(self, x: F8, seg_age: I4, window: int, need: int, percents: I8, spread: bool) -> None:
        lanes = x.shape[1]
        self.memory, self.held = ring(window + 1, lanes), np.full((lanes, window), np.inf)
        self.count = np.zeros(lanes, dtype=np.int64)
        places, self.parts = quantile_places(percents, window)
        self.places = np.ascontiguousarray(places)

    def __call__(
        self, block: Block, x: F8, seg_age: I4, window: int, need: int, percents: I8, spread: bool
    ) -> tuple[F8, F8]:
        out, mad = np.empty((len(percents), *x.shape)), np.empty(x.shape if spread else (0, 0))
        mine = (self.places, self.parts, self.memory, self.held, self.count)
        _order(x, seg_age, block.row, window, need, *mine, out, mad)
        return out, mad


@kernel
def _patterns(y: F8, seg_age: I4, row: int, memory: F8, out: I8) -> None:
    for i in range(len(y)):
        r = row + i
        put(memory, r, y, i)
        if seg_age[i] >= 2:
            for j in range(y.shape[1]):
                out[i, j] = pattern(memory[(r - 2) % 3, j], memory[(r - 1) % 3, j], memory[r % 3, j])


@stepper("patterns.patterns")
class Patterns(Stepper):
    def __init__(self, y: F8, seg_age: I4) -> None:
        self.memory = ring(3, y.shape[1])

    def __call__(self, block: Block, y: F8, seg_age: I4) -> I8:
        out = np.full(y.shape, NONE, dtype=np.int64)
        _patterns(y, seg_age, block.row, self.memory, out)
        return out


@kernel
def _entropy(
    codes: I8, seg_age: I4, row: int, window: int, need: int, flat: NDArray[np.bool_], table: F8, memory: I8,
    counts: I8, out: F8,
) -> None:  # fmt: skip
    for i in range(len(codes)):
        put_row(memory, row + i, codes, i)
        entropy_step(memory, row + i, seg_age[i], window, need, flat, table, counts, out, i)


@stepper("patterns.permutation_entropy")
class PermutationEntropy(Stepper):
    def __init__(self, codes: I8, seg_age: I4, window: int, need: int, flat: NDArray[np.bool_]) -> None:
        self.memory = np.full((window + 1, codes.shape[1]), NONE, dtype=np.int64)
        self.counts = np.zeros((PATTERNS + 1, codes.shape[1]), dtype=np.int64)
        self.table = entropy_table(window)

    def __call__(
        self, block: Block, codes: I8, seg_age: I4, window: int, need: int, flat: NDArray[np.bool_]
    ) -> F8:  # fmt: skip
        out = np.empty(codes.shape)
        _entropy(codes, seg_age, block.row, window, need, flat, self.table, self.memory, self.counts, out)
        return out


@kernel
def _standstill(y: F8, seg_age: I4, row: int, window: int, other: I8, latest: I8, last: F8, out: Any) -> None:
    for i in range(len(y)):
        r = row + i
        if seg_age[i] == 0:
            other[:], latest[:] = r - 1, r - 1
        for j in range(y.shape[1]):
            v = y[i, j]
            if v == v:
                moved = latest[j] >= r - seg_age[i] and abs(v - last[j]) > TIE
                other[j] = latest[j] if moved else other[j]
                latest[j], last[j] = r, v
            out[i, j] = other[j] <= r - window


@stepper("patterns.standstill")
class Standstill(Stepper):
    """other : row of the last value that differs from the present one; latest, last : of the present one."""

    def __init__(self, y: F8, seg_age: I4, window: int) -> None:
        self.other, self.latest = np.zeros(y.shape[1], dtype=np.int64), np.zeros(y.shape[1], dtype=np.int64)
        self.last = np.zeros(y.shape[1])

    def __call__(self, block: Block, y: F8, seg_age: I4, window: int) -> NDArray[np.bool_]:
        out = np.empty(y.shape, dtype=np.bool_)
        _standstill(y, seg_age, block.row, window, self.other, self.latest, self.last, out)
        return out


@kernel
def _signs(
    change: F8, seg_age: I4, row: int, window: int, need: int, memory: F8, lists: tuple[I4, I4, I4], valid: I4,
    balance: I4, out: tuple[F8, F8],
) -> None:  # fmt: skip
    for i in range(len(change)):
        put(memory, row + i, change, i)
        signs_step(memory, row + i, seg_age[i], window, need, lists, valid, balance, out, i)


@stepper("runs.signs")
class Signs(Held):
    def __init__(self, change: F8, seg_age: I4, window: int, need: int) -> None:
        lanes = change.shape[1]
        self.memory, self.lists = ring(window + 1, lanes), run_lists(window, lanes)
        self.valid, self.balance = np.zeros(lanes, np.int32), np.zeros(lanes, np.int32)

    def __call__(self, block: Block, change: F8, seg_age: I4, window: int, need: int) -> tuple[F8, ...]:
        out = empties(change, 2)
        _signs(change, seg_age, block.row, window, need, self.memory, self.lists, self.valid, self.balance, out)
        return out
