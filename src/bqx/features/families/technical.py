"""technical: the indicators people know, 56 columns, on the additive bars of a domain."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import Column, Compute, Dataset, Dtype
from bqx.features.families.technical_reference import make_reference
from bqx.features.families.technical_series import (
    AGE_BURN,
    CROSS_CAP,
    EXTREME,
    EXTREME_CAP,
    WILLIAMS,
    Series,
    ema_burn,
    ema_need,
    wilder_burn,
    wilder_need,
)
from bqx.features.streams import PRICE, WINDOWS, Domain, Streams, momentum_support
from bqx.features.support import All, Lag, Policy, Support, Trajectory, Window

F8 = NDArray[np.float64]
Value = Callable[[Series], F8]

RSI, CCI = (7, 9, 14, 21, 28), (14, 20, 50, 100)
ROC, ATR, DI = (6, 12, 20, 25, 50, 100), (7, 14, 28, 60, 120), (14, 28)
FLAT = "NULL where the window does not move"
EDGE = "a close at the low or the high of its window"
SPACE = (-np.inf, np.inf)
PERCENT, POSITIVE = (0.0, 100.0), (0.0, np.inf)


def _of(method: Callable[..., F8], *args: int) -> Value:
    return lambda series: method(series, *args)


class _List:
    """Columns of a domain with their formulas, in the order of the catalogue."""

    def __init__(self) -> None:
        self.columns: list[Column] = []
        self.values: dict[str, Value] = {}

    def add(
        self,
        name: str,
        unit: str,
        formula: str,
        support: Support,
        policy: Policy,
        value: Value,
        source: str = "",
        bounds: tuple[float, float] = SPACE,
        zero: str = "",
        undefined: str = "",
        dtype: Dtype = "f4",
    ) -> None:
        tags = {"zero_ok"} if zero else set()
        tags |= {"may_be_undefined"} if undefined else set()
        why = "; ".join(filter(None, (zero, undefined)))
        item = Column(name, unit, formula, support, policy, dtype, bounds, frozenset(tags), why, source=source)
        self.columns.append(item)
        self.values[name] = value


def level_of(domain: Domain) -> Support:
    """What y of the stream sees."""
    return PRICE if domain == "rate" else momentum_support(WINDOWS[0])


def ema_support(of: Support, n: int) -> Support:
    return All((of, Trajectory(of, ema_need(n), ema_burn(n), before=False)))


def wilder_support(of: Support, n: int) -> Support:
    return All((of, Trajectory(of, wilder_need(n), wilder_burn(n), before=False)))


def age_support(of: Support, cap: int) -> Support:
    return All((of, Trajectory(of, cap + 1, AGE_BURN, before=False)))


def window_support(of: Support, n: int) -> Support:
    return All((of, Window(of, n, "SEG")))


def z_bound(n: int) -> tuple[float, float]:
    """(n - 1) / sqrt(n): largest distance of one of n values from their mean in sample deviations."""
    most = (n - 1) / math.sqrt(n) * (1 + 1e-9)
    return (-most, most)


def cci_bound(n: int) -> float:
    """n / 0.03: deviations sum to 0, so their mean size is at least 2 / n of the largest."""
    return n / 0.03 * (1 + 1e-9)


@lru_cache(maxsize=2)
def _listed(domain: Domain) -> _List:
    out = _List()
    level = level_of(domain)
    step: Support = PRICE if domain == "rate" else Lag(level, 1, "SEG")
    _strength(out, step)
    _convergence(out, level)
    _stochastic(out, level, step)
    _channel(out, level)
    _williams(out, level)
    _change(out, level)
    _ranges(out, Lag(level, 1, "SEG"))
    return out


def _strength(out: _List, step: Support) -> None:
    still = "50 where nothing moved, NULL where what moved has faded below 1e-9 bps"
    for n in RSI:
        out.add(f"rsi_{n}", "0–100", f"100 WIL_{n}(max(dy,0)) / (WIL_{n}(max(dy,0)) + WIL_{n}(max(-dy,0)))",
                wilder_support(step, n), "XGAP", _of(Series.rsi, n), "Wilder 1978", PERCENT,
                undefined=still)  # fmt: skip
    rsi = wilder_support(step, 14)
    out.add("rsi_14_slope_5", "pts/bar", "(rsi_14(t) - rsi_14(t-5)) / 5", Lag(rsi, 5, "SEG"), "SEG",
            lambda s: s.slope(s.rsi(14), 5), bounds=(-20.0, 20.0), undefined=still)  # fmt: skip
    out.add("rsi_14_z_120", "sd", "z_120(rsi_14)", window_support(rsi, 120), "SEG",
            lambda s: s.z(s.rsi(14), 120), bounds=z_bound(120), undefined=FLAT)  # fmt: skip


def _convergence(out: _List, level: Support) -> None:
    source = "Appel 2005"
    for prefix, fast, slow, smooth in (("macd", 12, 26, 9), ("macd_5_35", 5, 35, 5)):
        line = All((ema_support(level, fast), ema_support(level, slow)))
        signal = ema_support(line, smooth)
        out.add(f"{prefix}_line", "bps", f"EMA_{fast}(y) - EMA_{slow}(y)", line, "XGAP",
                _of(Series.macd_line, fast, slow), source)  # fmt: skip
        out.add(f"{prefix}_signal", "bps", f"EMA_{smooth}({prefix}_line)", signal, "XGAP",
                _of(Series.macd_signal, fast, slow, smooth), source)  # fmt: skip
        out.add(f"{prefix}_histogram", "bps", f"{prefix}_line - {prefix}_signal", signal, "XGAP",
                _of(Series.macd_histogram, fast, slow, smooth), source)  # fmt: skip
        if prefix == "macd":
            out.add("macd_histogram_slope_3", "bps/bar", "(macd_histogram(t) - macd_histogram(t-3)) / 3",
                    Lag(signal, 3, "SEG"), "SEG", lambda s: s.slope(s.macd_histogram(12, 26, 9), 3))  # fmt: skip


def _stochastic(out: _List, level: Support, step: Support) -> None:
    source, whole = "Lane 1984", "100 (c - min_{0} l) / (max_{0} h - min_{0} l)"
    k = Window(window_support(level, 14), 3, "SEG")
    d = Window(k, 3, "SEG")
    rsi = wilder_support(step, 14)
    out.add("stoch_k", "0–100", "SMA_3 of " + whole.format(14), k, "SEG", lambda s: s.stochastic(1), source, PERCENT,
            EDGE, FLAT)  # fmt: skip
    out.add("stoch_d", "0–100", "SMA_3(stoch_k)", d, "SEG", lambda s: s.stochastic(2), source, PERCENT, EDGE, FLAT)
    out.add("stoch_slow_d", "0–100", "SMA_3(stoch_d)", Window(d, 3, "SEG"), "SEG", lambda s: s.stochastic(3), "",
            PERCENT, EDGE, FLAT)  # fmt: skip
    for n in (5, 90):
        out.add(f"stoch_k_{n}", "0–100", whole.format(n), window_support(level, n), "SEG",
                _of(Series.position, n), source, PERCENT, EDGE, FLAT)  # fmt: skip
    out.add("stoch_cross_age", "bars", f"bars since sign(stoch_k - stoch_d) last changed, at most {CROSS_CAP}",
            age_support(d, CROSS_CAP), "XGAP", lambda s: s.cross_age(), bounds=(0.0, CROSS_CAP),
            zero="it changed at this bar", undefined=FLAT, dtype="i2")  # fmt: skip
    out.add("stoch_rsi_14", "0–100", "100 (rsi_14 - min_14) / (max_14 - min_14) of rsi_14", window_support(rsi, 14),
            "SEG", lambda s: s.stochastic_rsi(14), "Chande & Kroll 1994", PERCENT, "rsi_14 at its lowest",
            FLAT)  # fmt: skip


def _channel(out: _List, level: Support) -> None:
    for n in CCI:
        most = cci_bound(n)
        out.add(f"cci_{n}", "index", f"(TP - SMA_{n}(TP)) / (0.015 mean |TP - SMA_{n}|), TP = (h + l + c) / 3",
                window_support(level, n), "SEG", _of(Series.cci, n), "Lambert 1980", (-most, most),
                undefined=FLAT)  # fmt: skip
    cci, most = window_support(level, 20), 2 * cci_bound(20) / 5
    out.add("cci_20_slope_5", "/bar", "(cci_20(t) - cci_20(t-5)) / 5", Lag(cci, 5, "SEG"), "SEG",
            lambda s: s.slope(s.cci(20), 5), bounds=(-most, most), undefined=FLAT)  # fmt: skip
    out.add("cci_20_z_120", "sd", "z_120(cci_20)", window_support(cci, 120), "SEG", lambda s: s.z(s.cci(20), 120),
            bounds=z_bound(120), undefined=FLAT)  # fmt: skip
    out.add("cci_20_extreme_age", "bars", f"bars since |cci_20| > {EXTREME:g}, at most {EXTREME_CAP}",
            age_support(cci, EXTREME_CAP), "XGAP", lambda s: s.extreme_age(), bounds=(0.0, EXTREME_CAP),
            zero="cci_20 is extreme now", undefined=FLAT, dtype="i2")  # fmt: skip


def _williams(out: _List, level: Support) -> None:
    for n in WILLIAMS:
        out.add(f"williams_r_{n}", "−100–0", f"-100 (max_{n} h - c) / (max_{n} h - min_{n} l)",
                window_support(level, n), "SEG", _of(Series.williams, n), "Williams 1979", (-100.0, 0.0), EDGE,
                FLAT)  # fmt: skip
    williams = window_support(level, 14)
    out.add("williams_r_14_slope_5", "/bar", "(williams_r_14(t) - williams_r_14(t-5)) / 5", Lag(williams, 5, "SEG"),
            "SEG", lambda s: s.slope(s.williams(14), 5), bounds=(-20.0, 20.0),
            zero="at the same edge then and now", undefined=FLAT)  # fmt: skip
    out.add("williams_r_14_mean_60", "−100–0", "SMA_60(williams_r_14)", window_support(williams, 60), "SEG",
            lambda s: s.williams_mean(), bounds=(-100.0, 0.0), undefined=FLAT)  # fmt: skip


def _change(out: _List, level: Support) -> None:
    unmoved = "a quote that ends where it began gives exactly 0"
    for n in ROC:
        out.add(f"roc_{n}", "bps", f"y(t) - y(t-{n})", Lag(level, n, "SEG"), "SEG", _of(Series.change, n),
                zero=unmoved)  # fmt: skip
    out.add("roc_12_z_120", "sd", "z_120(roc_12)", window_support(Lag(level, 12, "SEG"), 120), "SEG",
            lambda s: s.z(s.change(12), 120), bounds=z_bound(120), undefined=FLAT)  # fmt: skip


def _ranges(out: _List, bar: Support) -> None:
    source, still = "Wilder 1978", "NULL where the ranges have faded below 1e-9 bps"
    for n in ATR:
        out.add(f"atr_{n}", "bps", f"WIL_{n}(TR), TR = max(h-l, |h-c(t-1)|, |l-c(t-1)|)", wilder_support(bar, n),
                "XGAP", _of(Series.atr, n), source, POSITIVE)  # fmt: skip
    both = All((wilder_support(bar, 14), wilder_support(bar, 60)))
    out.add("atr_ratio_14_60", "–", "atr_14 / atr_60", both, "XGAP", lambda s: s.atr_ratio(14, 60), bounds=POSITIVE,
            undefined=still)  # fmt: skip
    out.add("atr_z_14_240", "sd", "z_240(atr_14)", window_support(wilder_support(bar, 14), 240), "SEG",
            lambda s: s.z(s.atr(14), 240), bounds=z_bound(240), undefined=FLAT)  # fmt: skip
    for n in DI:
        out.add(f"adx_{n}", "0–100", f"WIL_{n}(100 |DI+ - DI-| / (DI+ + DI-))",
                wilder_support(wilder_support(bar, n), n), "XGAP", _of(Series.adx, n), source, PERCENT,
                undefined=still)  # fmt: skip
    for sign, of, method in (("plus", "+DM", Series.plus), ("minus", "-DM", Series.minus)):
        for n in DI:
            out.add(f"{sign}_di_{n}", "0–100", f"100 WIL_{n}({of}) / WIL_{n}(TR)", wilder_support(bar, n), "XGAP",
                    _of(method, n), source, PERCENT, undefined=still)  # fmt: skip
    adx = wilder_support(wilder_support(bar, 14), 14)
    out.add("adx_14_slope_5", "/bar", "(adx_14(t) - adx_14(t-5)) / 5", Lag(adx, 5, "SEG"), "SEG",
            lambda s: s.slope(s.adx(14), 5), bounds=(-20.0, 20.0), undefined=still)  # fmt: skip


def _make_compute(domain: Domain) -> Compute:
    def compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
        series = Series(streams, domain)
        values = _listed(domain).values
        return {name: values[name](series) for name in names}

    return compute


def _dataset(domain: Domain) -> Dataset:
    return Dataset(
        family="technical",
        domain=domain,
        columns=tuple(_listed(domain).columns),
        compute=_make_compute(domain),
        reference=make_reference(domain),
        stage="1.6.10" if domain == "rate" else "1.6.11",
        summary=f"RSI, MACD, Stochastic, CCI, Williams %R, ROC, ATR and ADX of the {domain} stream.",
        laggable=True,
    )


DATASETS = (_dataset("rate"), _dataset("bqx"))
