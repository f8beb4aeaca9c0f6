"""The stepper of detrended fluctuation: the boxes that end in a row are put together once, when the row comes.

A box of n rows is made of boxes of 1, 2, 4 ... rows that end in it, as in kernels/boxes.py; its squared error is kept
until it has left every window. A row costs the joins of its boxes and the sums over each window, not the window.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.boxes import COUNT, CROSS, HELD_WITH_HOLES, MEAN, PLACE, SPREAD, SQUARE
from bqx.features.kernels.fluctuation import TINY, box_sizes, slope_weights
from bqx.features.kernels.jit import kernel
from bqx.features.kernels.mathfun import log_ratio
from bqx.features.live.block import Block
from bqx.features.live.steppers.kendall import seen_before
from bqx.features.live.steppers.rings import put
from bqx.features.live.steppers.spliced import Spliced, splice_past
from bqx.features.live.tape import stepper

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
I8 = NDArray[np.int64]

Tables = tuple[I8, F8, I8, I8]
"""Box sizes; weights (windows, sizes), 0 where a window has no such box; first row and number of rows of each size's
errors."""
Rings = tuple[F8, F8, F8]
"""boxes (levels, rows, HELD_WITH_HOLES, pairs) of 2 ** level rows; squared errors and points (rows of all sizes,
pairs)."""


@kernel
def _join(older: F8, newer: F8, b: int, out: F8) -> None:
    """`boxes._join_holes` of one row of boxes (HELD_WITH_HOLES, pairs), the newer ones of b rows."""
    for j in range(out.shape[1]):
        na, nb = older[COUNT, j], newer[COUNT, j]
        n = na + nb
        one = n if n > 0.0 else 1.0
        ma, mb = older[MEAN, j], newer[MEAN, j]
        xa, xb = older[PLACE, j] - b, newer[PLACE, j]
        ma, xa = ma if na > 0.0 else mb, xa if na > 0.0 else xb
        mb, xb = mb if nb > 0.0 else ma, xb if nb > 0.0 else xa
        d, away, weight = mb - ma, xb - xa, (na * nb) / one
        square = (older[SQUARE, j] + newer[SQUARE, j]) + (d * d) * weight
        cross = (older[CROSS, j] + newer[CROSS, j]) + (d * away) * weight
        spread = (older[SPREAD, j] + newer[SPREAD, j]) + (away * away * (na * nb)) / one
        out[MEAN, j], out[SQUARE, j], out[CROSS, j] = ma + d * (nb / one), square, cross
        out[COUNT, j], out[PLACE, j], out[SPREAD, j] = n, xa + (away * nb) / one, spread


@kernel
def _join_whole(older: F8, newer: F8, b: int, out: F8) -> None:
    """:func:`_join` of boxes without a hole, with its bits: what is the same in all lanes is worked out once."""
    na, nb = older[COUNT, 0], newer[COUNT, 0]
    n = na + nb
    xa = older[PLACE, 0] - b
    away, weight, share = newer[PLACE, 0] - xa, (na * nb) / n, nb / n
    place = xa + (away * nb) / n
    spread = (older[SPREAD, 0] + newer[SPREAD, 0]) + (away * away * (na * nb)) / n
    for j in range(out.shape[1]):
        d = newer[MEAN, j] - older[MEAN, j]
        mean = older[MEAN, j] + d * share
        square = (older[SQUARE, j] + newer[SQUARE, j]) + (d * d) * weight
        cross = (older[CROSS, j] + newer[CROSS, j]) + (d * away) * weight
        out[MEAN, j], out[SQUARE, j], out[CROSS, j] = mean, square, cross
        out[COUNT, j], out[PLACE, j], out[SPREAD, j] = n, place, spread


@kernel
def _error(box: F8, out: F8, points: F8) -> None:
    """`boxes._error_holes` of one row."""
    for j in range(len(out)):
        some = box[COUNT, j] >= 3.0
        each = 1.0 / (box[SPREAD, j] if some else 1.0)
        e = box[SQUARE, j] - (box[CROSS, j] * box[CROSS, j]) * each
        out[j] = e if some and e > 0.0 else 0.0
        points[j] = box[COUNT, j] if some else 0.0


@kernel
def _take(y: F8, row: int, r: int, tables: Tables, rings: Rings, spare: F8, run: I8) -> None:
    """The boxes that end in row r, whose values stand in row `row` of y. run : rows without a hole up to here."""
    sizes, _, first, many = tables
    boxes, errors, points = rings
    levels, rows = len(boxes), boxes.shape[1]
    now, holes = r % rows, 0
    for j in range(y.shape[1]):
        v = y[row, j]
        valid = v == v
        holes += 0 if valid else 1
        single = boxes[0, now]
        single[MEAN, j] = v if valid else 0.0
        single[SQUARE, j], single[CROSS, j] = 0.0, 0.0
        single[COUNT, j], single[PLACE, j], single[SPREAD, j] = 1.0 if valid else 0.0, 0.0, 0.0
    run[0] = 0 if holes else run[0] + 1
    for k in range(1, levels):
        half = 1 << (k - 1)
        older, newer = boxes[k - 1, (r - half) % rows], boxes[k - 1, now]
        if run[0] >= 2 * half:
            _join_whole(older, newer, half, boxes[k, now])
        else:
            _join(older, newer, half, boxes[k, now])
    for i in range(len(sizes)):
        n = sizes[i]
        # from the oldest and smallest part to the newest and largest; `end` is where a part ends
        end, box, into, begun = r - n, boxes[0, now], 0, False
        for k in range(levels):
            if n & (1 << k):
                end += 1 << k
                part = boxes[k, end % rows]
                if begun:
                    if run[0] >= n:
                        _join_whole(box, part, 1 << k, spare[into])
                    else:
                        _join(box, part, 1 << k, spare[into])
                    box, into = spare[into], 1 - into
                else:
                    box, begun = part, True
        at = first[i] + r % many[i]
        _error(box, errors[at], points[at])


@kernel
def _sum(x: F8, first: int, many: int, r: int, stride: int, terms: int, held: F8, total: F8) -> None:
    """`boxes.sum_strided` at row r: terms r, r - stride, ... of a size's rows, added by doubling."""
    p, done, size = x.shape[1], 0, 1
    while done < terms:
        if terms & size:
            for i in range(size):
                row = first + (r - (done + i) * stride) % many
                for j in range(p):
                    held[i, j] = x[row, j]
            length = size
            while length > 1:
                length //= 2
                for i in range(length):
                    for j in range(p):
                        held[i, j] = held[2 * i, j] + held[2 * i + 1, j]
            for j in range(p):
                total[j] = total[j] + held[0, j] if done else held[0, j]
            done += size
        size *= 2


