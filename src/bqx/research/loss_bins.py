"""Losses of many pairs and horizons as one series in time, which a Diebold-Mariano test can take."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


def binned(parts: Sequence[tuple[I8, F8]], start: int, end: int, width: int) -> F8:
    """Sum of losses in each bin of `width` bars of positions [start, end), parts with equal weight; shape (bins,).

    A part is the positions and losses of one pair and horizon. With bins as long as the longest label only neighbours
    overlap: compare two such series with lag 1. The values add up to the mean of the parts' mean losses.

    >>> binned([(np.array([0, 10, 70]), np.array([1.0, 2.0, 3.0])), (np.array([65]), np.array([4.0]))], 0, 120, 60)
    array([0.5, 2.5])
    """
    first, last = start // width, (end - 1) // width
    out = np.zeros(last - first + 1)
    for position, loss in parts:
        out += np.bincount(position // width - first, weights=loss / len(loss), minlength=len(out))
    return out / len(parts)
