"""A leg between a high and a low: which way it went, how much of it has been taken back, what lies near."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.divide import divides
from bqx.features.kernels.jit import batch, batches, kernel
from bqx.features.kernels.mathfun import exp

F8 = NDArray[np.float64]


@batches(3)
def leg(out: tuple[F8, F8, F8], close: F8, top: F8, bottom: F8, top_age: F8, bottom_age: F8) -> None:
    """Length, direction and depth. Shapes (n, pairs), NaN where an input is.

    length : top - bottom. direction : 1 where the top is the later of the two, else -1. depth : way back from the end
    of the leg to the close. The last two are NaN where the length is 0 within rounding, or negative.
    """
    length, direction, depth = out
    n, p = close.shape
    for r in range(n):
        for j in range(p):
            c, hi, lo = close[r, j], top[r, j], bottom[r, j]
            span = hi - lo
            up = top_age[r, j] < bottom_age[r, j]
            moved = divides(span, 0.0) & (c == c)
            length[r, j] = span if c == c else np.nan
            direction[r, j] = (1.0 if up else -1.0) if moved else np.nan
            depth[r, j] = (hi - c if up else c - lo) if moved else np.nan


@batch
def share(out: F8, part: F8, whole: F8, least: float, most: float) -> None:
    """part / whole within [least, most], NaN where whole is 0 within rounding, or negative. Shape (n, pairs)."""
    n, p = part.shape
    for r in range(n):
        for j in range(p):
            a, b = part[r, j], whole[r, j]
            q = a / b
            q = least if q < least else q
            q = most if q > most else q
            out[r, j] = q if divides(b, a) else np.nan


@kernel
def _distance(level: float, length: float, depth: float) -> float:
    """How far the close is from a level in the direction of the leg: c - (hi - level * length) where it went up."""
    return level * length - depth


@batch
def proximity(out: F8, depth: F8, length: F8, scale: F8, level: float, width: float) -> None:
    """exp(-distance / (width * scale)) of the close from the level at a share `level` of the way back; NaN where scale
    is 0 within rounding. Shape (n, pairs)."""
    n, p = depth.shape
    for r in range(n):
        for j in range(p):
            away, unit = abs(_distance(level, length[r, j], depth[r, j])), width * scale[r, j]
            out[r, j] = exp(-(away / unit)) if divides(unit, away) else np.nan


def nearest(depth: F8, length: F8, direction: F8, scale: F8, levels: tuple[float, ...]) -> F8:
    """Close less the nearest level, in `scale`; of two as near the first of `levels`. NaN where scale is 0 within
    rounding. Shape (n, pairs)."""
    return _nearest(depth, length, direction, scale, np.array(levels))


@batch
def _nearest(out: F8, depth: F8, length: F8, direction: F8, scale: F8, levels: F8) -> None:
    n, p = depth.shape
    for r in range(n):
        for j in range(p):
            best = _distance(levels[0], length[r, j], depth[r, j])
            for k in range(1, len(levels)):
                other = _distance(levels[k], length[r, j], depth[r, j])
                best = other if abs(other) < abs(best) else best
            away = direction[r, j] * best
            out[r, j] = away / scale[r, j] if divides(scale[r, j], away) else np.nan
