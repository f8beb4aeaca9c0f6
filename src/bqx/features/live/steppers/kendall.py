"""The stepper of Kendall's tau: what a value that comes or goes changes is counted, in whole numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.jit import kernel
from bqx.features.kernels.kendall import GRAIN
from bqx.features.kernels.kendall import _tau as tau_of
from bqx.features.live.block import Block
from bqx.features.live.steppers.spliced import Spliced, splice_past
from bqx.features.live.tape import ring, stepper

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
I8 = NDArray[np.int64]

SCORE, TIED, VALUES = range(3)
"""Rows of a window's state: concordant less discordant pairs, equal pairs, values."""


@kernel
def _counts(lane: F8, value: float) -> tuple[int, int]:
    """Values below `value` less those above it, and those equal to it: along memory, which the compiler vectorises."""
    score, equal = 0, 0
    for k in range(len(lane)):
        score += (1 if lane[k] < value else 0) - (1 if lane[k] > value else 0)
        equal += 1 if lane[k] == value else 0
    return score, equal


@kernel
def _against(lane: F8, first: int, stop: int, value: float) -> tuple[int, int]:
    """:func:`_counts` of rows first .. stop - 1 of the ring."""
    cap = len(lane)
    begin, end = first % cap, (stop - 1) % cap + 1
    if stop <= first:
        return 0, 0
    if begin < end:
        return _counts(lane[begin:end], value)
    score, equal = _counts(lane[begin:], value)
    more, also = _counts(lane[:end], value)
    return score + more, equal + also


@kernel
def _take(grains: F8, first: int, r: int, state: I8) -> None:
    """Row r comes to rows first .. r - 1. grains : a row a lane."""
    row = r % grains.shape[1]
    for j in range(len(grains)):
        value = grains[j, row]
        if value == value:
            score, equal = _against(grains[j], first, r, value)
            state[SCORE, j] += score
            state[TIED, j] += equal
            state[VALUES, j] += 1


@kernel
def _drop(grains: F8, old: int, r: int, state: I8) -> None:
    """Row `old` goes from rows old .. r - 1."""
    row = old % grains.shape[1]
    for j in range(len(grains)):
        value = grains[j, row]
        if value == value:
            score, equal = _against(grains[j], old + 1, r, value)
            state[SCORE, j] += score
            state[TIED, j] -= equal
            state[VALUES, j] -= 1


@kernel
def _taus(
    y: F8, seg_age: I4, row: int, windows: I8, needs: I8, inside: NDArray[np.bool_], back: int, opens: I8, number: int,
    ends: F8, raw: F8, memory: F8, grains: F8, states: I8, out: F8,
) -> None:  # fmt: skip
    now, p, cap = number, y.shape[1], grains.shape[1]
    for i in range(len(y)):
        r, age = row + i, seg_age[i]
        while opens[now + 1] <= r:
            now += 1
        begun = max(r - age - back, 0)
        if age == 0:
            splice_past(raw, r, back, opens, now, ends, memory)
            for k in range(cap):
                for j in range(p):
                    grains[j, k] = np.rint(memory[k, j] * GRAIN)
        for j in range(p):
            raw[r % len(raw), j] = y[i, j]
            grains[j, r % cap] = np.rint(y[i, j] * GRAIN)
        for w in range(len(windows)):
            floor = r - age if inside[w] else begun
            first = max(r - windows[w] + 1, floor)
            if age == 0:
                states[w] = 0
                for k in range(first, r):
                    _take(grains, first, k, states[w])
            elif first > floor:
                _drop(grains, first - 1, r, states[w])
            _take(grains, first, r, states[w])
            whole = not inside[w] or age >= windows[w] - 1
            for j in range(p):
                count = states[w, VALUES, j]
                ok = count >= needs[w] and whole
                out[w, i, j] = tau_of(states[w, SCORE, j], states[w, TIED, j], count) if ok else np.nan


@stepper("kendall.kendall_taus")
class Taus(Spliced):
    """grains : levels in whole grains, in the segment's coordinates, a row a lane. memory : room for the rows before a
    segment. states : SCORE, TIED and VALUES of each window."""

    def __init__(
        self, y: F8, seg_age: I4, segment: I4, ends: F8, windows: Sequence[int], needs: Sequence[int],
        inside: Sequence[bool],
    ) -> None:  # fmt: skip
        super().__init__(y.shape[1], seen_before(windows, inside), max(windows) + 1)
        self.grains = ring(y.shape[1], max(windows) + 1)
        self.states = np.zeros((len(windows), 3, y.shape[1]), dtype=np.int64)

    def __call__(
        self, block: Block, y: F8, seg_age: I4, segment: I4, ends: F8, windows: Sequence[int], needs: Sequence[int],
        inside: Sequence[bool],
    ) -> F8:  # fmt: skip
        out = np.empty((len(windows), *y.shape))
        rules = (np.array(windows, np.int64), np.array(needs, np.int64), np.array(inside, np.bool_))
        place = (*rules, seen_before(windows, inside), self.starts(block), block.number, ends)
        _taus(y, seg_age, block.row, *place, self.raw, self.memory, self.grains, self.states, out)
        return out


def seen_before(windows: Sequence[int], inside: Sequence[bool]) -> int:
    """Rows before a segment that the windows see which reach over closures."""
    return max((w - 1 for w, seg in zip(windows, inside, strict=True) if not seg), default=0)
