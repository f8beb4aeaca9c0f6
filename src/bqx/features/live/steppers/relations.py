"""Steppers of the relations that are estimated every hour: least-squares lines, and the majors' cointegrating vector.

The rows before a segment are counted from its zero where it begins; members' means are then made of them anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.hourly_line import LINE_ROWS, residual_step
from bqx.features.kernels.jit import kernel
from bqx.features.kernels.johansen import LAGS, REACH, first_vector, regressors, take
from bqx.features.kernels.products import PRODUCT_ROWS
from bqx.features.kernels.sums import equal_run_step
from bqx.features.live.block import Block
from bqx.features.live.steppers.held import Held
from bqx.features.live.steppers.rings import put
from bqx.features.live.steppers.spliced import Spliced, splice_past
from bqx.features.live.tape import ring

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
I8 = NDArray[np.int64]
Two = tuple[F8, F8]
Sides = Callable[[F8], Two]


@kernel
def _put_both(rings: Two, r: int, a: F8, b: F8, i: int) -> None:
    """Row i of both as row r of the rings, NaN where one is."""
    row = r % len(rings[0])
    for j in range(a.shape[1]):
        hole = (a[i, j] != a[i, j]) | (b[i, j] != b[i, j])
        rings[0][row, j] = np.nan if hole else a[i, j]
        rings[1][row, j] = np.nan if hole else b[i, j]


@kernel
def _begin(a: F8, b: F8, r: int, rings: Two, run: F8, last: F8, line: F8) -> None:
    """The rows a, b before row r; a line is drawn later."""
    run[:], last[:] = 0.0, np.nan
    line[:] = np.nan
    for i in range(len(a)):
        row = r - len(a) + i
        _put_both(rings, row, a, b, i)
        equal_run_step(rings[1], row % len(rings[1]), run, last)


@kernel
def _residuals(
    a: F8, b: F8, r: int, floor: int, age: int, begins: bool, window: int, need: int, every: int, rings: Two,
    state: F8, run: F8, last: F8, line: F8, out: F8,
) -> None:  # fmt: skip
    for i in range(len(a)):
        _put_both(rings, r + i, a, b, i)
        residual_step(
            rings[0], rings[1], r + i, floor, age + i, begins and i == 0, window, need, every, state, run, last, line,
            out, i,
        )  # fmt: skip


class Regression(Held):
    """`hourly_line.residuals` of rows that come one after another. floor : first row that its sums may hold."""

    def __init__(self, lanes: int, window: int, need: int, every: int) -> None:
        self._rule = (window, need, every)
        self.rings = (ring(window + 1, lanes), ring(window + 1, lanes))
        self.state, self.line = np.zeros((PRODUCT_ROWS, lanes)), np.full((LINE_ROWS, lanes), np.nan)
        self.run, self.last = np.zeros(lanes), np.full(lanes, np.nan)
        self.floor = np.zeros(1, dtype=np.int64)

    def begin(self, a: F8, b: F8, r: int) -> None:
        """Sums begin anew at row r; a, b : up to window - 1 rows before it."""
        self.floor[0] = r - len(a)
        _begin(a, b, r, self.rings, self.run, self.last, self.line)

    def take(self, a: F8, b: F8, r: int, age: int, begins: bool) -> F8:
        """Residuals of rows r and later, the first `age` bars into the segment."""
        out = np.empty(a.shape)
        place = (r, int(self.floor[0]), age, begins, *self._rule)
        _residuals(a, b, *place, self.rings, self.state, self.run, self.last, self.line, out)
        return out


@kernel
def _copy(memory: F8, first: int, out: F8) -> None:
    for i in range(len(out)):
        for j in range(out.shape[1]):
            out[i, j] = memory[(first + i) % len(memory), j]


@kernel
def _keep(x: F8, r: int, raw: F8, memory: F8) -> None:
    for i in range(len(x)):
        put(raw, r + i, x, i)
        put(memory, r + i, x, i)


class Drawn(Spliced):
    """Residuals of several regressions on one series of levels. sides : what makes both sides of each from levels.
    moving : the last one's other side is another lane of the levels, which changes at given rows."""

    def __init__(
        self, level: F8, ends: F8, sides: Sequence[Sides], moving: bool, window: int, need: int, every: int
    ) -> None:
        lanes = level.shape[1]
        super().__init__(lanes, window - 1, window)
        self._parts = [Regression(lanes, window, need, every) for _ in range(len(sides) + moving)]
        self.lanes = np.full(lanes, -1, dtype=np.int64)
        self.begun = np.zeros(1, dtype=np.int64)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        found = super().arrays()
        for k, part in enumerate(self._parts):
            found |= {f"{k}.{name}": value for name, value in part.arrays().items()}
        return found

    def __call__(
        self, block: Block, level: F8, ends: F8, sides: Sequence[Sides], moving: I8 | None, window: int
    ) -> list[F8]:
        """moving : lanes of the other side at each row (rows, lanes), -1 for none; a change of them begins anew."""
        out = [np.empty(level.shape) for _ in self._parts]
        opens, ages = self.starts(block), block.age
        cuts = {0, *np.flatnonzero(ages == 0).tolist()}
        if moving is not None:
            before = np.concatenate([self.lanes[None, :], moving[:-1]])
            changes = np.flatnonzero((moving != before).any(axis=1)).tolist()
            cuts |= set(changes)
        edges = sorted(cuts)
        for i, stop in zip(edges, [*edges[1:], len(level)], strict=True):
            r, age = block.row + i, int(ages[i])
            opening = age == 0
            if opening:
                number = block.number + int(np.searchsorted(block.opens, r, side="right")) - 1
                self.begun[0] = splice_past(self.raw, r, window - 1, opens, number, ends, self.memory)
            rows = level[i:stop]
            for k, side in enumerate(sides):
                if opening:
                    self._parts[k].begin(*side(self._past(r, int(self.begun[0]))), r)
                out[k][i:stop] = self._parts[k].take(*side(rows), r, age, opening)
            if moving is not None:
                anew = opening or i in changes
                if anew:
                    self.lanes[:] = moving[i]
                    past = self._past(r, max(int(self.begun[0]), r - window + 1))
                    self._parts[-1].begin(past, _other(past, self.lanes), r)
                out[-1][i:stop] = self._parts[-1].take(rows, _other(rows, self.lanes), r, age, anew)
            _keep(rows, r, self.raw, self.memory)
        return out

    def _past(self, r: int, first: int) -> F8:
        """Rows first .. r - 1 in the segment's coordinates."""
        out = np.empty((r - first, self.memory.shape[1]))
        _copy(self.memory, first, out)
        return out


