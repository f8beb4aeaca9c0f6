"""term_covariance: how slope, bend and residual of the parabola of 60 bars moved together over the last 60; 6 columns
a domain.

In powers of x a rise of one coefficient is a fall of the other whatever the market does. In the orthogonal basis noise
gives about 0, so that what is left is the market's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import FeatureError
from bqx.features.declare import EXTENSION, Column, Compute, Dataset, Reference
from bqx.features.families.extensions.pairing import correlation, together
from bqx.features.families.extensions.reg_reference import terms_reference
from bqx.features.families.extensions.reg_series import Parabolas, Part
from bqx.features.kernels.moments import centre
from bqx.features.streams import PRICE, WINDOWS, Domain, Streams, momentum_support
from bqx.features.support import All, Support, Window, needed

F8 = NDArray[np.float64]

BARS = 60
PAIRED: dict[str, tuple[Part, Part]] = {
    "quadratic_linear": ("quadratic", "linear"),
    "residual_quadratic": ("residual", "quadratic"),
    "residual_linear": ("residual", "linear"),
}
FLAT = "NULL in a window in which a term does not move (found by counting runs)"


def parse(column: str) -> tuple[str, Part, Part]:
    """Whether a covariance or a correlation, and of which terms."""
    found = re.fullmatch(rf"(cov|corr)_(\w+)_{BARS}", column)
    if found is None or found[2] not in PAIRED:
        raise FeatureError(f"term_covariance has no column {column!r}")
    return found[1], *PAIRED[found[2]]


def _columns(domain: Domain) -> Iterator[Column]:
    level: Support = PRICE if domain == "rate" else momentum_support(WINDOWS[0])
    fit = Window(level, BARS, "SEG")
    for kind, unit, word in (("cov", "bps²", "covariance"), ("corr", "−1–1", "correlation")):
        for name, (a, b) in PAIRED.items():
            seen: Support = All((level, fit)) if a == "residual" else fit
            bounds = (-1.0, 1.0) if kind == "corr" else (-np.inf, np.inf)
            formula = f"{word} of {a}_w{BARS} and {b}_w{BARS} of reg over {BARS} bars"
            yield Column(f"{kind}_{name}_{BARS}", unit, formula, Window(seen, BARS, "SEG"), "SEG",
                         bounds=bounds, tags=frozenset({"may_be_undefined"}), why_tagged=FLAT)  # fmt: skip


def _make_compute(domain: Domain) -> Compute:
    def compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
        series, age = Parabolas(streams, domain), streams.panel.grid.seg_age
        out: dict[str, F8] = {}
        for name in names:
            kind, one, other = parse(name)
            a, b = together(series.part(one, BARS), series.part(other, BARS))
            out[name] = correlation(a, b, age, BARS)
            if kind == "cov":
                spreads = [centre(x, age, BARS, needed(BARS), 1)[2] for x in (a, b)]
                out[name] = out[name] * spreads[0] * spreads[1]
        return out

    return compute


def _terms_reference(windows: F8, parts: Sequence[Part]) -> F8:
    """Terms of windows (count, BARS): nested fits in plain powers, all at once where no level is missing."""
    whole = ~np.isnan(windows).any(axis=1)
    out = np.full((len(windows), len(parts)), np.nan)
    x = (np.arange(BARS, dtype=float) - (BARS - 1)) / BARS
    v = (windows[whole] - windows[whole].mean(axis=1, keepdims=True)).T
    line, curve = (np.linalg.lstsq(np.vander(x, k), v, rcond=None)[0][-1] for k in (2, 3))
    at = {"linear": line, "quadratic": curve - line, "residual": v[-1] - curve}
    out[whole] = np.column_stack([at[part] for part in parts])
    for k in np.flatnonzero(~whole):
        if (~np.isnan(windows[k])).sum() >= needed(BARS):
            out[k] = [terms_reference(windows[k], part) for part in parts]
    return out


def _make_reference(domain: Domain) -> Reference:
    def reference(streams: Streams, column: str, row: int, pair: int) -> float:
        kind, *parts = parse(column)
        first = max(row - 2 * BARS + 2, row - int(streams.panel.grid.seg_age[row]))
        y = streams.stream(domain).close[first : row + 1, pair]
        terms = _terms_reference(np.lib.stride_tricks.sliding_window_view(y, BARS), parts)
        terms = terms[~np.isnan(terms).any(axis=1)]
        return float(np.asarray(np.cov(terms.T))[0, 1] if kind == "cov" else np.asarray(np.corrcoef(terms.T))[0, 1])

    return reference


def _dataset(domain: Domain) -> Dataset:
    return Dataset(
        family="term_covariance",
        domain=domain,
        columns=tuple(_columns(domain)),
        compute=_make_compute(domain),
        reference=_make_reference(domain),
        stage=EXTENSION,
        counted=False,
        summary=f"Covariance and correlation of the parabola's terms over {BARS} bars of the {domain} stream, in the "
        "discrete Legendre basis.",
    )


DATASETS = (_dataset("rate"), _dataset("bqx"))
