"""multiscale: indicators of bars of 30 and 60 minutes that end now, and minutes against them; 15 columns a scale and
domain.

Bar j ends S j minutes ago, so that values move every minute and hold closed minutes only. Recursions run over the
bars that are looked at, from a fresh start: 100 for EMA_20, 140 for Wilder's, 175 for MACD.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import EXTENSION, Column, Compute, Dataset, Dtype
from bqx.features.families.extensions.multiscale_reference import make_reference
from bqx.features.families.extensions.multiscale_series import RANKED, SURE, Scale
from bqx.features.families.extensions.samples_support import Samples
from bqx.features.families.momentum import DATASETS as MOMENTUM
from bqx.features.families.regime_vol import DATASETS as REGIME_VOL
from bqx.features.kernels.scaled import MEAN, PATH, SMOOTH_PATH, SPREAD, WILDER_PATH
from bqx.features.streams import PRICE, WINDOWS, Domain, Streams, momentum_support
from bqx.features.support import All, Lag, Support, Window

F8 = NDArray[np.float64]
Feature = tuple[Column, Callable[[Scale], F8]]

SCALES = (30, 60)
FREE, SIGNED, FLAG, POSITIVE = (-np.inf, np.inf), (-1.0, 1.0), (0.0, 1.0), (0.0, np.inf)
STILL = "a quote that stands still, or ends where it began, gives exactly 0"
FLAT = "NULL where all values are equal (found by counting) or lie on a line within 1e-9 bps"


def _feature(name: str, unit: str, formula: str, support: Support, of: Callable[[Scale], F8],
             bounds: tuple[float, float] = FREE, zero: str = "", undefined: str = "", source: str = "",
             dtype: Dtype = "f4") -> Feature:  # fmt: skip
    tags = frozenset(tag for tag, why in (("zero_ok", zero), ("may_be_undefined", undefined)) if why)
    why = "; ".join(filter(None, (zero, undefined)))
    return Column(name, unit, formula, support, "XGAP", dtype, bounds, tags, why, source=source), of


def _part(k: int) -> Callable[[Scale], F8]:
    return partial(Scale.part, k=k)


def _features(domain: Domain, s: int) -> Iterator[Feature]:
    level: Support = PRICE if domain == "rate" else momentum_support(WINDOWS[0])
    y = "y" if domain == "rate" else "M"
    moved = Lag(level, s, "XGAP")
    ten, twenty = Samples(level, MEAN, s), Samples(level, SPREAD, s)
    spread = Samples(moved, SPREAD, s)
    bar = All((moved, Window(level, s, "SEG")))
    others = {home.name: home.by_name for home in (*MOMENTUM, *REGIME_VOL)}
    minutes = others[f"momentum_w30_{domain}"]["lin_t"].support
    yield _feature("sma_gap_10", "bps", f"{y} - SMA_10 of closes {s} bars apart", ten, _part(0), zero=STILL)
    yield _feature("ema_gap_20", "bps", f"{y} - EMA_20 of {SMOOTH_PATH} closes {s} bars apart",
                   Samples(level, SMOOTH_PATH, s, now=True), _part(1), zero=STILL)  # fmt: skip
    yield _feature("vol_20", "bps", f"sample sd of {SPREAD} changes of {s} bars", spread, _part(2), POSITIVE, STILL)
    yield _feature("lag1_change", "bps", f"{y}(t-{s}) - {y}(t-{2 * s})", Lag(moved, s, "XGAP"), Scale.earlier_change,
                   zero=STILL)  # fmt: skip
    yield _feature("ac1_20", "−1–1", f"correlation of changes of {s} bars with those before, {SPREAD} pairs",
                   Samples(Lag(moved, s, "XGAP"), SPREAD, s), _part(3), SIGNED, undefined=FLAT)  # fmt: skip
    yield _feature("rsi_14", "0–100", f"100 U / (U + D), Wilder means over 14 of rises and falls, {WILDER_PATH} "
                   f"changes of {s} bars", Samples(moved, WILDER_PATH, s, now=True), _part(4), (0.0, 100.0),
                   "nothing rose", "50 where nothing moved, NULL where what moved has faded below 1e-9 bps",
                   "Wilder 1978")  # fmt: skip
    yield _feature("macd_hist", "bps", f"EMA_12 - EMA_26 less its EMA_9, {PATH} closes {s} bars apart",
                   Samples(level, PATH, s, now=True), _part(5), zero=STILL, source="Appel 2005")  # fmt: skip
    yield _feature("atr_14", "bps", f"Wilder mean over 14 of true ranges, {WILDER_PATH} bars of {s} minutes; a bar "
                   "over a closure has none", Samples(bar, WILDER_PATH, s, now=True), _part(6), POSITIVE, STILL,
                   source="Wilder 1978")  # fmt: skip
    yield _feature("bb_width_20", "bps", f"4 population sd of {SPREAD} closes {s} bars apart", twenty, _part(7),
                   POSITIVE, STILL, source="Bollinger 2001")  # fmt: skip
    yield _feature("gap_1m_vs_scale", "bps", f"SMA_30({y}) - SMA_10 of closes {s} bars apart",
                   All((Window(level, 30, "SEG"), ten)), Scale.mean_gap, zero=STILL)  # fmt: skip
    step: Support = PRICE if domain == "rate" else Lag(level, 1, "SEG")
    yield _feature("vol_1m_vs_scale", "–", f"ln(sd_60(d{y}) sqrt({s}) / vol_20)",
                   All((Window(step, 60, "SEG"), spread)), Scale.vol_ratio,
                   undefined="NULL where one of the two is 0")  # fmt: skip
    trends = All((minutes, ten))
    yield _feature("trend_agreement", "code", f"sign of lin_t over 30 bars times that over 10 closes {s} bars apart",
                   trends, Scale.agreement, SIGNED, "a slope of exactly 0", FLAT, dtype="i2")  # fmt: skip
    ranks = All((others[f"regime_vol_{domain}"]["vol_pct_60"].support, spread, Window(spread, RANKED, "XGAP")))
    yield _feature("regime_agreement", "flag", f"1 if vol_pct_60 and the percentile rank of vol_20 among {RANKED} bars "
                   "are in the same third", ranks, Scale.regimes, FLAG, "0 is another third", dtype="i2")  # fmt: skip
    yield _feature("dominance", "–", f"|lin_t| over 10 closes {s} bars apart - |lin_t| over 30 bars", trends,
                   Scale.dominance, undefined=FLAT, source="Newey & West 1987")  # fmt: skip
    yield _feature("divergence_flag", "flag", f"1 if both lin_t have different signs and are beyond {SURE:g}", trends,
                   Scale.divergence, FLAG, "0 is no divergence", FLAT, dtype="i2")  # fmt: skip


FEATURES: dict[tuple[Domain, int], tuple[Feature, ...]] = {
    (domain, s): tuple(_features(domain, s)) for s in SCALES for domain in ("rate", "bqx")
}


def _make_compute(domain: Domain, s: int) -> Compute:
    made = {column.name: of for column, of in FEATURES[domain, s]}

    def compute(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
        scale = Scale(streams, domain, s)
        return {name: made[name](scale) for name in names}

    return compute


def _dataset(domain: Domain, s: int) -> Dataset:
    return Dataset(
        family=f"multiscale_{s}m",
        domain=domain,
        columns=tuple(column for column, _ in FEATURES[domain, s]),
        compute=_make_compute(domain, s),
        reference=make_reference(domain, s),
        stage=EXTENSION,
        counted=False,
        summary=f"Indicators of rolling bars of {s} minutes of the {domain} stream, and minutes against them.",
    )


DATASETS = tuple(_dataset(domain, s) for s in SCALES for domain in ("rate", "bqx"))