def _other(levels: F8, lanes: I8) -> F8:
    return np.where(lanes >= 0, levels[:, lanes], np.nan)


@kernel
def _whole(x: F8, r: int) -> bool:
    total = 0.0
    for i in range(x.shape[1]):
        total += x[r % len(x), i]
    return bool(total == total)


@kernel
def _relation(
    x: F8, seg_age: I4, row: int, window: int, need: int, every: int, opens: I8, number: int, ends: F8, raw: F8,
    memory: F8, sums: Two, vector: F8, shift: F8, count: I8, out: F8,
) -> None:  # fmt: skip
    """`johansen.relation`. sums : of products and of their rounding errors. count : whole levels, and the first row."""
    k, now = x.shape[1], number
    z = np.empty(k * (LAGS + 2) + 1)
    total, error = sums
    for i in range(len(x)):
        r, age = row + i, seg_age[i]
        while opens[now + 1] <= r:
            now += 1
        if age == 0:
            count[1] = splice_past(raw, r, window - 1, opens, now, ends, memory)
        put(memory, r, x, i)
        put(raw, r, x, i)
        first = max(count[1], r - window + 1)
        if age == 0:
            vector[:], shift[:] = np.nan, 0.0
            total[:], error[:] = 0.0, 0.0
            count[0] = 0
            for t in range(first, r + 1):
                if _whole(memory, t):
                    count[0] += 1
                    for m in range(k):
                        shift[m] += memory[t % len(memory), m]
            for m in range(k):
                shift[m] = shift[m] / count[0] if count[0] else 0.0
            for t in range(first + REACH, r + 1):
                if regressors(memory, t, shift, z):
                    take(z, 1.0, total, error)
        else:
            old = r - window
            if old >= count[1]:
                count[0] -= 1 if _whole(memory, old) else 0
                if regressors(memory, old + REACH, shift, z):
                    take(z, -1.0, total, error)
            count[0] += 1 if _whole(memory, r) else 0
            if r >= first + REACH and regressors(memory, r, shift, z):
                take(z, 1.0, total, error)
        if age % every == 0:
            if count[0] >= need:
                first_vector(total, error, k, vector)
            else:
                vector[:] = np.nan
        value = vector[k]
        for m in range(k):
            value += vector[m] * (x[i, m] - shift[m])
        out[i] = value


class Relation(Spliced):
    def __init__(self, levels: F8, ends: F8, window: int, need: int, every: int) -> None:
        lanes = levels.shape[1]
        super().__init__(lanes, window - 1, window + 1)
        size = lanes * (LAGS + 2) + 1
        self.sums = (np.zeros((size, size)), np.zeros((size, size)))
        self.vector, self.shift = np.full(lanes + 1, np.nan), np.zeros(lanes)
        self.count = np.zeros(2, dtype=np.int64)

    def __call__(self, block: Block, levels: F8, ends: F8, window: int, need: int, every: int) -> F8:
        """levels, ends : of the members. Shape (rows,)."""
        out = np.empty(len(levels))
        place = (self.starts(block), block.number, ends, self.raw, self.memory)
        mine = (*place, self.sums, self.vector, self.shift, self.count)
        _relation(levels, block.age, block.row, window, need, every, *mine, out)
        return out
