"""parabolic: least-squares parabolas of six windows against each other; 20 columns a domain.

a1 and a2 are the first- and second-order terms of the parabola now, b the distance from the window's mean, each over
the sample deviation of the window's levels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import EXTENSION, Column, Compute, Dataset, Dtype
from bqx.features.families.extensions.parabolic_reference import make_reference
from bqx.features.families.extensions.parabolic_series import BARS, LAG, LONG, Shapes
from bqx.features.streams import PRICE, WINDOWS, Domain, Streams, momentum_support
from bqx.features.support import All, Lag, Support, Window

F8 = NDArray[np.float64]
Feature = tuple[Column, Callable[[Shapes], F8]]

SIGNED, SHARE, FLAG = (-1.0, 1.0), (0.0, 1.0), (0.0, 1.0)
FLAT = "NULL in a window whose values are all equal (found by counting)"
ROUNDING = 1.0 + 1e-9
PAIRED = ((15, 60), (30, 75), (45, 90))


def _make(name: str, unit: str, formula: str, support: Support, of: Callable[[Shapes], F8],
          bounds: tuple[float, float] = (-np.inf, np.inf), zero: str = "", dtype: Dtype = "f4",
          source: str = "") -> Feature:  # fmt: skip
    tags = frozenset({"may_be_undefined", *(["zero_ok"] if zero else [])})
    why = "; ".join(filter(None, (zero, FLAT)))
    return Column(name, unit, formula, support, "SEG", dtype, bounds, tags, why, source=source), of


def _features(domain: Domain) -> Iterator[Feature]:
    level: Support = PRICE if domain == "rate" else momentum_support(WINDOWS[0])

    def window(w: int) -> Support:
        return Window(level, w, "SEG")

    def b(w: int) -> Support:
        return All((level, window(w)))

    every = All(tuple(window(w) for w in BARS))
    for head in ("a2", "a1"):
        of = {"a2": Shapes.a2_contrast, "a1": Shapes.a1_contrast}[head]
        for short, long in PAIRED:
            formula = f"(x - z) / (|x| + |z|), x = {head} of {short} bars, z of {long}"
            yield _make(f"{head}_contrast_w{short}_w{long}", "−1–1", formula, All((window(short), window(long))),
                        partial(of, short=short, long=long), SIGNED)  # fmt: skip
    yield _make("a2_consistency", "–", "sample sd of a2 over the six windows", every, Shapes.a2_consistency,
                (0.0, np.inf))  # fmt: skip
    yield _make("a1_consistency", "–", "sample sd of a1 over the six windows", every, Shapes.a1_consistency,
                (0.0, np.inf))  # fmt: skip
    yield _make("r2_consistency", "–", "sample sd of R^2 over the six windows", every, Shapes.r2_consistency,
                (0.0, math.sqrt(0.3) * ROUNDING))  # fmt: skip
    yield _make("a2_trend_slope", "–", "least-squares slope of a2 on ln W over the six windows", every,
                Shapes.a2_trend_slope)  # fmt: skip
    yield _make("a2_regime_shift", "flag", "1 if a2 of 15 and of 60 bars differ in sign and both have |t| > 1, t by "
                "Newey and West", All((window(15), window(60))), Shapes.a2_regime_shift, FLAG, "0 is no shift", "i2",
                "Newey & West 1987")  # fmt: skip
    yield _make("a1_acceleration", "–", f"a1_15(t) - a1_15(t-{LAG})", Lag(window(15), LAG, "SEG"),
                Shapes.a1_acceleration)  # fmt: skip
    yield _make("a1_momentum", "–", "sum of R^2 a1 / sum of R^2 over the six windows", every, Shapes.a1_momentum)
    for short, long in ((15, 45), (30, 60)):
        yield _make(f"b_gap_w{short}_w{long}", "–", f"b_{short} - b_{long}", All((b(short), window(long))),
                    partial(Shapes.b_gap, short=short, long=long))  # fmt: skip
    yield _make("b_drift_rate", "/bar", f"(b_60(t) - b_60(t-{LAG})) / {LAG}", Lag(b(60), LAG, "SEG"),
                Shapes.b_drift_rate)  # fmt: skip
    neighbours = Lag(Lag(b(60), 1, "SEG"), 1, "SEG")
    yield _make("b_reversion_tendency", "−1–1", f"-correlation of db(t) and db(t-1), b of 60 bars, over {LONG} pairs",
                Window(neighbours, LONG, "SEG"), Shapes.b_reversion_tendency, SIGNED)  # fmt: skip
    yield _make("r2_spread_w30_w90", "–", "R^2_30 - R^2_90", All((window(30), window(90))),
                partial(Shapes.r2_spread, short=30, long=90), SIGNED)  # fmt: skip
    yield _make("rmse_ratio_w15_w60", "–", "ln(rmse_15 / rmse_60)", All((window(15), window(60))),
                partial(Shapes.rmse_ratio, short=15, long=60))  # fmt: skip
    yield _make("quality_degradation_flag", "flag", "1 if the least-squares slope of R^2_60 over 60 bars has t < -2, t "
                "by Newey and West", Window(window(60), 60, "SEG"), Shapes.quality_degradation_flag, FLAG,
                "0 is a fit that does not get worse", "i2", "Newey & West 1987")  # fmt: skip


FEATURES: dict[Domain, tuple[Feature, ...]] = {"rate": tuple(_features("rate")), "bqx": tuple(_features("bqx"))}


def _make_compute(domain: Domain) -> Compute:
    made = {column.name: of for column, of in FEATURES[domain]}

    def compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
        shapes = Shapes(streams, domain)
        return {name: made[name](shapes) for name in names}

    return compute


def _dataset(domain: Domain) -> Dataset:
    return Dataset(
        family="parabolic",
        domain=domain,
        columns=tuple(column for column, _ in FEATURES[domain]),
        compute=_make_compute(domain),
        reference=make_reference(domain),
        stage=EXTENSION,
        counted=False,
        summary=f"Slope and bend of the {domain} stream over six windows: how they agree, shift and fade.",
    )


DATASETS = (_dataset("rate"), _dataset("bqx"))
