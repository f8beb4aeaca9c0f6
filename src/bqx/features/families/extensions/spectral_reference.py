"""spectral the slow way: the transform by its definition, a sum for each frequency."""

from __future__ import annotations

import math
from collections.abc import Callable
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import Reference
from bqx.features.streams import Domain, Streams
from bqx.features.support import needed

F8 = NDArray[np.float64]

N, LONG = 128, 60
_KEPT: WeakKeyDictionary[Streams, dict[tuple[str, int, int], F8]] = WeakKeyDictionary()


def _tables_reference() -> tuple[F8, F8, F8]:
    """Hann's window; cosines and sines of 2 pi k n / 128, k = 1 .. 64."""
    at = np.arange(N)
    angle = 2.0 * np.pi / N * np.outer(np.arange(1, 65), at)
    return 0.5 - 0.5 * np.cos(2.0 * np.pi * at / N), np.cos(angle), np.sin(angle)


HANN_REFERENCE, COSINES_REFERENCE, SINES_REFERENCE = _tables_reference()


def _powers_reference(x: F8) -> F8:
    """abs(sum w (x - mean) exp(-2 pi i k n / 128))^2 for k = 1 .. 64; a hole has no term. NaN where all are equal."""
    valid = ~np.isnan(x)
    if len(x) < N or valid.sum() < needed(N) or np.ptp(x[valid]) <= 1e-9:
        return np.full(64, np.nan)
    mean = math.fsum(x[valid]) / int(valid.sum())
    z = HANN_REFERENCE * np.where(valid, x - mean, 0.0)
    return np.asarray((COSINES_REFERENCE @ z) ** 2 + (SINES_REFERENCE @ z) ** 2)


def _harmonic_reference(p: F8) -> float:
    """p[k] is of frequency k + 1."""
    k = int(np.argmax(p)) + 1
    if 2 * k > 63:
        return math.nan
    return float(p[2 * k - 2 : 2 * k + 1].sum() / p[max(k - 2, 0) : k + 1].sum())


def _second_reference(p: F8) -> float:
    far = np.abs(np.arange(64) - int(np.argmax(p))) > 2
    return float(np.argmax(np.where(far, p, -1.0)) + 1) / N


def make_reference(domain: Domain) -> Reference:
    def reference(streams: Streams, column: str, row: int, pair: int) -> float:
        start = row - int(streams.panel.grid.seg_age[row])
        change, kept = streams.stream(domain).change[:, pair], _KEPT.setdefault(streams, {})

        def powers(at: int) -> F8:
            """Of the window that ends at a row."""
            if (domain, at, pair) not in kept:
                kept[domain, at, pair] = _powers_reference(change[max(start, at - N + 1) : at + 1])
            return kept[domain, at, pair]

        if column in ("fft_power_trend", "fft_freq_stability"):
            found = [powers(at) for at in range(row - LONG + 1, row + 1)]
            known = np.array([k for k, p in enumerate(found) if not np.isnan(p[0])])
            if column == "fft_power_trend":
                y = np.array([math.log(math.fsum(found[k])) for k in known])
                x = known - known.mean()
                return math.fsum(x * (y - y[0])) / math.fsum(x * x)
            tops = np.array([(np.argmax(found[k]) + 1) / N for k in known])
            return 1.0 / (1.0 + float(np.std(tops, ddof=1)) / float(np.mean(tops)))
        power = powers(row)
        p = power / math.fsum(power)
        some = p[p > 0.0]
        other: dict[str, Callable[[], float]] = {
            "fft_dominant_freq": lambda: float(np.argmax(p) + 1) / N,
            "fft_dominant_power": lambda: float(p.max()),
            "fft_secondary_freq": lambda: _second_reference(p),
            "fft_harmonic_ratio": lambda: _harmonic_reference(p),
            "fft_low_freq_power": lambda: math.fsum(p[np.arange(1, 65) <= N / 20]),
            "fft_high_freq_power": lambda: math.fsum(p[np.arange(1, 65) >= N / 5]),
            "fft_spectral_entropy": lambda: -math.fsum(some * np.log(some)) / math.log(64),
            "fft_spectral_edge_freq": lambda: float(np.argmax(np.cumsum(p) >= 0.95) + 1) / N,
            "fft_noise_ratio": lambda: math.log(math.fsum(p[25:]) / math.fsum(p[:6])),
            "fft_cyclic_strength": lambda: math.log(float(p.max()) / float(np.median(p))),
        }
        return other[column]()

    return reference
