"""regime_trend: whether the last minutes trend, persist or revert; 28 columns a domain."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import FeatureError
from bqx.features.declare import Column, Compute, Dataset
from bqx.features.families.regime_trend_reference import make_reference
from bqx.features.kernels.fluctuation import fluctuation_exponents
from bqx.features.kernels.hysteresis import TAU, hysteresis
from bqx.features.kernels.kendall import kendall_taus
from bqx.features.kernels.reversion import half_life
from bqx.features.kernels.robust_ratio import robust_ratio
from bqx.features.states import CHANGES_BOUNDS, DURATION_BOUNDS, changes_support, duration_support, state_support
from bqx.features.streams import PRICE, WINDOWS, Domain, Stream, Streams, momentum_support
from bqx.features.support import All, Lag, Policy, Support, Window, needed

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]

BARS = (60, 120, 240, 1440)
LONGEST_SEG = 240
KINDS = ("tau", "state", "dur", "switch", "vrz", "dfa", "halflife")

ZERO_OK, UNDEFINED = frozenset({"zero_ok"}), frozenset({"may_be_undefined"})
FLAT = "NULL in a window whose values are all equal"

M = momentum_support(WINDOWS[0])
LEVEL: dict[Domain, Support] = {"rate": PRICE, "bqx": M}
STEP: dict[Domain, Support] = {"rate": PRICE, "bqx": Lag(M, 1, "SEG")}


def policy(bars: int) -> Policy:
    return "SEG" if bars <= LONGEST_SEG else "XGAP"


def window(of: Support, bars: int) -> Window:
    return Window(of, bars, policy(bars))


def horizon(w: int) -> int:
    """q of the variance ratio of w changes."""
    return max(2, w // 10)


def parse(column: str) -> tuple[str, int]:
    """Quantity and window of a column name."""
    found = re.fullmatch(rf"tr_({'|'.join(KINDS)})_(\d+)", column)
    if found is None or int(found[2]) not in BARS:
        raise FeatureError(f"regime_trend has no column {column!r}")
    return found[1], int(found[2])


def _columns(domain: Domain) -> Iterator[Column]:
    level, step = LEVEL[domain], STEP[domain]
    y, dy = ("y", "dy") if domain == "rate" else ("M", "dM")
    for w in BARS:
        yield Column(f"tr_tau_{w}", "−1–1", f"Kendall tau-b of {y} and time, {w} bars", window(level, w), policy(w),
                     bounds=(-1.0, 1.0), tags=UNDEFINED, why_tagged=FLAT, source="Kendall 1938")  # fmt: skip
    for w in BARS:
        yield Column(f"tr_state_{w}", "code", f"-1 down, 0 none, 1 up: up from tr_tau_{w} > 0.40 until < 0.25, down "
                     "likewise", state_support(window(level, w)), "XGAP", "i2", (-1.0, 1.0), ZERO_OK | UNDEFINED,
                     f"0 is no trend; {FLAT}")  # fmt: skip
    for w in BARS:
        yield Column(f"tr_dur_{w}", "–", f"ln(1 + values of tr_state_{w} since it changed, at most 7200)",
                     duration_support(window(level, w)), "XGAP", bounds=DURATION_BOUNDS, tags=UNDEFINED,
                     why_tagged=FLAT)  # fmt: skip
    for w in BARS:
        yield Column(f"tr_switch_{w}", "count", f"changes of tr_state_{w} in the last 1440 bars",
                     changes_support(window(level, w)), "XGAP", "i2", CHANGES_BOUNDS, ZERO_OK | UNDEFINED,
                     f"a day in one state; {FLAT}")  # fmt: skip
    for w in BARS:
        q = horizon(w)
        yield Column(f"tr_vrz_{w}", "–", f"heteroskedasticity-robust z of the variance ratio of {q}-bar sums of {dy}, "
                     f"{w} bars", window(step, w), policy(w), tags=UNDEFINED, why_tagged=FLAT,
                     source="Lo & MacKinlay 1988")  # fmt: skip
    for w in BARS:
        yield Column(f"tr_dfa_{w}", "–", f"slope of ln F(n) on ln n, F(n)^2 the mean squared error of lines through "
                     f"boxes of n = 4 ... {w // 4} values of {y}, {w} bars", window(level, w), policy(w),
                     tags=UNDEFINED, why_tagged=f"{FLAT}, or F(n) is 0", source="Peng et al. 1994",
                     summary="0.5 for a random walk, more where moves persist, less where they revert.")  # fmt: skip
    for w in BARS:
        pairs = window(Lag(level, 1, policy(w)), w)
        yield Column(f"tr_halflife_{w}", "0–1", f"min(-ln 2 / ln(1 + phi), {w}) / {w} where -1 < phi < 0, else 1; phi: "
                     f"{dy} on {y} - mean, one bar before, {w} bars", All((window(level, w), pairs)), policy(w),
                     bounds=(0.0, 1.0), tags=UNDEFINED, why_tagged=FLAT)  # fmt: skip


def _windows(names: Sequence[str], *kinds: str) -> list[int]:
    return [w for w in BARS if any(f"tr_{kind}_{w}" in names for kind in kinds)]


def _levels(stream: Stream, streams: Streams, names: Sequence[str]) -> dict[str, F8]:
    """tau and DFA, whose windows are computed together."""
    out: dict[str, F8] = {}
    kernels = ((kendall_taus, "tau", ("tau", "state", "dur", "switch")), (fluctuation_exponents, "dfa", ("dfa",)))
    for make, kind, kinds in kernels:
        bars = _windows(names, *kinds)
        if bars:
            rules = ([needed(w) for w in bars], [policy(w) == "SEG" for w in bars])
            found = make(stream.close, streams.panel.grid.seg_age, streams.segment, stream.ends, bars, *rules)
            out |= {f"tr_{kind}_{w}": found[k] for k, w in enumerate(bars)}
    return out


def _states(age: I4, names: Sequence[str], found: Mapping[str, F8]) -> dict[str, F8]:
    out: dict[str, F8] = {}
    for w in _windows(names, "state", "dur", "switch"):
        state, duration, changes = hysteresis(found[f"tr_tau_{w}"], age, TAU, 0)
        out |= {f"tr_state_{w}": state, f"tr_dur_{w}": duration, f"tr_switch_{w}": changes}
    return out


def _make_compute(domain: Domain) -> Compute:
    def compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
        for name in names:
            parse(name)
        stream, age = streams.stream(domain), streams.panel.grid.seg_age
        found = _levels(stream, streams, names)
        found |= _states(age, names, found)
        for w in _windows(names, "vrz"):
            q, inside = horizon(w), policy(w) == "SEG"
            found[f"tr_vrz_{w}"] = robust_ratio(stream.change, age, w, q, float(needed(w)), inside)
        for w in _windows(names, "halflife"):
            both, inside = (float(needed(w)), float(needed(w))), policy(w) == "SEG"
            found[f"tr_halflife_{w}"] = half_life(stream.close, age, streams.segment, stream.ends, w, both, inside)
        return {name: found[name] for name in names}

    return compute


def _dataset(domain: Domain) -> Dataset:
    compute = _make_compute(domain)
    return Dataset(
        family="regime_trend",
        domain=domain,
        columns=tuple(_columns(domain)),
        compute=compute,
        reference=make_reference(domain, parse, horizon, lambda s, w: compute(s, [f"tr_tau_{w}"])[f"tr_tau_{w}"]),
        stage="1.7.2",
        summary=f"Trend of the {domain} stream over four windows: rank correlation with time, its state and age, "
        "variance ratio, fluctuation exponent and half-life.",
    )


DATASETS = (_dataset("rate"), _dataset("bqx"))
