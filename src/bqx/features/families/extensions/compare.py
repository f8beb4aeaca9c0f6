"""compare: the rate stream against momentum M of the same minutes; 28 columns.

M is a function of the last 16 prices: that it goes with their change is arithmetic, not information. What is told here
is how close that tie is in a window, and where the two streams' shapes, bands and volatilities part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import EXTENSION, Column, Dataset, Dtype
from bqx.features.families.bollinger import DATASETS as BOLLINGER
from bqx.features.families.extensions.compare_reference import reference
from bqx.features.families.extensions.compare_series import BEFORE, FAR, RANKED, Comparison
from bqx.features.families.extensions.parabolic_series import Shapes
from bqx.features.families.extensions.samples_support import Earlier
from bqx.features.families.momentum import DATASETS as MOMENTUM
from bqx.features.families.regime_vol import DATASETS as REGIME_VOL
from bqx.features.streams import PRICE, WINDOWS, Streams, momentum_support
from bqx.features.support import All, Lag, Policy, Support, Window

F8 = NDArray[np.float64]
Feature = tuple[Column, Callable[[Comparison], F8]]

M = momentum_support(WINDOWS[0])
CHANGE = Lag(PRICE, BEFORE, "SEG")
TIED = All((M, CHANGE))

FREE = (-np.inf, np.inf)
SIGNED, SHARE = (-1.0, 1.0), (0.0, 1.0)
ROUNDING = 1.0 + 1e-9
FLAT = "NULL in a window whose values are all equal (found by counting runs), or that lie on a line within 1e-9"
EQUAL = "both streams say the same"


def _window(of: Support, bars: int) -> Window:
    return Window(of, bars, "SEG")


def _feature(name: str, unit: str, formula: str, support: Support, of: Callable[[Comparison], F8],
             bounds: tuple[float, float] = FREE, zero: str = "", policy: Policy = "SEG", dtype: Dtype = "f4",
             alias: str | None = None, undefined: str = FLAT) -> Feature:  # fmt: skip
    tags = frozenset(tag for tag, why in (("zero_ok", zero), ("may_be_undefined", undefined)) if why)
    why = "; ".join(filter(None, (zero, undefined)))
    return Column(name, unit, formula, support, policy, dtype, bounds, tags, why, alias), of


def _lines() -> Iterator[Feature]:
    most = math.sqrt(30) * ROUNDING
    for head, on, reverse in (("rate_to_bqx", f"M on y(t) - y(t-{BEFORE})", False),
                              ("bqx_to_rate", f"y(t) - y(t-{BEFORE}) on M", True)):  # fmt: skip
        line = partial(Comparison.line, w=30, reverse=reverse)
        yield _feature(f"{head}_beta_30", "–", f"least-squares slope of {on}, 30 bars", _window(TIED, 30),
                       partial(line, part=0))  # fmt: skip
        yield _feature(f"{head}_r2_30", "–", f"R^2 of {on}, 30 bars", _window(TIED, 30), partial(line, part=1), SHARE,
                       alias="compare_dual.rate_to_bqx_r2_30" if reverse else None)  # fmt: skip
        yield _feature(f"{head}_resid_z_30", "–", f"latest residual of {on} / root mean square residual, 30 bars",
                       All((TIED, _window(TIED, 30))), partial(line, part=2), (-most, most))  # fmt: skip
    yield _feature("coupling_15_60", "–", f"R^2 of M on y(t) - y(t-{BEFORE}) over 15 bars - over 60 bars",
                   All((_window(TIED, 15), _window(TIED, 60))), Comparison.coupling, SIGNED)  # fmt: skip
    yield _feature("decoupling_flag", "flag", f"1 if |rate_to_bqx_resid_z_30| > {FAR:g}",
                   All((TIED, _window(TIED, 30))), Comparison.decoupling, SHARE, "0 is a tie that holds",
                   dtype="i2")  # fmt: skip


def _shapes() -> Iterator[Feature]:
    sixty = All((_window(PRICE, 60), _window(M, 60)))
    terms = {"a2": Shapes.a2, "a1": Shapes.a1, "b": Shapes.b, "r2": Shapes.r2}
    for name, of in terms.items():
        seen = All((PRICE, M, sixty)) if name == "b" else sixty
        what = "R^2" if name == "r2" else name
        yield _feature(f"{name}_diff_60", "–", f"{what} of y - of M, normalised parabolas of 60 bars", seen,
                       partial(Comparison.shape, of=of), SIGNED if name == "r2" else FREE)  # fmt: skip
    for w in (20, 60):
        yield _feature(f"var_ratio_{w}", "–", f"ln(sd(M) / sd(dy)), {w} bars", All((_window(M, w), _window(PRICE, w))),
                       partial(Comparison.var_ratio, w=w))  # fmt: skip
    for part, (name, what) in enumerate((("skew", "G1"), ("kurt", "G2"))):
        yield _feature(f"{name}_diff_60", "–", f"{what} of M - {what} of dy, 60 bars", sixty,
                       partial(Comparison.moment, part=part))  # fmt: skip
    for k in (0, 1, 5, 15):
        both = All((Earlier(PRICE, k), M)) if k else All((PRICE, M))
        yield _feature(f"xcorr_lag_{k}", "−1–1", f"correlation of dy(t-{k}) and M(t), 60 bars" if k else
                       "correlation of dy(t) and M(t), 60 bars", _window(both, 60), partial(Comparison.cross, k=k),
                       SIGNED)  # fmt: skip


def _states() -> Iterator[Feature]:
    spreads = tuple(All((_window(x, 30), Window(_window(x, 30), RANKED, "XGAP"))) for x in (M, PRICE))
    yield _feature("vol_diff_30", "–", f"percentile rank of sd(M) among {RANKED} bars - of sd(dy), 30 bars",
                   All(spreads), Comparison.vol_diff, SIGNED, EQUAL, "XGAP", undefined="")  # fmt: skip
    both = {home.name: home.by_name for home in (*MOMENTUM, *BOLLINGER, *REGIME_VOL)}

    def seen(family: str, column: str) -> Support:
        return All(tuple(both[f"{family}_{domain}"][column].support for domain in ("rate", "bqx")))

    yield _feature("accel_diff_30", "–", "mom_acc of M - of y, W = 30", seen("momentum_w30", "mom_acc"),
                   Comparison.acceleration)  # fmt: skip
    bands: tuple[tuple[str, str, str, str, str, Policy], ...] = (
        ("pb", "percent_b", "–", "%B of M - %B of the price, 20 bars", "", "SEG"),
        ("width_ratio", "width", "–", "ln(bb_width_20 of M / of the price)", "", "SEG"),
        ("squeeze", "squeeze", "–", "bb_squeeze_20 of M - of the price", EQUAL, "XGAP"),
        ("breach", "breach", "–", "bb_breach_20 of M - of the price", EQUAL, "SEG"),
        ("slope", "slope", "bps/bar", "bb_slope_20 of M - of the price", "", "SEG"),
    )
    for head, kind, unit, formula, zero, policy in bands:
        ratio = head == "width_ratio"
        bounds = {"squeeze": SIGNED, "breach": (-2.0, 2.0)}.get(kind, FREE)
        yield _feature(f"bb_{head}_20" if ratio else f"bb_{head}_diff_20", unit, formula,
                       seen("bollinger", f"bb_{kind}_20"),
                       Comparison.width_ratio if ratio else partial(Comparison.band, kind=kind), bounds, zero, policy,
                       undefined=FLAT if kind in ("percent_b", "width") else "")  # fmt: skip
    yield _feature("vol_state_mismatch", "flag", "1 if vol_state_60 of dM differs from that of dy",
                   seen("regime_vol", "vol_state_60"), Comparison.mismatch, SHARE, "0 is the same state", "XGAP", "i2",
                   undefined="")  # fmt: skip


FEATURES: tuple[Feature, ...] = (*_lines(), *_shapes(), *_states())
_MADE = {column.name: of for column, of in FEATURES}


def compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
    series = Comparison(streams)
    return {name: _MADE[name](series) for name in names}


DATASET = Dataset(
    family="compare",
    domain="dual",
    columns=tuple(column for column, _ in FEATURES),
    compute=compute,
    reference=reference,
    stage=EXTENSION,
    counted=False,
    summary="Rate against momentum M of the same minutes: how closely they are tied, and where their shapes, bands and "
    "volatilities part.",
)
