"""statistics: the distribution of the last minutes, 56 columns in each domain.

The series x is the one-minute change dy in the rate domain and M in the bqx domain; y is the level of either.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from bqx.features.declare import Column, Dataset
from bqx.features.families.statistics_formulas import AUTOCORR, RATIO, make_compute, make_reference
from bqx.features.streams import PRICE, WINDOWS, Domain, momentum_support
from bqx.features.support import All, Lag, Support, Window, needed

INFINITE = (-np.inf, np.inf)
POSITIVE = (0.0, np.inf)
ZERO_OK, UNDEFINED = frozenset({"zero_ok"}), frozenset({"may_be_undefined"})
STILL = "a quote that stands still, or ends where it began, gives exactly 0"
FLAT = "NULL in a window whose values are all equal (found by counting runs)"
ROUNDING = 1.0 + 1e-9
"""A bound that is reached may be passed by rounding."""

M = momentum_support(WINDOWS[0])
LEVEL: dict[Domain, Support] = {"rate": PRICE, "bqx": M}
STEP: dict[Domain, Support] = {"rate": PRICE, "bqx": Lag(M, 1, "SEG")}


def _inside(of: Support, window: int) -> Window:
    return Window(of, window, "SEG")


def _skew_bounds(w: int) -> tuple[float, float]:
    """One value apart from all others: G1 = sqrt(n)."""
    return -math.sqrt(w) * ROUNDING, math.sqrt(w) * ROUNDING


def _kurt_bounds(w: int) -> tuple[float, float]:
    """Two values, half of the window each, with the fewest values allowed; one value apart: G2 = n."""
    n = needed(w)
    return -2.0 * (n - 1) / (n - 3) * ROUNDING, w * ROUNDING


def _columns(domain: Domain) -> Iterator[Column]:
    level, step = LEVEL[domain], STEP[domain]
    x = step if domain == "rate" else level
    s = "dy" if domain == "rate" else "M"
    for w in (5, 15, 30, 60, 120):
        yield Column(f"mean_{w}min", "bps", f"mean of {s}, {w} bars", _inside(x, w), "SEG", tags=ZERO_OK,
                     why_tagged=STILL, alias_of=f"returns_raw_rate.ret_{w}" if domain == "rate" else None)  # fmt: skip
    for w in (5, 15, 30, 60, 120):
        yield Column(f"std_{w}min", "bps", f"sample sd of {s}, {w} bars", _inside(x, w), "SEG", bounds=POSITIVE,
                     tags=ZERO_OK, why_tagged=STILL)  # fmt: skip
    shapes = (("skew", "adjusted Fisher-Pearson skewness G1", _skew_bounds),
              ("kurt", "excess kurtosis G2", _kurt_bounds))  # fmt: skip
    for name, what, bounds in shapes:
        for w in (15, 30, 60, 120, 240):
            yield Column(f"{name}_{w}min", "–", f"{what} of {s}, {w} bars", _inside(x, w), "SEG", bounds=bounds(w),
                         tags=UNDEFINED, why_tagged=FLAT, source="Joanes & Gill 1998")  # fmt: skip
    for w, percents in ((60, (5, 10, 25, 50, 75, 90, 95)), (240, (5, 50, 95))):
        for q in percents:
            yield Column(f"p{q}_{w}min", "bps", f"{q} % quantile (type 7) of {s}, {w} bars", _inside(x, w), "SEG",
                         tags=ZERO_OK, why_tagged=STILL, source="Hyndman & Fan 1996")  # fmt: skip
    for w in (15, 30, 60):
        yield Column(f"range_{w}min", "bps", f"max h - min l, {w} bars", _inside(level, w), "SEG", bounds=POSITIVE,
                     tags=ZERO_OK, why_tagged=STILL)  # fmt: skip
    for w in (15, 30, 120):
        yield Column(f"iqr_{w}min", "bps", f"q75 - q25 of {s}, {w} bars", _inside(x, w), "SEG", bounds=POSITIVE,
                     tags=ZERO_OK, why_tagged=STILL, source="Hyndman & Fan 1996")  # fmt: skip
    for w in (15, 30, 60):
        yield Column(f"mad_{w}min", "bps", f"1.4826 median abs({s} - median), {w} bars", _inside(x, w), "SEG",
                     bounds=POSITIVE, tags=ZERO_OK, why_tagged=STILL)  # fmt: skip
    for w in (15, 30, 60):
        yield Column(f"snr_{w}min", "–", f"mean / sample sd of {s}, {w} bars", _inside(x, w), "SEG", tags=UNDEFINED,
                     why_tagged=FLAT)  # fmt: skip
    for w in (30, 60, 240):
        yield Column(f"perm_entropy_{w}min", "0–1", f"entropy of {w} ordinal patterns of 3 bars of y / ln 6",
                     _inside(_inside(level, 3), w), "SEG", bounds=(0.0, 1.0), tags=UNDEFINED, why_tagged=FLAT,
                     source="Bandt & Pompe 2002", summary="Equal values count as rising; on real EURUSD 15.6 % of the "
                     "patterns hold a tie.")  # fmt: skip
    for k in (1, 5, 15):
        yield Column(f"autocorr_lag{k}", "−1–1", f"correlation of {s}(t) and {s}(t-{k}) over {AUTOCORR} pairs",
                     _inside(Lag(x, k, "SEG"), AUTOCORR), "SEG", bounds=(-1.0, 1.0), tags=UNDEFINED,
                     why_tagged=FLAT)  # fmt: skip
    for w in (60, 240):
        yield Column(f"jb_stat_{w}min", "–", f"n/6 (S^2 + K^2/4) of {s}, {w} bars", _inside(x, w), "SEG",
                     bounds=POSITIVE, tags=UNDEFINED, why_tagged=FLAT, source="Jarque & Bera 1980")  # fmt: skip
    for w in (15, 90, 180):
        yield Column(f"zscore_{w}min", "sd", f"(y - mean) / sample sd of y, {w} bars", All((level, _inside(level, w))),
                     "SEG", bounds=_skew_bounds(w), tags=UNDEFINED, why_tagged=FLAT)  # fmt: skip
    for q in (2, 5, 15):
        sums = _inside(_inside(step, q), RATIO - q + 1)
        yield Column(f"var_ratio_{q}", "–", f"variance of overlapping {q}-bar sums of dy / ({q} variance of dy), "
                     f"unbiased, {RATIO} bars", All((_inside(step, RATIO), sums)), "SEG", bounds=POSITIVE,
                     tags=UNDEFINED, why_tagged=FLAT, source="Lo & MacKinlay 1988")  # fmt: skip


def _dataset(domain: Domain) -> Dataset:
    return Dataset(
        family="statistics",
        domain=domain,
        columns=tuple(_columns(domain)),
        compute=make_compute(domain),
        reference=make_reference(domain),
        stage="1.6.9a" if domain == "rate" else "1.6.12",
        summary="Moments, quantiles, ordinal patterns and serial dependence of "
        + ("the one-minute changes." if domain == "rate" else "M and its changes."),
        inherited=domain == "rate",
        laggable=True,
    )


DATASETS = (_dataset("rate"), _dataset("bqx"))
