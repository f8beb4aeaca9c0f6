"""reg the slow way: three nested fits in plain powers, and Newey and West's sandwich written out."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import Reference
from bqx.features.families.extensions.reg_series import LAGS, Part
from bqx.features.streams import Domain, Streams

F8 = NDArray[np.float64]


def window_reference(streams: Streams, domain: Domain, row: int, pair: int, w: int) -> F8:
    """The last `w` levels up to `row` in the coordinates of its segment, closure gaps left out."""
    stream, segment = streams.stream(domain), streams.segment
    first = max(0, row - w + 1)
    y = stream.close[first : row + 1, pair].copy()
    home = int(segment[row])
    if len(stream.ends) and int(segment[first]) != home:
        ends = np.nan_to_num(stream.ends[:, pair])
        y -= [math.fsum(ends[s:home]) for s in segment[first : row + 1].tolist()]
    return np.concatenate([np.full(w - len(y), np.nan), y])


def terms_reference(y: F8, part: Part) -> float:
    """What is asked of the parabola through `y`, whose last place is now."""
    valid = ~np.isnan(y)
    w, n = len(y), int(valid.sum())
    base = float(y[valid][-1])
    v = y - base
    mean = math.fsum(v[valid]) / n
    if part == "level":
        return float(v[-1]) - mean
    v = v - mean
    x = (np.arange(w, dtype=float) - (w - 1)) / w
    shifted, known = x[valid] - float(np.mean(x[valid])), v[valid]
    slope = math.fsum(shifted * known) / math.fsum(shifted * shifted)
    straight = -slope * float(np.mean(x[valid]))
    if part == "linear":
        return straight
    if part == "deviation":
        return math.sqrt(math.fsum(known * known) / (n - 1))
    powers = np.column_stack([np.ones(n), x[valid], x[valid] ** 2])
    found = np.linalg.lstsq(powers, known, rcond=None)[0]
    errors = known - powers @ found
    match part:
        case "quadratic":
            return float(found[0]) - straight
        case "residual":
            return float(v[-1]) - float(found[0])
        case "r2":
            return 1.0 - math.fsum(errors * errors) / math.fsum(known * known)
        case "rmse":
            return math.sqrt(math.fsum(errors * errors) / (n - 3))
    return float(found[2]) / math.sqrt(_variance_reference(powers, errors, valid, LAGS[w]))


def _variance_reference(powers: F8, errors: F8, valid: NDArray[np.bool_], lag: int) -> float:
    """Of the last coefficient: (X'X)^-1 S (X'X)^-1, S from autocovariances of x e at their own distances in time."""
    scores = np.zeros((len(valid), powers.shape[1]))
    scores[valid] = powers * errors[:, None]
    middle = scores.T @ scores
    for k in range(1, lag + 1):
        one = scores[k:].T @ scores[:-k]
        middle += (1 - k / (lag + 1)) * (one + one.T)
    inner = np.linalg.inv(powers.T @ powers)
    return float((inner @ middle @ inner)[2, 2])


def make_reference(domain: Domain, parse: Callable[[str], tuple[Part, int]]) -> Reference:
    def reference(streams: Streams, column: str, row: int, pair: int) -> float:
        part, w = parse(column)
        return terms_reference(window_reference(streams, domain, row, pair, w), part)

    return reference
