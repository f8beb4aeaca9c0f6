"""spectral: the periodogram of the last 128 one-minute changes, 12 columns a domain; an extension."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import EXTENSION, Column, Compute, Dataset
from bqx.features.families.extensions.spectral_reference import make_reference
from bqx.features.kernels import spectrum
from bqx.features.kernels.lines import slope
from bqx.features.kernels.logs import logarithm
from bqx.features.kernels.moments import centre
from bqx.features.kernels.oscillators import ratio
from bqx.features.streams import PRICE, WINDOWS, Domain, Streams, momentum_support
from bqx.features.support import Lag, Support, Window, needed

F8 = NDArray[np.float64]

N, LONG = spectrum.LENGTH, 60
"""Changes under a transform; windows that a measure's course is followed over."""
ROUNDING = 1.0 + 1e-9

UNDEFINED = frozenset({"may_be_undefined"})
STILL = "NULL where all changes of a window are equal"
STEP: dict[Domain, Support] = {"rate": PRICE, "bqx": Lag(momentum_support(WINDOWS[0]), 1, "SEG")}

MEASURES = {
    "fft_dominant_freq": spectrum.DOMINANT,
    "fft_dominant_power": spectrum.POWER,
    "fft_secondary_freq": spectrum.SECOND,
    "fft_harmonic_ratio": spectrum.HARMONIC,
    "fft_low_freq_power": spectrum.LOWER,
    "fft_high_freq_power": spectrum.UPPER,
    "fft_spectral_entropy": spectrum.ENTROPY,
    "fft_spectral_edge_freq": spectrum.EDGES,
    "fft_noise_ratio": spectrum.NOISE,
    "fft_cyclic_strength": spectrum.CYCLIC,
}
"""Columns that one transform gives."""


def _columns(domain: Domain) -> Iterator[Column]:
    once = Window(STEP[domain], N, "SEG")
    many = Window(once, LONG, "SEG")
    dy = "dy" if domain == "rate" else "dM"
    share, hertz = (0.0, ROUNDING), (1.0 / N, 0.5)
    infinite = (-np.inf, np.inf)
    p = f"p(k) = share of k/{N} cycles a bar in the power of k = 1..64 of {dy}, {N} bars about their mean, Hann window"

    def one(
        name: str, unit: str, formula: str, bounds: tuple[float, float], support: Support = once, why: str = "",
        source: str = "",
    ) -> Column:  # fmt: skip
        return Column(name, unit, formula, support, "SEG", bounds=bounds, tags=UNDEFINED,
                      why_tagged="; ".join(filter(None, (STILL, why))), source=source)  # fmt: skip

    yield one("fft_dominant_freq", "cycles/bar", f"k*/{N}, k* = argmax p; {p}", hertz, source="Welch 1967 (window)")
    yield one("fft_dominant_power", "0–1", f"p(k*), Fisher's g; {p}", share)
    yield one("fft_secondary_freq", "cycles/bar", f"argmax of p where abs(k - k*) > 2, over {N}; {p}", hertz)
    yield one("fft_harmonic_ratio", "–", f"sum p(2k*-1..2k*+1) / sum p(k*-1..k*+1); {p}", (0.0, np.inf),
              why="NULL where 2k* > 63")  # fmt: skip
    yield one("fft_low_freq_power", "0–1", f"sum of p with periods of 20 bars and more (k <= 6); {p}", share)
    yield one("fft_high_freq_power", "0–1", f"sum of p with periods of 5 bars and less (k >= 26); {p}", share)
    yield one("fft_spectral_entropy", "0–1", f"-sum p ln p / ln 64; {p}", share)
    yield one("fft_spectral_edge_freq", "cycles/bar", f"smallest k/{N} up to which p sums to 0.95; {p}", hertz)
    yield one("fft_power_trend", "/bar", f"least-squares slope of ln(total power) over {LONG} bars; {p}", infinite,
              many)  # fmt: skip
    yield one("fft_freq_stability", "0–1", f"1 / (1 + sample sd / mean of fft_dominant_freq over {LONG} bars)",
              (0.0, 1.0), many)  # fmt: skip
    yield one("fft_noise_ratio", "–", f"ln(fft_high_freq_power / fft_low_freq_power); {p}", infinite)
    yield one("fft_cyclic_strength", "–", f"ln(p(k*) / median p); {p}", (0.0, np.inf))


def _make_compute(domain: Domain) -> Compute:
    def compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
        change, age = streams.stream(domain).change, streams.panel.grid.seg_age
        measures = spectrum.spectra(change, age, needed(N))
        found = {name: measures[k] for name, k in MEASURES.items()}
        if "fft_power_trend" in names:
            found["fft_power_trend"] = slope(logarithm(measures[spectrum.TOTAL]), age, LONG, needed(LONG), False)
        if "fft_freq_stability" in names:
            shift, excess, deviation = centre(measures[spectrum.DOMINANT], age, LONG, needed(LONG), 1)
            found["fft_freq_stability"] = 1.0 / (1.0 + ratio(deviation, shift + excess))
        return {name: found[name] for name in names}

    return compute


def _dataset(domain: Domain) -> Dataset:
    return Dataset(
        family="spectral",
        domain=domain,
        columns=tuple(_columns(domain)),
        compute=_make_compute(domain),
        reference=make_reference(domain),
        stage=EXTENSION,
        counted=False,
        summary=f"Periodogram of the last {N} one-minute changes of the {domain} stream: cycles, their strength, "
        "colour of the noise.",
    )


DATASETS = (_dataset("rate"), _dataset("bqx"))
