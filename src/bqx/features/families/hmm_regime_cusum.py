"""CUSUM columns of hmm_regime: lasting shifts of mean, variance and curvature, 12 columns a domain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import FeatureError
from bqx.features.declare import Column
from bqx.features.families.hmm_regime_cusum_reference import cusum_reference
from bqx.features.kernels.before import score_before
from bqx.features.kernels.cusum import cusum, log_square
from bqx.features.kernels.quadratic import parabola
from bqx.features.streams import PRICE, WINDOWS, Domain, Streams, momentum_support
from bqx.features.support import All, Lag, Support, Trajectory, Window, needed

F8 = NDArray[np.float64]

KINDS = ("pos", "neg", "alarm", "age")
SERIES = ("mean", "var", "curv")
BARS = 1440
"""Bars before t whose mean and deviation make z; where ages stop."""
SLACK, LIMIT = 0.5, 5.0
"""k and h of Page (1954): on independent normal z the two sums give an alarm every 465 bars."""
FLOOR_PART = 0.01
"""Part of the variance of a day in the logarithm of a squared change, which may be 0."""
CURVE = 30
NEED, BURN = BARS + 1, 1728
"""Values a trajectory must have taken in, 1.2 times as many open minutes before its segment."""

HOLDS = "NULL, and held, where the 1440 values before are all equal"
SOURCE = "Page 1954"


def step_support(domain: Domain) -> Support:
    """What dy sees."""
    return PRICE if domain == "rate" else Lag(momentum_support(WINDOWS[0]), 1, "SEG")


def scored(of: Support) -> Support:
    """What the score of a value among the BARS before it sees."""
    return All((of, Window(of, BARS, "XGAP", before=True)))


def _series_support(series: str, domain: Domain) -> Support:
    if series == "curv":
        return Window(PRICE if domain == "rate" else momentum_support(WINDOWS[0]), CURVE, "SEG")
    step = step_support(domain)
    return step if series == "mean" else scored(step)


def _column(kind: str, series: str, domain: Domain) -> Column:
    z = scored(_series_support(series, domain))
    seen = All((z, Trajectory(z, need=NEED, burn=BURN, before=False)))
    dy, y = ("dy", "y") if domain == "rate" else ("dM", "M")
    what = {
        "mean": dy,
        "var": f"ln({dy}^2 + {FLOOR_PART} sd_{BARS}({dy})^2), sd before t",
        "curv": f"the second derivative of the parabola through {CURVE} bars of {y}",
    }[series]
    unit, formula, zero = {
        "pos": ("sd", f"S = max(0, S + z - {SLACK})", "the sum is 0 most of the time"),
        "neg": ("sd", f"S = max(0, S - z - {SLACK})", "the sum is 0 most of the time"),
        "alarm": ("code", f"+1, -1 where the rising, falling sum passes {LIMIT:g}, else 0", "no alarm"),
        "age": ("bars", f"values since the last alarm, at most {BARS}", "the bar of an alarm"),
    }[kind]
    formula += f"; z = standard score of {what} among the {BARS} bars before"
    if kind in ("pos", "neg"):
        formula += "; 0 after an alarm"
    bounds = {"alarm": (-1.0, 1.0), "age": (0.0, float(BARS))}.get(kind, (0.0, np.inf))
    return Column(
        f"cusum_{kind}_{series}_{domain}", unit, formula, seen, "XGAP", "f4" if unit == "sd" else "i2", bounds,
        frozenset({"zero_ok", "may_be_undefined"}), f"{zero}; {HOLDS}", source=SOURCE,
    )  # fmt: skip


def columns(domain: Domain) -> list[Column]:
    """The columns of a domain, in the catalogue's order."""
    return [_column(kind, series, domain) for kind in KINDS for series in SERIES]


def parse(column: str) -> tuple[str, str, Domain]:
    """Kind, series and domain of a column name."""
    head, kind, series, domain = (*column.split("_"), "", "", "")[:4]
    if head != "cusum" or kind not in KINDS or series not in SERIES or domain not in ("rate", "bqx"):
        raise FeatureError(f"there is no CUSUM column {column!r}")
    return kind, series, "rate" if domain == "rate" else "bqx"


def _scores(streams: Streams, domain: Domain, wanted: set[str]) -> Iterator[tuple[str, F8]]:
    stream, age = streams.stream(domain), streams.panel.grid.seg_age
    if wanted & {"mean", "var"}:
        z, deviation = score_before(stream.change, age, BARS, needed(BARS))
        if "mean" in wanted:
            yield "mean", z
        if "var" in wanted:
            yield "var", score_before(log_square(stream.change, deviation, FLOOR_PART), age, BARS, needed(BARS))[0]
    if "curv" in wanted:
        curve = parabola(stream.close, age, CURVE, needed(CURVE))[0]
        yield "curv", score_before(curve, age, BARS, needed(BARS))[0]


def compute(streams: Streams, domain: Domain, names: Sequence[str]) -> dict[str, F8]:
    """The named columns of a domain, (n, pairs)."""
    out: dict[str, F8] = {}
    for series, z in _scores(streams, domain, {parse(name)[1] for name in names}):
        found = cusum(z, streams.panel.grid.seg_age, SLACK, LIMIT, BARS, NEED, BURN)
        out |= {f"cusum_{kind}_{series}_{domain}": value for kind, value in zip(KINDS, found, strict=True)}
    return {name: out[name] for name in names}


def reference(streams: Streams, column: str, row: int, pair: int) -> float:
    """One value, the slow way."""
    kind, series, domain = parse(column)
    return cusum_reference(streams, kind, series, domain, row, pair)
