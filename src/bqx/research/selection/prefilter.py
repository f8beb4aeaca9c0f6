"""Leave out, without looking at labels, what cannot serve: constant, missing, infinite or drifting columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.features.support import Support
from bqx.research.candidates import Candidate
from bqx.research.selection.options import Options

F4 = NDArray[np.float32]
I8 = NDArray[np.int64]
LEAST_SHARE = 0.5
"""A column must be out of its warm-up for half of the training rows."""


def prefilter(X: F4, seg_age: I8, in_stream: I8, chosen: Sequence[Candidate], options: Options) -> list[str]:
    """Why each candidate is left out, "" for those that stay. Training rows X (n, columns), NaN for NULL."""
    out = []
    zones: dict[tuple[int, Support], NDArray[np.bool_]] = {}
    for k, c in enumerate(chosen):
        key = (c.lag, c.support)
        if key not in zones:
            zones[key] = ~c.declared_null(in_stream, seg_age)
        out.append(_why(X[:, k], zones[key], options))
    return out


def _why(x: F4, expected: NDArray[np.bool_], options: Options) -> str:
    if np.isinf(x).any():
        return "infinite values"
    if expected.mean() < LEAST_SHARE:
        return f"in its warm-up for {1.0 - expected.mean():.0%} of the rows"
    known = np.isfinite(x)
    missing = float((expected & ~known).sum()) / int(expected.sum())
    if missing > options.missing:
        return f"{missing:.1%} missing beyond warm-up and segment starts"
    values = x[known].astype(np.float64)
    if len(values) < 2 or values.min() == values.max():
        return "constant"
    half = len(values) // 2
    a, b = np.quantile(values[:half], [0.25, 0.5, 0.75]), np.quantile(values[half:], [0.25, 0.5, 0.75])
    spread = 0.5 * (a[2] - a[0] + b[2] - b[0])
    if abs(a[1] - b[1]) > options.drift * spread > 0.0:
        return f"drifts: the median moves by {abs(a[1] - b[1]) / spread:.1f} interquartile ranges"
    return ""
