"""Where a value lies between the lowest low and the highest high of its window."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.divide import divides
from bqx.features.kernels.jit import kernel
from bqx.features.kernels.window_extremes import CHUNK, extremes_block

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
I8 = NDArray[np.int64]


@kernel
def position(x: float, bottom: float, top: float) -> float:
    """100 (x - bottom) / (top - bottom), NaN where top = bottom."""
    a, b = x - bottom, top - bottom
    return 100.0 * (a / b) if divides(b, a) else np.nan


@kernel
def depth(x: float, bottom: float, top: float) -> float:
    """-100 (top - x) / (top - bottom), NaN where top = bottom; 0 is +0."""
    a, b = x - top, top - bottom
    return 100.0 * (a / b) if divides(b, a) else np.nan


def places(
    x: F8, high: F8, low: F8, seg_age: I4, positions: Mapping[int, int], depths: Mapping[int, int]
) -> tuple[dict[int, F8], dict[int, F8]]:
    """:func:`position` and :func:`depth` of `x` within the extremes of its last W rows, for each window W, given with
    the number of values it must hold; NaN where `x` is and where `window_extremes` is. Shapes (n, pairs), C order.

    Extremes live for a block of rows only.
    """
    both = {**positions, **depths}
    windows = sorted(both)
    up, down = ({w: np.empty(x.shape) for w in chosen} for chosen in (positions, depths))
    blank = np.empty((0, x.shape[1]))
    _places(
        x,
        high,
        low,
        seg_age,
        np.array(windows),
        np.array([both[w] for w in windows]),
        tuple(up.get(w, blank) for w in windows),
        tuple(down.get(w, blank) for w in windows),
    )
    return up, down


@kernel
def _fill_positions(x: F8, bottom: F8, top: F8, out: F8) -> None:
    for i in range(len(out)):
        out[i] = position(x[i], bottom[i], top[i])


@kernel
def _fill_depths(x: F8, bottom: F8, top: F8, out: F8) -> None:
    for i in range(len(out)):
        out[i] = depth(x[i], bottom[i], top[i])


@kernel
def _places(
    x: F8, high: F8, low: F8, seg_age: I4, windows: I8, needs: I8, up: tuple[F8, ...], down: tuple[F8, ...]
) -> None:
    n, p = x.shape
    rows = max(CHUNK, 2 * windows[-1])
    scratch = np.empty((2, rows + windows[-1], p))
    top, bottom = np.empty((len(windows), rows, p)), np.empty((len(windows), rows, p))
    flat = x.reshape(n * p)
    for begin in range(0, n, rows):
        end = min(begin + rows, n)
        extremes_block(high, low, seg_age, windows, needs, begin, end, scratch, top, bottom, 0)
        for i in range(len(windows)):
            start, stop = begin * p, end * p
            least, most = bottom[i].reshape(rows * p)[: stop - start], top[i].reshape(rows * p)[: stop - start]
            if len(up[i]):
                _fill_positions(flat[start:stop], least, most, up[i].reshape(n * p)[start:stop])
            if len(down[i]):
                _fill_depths(flat[start:stop], least, most, down[i].reshape(n * p)[start:stop])
