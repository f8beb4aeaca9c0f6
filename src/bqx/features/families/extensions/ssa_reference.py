"""ssa the slow way: the singular value decomposition of the trajectory matrix itself."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import Reference
from bqx.features.streams import Domain, Streams

F8 = NDArray[np.float64]

N, LAGS, EVERY = 120, 40, 5


def _averaged_reference(x: F8) -> F8:
    """Means over the antidiagonals of a trajectory matrix."""
    flipped = x[::-1]
    return np.array([flipped.diagonal(k).mean() for k in range(1 - len(x), x.shape[1])])


def make_reference(domain: Domain) -> Reference:
    def reference(streams: Streams, column: str, row: int, pair: int) -> float:
        made = row - int(streams.panel.grid.seg_age[row]) % EVERY
        y = streams.stream(domain).close[made - N + 1 : made + 1, pair]
        z = y - math.fsum(y) / N
        x = np.lib.stride_tricks.sliding_window_view(z, N - LAGS + 1)
        u, s, v = np.linalg.svd(x, full_matrices=False)
        values = s * s
        one, two, three = (_averaged_reference(s[k] * np.outer(u[:, k], v[k])) for k in range(3))
        cycle = two + three
        weight = np.minimum(np.minimum(np.arange(N) + 1, N - np.arange(N)), LAGS)

        def inner(a: F8, b: F8) -> float:
            return math.fsum(weight * a * b)

        other: dict[str, Callable[[], float]] = {
            "ssa_trend_component": lambda: one[-1],
            "ssa_oscillatory_component": lambda: cycle[-1],
            "ssa_noise_component": lambda: z[-1] - one[-1] - cycle[-1],
            "ssa_trend_variance_explained": lambda: values[0] / math.fsum(values),
            "ssa_osc_variance_explained": lambda: (values[1] + values[2]) / math.fsum(values),
            "ssa_noise_variance": lambda: math.log(math.fsum(values[3:]) / (N * LAGS)),
            "ssa_separability": lambda: 1 - abs(inner(one, cycle)) / math.sqrt(inner(one, one) * inner(cycle, cycle)),
            "ssa_reconstruction_error": lambda: (
                math.sqrt(np.mean((z - one - cycle)[-10:] ** 2)) / float(np.std(y, ddof=1))
            ),
        }
        return float(other[column]())

    return reference
