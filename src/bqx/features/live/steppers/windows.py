"""Steppers of extremes: of a window, the place of a value between them, their age. Any algorithm gives the bits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel
from bqx.features.kernels.places import depth, position
from bqx.features.live.block import Block
from bqx.features.live.steppers.rings import put
from bqx.features.live.tape import Stepper, ring, stepper

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
I8 = NDArray[np.int64]


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