@kernel
def _emit(
    r: int, window: int, whole: bool, weights: F8, tables: Tables, rings: Rings, held: F8, sums: F8, out: F8
) -> None:  # fmt: skip
    """Exponents of the windows that end in row r into out (pairs,). whole : they have no hole."""
    sizes, _, first, many = tables
    out[:] = 0.0
    for i in range(len(sizes)):
        if weights[i] != 0.0:
            terms, half = window // sizes[i], 0.5 * weights[i]
            _sum(rings[1], first[i], many[i], r, sizes[i], terms, held, sums[0])
            if whole:
                sums[1] = float(sizes[i] * terms)
            else:
                _sum(rings[2], first[i], many[i], r, sizes[i], terms, held, sums[1])
            for j in range(len(out)):
                n = sums[1, j]
                v = sums[0, j] * (1.0 / (n if n > 0.0 else 1.0))
                v = v if v > TINY else np.nan
                out[j] += half * log_ratio(v, 1.0)


@kernel
def _count(memory: F8, r: int, sign: float, valid: F8) -> None:
    """Row r comes to (sign 1) or goes from (-1) the values of a window."""
    row = r % len(memory)
    for j in range(memory.shape[1]):
        valid[j] += sign if memory[row, j] == memory[row, j] else 0.0


@kernel
def _exponents(
    y: F8, seg_age: I4, row: int, windows: I8, needs: I8, inside: NDArray[np.bool_], back: int, opens: I8, number: int,
    ends: F8, raw: F8, memory: F8, tables: Tables, rings: Rings, valid: F8, run: I8, work: tuple[F8, F8, F8], out: F8,
) -> None:  # fmt: skip
    now = number
    spare, held, sums = work
    for i in range(len(y)):
        r, age = row + i, seg_age[i]
        while opens[now + 1] <= r:
            now += 1
        if age == 0:
            first = splice_past(raw, r, back, opens, now, ends, memory)
            rings[0][:], rings[1][:], rings[2][:] = 0.0, 0.0, 0.0
            valid[:], run[0] = 0.0, 0
            for k in range(first, r):
                _take(memory, k % len(memory), k, tables, rings, spare, run)
                for w in range(len(windows)):
                    if k >= r - windows[w]:
                        _count(memory, k, 1.0, valid[w])
        for w in range(len(windows)):
            _count(memory, r - windows[w], -1.0, valid[w])
        put(raw, r, y, i)
        put(memory, r, y, i)
        _take(y, i, r, tables, rings, spare, run)
        for w in range(len(windows)):
            _count(memory, r, 1.0, valid[w])
            full = run[0] >= windows[w]
            _emit(r, windows[w], full, tables[1][w], tables, rings, held, sums, out[w, i])
            whole = not inside[w] or age >= windows[w] - 1
            for j in range(y.shape[1]):
                out[w, i, j] = out[w, i, j] if valid[w, j] >= needs[w] and whole else np.nan


