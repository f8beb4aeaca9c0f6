"""momentum: trend, curvature and place of the last W bars, W = 15, 30, 60 and 240; 21 columns a window and domain."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import Column, Compute, Dataset
from bqx.features.families.momentum_reference import make_reference
from bqx.features.families.momentum_series import ATR, FAST, LONG, RANKED, Momentum, policy
from bqx.features.families.technical import ema_support, level_of, wilder_support
from bqx.features.streams import PRICE, Domain, Streams
from bqx.features.support import All, Lag, Policy, Support, Window

F8 = NDArray[np.float64]

WINDOWS = (15, 30, 60, 240)

STILL = "a quote that stands still, or ends where it began, gives exactly 0"
FLAT = "NULL in a window whose values are all equal (found by counting runs) or lie on the curve within 1e-9 bps"
ROUNDING = 1.0 + 1e-9
"""A bound that is reached may be passed by rounding."""

VALUES: dict[str, Callable[[Momentum], F8]] = {
    "mom_acc": Momentum.acceleration,
    "sma_gap": Momentum.sma_gap,
    "ema_gap": Momentum.ema_gap,
    "ema_cross": Momentum.ema_cross,
    "lin_slope": lambda m: m.line(0),
    "lin_r2": lambda m: m.line(1),
    "lin_t": lambda m: m.trend(m.window),
    "quad_curv": lambda m: m.parabola(0),
    "quad_r2_gain": lambda m: m.parabola(1),
    "quad_apex": lambda m: m.parabola(2),
    "resid_end": lambda m: m.parabola(3),
    "efficiency": Momentum.efficiency,
    "sign_balance": lambda m: m.signs(1),
    "streak": lambda m: m.signs(0),
    "runup": Momentum.runup,
    "drawdown": Momentum.drawdown,
    "pos_range": Momentum.place,
    "ac1": Momentum.serial,
    "mom_rank": Momentum.rank,
    "breakout": Momentum.breakout,
    "trend_div": Momentum.divergence,
}


def _window(of: Support, bars: int) -> Window:
    return Window(of, bars, policy(bars))


def _columns(domain: Domain, w: int) -> Iterator[Column]:
    level, long = level_of(domain), LONG * w
    step: Support = PRICE if domain == "rate" else Lag(level, 1, "SEG")
    inside, steps = _window(level, w), _window(step, w)
    both = All((level, inside))
    ema = ema_support(level, w)
    moved = Lag(level, w, "XGAP", gaps=domain == "rate")
    atr = wilder_support(Lag(level, 1, "SEG"), ATR)
    trends = All((inside, _window(level, long)))
    most = math.sqrt(w) * ROUNDING

    def make(
        name: str,
        unit: str,
        formula: str,
        support: Support,
        policy: Policy = "SEG",
        bounds: tuple[float, float] = (-np.inf, np.inf),
        zero: str = "",
        undefined: str = "",
        source: str = "",
    ) -> Column:
        tags = frozenset(t for t, why in (("zero_ok", zero), ("may_be_undefined", undefined)) if why)
        why = "; ".join(filter(None, (zero, undefined)))
        return Column(name, unit, formula, support, policy, bounds=bounds, tags=tags, why_tagged=why, source=source)

    yield make("mom_acc", "–", f"(y(t) - 2 y(t-{w}) + y(t-{2 * w})) / (sd_{long}(dy) sqrt({2 * w}))",
               All((Lag(Lag(level, w, "SEG"), w, "SEG"), _window(step, long))), policy(long), zero=STILL,
               undefined="NULL where all changes are 0")  # fmt: skip
    yield make("sma_gap", "bps", f"y - SMA_{w}(y)", both, zero=STILL)
    yield make("ema_gap", "bps", f"y - EMA_{w}(y)", ema, "XGAP")
    yield make("ema_cross", "bps", f"EMA_{w // FAST}(y) - EMA_{w}(y)", All((ema_support(level, w // FAST), ema)),
               "XGAP", source="Appel 2005")  # fmt: skip
    yield make("lin_slope", "bps/bar", f"least-squares slope of y, {w} bars", inside, zero=STILL)
    yield make("lin_r2", "0–1", f"R^2 of the line, {w} bars", inside, bounds=(0.0, 1.0), undefined=FLAT)
    yield make("lin_t", "–", f"slope / Newey-West standard error (Bartlett), {w} bars", inside, undefined=FLAT,
               source="Newey & West 1987")  # fmt: skip
    yield make("quad_curv", "bps/bar²", f"second derivative of the least-squares parabola, {w} bars", inside,
               zero=STILL)  # fmt: skip
    yield make("quad_r2_gain", "0–1", "R^2 of the parabola - R^2 of the line", inside, bounds=(0.0, 1.0),
               undefined=FLAT)  # fmt: skip
    yield make("quad_apex", "bars", f"bars from t to the parabola's vertex (negative: past), within +-{w}", inside,
               bounds=(-float(w), float(w)), undefined="NULL where |t| of the second-order coefficient is below 1, and "
               "in a window whose values are all equal")  # fmt: skip
    yield make("resid_end", "–", "(y(t) - parabola at t) / root mean square residual", both, bounds=(-most, most),
               undefined=FLAT)  # fmt: skip
    yield make("efficiency", "0–1", f"|sum dy| / sum |dy|, {w} bars", steps, bounds=(0.0, 1.0), zero=STILL,
               undefined="NULL where all changes are 0", source="Kaufman 1995")  # fmt: skip
    yield make("sign_balance", "−1–1", f"mean sign of dy, {w} bars", steps, bounds=(-1.0, 1.0),
               zero="as many rises as falls")  # fmt: skip
    yield make("streak", "−1–1", f"signed length of the longest run of rises or of falls within {w} bars, of equals "
               f"the latest, / {w}", steps, bounds=(-1.0, 1.0), zero="nothing moved")  # fmt: skip
    yield make("runup", "bps", f"c - min_{w} l", both, bounds=(0.0, np.inf), zero="a close at the low")
    yield make("drawdown", "bps", f"c - max_{w} h", both, bounds=(-np.inf, 0.0), zero="a close at the high")
    yield make("pos_range", "0–1", f"(c - min_{w} l) / (max_{w} h - min_{w} l)", both, bounds=(0.0, 1.0),
               zero="a close at the low", undefined="NULL where the window does not move")  # fmt: skip
    yield make("ac1", "−1–1", f"correlation of dy(t) and dy(t-1) over {long} pairs",
               _window(Lag(step, 1, "SEG"), long), policy(long), bounds=(-1.0, 1.0),
               undefined="NULL where all changes are equal (found by counting runs)")  # fmt: skip
    yield make("mom_rank", "0–1", f"percentile rank of y(t) - y(t-{w}) (to 2^-16 bps) among the last {RANKED}",
               All((moved, Window(moved, RANKED, "XGAP"))), "XGAP",
               bounds=(0.5 / RANKED, 1.0 - 0.5 / RANKED))  # fmt: skip
    yield make("breakout", "ATR", f"(c - max_{w} h(t-1)) / atr_{ATR} where above 0, (c - min_{w} l(t-1)) / atr_{ATR} "
               "where below 0, else 0", All((level, Window(level, w, "SEG", before=True), atr)), "XGAP",
               zero="a close within the range before it", undefined="NULL where the ranges have faded below 1e-9 "
               "bps")  # fmt: skip
    yield make("trend_div", "–", f"lin_t over {w} bars - lin_t over {long} bars", trends, policy(long), undefined=FLAT,
               source="Newey & West 1987")  # fmt: skip


def _make_compute(domain: Domain, w: int) -> Compute:
    def compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
        series = Momentum(streams, domain, w)
        return {name: VALUES[name](series) for name in names}

    return compute


def _dataset(domain: Domain, w: int) -> Dataset:
    return Dataset(
        family=f"momentum_w{w}",
        domain=domain,
        columns=tuple(_columns(domain, w)),
        compute=_make_compute(domain, w),
        reference=make_reference(domain, w),
        stage="1.7.1",
        summary=f"Trend, curvature, runs and place of the last {w} bars of the {domain} stream.",
    )


DATASETS = tuple(_dataset(domain, w) for domain in ("rate", "bqx") for w in WINDOWS)
