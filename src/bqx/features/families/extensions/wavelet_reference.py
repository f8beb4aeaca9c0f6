"""wavelet the slow way: one filter a level, made by multiplying polynomials out, and plain means over its answers."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import Reference
from bqx.features.kernels.wavelets import DB4
from bqx.features.streams import Domain, Streams

F8 = NDArray[np.float64]

N, DELAY = 128, 7


def _spread_reference(taps: F8, spacing: int) -> F8:
    out = np.zeros((len(taps) - 1) * spacing + 1)
    out[::spacing] = taps
    return out


def filters_reference() -> tuple[F8, F8, F8, F8]:
    """Whole filters of details 1, 2, 3 and smooth 3, newest value first."""
    g = np.array(DB4) / math.sqrt(2.0)
    h = np.array([(-1) ** k * g[7 - k] for k in range(8)])
    before = np.ones(1)
    out = []
    for spacing in (1, 2, 4):
        out.append(np.convolve(before, _spread_reference(h, spacing)))
        before = np.convolve(before, _spread_reference(g, spacing))
    return out[0], out[1], out[2], before


FILTERS = filters_reference()


def make_reference(domain: Domain) -> Reference:
    def reference(streams: Streams, column: str, row: int, pair: int) -> float:
        x = streams.stream(domain).change[row - N + 1 : row + 1, pair]
        parts = [np.convolve(x, taps, mode="valid") for taps in FILTERS]
        e = [math.fsum(part * part) / len(part) for part in parts]
        q = [v / math.fsum(e[:3]) for v in e[:3]]
        other: dict[str, Callable[[], float]] = {
            "wavelet_approx_a3_energy": lambda: e[3] / math.fsum(e),
            "wavelet_energy_ratio_d1_d3": lambda: math.log(e[0] / e[2]),
            "wavelet_trend_strength": lambda: float(parts[3][-1]) / float(np.std(x, ddof=1)),
            "wavelet_detail_entropy": lambda: -math.fsum(v * math.log(v) for v in q) / math.log(3),
            "wavelet_singularity": lambda: abs(parts[0][-1]) / np.median(np.abs(parts[0] - np.median(parts[0]))),
            "wavelet_scale_energy_max": lambda: float(np.argmax([2 * e[0], 4 * e[1], 8 * e[2]]) + 1),
            "wavelet_coherence": lambda: _coherence_reference(np.abs(parts[0]), np.abs(parts[1])),
        }
        if column in other:
            return float(other[column]())
        return e[int(column.split("_d")[2][0]) - 1] / math.fsum(e)

    return reference


def _coherence_reference(one: F8, two: F8) -> float:
    """Level 1 has 14 coefficients more than level 2; it is read DELAY bars earlier."""
    then = one[len(one) - len(two) - DELAY : len(one) - DELAY]
    return float(np.corrcoef(then, two)[0, 1])
