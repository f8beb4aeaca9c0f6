"""volume: ticks a minute, 16 columns on the rate stream and 48 on the bqx stream.

v is the tick volume: how often the vendor quoted. Spot FX has no consolidated traded volume. u = ln(1 + v).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from bqx.features.declare import Column, Dataset, Domain, Dtype
from bqx.features.families.volume_reference import bqx_reference, rate_reference
from bqx.features.families.volume_series import LONG, BqxVolumes, RateVolumes
from bqx.features.streams import PRICE, WINDOWS, Streams, momentum_support
from bqx.features.support import All, Lag, Policy, Profile, Support, Volume, Window

F8 = NDArray[np.float64]
V = TypeVar("V")
Feature: TypeAlias = tuple[Column, Callable[[V, int], F8], int]
"""A column, its formula and window."""

LENGTHS = (15, 30, 60, 120)
SPACE, POSITIVE, UNIT, SIGNED = (-np.inf, np.inf), (0.0, np.inf), (0.0, 1.0), (-1.0, 1.0)
ROUNDING = 1.0 + 1e-9
SILENT = "NULL in a window without a tick"
FLAT = "NULL in a window whose values are all equal"
QUIET = "a minute that carries its price has no tick"
STILL = "a quote that stands still gives exactly 0"
NONE, EQUAL = "a window without such a bar", "volumes that are all equal"

VOLUME = Volume()
M = momentum_support(WINDOWS[0])
STEP = Lag(M, 1, "SEG")
KARPOFF = "Karpoff 1987"


def _window(of: Support, w: int) -> Window:
    return Window(of, w, "SEG")


def _previous(of: Support, w: int) -> Window:
    return Window(of, w, "SEG", before=True)


def _with_volume(*of: Support) -> Support:
    return All((VOLUME, *of))


def _score(of: Support, w: int) -> Support:
    """What a z-score sees: the value and its window."""
    return All((of, _window(of, w)))


def z_bound(w: int) -> float:
    """(w - 1) / sqrt(w): largest distance of one of w values from their mean in sample deviations."""
    return (w - 1) / math.sqrt(w) * ROUNDING


def _feature(
    of: Callable[[V, int], F8],
    w: int,
    unit: str,
    formula: str,
    support: Support,
    bounds: tuple[float, float] = SPACE,
    zero: str = "",
    undefined: str = "",
    source: str = "",
    dtype: Dtype = "f4",
    policy: Policy = "SEG",
) -> Feature[V]:
    """A column that is named after its formula and window, and these two."""
    tags = {tag for tag, why in (("zero_ok", zero), ("may_be_undefined", undefined)) if why}
    why = "; ".join(filter(None, (zero, undefined)))
    name = f"{of.__name__}_{w}" if w else of.__name__
    column = Column(name, unit, formula, support, policy, dtype, bounds, frozenset(tags), why, source=source)
    return column, of, w


def _of_rate() -> Iterator[Feature[RateVolumes]]:
    series, window = RateVolumes, _window(VOLUME, 60)
    ratio = All((VOLUME, _previous(VOLUME, 60)))
    for w in (15, 30, 60):
        yield _feature(series.vol_ratio, w, "–", f"v / mean of v over the {w} bars before t",
                       All((VOLUME, _previous(VOLUME, w))), POSITIVE, QUIET, SILENT)  # fmt: skip
    yield _feature(series.vol_z, 60, "sd", "(u - mean) / sample sd of u over the 60 bars before t", ratio,
                   undefined=FLAT)  # fmt: skip
    yield _feature(series.vol_tod_z, 0, "sd", "(u - mean) / sample sd of u at this minute of the week, +-2, in the 8 "
                   "weeks before", Profile(VOLUME), undefined=FLAT, source="Andersen & Bollerslev 1997",
                   policy="XGAP")  # fmt: skip
    yield _feature(series.vol_spike_count, 60, "count", "bars of the last 60 with vol_ratio_60 > 2",
                   _window(ratio, 60), (0.0, 60.0), NONE, SILENT, dtype="i2")  # fmt: skip
    yield _feature(series.vol_slope, 60, "/bar", "OLS slope of u, 60 bars", window, zero=EQUAL)
    yield _feature(series.vol_cum, 60, "–", "ln(1 + sum of v), 60 bars", window, POSITIVE, "a window without a tick")
    for w in (15, 60):
        yield _feature(series.vwap_dev, w, "bps", f"c - sum v TP / sum v, TP = (h + l + c) / 3, {w} bars",
                       All((PRICE, _window(VOLUME, w))), zero=STILL, undefined=SILENT)  # fmt: skip
    yield _feature(series.vw_return, 60, "bps", "sum v r / sum v, 60 bars", window, undefined=SILENT)
    yield _feature(series.vol_absret_corr, 60, "−1–1", "correlation of u and abs(r), 60 bars", window, SIGNED,
                   undefined=FLAT, source=KARPOFF)  # fmt: skip
    yield _feature(series.obv_slope, 60, "/bar", "OLS slope of the sum of sgn(r) v inside the window / mean of v, "
                   "60 bars", window, zero=STILL, undefined=SILENT, source="Granville 1963")  # fmt: skip
    yield _feature(series.vol_cv, 60, "–", "sample sd / mean of v, 60 bars", window,
                   (0.0, math.sqrt(60) * ROUNDING), EQUAL, SILENT)  # fmt: skip
    yield _feature(series.vol_pctile, 240, "0–1", "percentile rank of v among the last 240", _score(VOLUME, 240), UNIT)
    yield _feature(series.amihud, 60, "bps/tick", "mean of abs(r) / v over those of the last 60 bars with v > 0",
                   window, POSITIVE, STILL, SILENT, "Amihud 2002")  # fmt: skip


def _of_bqx() -> Iterator[Feature[BqxVolumes]]:
    series, on_m, on_step = BqxVolumes, _with_volume(M), _with_volume(STEP)
    sided = _with_volume(STEP, _window(STEP, LONG))
    scored = _with_volume(M, _window(M, LONG))
    early, late = All((_previous(VOLUME, 1), STEP)), All((VOLUME, _previous(STEP, 1)))
    no_spread = "or where the series has no deviation"
    for w in LENGTHS:
        yield _feature(series.vw_bqx, w, "bps", f"sum v M / sum v, {w} bars", _window(on_m, w), undefined=SILENT)
    for w in LENGTHS:
        yield _feature(series.bqx_vol_corr, w, "−1–1", f"correlation of M and u, {w} bars", _window(on_m, w), SIGNED,
                       undefined=FLAT)  # fmt: skip
    for w in LENGTHS:
        yield _feature(series.absbqx_vol_corr, w, "−1–1", f"correlation of abs(dM) and u, {w} bars",
                       _window(on_step, w), SIGNED, undefined=FLAT, source=KARPOFF)  # fmt: skip
    for w in LENGTHS:
        most = 2.0 * z_bound(w)
        yield _feature(series.vol_mom_div, w, "sd", f"z_{w}(u) - z_{w}(abs(M))", All((_score(VOLUME, w), _score(M, w))),
                       (-most, most), undefined=FLAT)  # fmt: skip
    for w in LENGTHS:
        yield _feature(series.up_vol_share, w, "0–1", f"sum v 1[dM > 0] / sum v, {w} bars", _window(on_step, w), UNIT,
                       NONE, SILENT)  # fmt: skip
    for w in LENGTHS:
        yield _feature(series.bvc_imbalance, w, "−1–1", f"sum v (2 Ncdf(dM / s) - 1) / sum v, s = sd_{LONG}(dM) of each"
                       f" bar, {w} bars", _window(sided, w), SIGNED, undefined=f"{SILENT}, {no_spread}",
                       source="Easley, López de Prado & O'Hara 2012")  # fmt: skip
    for w in LENGTHS:
        yield _feature(series.bqx_per_vol, w, "bps/tick", f"abs(M(t) - M(t-{w})) / sum of v, {w} bars",
                       All((_window(VOLUME, w), Lag(M, w, "SEG"))), POSITIVE, STILL, SILENT,
                       "after Amihud 2002")  # fmt: skip
    for w in LENGTHS:
        most = z_bound(LONG) ** 2
        both = All((_score(_window(VOLUME, w), LONG), _score(_window(STEP, w), LONG)))
        yield _feature(series.volz_x_bqxvolz, w, "–", f"z_{LONG}(mean of u) z_{LONG}(sd of dM), {w} bars", both,
                       (-most, most), undefined=FLAT)  # fmt: skip
    for w in LENGTHS:
        yield _feature(series.vol_bqx_lead, w, "−2–2", f"correlation of u(s-1) and abs(dM(s)) - correlation of u(s) and"
                       f" abs(dM(s-1)), {w} pairs", All((_window(early, w), _window(late, w))), (-2.0, 2.0),
                       undefined=FLAT)  # fmt: skip
    for of, sign in ((series.vol_share_surge, "> 1"), (series.vol_share_drop, "< -1")):
        for w in LENGTHS:
            yield _feature(of, w, "0–1", f"sum v 1[z_{LONG}(M) {sign}] / sum v, {w} bars", _window(scored, w), UNIT,
                           NONE, f"{SILENT}, {no_spread}")  # fmt: skip
    for w in LENGTHS:
        yield _feature(series.vw_dbqx, w, "bps", f"sum v dM / sum v, {w} bars", _window(on_step, w), undefined=SILENT)


RATE, BQX = tuple(_of_rate()), tuple(_of_bqx())


def _values(series: V, features: Sequence[Feature[V]], names: Sequence[str]) -> dict[str, F8]:
    chosen = {column.name: (of, w) for column, of, w in features}
    return {name: chosen[name][0](series, chosen[name][1]) for name in names}


# both stand here, for the code hash of a dataset begins at the file of its compute function
def _compute_rate(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
    return _values(RateVolumes(streams), RATE, names)


def _compute_bqx(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
    return _values(BqxVolumes(streams), BQX, names)


def _dataset(domain: Domain) -> Dataset:
    rate = domain == "rate"
    return Dataset(
        family="volume",
        domain=domain,
        columns=tuple(column for column, _, _ in (RATE if rate else BQX)),
        compute=_compute_rate if rate else _compute_bqx,
        reference=rate_reference if rate else bqx_reference,
        stage="1.6.9a" if rate else "1.6.15",
        summary="Tick volume (quotes counted, no traded volume) "
        + ("against its own past and the returns." if rate else "against momentum M and its changes."),
        inherited=rate,
        laggable=True,
        uses=frozenset({"volume"}),
    )


DATASETS = (_dataset("rate"), _dataset("bqx"))