def _tables(windows: Sequence[int]) -> Tables:
    chosen = [box_sizes(w) for w in windows]
    sizes = sorted({n for each in chosen for n in each})
    weights, many = np.zeros((len(windows), len(sizes))), np.zeros(len(sizes), dtype=np.int64)
    for k, (w, each) in enumerate(zip(windows, chosen, strict=True)):
        for n, weight in zip(each, slope_weights(each), strict=True):
            i = sizes.index(n)
            weights[k, i] = weight
            many[i] = max(many[i], (w // n - 1) * n + 1)
    first = np.cumsum(many) - many
    return np.array(sizes, dtype=np.int64), weights, first, many


@stepper("fluctuation.fluctuation_exponents")
class Exponents(Spliced):
    """rings : boxes, errors and points. valid : values of each window. run : rows without a hole at the end."""

    def __init__(
        self, y: F8, seg_age: I4, segment: I4, ends: F8, windows: Sequence[int], needs: Sequence[int],
        inside: Sequence[bool],
    ) -> None:  # fmt: skip
        lanes = y.shape[1]
        super().__init__(lanes, seen_before(windows, inside), max(windows) + 1)
        self.tables = _tables(windows)
        largest, rows = int(self.tables[0][-1]), int(self.tables[3].sum())
        boxes = np.zeros((largest.bit_length(), largest + 1, HELD_WITH_HOLES, lanes))
        self.rings = (boxes, np.zeros((rows, lanes)), np.zeros((rows, lanes)))
        self.valid, self.run = np.zeros((len(windows), lanes)), np.zeros(1, dtype=np.int64)

    def __call__(
        self, block: Block, y: F8, seg_age: I4, segment: I4, ends: F8, windows: Sequence[int], needs: Sequence[int],
        inside: Sequence[bool],
    ) -> F8:  # fmt: skip
        lanes = y.shape[1]
        out = np.empty((len(windows), *y.shape))
        rules = (np.array(windows, np.int64), np.array(needs, np.int64), np.array(inside, np.bool_))
        place = (*rules, seen_before(windows, inside), self.starts(block), block.number, ends)
        work = (np.empty((2, HELD_WITH_HOLES, lanes)), np.empty((max(windows), lanes)), np.empty((2, lanes)))
        mine = (*place, self.raw, self.memory, self.tables, self.rings, self.valid, self.run, work)
        _exponents(y, seg_age, block.row, *mine, out)
        return out
