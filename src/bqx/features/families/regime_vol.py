"""regime_vol: how volatile the last minutes were among the last week's, and how that changes; 28 columns a domain."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import FeatureError
from bqx.features.declare import Column, Compute, Dataset
from bqx.features.families.regime_vol_reference import make_reference
from bqx.features.kernels.autocorr import autocorrelation
from bqx.features.kernels.hysteresis import TERCILES, hysteresis
from bqx.features.kernels.lines import slope
from bqx.features.kernels.logs import logarithm
from bqx.features.kernels.memory import autocorrelation_across
from bqx.features.kernels.oscillators import ratio
from bqx.features.kernels.ranks import percentile_rank
from bqx.features.kernels.squares import root_sum_of_squares
from bqx.features.states import CHANGES_BOUNDS, DURATION_BOUNDS, changes_support, duration_support, state_support
from bqx.features.streams import PRICE, WINDOWS, Domain, Streams, momentum_support
from bqx.features.support import All, Lag, Policy, Support, Window, needed

F8 = NDArray[np.float64]

BARS = (60, 120, 240, 1440)
RANKED = 7200
"""Bars among which a volatility is ranked: a trading week."""
LONGEST_SEG = 240

ZERO_OK, UNDEFINED = frozenset({"zero_ok"}), frozenset({"may_be_undefined"})

M = momentum_support(WINDOWS[0])
STEP: dict[Domain, Support] = {"rate": PRICE, "bqx": Lag(M, 1, "SEG")}


def policy(bars: int) -> Policy:
    return "SEG" if bars <= LONGEST_SEG else "XGAP"


def window(of: Support, bars: int) -> Window:
    return Window(of, bars, policy(bars))


def memory_bars(w: int) -> int:
    """Pairs of an autocorrelation: four windows, at most a day. max(w, 240) would give the same column three times."""
    return min(4 * w, BARS[-1])


def parse(column: str) -> tuple[str, int]:
    """Quantity and window of a column name."""
    found = re.fullmatch(r"vol_(pct|state|dur|switch|ratio|slope|memory)_(\d+)", column)
    if found is None or int(found[2]) not in BARS:
        raise FeatureError(f"regime_vol has no column {column!r}")
    return found[1], int(found[2])


def _columns(domain: Domain) -> Iterator[Column]:
    step = STEP[domain]
    dy = "dy" if domain == "rate" else "dM"
    for w in BARS:
        rank = _rank(step, w)
        yield Column(f"vol_pct_{w}", "0–1", f"percentile rank of RV_{w} = sqrt(sum {dy}^2) in {RANKED} bars", rank,
                     "XGAP", bounds=(0.5 / RANKED, 1.0 - 0.5 / RANKED))  # fmt: skip
    for w in BARS:
        yield Column(f"vol_state_{w}", "code", f"0 low, 1 middle, 2 high: low from vol_pct_{w} < 0.33 until > 0.40, "
                     "high from > 0.67 until < 0.60", state_support(_rank(step, w)), "XGAP", "i2", (0.0, 2.0), ZERO_OK,
                     "0 is the low state")  # fmt: skip
    for w in BARS:
        yield Column(f"vol_dur_{w}", "–", f"ln(1 + values of vol_state_{w} since it changed, at most 7200)",
                     duration_support(_rank(step, w)), "XGAP", bounds=DURATION_BOUNDS)  # fmt: skip
    for w in BARS:
        yield Column(f"vol_switch_{w}", "count", f"changes of vol_state_{w} in the last 1440 bars",
                     changes_support(_rank(step, w)), "XGAP", "i2", CHANGES_BOUNDS, ZERO_OK,
                     "a day in one state")  # fmt: skip
    for w in BARS:
        most = math.sqrt(w / needed(w // 4)) * (1.0 + 1e-9)
        yield Column(f"vol_ratio_{w}", "–", f"2 RV_{w // 4} / RV_{w}", All((window(step, w // 4), window(step, w))),
                     policy(w), bounds=(0.0, most), tags=ZERO_OK | UNDEFINED,
                     why_tagged=f"0 where the quote stood still for {w // 4} bars, NULL where for {w}")  # fmt: skip
    for w in BARS:
        yield Column(f"vol_slope_{w}", "/bar", f"least-squares slope of ln RV_{w} over {w} bars",
                     window(window(step, w), w), policy(w), tags=UNDEFINED,
                     why_tagged=f"NULL where the quote stood still for {w} bars too often: RV_{w} = 0 has no "
                     "logarithm")  # fmt: skip
    for w in BARS:
        m = memory_bars(w)
        yield Column(f"vol_memory_{w}", "−1–1", f"correlation of |{dy}(t)| and |{dy}(t-1)| over {m} pairs",
                     window(Lag(step, 1, "SEG"), m), policy(m), bounds=(-1.0, 1.0), tags=UNDEFINED,
                     why_tagged="NULL where all changes are of one size (found by counting runs)")  # fmt: skip


def _rank(step: Support, w: int) -> Support:
    volatility = window(step, w)
    return All((volatility, Window(volatility, RANKED, "XGAP")))


def _make_compute(domain: Domain) -> Compute:
    def compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
        change, age = streams.stream(domain).change, streams.panel.grid.seg_age
        found: dict[str, F8] = {}
        for w in BARS:
            kinds = {kind for kind, v in map(parse, names) if v == w}
            for kind, value in _of_window(change, age, w, kinds).items():
                found[f"vol_{kind}_{w}"] = value
        return {name: found[name] for name in names}

    return compute


def _volatility(change: F8, age: NDArray[np.int32], w: int) -> F8:
    return root_sum_of_squares(change, age, w, needed(w), policy(w) == "XGAP")


def _of_window(change: F8, age: NDArray[np.int32], w: int, kinds: set[str]) -> dict[str, F8]:
    """The wanted quantities of one window."""
    out: dict[str, F8] = {}
    across = policy(w) == "XGAP"
    if kinds - {"memory"}:
        volatility = _volatility(change, age, w)
    if kinds & {"pct", "state", "dur", "switch"}:
        # as float32, so that windows of the same changes in another order of additions are equal
        out["pct"] = percentile_rank(volatility.astype(np.float32), RANKED, needed(RANKED))
    if kinds & {"state", "dur", "switch"}:
        out["state"], out["dur"], out["switch"] = hysteresis(out["pct"], age, TERCILES, 1)
    if "ratio" in kinds:
        out["ratio"] = ratio(2.0 * _volatility(change, age, w // 4), volatility)
    if "slope" in kinds:
        out["slope"] = slope(logarithm(volatility), age, w, needed(w), across)
    if "memory" in kinds:
        m = memory_bars(w)
        serial = autocorrelation if policy(m) == "SEG" else autocorrelation_across
        out["memory"] = serial(np.abs(change), age, 1, m, needed(m))
    return out


def _dataset(domain: Domain) -> Dataset:
    return Dataset(
        family="regime_vol",
        domain=domain,
        columns=tuple(_columns(domain)),
        compute=_make_compute(domain),
        reference=make_reference(domain, parse, memory_bars),
        stage="1.7.2",
        summary=f"Volatility of the {domain} stream over four windows: rank, state, its age, trend and persistence.",
    )


DATASETS = (_dataset("rate"), _dataset("bqx"))
