"""realized_volatility_dual: 14 measures of volatility and jumps over 20 to 240 bars, in both domains.

Everything is per square root of a minute, in bps; nothing is annualised. Means and sums over a window with holes are
over its valid terms, rescaled to n = w.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import FeatureError
from bqx.features.declare import Column, Dataset
from bqx.features.families.realized_volatility_reference import reference
from bqx.features.kernels import jump_volatility as jumps
from bqx.features.kernels import range_volatility as ranges
from bqx.features.kernels.spaced import bend, spaced_deviation
from bqx.features.streams import PRICE, WINDOWS, Domain, Streams, momentum_scale, momentum_support
from bqx.features.support import All, Fresh, Lag, Support, Window, needed

F8 = NDArray[np.float64]
Found = dict[str, F8]

DOMAINS: tuple[Domain, ...] = ("rate", "bqx")
LENGTHS = (20, 60, 120, 240)
SAMPLES = 17
"""Values of ln rv_realized, a quarter of a window apart, whose deviation is the volatility of volatility."""

RANGES = {
    "parkinson": ranges.PARKINSON,
    "garman_klass": ranges.GARMAN_KLASS,
    "rogers_satchell": ranges.ROGERS_SATCHELL,
    "yang_zhang": ranges.YANG_ZHANG,
}
JUMPS = {
    "realized": jumps.REALIZED,
    "bipower": jumps.BIPOWER_ROOT,
    "medrv": jumps.MEDIAN_ROOT,
    "quarticity": jumps.QUARTICITY,
    "jump_z": jumps.JUMP_Z,
    "jump_share": jumps.JUMP_SHARE,
    "signed_jump": jumps.SIGNED_JUMP,
    "skew": jumps.SKEW,
}
LATER = ("vol_of_vol", "accel")
"""Measures of the logarithm of the realised variance at several bars."""

METRICS = (*RANGES, *JUMPS, *LATER)
_NAME = re.compile(rf"rv_({'|'.join(METRICS)})_(\d+)_(rate|bqx)")

_SLOPE = WINDOWS[0] / momentum_scale(WINDOWS[0])
ROUNDING = 1.0 + 1e-9
ROOT = "bps/√min"
STILL = "quotes that stand still give exactly 0"
FLAT = "NULL in a window that does not move (rv_realized at most 1e-9 bps)"
ALONE = "NULL in a window where no two adjacent minutes move"
THREE = "NULL in a window where no three adjacent minutes move"
ONCE = "NULL where one of the windows does not move"


def parse(column: str) -> tuple[str, int, Domain]:
    """Metric, window and domain of a column name."""
    found = _NAME.fullmatch(column)
    if found is None:
        raise FeatureError(f"realized_volatility has no column {column!r}")
    return found[1], int(found[2]), "rate" if found[3] == "rate" else "bqx"


def level_of(domain: Domain) -> Support:
    return PRICE if domain == "rate" else momentum_support(WINDOWS[0])


def support_of(metric: str, w: int, domain: Domain) -> Support:
    """What a metric sees.

    x of a bar needs the price of the minute before. All measures of changes emit together: products of two and three
    adjacent changes are those the window has, at least 15 and 12 of 20 when two changes are missing.
    """
    level = level_of(domain)
    if metric in RANGES:
        quoted = All((Fresh(), level))
        bars = Window(quoted, w, "SEG")
        return All((bars, Window(Lag(quoted, 1, "SEG"), w, "SEG"))) if metric == "yang_zhang" else bars
    moves = Window(Lag(level, 1, "SEG"), w, "SEG")
    if metric == "vol_of_vol":
        return All(tuple(Lag(moves, k * w // 4, "SEG") for k in range(SAMPLES)))
    return All((Lag(moves, w // 2, "SEG"), Lag(moves, w, "SEG"))) if metric == "accel" else moves


def jump_z_bounds(w: int) -> tuple[float, float]:
    """Of m changes with k products, BV / RV is at most pi / 2 x m / k, for 2 |x x'| <= x^2 + x'^2; at least 0."""
    holes = w - needed(w)
    scale = math.sqrt(w / jumps.SPREAD) * ROUNDING
    return (1.0 - jumps.BIPOWER * needed(w) / (w - 1 - 2 * holes)) * scale, scale


_PLAIN = {
    "parkinson": ("√(mean (h-l)² / (4 ln 2))", "Parkinson 1980"),
    "garman_klass": ("√max(0, mean(½(h-l)² - (2 ln 2 - 1)(c-o)²))", "Garman & Klass 1980"),
    "rogers_satchell": ("√max(0, mean((h-c)(h-o) + (l-c)(l-o)))", "Rogers & Satchell 1991"),
    "yang_zhang": ("√(V_o + k V_c + (1-k) V_rs), V_o = var(o(t) - c(t-1)), V_c = var(c - o), "
                   "k = 0.34 / (1.34 + (w+1)/(w-1))", "Yang & Zhang 2000"),
    "realized": ("√(RV / w), RV = Σ x²", "Andersen et al. 2003"),
    "bipower": ("√(BV / w), BV = π/2 w/(w-1) Σ |x(i)| |x(i-1)|", "Barndorff-Nielsen & Shephard 2004"),
    "medrv": ("√(MedRV / w), MedRV = π/(6 - 4√3 + π) w/(w-2) Σ med(|x(i-2)|, |x(i-1)|, |x(i)|)²",
              "Andersen, Dobrev & Schaumburg 2012"),
}  # fmt: skip
"""Formula, of x = dy over w bars, and source of the volatilities."""


def _columns() -> Iterator[Column]:
    for metric in METRICS:
        for w in LENGTHS:
            for domain in DOMAINS:
                yield _column(metric, w, domain)


def _column(metric: str, w: int, domain: Domain) -> Column:
    name, seen = f"rv_{metric}_{w}_{domain}", support_of(metric, w, domain)
    space = (-np.inf, np.inf)

    def column(unit: str, formula: str, source: str, bounds: tuple[float, float], tag: str, why: str) -> Column:
        tags = frozenset(tag.split())
        twin, summary = _twin(metric, w, domain)
        return Column(name, unit, formula, seen, "SEG", bounds=bounds, tags=tags, why_tagged=why, source=source,
                      alias_of=twin, summary=summary)  # fmt: skip

    if metric in _PLAIN:
        formula, source = _PLAIN[metric]
        return column(ROOT, f"{formula}; {w} bars", source, (0.0, np.inf), "zero_ok", STILL)
    others = {
        "quarticity": ("ln bps⁴", "ln TQ, TQ = w μ(4/3)⁻³ w/(w-2) Σ |x(i) x(i-1) x(i-2)|^(4/3)",
                       "Barndorff-Nielsen & Shephard 2004", space, "may_be_undefined", THREE),
        "jump_z": ("sd", "((RV-BV)/RV) / √((π²/4 + π - 5)/w max(1, TQ/BV²))", "Huang & Tauchen 2005",
                   jump_z_bounds(w), "may_be_undefined", ALONE),
        "jump_share": ("0–1", "max(0, RV-BV) / RV", "Barndorff-Nielsen & Shephard 2006", (0.0, 1.0),
                       "zero_ok may_be_undefined", f"0 where BV exceeds RV; {FLAT}"),
        "signed_jump": ("−1–1", "(Σ x² 1[x>0] - Σ x² 1[x<0]) / RV", "Patton & Sheppard 2015", (-1.0, 1.0),
                        "may_be_undefined", FLAT),
        "skew": ("–", "√w Σ x³ / (Σ x²)^(3/2)", "Amaya et al. 2015",
                 (-math.sqrt(w) * ROUNDING, math.sqrt(w) * ROUNDING), "may_be_undefined", FLAT),
        "vol_of_vol": ("–", f"sd of ln rv_realized_{w} at lags 0, {w // 4}, ... {4 * w}", "", (0.0, np.inf),
                       "may_be_undefined", ONCE),
        "accel": ("–", f"ln RV(t) - 2 ln RV(t-{w // 2}) + ln RV(t-{w})", "", space, "may_be_undefined", ONCE),
    }  # fmt: skip
    unit, formula, source, bounds, tag, why = others[metric]
    return column(unit, f"{formula}; {w} bars", source, bounds, tag, why)


def _twin(metric: str, w: int, domain: Domain) -> tuple[str | None, str]:
    """What says the same (T10), and why. Within a minute M is a function of the price alone, with slope W / c_W."""
    home = "realized_volatility_dual.rv_"
    if domain == "bqx" and metric in ("parkinson", "garman_klass", "rogers_satchell"):
        return f"{home}{metric}_{w}_rate", f"{_SLOPE:.3f} times the rate domain's, to first order."
    if domain == "rate" and metric == "yang_zhang" and w >= 60:
        why = "Where opens do not jump (simulated market) 0.9999 correlated with Garman-Klass; 0.999 on real EURUSD."
        return f"{home}garman_klass_{w}_rate", why
    return None, ""


def _of_ranges(streams: Streams, domain: Domain, wanted: Mapping[int, Sequence[str]]) -> Found:
    chosen = {w: [m for m in RANGES if m in metrics] for w, metrics in wanted.items()}
    if not any(chosen.values()):
        return {}
    stream, panel = streams.stream(domain), streams.panel
    bars = (stream.open, stream.high, stream.low, stream.close)
    terms = ranges.range_terms(bars, panel.fill_run, panel.grid.seg_age)
    out: Found = {}
    for w, metrics in chosen.items():
        places = frozenset(RANGES[m] for m in metrics)
        found = ranges.range_measures(terms, panel.grid.seg_age, w, needed(w), places)
        out |= {f"rv_{m}_{w}_{domain}": found[RANGES[m]] for m in metrics}
    return out


def _of_changes(streams: Streams, domain: Domain, wanted: Mapping[int, Sequence[str]]) -> Found:
    if not any(m not in RANGES for metrics in wanted.values() for m in metrics):
        return {}
    stream, age = streams.stream(domain), streams.panel.grid.seg_age
    terms = jumps.jump_terms(stream.change, stream.close, age)
    out: Found = {}
    for w, metrics in wanted.items():
        places = {JUMPS[m] for m in metrics if m in JUMPS}
        places |= {jumps.LOG} if any(m in metrics for m in LATER) else set()
        found = jumps.jump_measures(terms, age, w, needed(w), frozenset(places))
        out |= {f"rv_{m}_{w}_{domain}": found[JUMPS[m]] for m in metrics if m in JUMPS}
        if "vol_of_vol" in metrics:
            # half the logarithm of the variance is that of its root
            out[f"rv_vol_of_vol_{w}_{domain}"] = spaced_deviation(found[jumps.LOG], age, w // 4, SAMPLES, 0.5)
        if "accel" in metrics:
            out[f"rv_accel_{w}_{domain}"] = bend(found[jumps.LOG], age, w // 2)
    return out


def compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
    """Only the domains, windows and measures asked for."""
    found: Found = {}
    asked = [parse(name) for name in names]
    for domain in DOMAINS:
        wanted = {w: [m for m, v, d in asked if (v, d) == (w, domain)] for w in LENGTHS}
        wanted = {w: metrics for w, metrics in wanted.items() if metrics}
        found |= _of_ranges(streams, domain, wanted) | _of_changes(streams, domain, wanted)
    return {name: found[name] for name in names}


DATASET = Dataset(
    family="realized_volatility",
    domain="dual",
    columns=tuple(_columns()),
    compute=compute,
    reference=reference,
    stage="1.6.19",
    summary="Range and realised volatility, jumps, and how volatility itself moves; of M-bars the same formulas are "
    "analogues, for M is a functional of a moving window and not a price.",
)
