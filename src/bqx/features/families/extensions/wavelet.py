"""wavelet: the last 128 one-minute changes by scale, MODWT with Daubechies' 8 taps, 10 columns a domain; an
extension."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import EXTENSION, Column, Compute, Dataset
from bqx.features.families.extensions.wavelet_reference import make_reference
from bqx.features.families.extensions.wavelet_support import Whole
from bqx.features.kernels.autocorr import lagged_pairs
from bqx.features.kernels.logs import logarithm
from bqx.features.kernels.mathfun import log_ratio
from bqx.features.kernels.moments import centre
from bqx.features.kernels.oscillators import ratio
from bqx.features.kernels.products import correlations
from bqx.features.kernels.quantiles import NORMAL, order_statistics
from bqx.features.kernels.squares import root_sum_of_squares
from bqx.features.kernels.wavelets import overlap, reach
from bqx.features.streams import PRICE, WINDOWS, Domain, Streams, momentum_support
from bqx.features.support import Lag, Support

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]

N = 128
DELAY = 7
"""Bars by which level 2 is later than level 1: centres of energy of their filters, 12.9 and 5.5 bars."""
MEDIAN = np.array([50], dtype=np.int64)
ROUNDING = 1.0 + 1e-9

UNDEFINED = frozenset({"may_be_undefined"})
STILL = "NULL where all changes of a window are equal"
STEP: dict[Domain, Support] = {"rate": PRICE, "bqx": Lag(momentum_support(WINDOWS[0]), 1, "SEG")}
PERCIVAL = "Percival & Walden 2000"


def inner(level: int) -> int:
    """Coefficients of a level that N values give without a value before them."""
    return N - reach(level) + 1


def _columns(domain: Domain) -> Iterator[Column]:
    seen = Whole(STEP[domain], N)
    dy = "dy" if domain == "rate" else "dM"
    energies = f"E(j) = mean square of level j's detail, E(a) of level 3's smooth, MODWT (db4) of {dy}, the " \
        f"coefficients that lie within {N} bars"  # fmt: skip

    def one(
        name: str, unit: str, formula: str, bounds: tuple[float, float] = (-np.inf, np.inf), source: str = ""
    ) -> Column:
        return Column(name, unit, formula, seen, "SEG", bounds=bounds, tags=UNDEFINED, why_tagged=STILL, source=source)

    share = (0.0, ROUNDING)
    for level in (1, 2, 3):
        yield one(f"wavelet_detail_d{level}_energy", "0–1", f"E({level}) / (E(1) + E(2) + E(3) + E(a)); {energies}",
                  share, PERCIVAL)  # fmt: skip
    yield one("wavelet_approx_a3_energy", "0–1", f"E(a) / (E(1) + E(2) + E(3) + E(a)); {energies}", share, PERCIVAL)
    yield one("wavelet_energy_ratio_d1_d3", "–", f"ln(E(1) / E(3)); {energies}")
    yield one("wavelet_trend_strength", "–", f"level 3's last smooth coefficient / sd of {dy}, {N} bars")
    yield one("wavelet_detail_entropy", "0–1", f"-sum q ln q / ln 3, q = E(j) / (E(1) + E(2) + E(3)); {energies}",
              share)  # fmt: skip
    yield one("wavelet_singularity", "–", f"abs(d(t)) / median of abs(d - median of d), d = level 1's detail of {dy}, "
              f"{inner(1)} coefficients", (0.0, np.inf))  # fmt: skip
    yield Column("wavelet_scale_energy_max", "code", f"j of the largest 2^j E(j), which are equal for white noise; "
                 f"{energies}", seen, "SEG", "i2", (1.0, 3.0), UNDEFINED, STILL)  # fmt: skip
    yield one("wavelet_coherence", "−1–1", f"correlation of abs(level 1's detail {DELAY} bars ago) and abs(level 2's), "
              f"{inner(2)} pairs", (-ROUNDING, ROUNDING))  # fmt: skip


def _energies(parts: Sequence[F8], age: I4) -> tuple[F8, ...]:
    """E(1), E(2), E(3), E(a). Shapes (n, pairs)."""
    out = []
    for part, count in zip(parts, (inner(1), inner(2), inner(3), inner(3)), strict=True):
        root = root_sum_of_squares(part, age, count, count, False)
        out.append(root * root / count)
    return tuple(out)


def _entropy(energies: Sequence[F8]) -> F8:
    total = energies[0] + energies[1] + energies[2]
    out = np.zeros(total.shape)
    for e in energies[:3]:
        q = ratio(e, total)
        out -= q * logarithm(q)
    return out / log_ratio(3.0, 1.0)


def _largest(energies: Sequence[F8]) -> F8:
    one, two, three = (2.0 * energies[0], 4.0 * energies[1], 8.0 * energies[2])
    best = np.where(two > one, 2.0, 1.0)
    best = np.where(three > np.maximum(one, two), 3.0, best)
    return np.where(one > 0.0, best, np.nan)


def _coherence(one: F8, two: F8, age: I4) -> F8:
    now, then, out = np.empty(one.shape), np.empty(one.shape), np.empty(one.shape)
    lagged_pairs(np.abs(one), age, DELAY, now, then)
    size = np.abs(two)
    null = np.isnan(then) | np.isnan(size)
    correlations(np.where(null, np.nan, then), np.where(null, np.nan, size), age, inner(2), inner(2), out)
    return out


def _make_compute(domain: Domain) -> Compute:
    def compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
        change, age = streams.stream(domain).change, streams.panel.grid.seg_age
        parts = overlap(change, age)
        energies = _energies(parts, age)
        total = energies[0] + energies[1] + energies[2] + energies[3]
        deviation = centre(change, age, N, N, 1)[2]
        mad = order_statistics(parts[0], age, inner(1), inner(1), MEDIAN, True)[1]
        found = {f"wavelet_detail_d{k + 1}_energy": ratio(energies[k], total) for k in range(3)}
        found["wavelet_approx_a3_energy"] = ratio(energies[3], total)
        found["wavelet_energy_ratio_d1_d3"] = logarithm(ratio(energies[0], energies[2]))
        found["wavelet_trend_strength"] = ratio(parts[3], deviation)
        found["wavelet_detail_entropy"] = _entropy(energies)
        found["wavelet_singularity"] = ratio(NORMAL * np.abs(parts[0]), mad)
        found["wavelet_scale_energy_max"] = _largest(energies)
        found["wavelet_coherence"] = _coherence(parts[0], parts[1], age)
        return {name: found[name] for name in names}

    return compute


def _dataset(domain: Domain) -> Dataset:
    return Dataset(
        family="wavelet",
        domain=domain,
        columns=tuple(_columns(domain)),
        compute=_make_compute(domain),
        reference=make_reference(domain),
        stage=EXTENSION,
        counted=False,
        summary=f"Energy of the last {N} one-minute changes of the {domain} stream by scale, by filters that look back "
        "only.",
    )


DATASETS = (_dataset("rate"), _dataset("bqx"))
