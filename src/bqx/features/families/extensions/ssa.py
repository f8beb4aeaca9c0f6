"""ssa: trend, oscillation and rest of the last 120 levels by singular spectrum analysis, 8 columns a domain; an
extension."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import EXTENSION, Column, Compute, Dataset
from bqx.features.families.extensions.ssa_reference import make_reference
from bqx.features.families.extensions.wavelet_support import Whole
from bqx.features.kernels import singular
from bqx.features.panel_support import Refreshed
from bqx.features.streams import PRICE, WINDOWS, Domain, Streams, momentum_support
from bqx.features.support import Support

F8 = NDArray[np.float64]

N, EVERY = singular.LENGTH, singular.EVERY
ROUNDING = 1.0 + 1e-9

UNDEFINED = frozenset({"may_be_undefined"})
STILL = "NULL where all levels of a window are equal"
LEVEL: dict[Domain, Support] = {"rate": PRICE, "bqx": momentum_support(WINDOWS[0])}

MEASURES = {
    "ssa_trend_component": singular.TREND,
    "ssa_oscillatory_component": singular.OSCILLATION,
    "ssa_noise_component": singular.NOISE,
    "ssa_trend_variance_explained": singular.TREND_SHARE,
    "ssa_osc_variance_explained": singular.OSCILLATION_SHARE,
    "ssa_noise_variance": singular.NOISE_SIZE,
    "ssa_separability": singular.SEPARABLE,
    "ssa_reconstruction_error": singular.LEFT,
}


def _columns(domain: Domain) -> Iterator[Column]:
    seen = Refreshed(Whole(LEVEL[domain], N), EVERY)
    y = "y" if domain == "rate" else "M"
    how = (
        f"SSA of the last {N} {y} about their mean, L = {singular.LAGS}; T component 1, O components 2 and 3, "
        f"eigenvalues l(k); made anew every {EVERY} bars of a segment"
    )

    def one(name: str, unit: str, formula: str, bounds: tuple[float, float]) -> Column:
        return Column(name, unit, f"{formula}; {how}", seen, "SEG", bounds=bounds, tags=UNDEFINED, why_tagged=STILL,
                      source="Golyandina et al. 2001")  # fmt: skip

    infinite, share = (-np.inf, np.inf), (0.0, ROUNDING)
    yield one("ssa_trend_component", "bps", "last value of T", infinite)
    yield one("ssa_oscillatory_component", "bps", "last value of O", infinite)
    yield one("ssa_noise_component", "bps", "last value less T and O", infinite)
    yield one("ssa_trend_variance_explained", "0–1", "l(1) / sum l", share)
    yield one("ssa_osc_variance_explained", "0–1", "(l(2) + l(3)) / sum l", share)
    yield one("ssa_noise_variance", "–", f"ln(sum of l(k), k > 3, / ({N} x {singular.LAGS}))", infinite)
    yield one("ssa_separability", "0–1", "1 - abs(weighted correlation of T and O)", (-1e-9, 1.0))
    yield one("ssa_reconstruction_error", "–", f"RMS of what T + O leave of the last {singular.TAIL} bars / sd of {y}",
              (0.0, np.inf))  # fmt: skip


def _make_compute(domain: Domain) -> Compute:
    def compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
        found = singular.components(streams.stream(domain).close, streams.panel.grid.seg_age)
        return {name: found[MEASURES[name]] for name in names}

    return compute


def _dataset(domain: Domain) -> Dataset:
    return Dataset(
        family="ssa",
        domain=domain,
        columns=tuple(_columns(domain)),
        compute=_make_compute(domain),
        reference=make_reference(domain),
        stage=EXTENSION,
        counted=False,
        summary=f"Trend, oscillation and rest of the last {N} levels of the {domain} stream by singular spectrum "
        "analysis.",
    )


DATASETS = (_dataset("rate"), _dataset("bqx"))
