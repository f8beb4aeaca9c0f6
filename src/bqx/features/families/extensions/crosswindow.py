"""crosswindow: what short windows say of longer ones in the same stream; 23 columns a domain.

All correlations are of pairs of values of which the later is that of t or earlier. RV_w is the root of the sum of the
last w squared changes; retz, lin_*, quad_curv, resid_end and tr_state are those of returns_std, momentum and
regime_trend.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import EXTENSION, Column, Compute, Dataset, Dtype
from bqx.features.families.extensions.crosswindow_reference import make_reference
from bqx.features.families.extensions.crosswindow_series import (
    EVERY,
    HORIZONS,
    LAGS,
    LINES,
    LONG,
    LONGER,
    SAMPLES,
    CrossWindow,
)
from bqx.features.families.extensions.samples_support import Earlier, Samples
from bqx.features.families.momentum import DATASETS as MOMENTUM
from bqx.features.families.regime_trend import DATASETS as REGIME_TREND
from bqx.features.families.returns import DATASETS as RETURNS
from bqx.features.kernels.mathfun import log_ratio
from bqx.features.streams import PRICE, WINDOWS, Domain, Streams, momentum_support
from bqx.features.support import All, Lag, Policy, Support, Window

F8 = NDArray[np.float64]
Feature = tuple[Column, Callable[[CrossWindow], F8]]

FREE = (-np.inf, np.inf)
SIGNED, SHARE, POSITIVE = (-1.0, 1.0), (0.0, 1.0), (0.0, np.inf)
ROUNDING = 1.0 + 1e-9
FLAT = "NULL in a window whose values are all equal (found by counting runs)"
STOOD = "NULL where the quote stood still: a volatility of 0 has no logarithm"
UNSURE = "NULL where the quote stood still, or the samples determine no fit"


def _feature(name: str, unit: str, formula: str, support: Support, of: Callable[[CrossWindow], F8],
             bounds: tuple[float, float] = FREE, policy: Policy = "SEG", zero: str = "", undefined: str = FLAT,
             source: str = "", dtype: Dtype = "f4") -> Feature:  # fmt: skip
    tags = frozenset(tag for tag, why in (("zero_ok", zero), ("may_be_undefined", undefined)) if why)
    why = "; ".join(filter(None, (zero, undefined)))
    return Column(name, unit, formula, support, policy, dtype, bounds, tags, why, source=source), of


class _Seen:
    """What the parts of a domain see."""

    def __init__(self, domain: Domain) -> None:
        self.level: Support = PRICE if domain == "rate" else momentum_support(WINDOWS[0])
        self.step: Support = PRICE if domain == "rate" else Lag(self.level, 1, "SEG")
        self._others = {home.name: home.by_name for home in (*MOMENTUM, *REGIME_TREND, *RETURNS)}
        self._domain = domain

    def other(self, family: str, column: str) -> Support:
        return self._others[f"{family}_{self._domain}"][column].support

    def lines(self, column: str) -> Support:
        return All(tuple(self.other(f"momentum_w{w}", column) for w in LINES))

    def scores(self) -> Support:
        return All(tuple(self.other("returns_std", f"retz_{h}") for h in HORIZONS))

    def moved(self, w: int) -> Support:
        return Lag(self.level, w, "SEG")

    def root(self, w: int) -> Support:
        return Window(self.step, w, "SEG")


def _later(early: Support, bars: int, late: Support, window: int, policy: Policy) -> Support:
    return Window(All((Earlier(early, bars), late)), window, policy)


def _moves(seen: _Seen) -> Iterator[Feature]:
    for name, short, long in (("persistence_w15_w60", 15, 60), ("transfer_w30_w75", 30, 75)):
        yield _feature(f"momentum_{name}", "−1–1", f"correlation of y(s-{long}) - y(s-{long + short}) and y(s) - "
                       f"y(s-{long}) over {LONG} bars", _later(seen.moved(short), long, seen.moved(long), LONG, "SEG"),
                       partial(CrossWindow.persistence, short=short, long=long), SIGNED)  # fmt: skip
    yield _feature("momentum_acceleration_w45_w90", "sd", f"(y(t) - y(t-45)) / (sd_{LONG}(dy) sqrt(45)) - (y(t) - "
                   f"y(t-90)) / (sd_{LONG}(dy) sqrt(90))", All((seen.moved(45), seen.moved(90),
                   Window(seen.step, LONG, "SEG"))), CrossWindow.acceleration)  # fmt: skip
    five = ", ".join(str(h) for h in HORIZONS)
    yield _feature("momentum_divergence", "sd", f"sample sd of retz over {five} bars", seen.scores(),
                   CrossWindow.divergence, POSITIVE, "XGAP")  # fmt: skip
    yield _feature("momentum_clustering", "0.6–1", f"share of retz over {five} bars with the sign that most have, "
                   "zeros with the majority", seen.scores(), CrossWindow.clustering, (0.6, 1.0), "XGAP")  # fmt: skip


def _volatilities(seen: _Seen) -> Iterator[Feature]:
    short, long = seen.root(15), seen.root(60)
    yield _feature("vol_transmission_short_long", "−1–1", f"correlation of ln RV_15(s-15) and ln RV_60(s) over "
                   f"{LONGER} bars", _later(short, 15, long, LONGER, "XGAP"), CrossWindow.transmission, SIGNED, "XGAP",
                   undefined=STOOD)  # fmt: skip
    triple = All((long, Earlier(short, 60), Earlier(long, 60)))
    yield _feature("vol_spillover", "–", "coefficient of ln RV_15(s-60), least squares of ln RV_60(s) on it and on ln "
                   f"RV_60(s-60), {LONGER} bars", Window(triple, LONGER, "XGAP"), CrossWindow.spillover, policy="XGAP",
                   undefined=STOOD, source="Corsi 2009")  # fmt: skip
    cascade = All((short, long))
    yield _feature("vol_ratio_cascade", "–", "ln(2 RV_15 / RV_60)", cascade, CrossWindow.cascade, undefined=STOOD)
    yield _feature("vol_term_structure_change", "–", "vol_ratio_cascade(t) - vol_ratio_cascade(t-15)",
                   Lag(cascade, 15, "SEG"), CrossWindow.cascade_change, undefined=STOOD)  # fmt: skip


def _fits(seen: _Seen) -> Iterator[Feature]:
    four = ", ".join(str(w) for w in LINES)
    early, late = (seen.other(f"momentum_w{w}", "resid_end") for w in (15, 60))
    yield _feature("r2_stability", "–", f"sample sd of lin_r2 over W = {four}", seen.lines("lin_r2"),
                   CrossWindow.r2_stability, (0.0, math.sqrt(1 / 3) * ROUNDING))  # fmt: skip
    yield _feature("prediction_error_propagation", "−1–1", f"correlation of resid_end(s-15), W = 15, and resid_end(s), "
                   f"W = 60, over {LONG} bars", _later(early, 15, late, LONG, "SEG"),
                   CrossWindow.error_propagation, SIGNED)  # fmt: skip
    yield _feature("curvature_consistency", "0.5–1", f"share of quad_curv over W = {four} with the sign that most "
                   "have, zeros with the majority", seen.lines("quad_curv"), CrossWindow.curvature, (0.5, 1.0),
                   undefined="")  # fmt: skip
    yield _feature("slope_evolution", "–", f"least-squares slope of lin_slope on ln W over W = {four}",
                   seen.lines("lin_slope"), CrossWindow.slope_evolution, undefined="")  # fmt: skip


def _serial(seen: _Seen) -> Iterator[Feature]:
    pairs = All(tuple(Window(Lag(seen.step, k, "SEG"), LONG, "SEG") for k in LAGS))
    memory = f"|autocorrelation of dy at lag k over {LONG} pairs|, k = 1 ... {len(LAGS)}"
    yield _feature("dependency_strength", "0–1", f"largest {memory}", pairs, partial(CrossWindow.dependency, part=0),
                   SHARE)  # fmt: skip
    yield _feature("dependency_lag", "bars", f"k of the largest {memory}", pairs,
                   partial(CrossWindow.dependency, part=1), (1.0, float(len(LAGS))), dtype="i2")  # fmt: skip
    y, x = seen.other("returns_std", "retz_60"), seen.other("returns_std", "retz_15")
    all_five = All((y, *(Earlier(z, k * EVERY) for z in (y, x) for k in (1, 2))))
    yield _feature("granger_w15_w60", "–", f"ln F of two past values of retz_15 added to a constant and two of "
                   f"retz_60, {SAMPLES} samples every {EVERY} bars", Samples(all_five, SAMPLES, EVERY),
                   CrossWindow.granger, policy="XGAP", undefined=UNSURE, source="Granger 1969")  # fmt: skip
    moved = seen.moved(15)
    yield _feature("information_flow", "nat", f"plug-in transfer entropy of the sign of y(s-15) - y(s-30) to that of "
                   f"y(s) - y(s-15), given that one bar before, {LONGER} bars",
                   Window(All((moved, Earlier(moved, 15), Earlier(moved, 1))), LONGER, "XGAP"),
                   CrossWindow.information, (0.0, log_ratio(3.0, 1.0)), "XGAP",
                   "nothing that the past bar does not say", "", "Schreiber 2000")  # fmt: skip
    yield _feature("predictive_power_decay", "/lag", f"least-squares slope of {memory}, on k", pairs, CrossWindow.decay)
    yield _feature("synchrony", "−1–1", f"mean of the correlations of y(s) - y(s-h), h = 15, 30, 60, over {LONG} bars",
                   All(tuple(Window(All((seen.moved(a), seen.moved(b))), LONG, "SEG")
                             for a, b in ((15, 30), (15, 60), (30, 60)))),
                   CrossWindow.synchrony, (-1.0, 1.0))  # fmt: skip


def _states(seen: _Seen) -> Iterator[Feature]:
    four = ", ".join(str(w) for w in LINES)
    state = seen.other("regime_trend", "tr_state_60")
    early, late = seen.other("momentum_w15", "resid_end"), seen.root(60)
    yield _feature("regime_consistency", "0–1", "share of the last 60 bars with tr_state_60 equal to now",
                   All((state, Window(state, 60, "SEG"))), CrossWindow.consistency, SHARE, "XGAP")  # fmt: skip
    yield _feature("window_dominance", "code", f"place of the largest |lin_t| among W = {four}: 0 ... {len(LINES) - 1}",
                   seen.lines("lin_t"), CrossWindow.dominance, (0.0, len(LINES) - 1.0), zero="0 is the shortest window",
                   dtype="i2")  # fmt: skip
    yield _feature("window_weight_w15", "0–1", f"e^|lin_t| of W = 15 / sum of those of W = {four}", seen.lines("lin_t"),
                   CrossWindow.weight, SHARE)  # fmt: skip
    yield _feature("shock_transmission", "−1–1", f"correlation of |resid_end(s-15)|, W = 15, and RV_60(s) over "
                   f"{LONGER} bars", _later(early, 15, late, LONGER, "XGAP"), CrossWindow.shocks, SIGNED,
                   "XGAP")  # fmt: skip


def _features(domain: Domain) -> tuple[Feature, ...]:
    seen = _Seen(domain)
    return (*_moves(seen), *_volatilities(seen), *_fits(seen), *_serial(seen), *_states(seen))


FEATURES: dict[Domain, tuple[Feature, ...]] = {"rate": _features("rate"), "bqx": _features("bqx")}


def _make_compute(domain: Domain) -> Compute:
    made = {column.name: of for column, of in FEATURES[domain]}

    def compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
        series = CrossWindow(streams, domain)
        return {name: made[name](series) for name in names}

    return compute


def _dataset(domain: Domain) -> Dataset:
    return Dataset(
        family="crosswindow",
        domain=domain,
        columns=tuple(column for column, _ in FEATURES[domain]),
        compute=_make_compute(domain),
        reference=make_reference(domain),
        stage=EXTENSION,
        counted=False,
        summary=f"What short windows of the {domain} stream say of longer ones: momentum, volatility, errors, states.",
    )


DATASETS = (_dataset("rate"), _dataset("bqx"))
