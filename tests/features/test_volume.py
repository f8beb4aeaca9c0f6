"""volume against pandas, numpy, scipy and TA-Lib; mirrored markets, sources without volume, planted bugs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest
import talib
from numpy.typing import NDArray
from scipy import stats

from bqx.features.catalogue import count, datasets
from bqx.features.checks import CHECKS, World
from bqx.features.compute import evaluate
from bqx.features.declare import Dataset
from bqx.features.families.volume import LENGTHS
from bqx.features.kernels.flow import bulk_side
from bqx.features.kernels.moments import centre
from bqx.features.kernels.weighted import weighted_mean
from bqx.features.streams import Streams
from bqx.features.support import needed
from bqx.market.calendar import Calendar, minute_of
from bqx.market.simulated import simulate

F8 = NDArray[np.float64]
Found = dict[str, F8]

RATE, BQX = datasets()["volume_rate"], datasets()["volume_bqx"]
START, END = (minute_of(datetime(2024, 4, day, 21, tzinfo=UTC)) for day in (7, 11))
PAIRS = ("eurusd", "usdjpy")


@pytest.fixture(scope="module")
def days() -> World:
    """Four simulated days of two pairs, in one segment; minutes without a quote are carried."""
    frames = simulate(Calendar.load(), START, END, seed=11, pairs=PAIRS, origin_minute=START)
    return World(frames, Calendar.load(), START)


@pytest.fixture(scope="module")
def streams(days: World) -> Streams:
    return days.streams(RATE, *days.span)[0]


@pytest.fixture(scope="module")
def found(streams: Streams) -> Found:
    return {**evaluate(RATE, streams), **evaluate(BQX, streams)}


class Frames:
    """Series of one pair in pandas."""

    def __init__(self, streams: Streams, pair: int) -> None:
        self.v = pd.Series(streams.panel.volume[:, pair])
        self.u = np.log(1 + self.v)
        self.c, self.r = pd.Series(streams.rate_close[:, pair]), pd.Series(streams.rate_change[:, pair])
        self.typical = (pd.Series(streams.rate_high[:, pair]) + streams.rate_low[:, pair] + self.c) / 3
        self.m, self.dm = pd.Series(streams.bqx_close[:, pair]), pd.Series(streams.bqx_change[:, pair])

    def weighted(self, x: pd.Series, w: int) -> pd.Series:
        return (self.v * x).rolling(w).sum() / self.v.where(x.notna()).rolling(w).sum()


def rate_by_pandas(f: Frames) -> dict[str, pd.Series]:
    v, u, r = f.v, f.u, f.r
    before = u.shift(1).rolling(60)
    spikes = (v > 2 * v.shift(1).rolling(60).mean() * (1 + 1e-8)).astype(float)
    spikes[v.shift(1).rolling(60).mean().isna()] = np.nan
    out = {f"vol_ratio_{w}": v / v.shift(1).rolling(w).mean() for w in (15, 30, 60)}
    out |= {f"vwap_dev_{w}": f.c - f.weighted(f.typical, w) for w in (15, 60)}
    return out | {
        "vol_z_60": (u - before.mean()) / before.std(),
        "vol_spike_count_60": spikes.rolling(60).sum(),
        "vol_slope_60": u.rolling(60).apply(lambda y: np.polyfit(np.arange(60), y, 1)[0], raw=True),
        "vol_cum_60": np.log(1 + v.rolling(60).sum()),
        "vw_return_60": f.weighted(r, 60),
        "vol_absret_corr_60": u.rolling(60).corr(r.abs()),
        "vol_cv_60": v.rolling(60).std() / v.rolling(60).mean(),
        "vol_pctile_240": v.rolling(240).rank() / 240 - 0.5 / 240,
        "amihud_60": (r.abs() / v.where(v > 0)).rolling(60, min_periods=1).mean().where(v.rolling(60).count() == 60),
    }


def bqx_by_pandas(f: Frames, w: int) -> dict[str, pd.Series]:
    v, u, m, dm = f.v, f.u, f.m, f.dm

    def z(x: pd.Series, n: int) -> pd.Series:
        return (x - x.rolling(n).mean()) / x.rolling(n).std()

    side = pd.Series(2 * stats.norm.cdf(dm / dm.rolling(240).std()) - 1)
    score, size = z(m, 240), dm.abs()
    return {
        "vw_bqx": f.weighted(m, w),
        "bqx_vol_corr": m.rolling(w).corr(u),
        "absbqx_vol_corr": size.rolling(w).corr(u),
        "vol_mom_div": z(u, w) - z(m.abs(), w),
        "up_vol_share": f.weighted((dm > 0).astype(float).where(dm.notna()), w),
        "bvc_imbalance": f.weighted(side, w),
        "bqx_per_vol": (m - m.shift(w)).abs() / v.rolling(w).sum(),
        "volz_x_bqxvolz": z(u.rolling(w).mean(), 240) * z(dm.rolling(w).std(), 240),
        "vol_bqx_lead": u.shift(1).rolling(w).corr(size) - u.rolling(w).corr(size.shift(1)),
        "vol_share_surge": f.weighted((score > 1).astype(float).where(score.notna()), w),
        "vol_share_drop": f.weighted((score < -1).astype(float).where(score.notna()), w),
        "vw_dbqx": f.weighted(dm, w),
    }


def agree(mine: F8, theirs: pd.Series, name: str) -> None:
    """Where both have a value; pandas wants every bar of a window."""
    other = theirs.to_numpy()
    both = ~np.isnan(mine) & ~np.isnan(other)
    assert both.sum() > 4500, name
    assert not (np.isnan(mine) & ~np.isnan(other)).any(), name
    scale = float(np.std(other[both]))
    np.testing.assert_allclose(mine[both], other[both], rtol=1e-9, atol=1e-8 * scale, err_msg=name)


@pytest.mark.parametrize("pair", range(len(PAIRS)))
def test_rate_against_pandas_and_numpy(pair: int, streams: Streams, found: Found) -> None:
    for name, theirs in rate_by_pandas(Frames(streams, pair)).items():
        agree(found[name][:, pair], theirs, name)


@pytest.mark.parametrize("w", LENGTHS)
def test_bqx_against_pandas_and_scipy(w: int, streams: Streams, found: Found) -> None:
    for pair in range(len(PAIRS)):
        for kind, theirs in bqx_by_pandas(Frames(streams, pair), w).items():
            agree(found[f"{kind}_{w}"][:, pair], theirs, f"{kind}_{w}")


def test_on_balance_volume_is_talibs(streams: Streams, found: Found) -> None:
    """TA-Lib's OBV of closes, windows of it fitted by numpy; its first bar counts whole, ours not, which no slope sees.

    A bar whose price stands still, within rounding, adds nothing in both.
    """
    for pair in range(len(PAIRS)):
        close = np.round(streams.rate_close[:, pair], 7)
        v = streams.panel.volume[:, pair].copy()
        obv = pd.Series(talib.OBV(close, v))
        slope = obv.rolling(60).apply(lambda y: np.polyfit(np.arange(60), y - y[0], 1)[0], raw=True)
        theirs = slope / pd.Series(v).rolling(60).mean()
        agree(found["obv_slope_60"][1:, pair], theirs[1:], "obv_slope_60")


def test_by_hand() -> None:
    """Volumes 1, 2, 3 with values 6, 3, 2: each adds 6, so the weighted mean is 18 / 6."""
    x, v = np.array([[6.0], [3.0], [2.0]]), np.array([[1.0], [2.0], [3.0]])
    assert weighted_mean(x, v, np.arange(3, dtype=np.int32), 3, 3)[2, 0] == 3.0


def test_columns() -> None:
    assert (len(RATE.columns), len(BQX.columns)) == (16, 48)
    for home, inherited in ((RATE, 16), (BQX, 0)):
        sizes = count([home])
        assert (sizes["counted"], sizes["laggable"], sizes["inherited"]) == (len(home.columns),) * 2 + (inherited,)
        assert home.uses == {"volume"}
    assert (RATE.stage, BQX.stage) == ("1.6.9a", "1.6.15")
    assert BQX.by_name["bvc_imbalance_15"].warmup == 17 + 239 + 14
    assert RATE.by_name["vol_spike_count_60"].dtype == "i2"


def test_counts_are_whole(found: Found) -> None:
    spikes = found["vol_spike_count_60"]
    spikes = spikes[~np.isnan(spikes)]
    assert set(spikes.tolist()) <= set(range(61))
    assert len(set(spikes.tolist())) > 8


def test_shares_add_up(found: Found) -> None:
    for w in LENGTHS:
        both = found[f"vol_share_surge_{w}"] + found[f"vol_share_drop_{w}"]
        assert np.nanmax(both) <= 1.0 + 1e-12
        assert np.nanmin(both) >= 0.0


def mirrored(frame: pl.DataFrame) -> pl.DataFrame:
    sides = {"open": "open", "high": "low", "low": "high", "close": "close"}
    turned = [(1 / pl.col(old)).alias(new) for new, old in sides.items()]
    return frame.with_columns(turned)


def test_mirror(days: World, found: Found) -> None:
    """T6: prices 1 / p. y turns over exactly, M to first order."""
    other = replace(days, frames={p: mirrored(f) for p, f in days.frames.items()})
    turned = {**other.values(RATE, *days.span), **other.values(BQX, *days.span)}
    signs = {"vwap_dev": -1, "vw_return": -1, "obv_slope": -1, "vw_bqx": -1, "bqx_vol_corr": -1, "bvc_imbalance": -1,
             "vw_dbqx": -1}  # fmt: skip
    swaps = {"vol_share_surge": "vol_share_drop", "vol_share_drop": "vol_share_surge"}
    for name in [c.name for c in (*RATE.columns, *BQX.columns) if c.name != "vol_tod_z"]:
        kind, _, w = name.rpartition("_")
        expected = signs.get(kind, 1) * found[f"{swaps.get(kind, kind)}_{w}"]
        if kind == "up_vol_share":
            expected = 1.0 - expected  # dM is never 0 here
        gap = np.abs(turned[name] - expected)
        limit = 5e-3 if name in BQX.by_name else 1e-7
        assert np.nanmedian(gap) <= limit * np.nanstd(expected), name
        assert np.nanmean(gap) <= 4 * limit * np.nanstd(expected), name


def without_volume(world: World, pairs: Sequence[str]) -> World:
    none = pl.lit(None, dtype=pl.Float64).alias("volume")
    return replace(world, frames={p: f.with_columns(none) if p in pairs else f for p, f in world.frames.items()})


@pytest.mark.parametrize("home", [RATE, BQX], ids=lambda d: d.name)
def test_a_source_without_volume(home: Dataset, days: World) -> None:
    """All NULL, and the reason is the source's."""
    bare = without_volume(days, PAIRS)
    values, view = bare.values(home, *days.span), bare.view(*days.span)
    row = len(view.panel.grid) - 1
    for item in home.columns:
        assert np.isnan(values[item.name]).all(), item.name
        assert not item.expected(view).any()
        if item.name != "vol_tod_z":  # NULL by warm-up first: there are four days
            assert (item.why_null(view, row, 0) or "").startswith("capability:"), item.name


@pytest.mark.parametrize("home", [RATE, BQX], ids=lambda d: d.name)
def test_a_source_with_volume_for_one_pair(home: Dataset, days: World, found: Found) -> None:
    """The other pair keeps every bit."""
    half = without_volume(days, PAIRS[:1])
    for name, value in half.values(home, *days.span).items():
        assert np.isnan(value[:, 0]).all(), name
        np.testing.assert_array_equal(value[:, 1], found[name][:, 1], name)


def test_volumes_that_are_all_zero(days: World) -> None:
    """Some vendors write 0: nothing is weighted or divided by it."""
    zero = {p: f.with_columns(volume=pl.lit(0.0)) for p, f in days.frames.items()}
    empty = replace(days, frames=zero)
    kept = {"vol_slope_60": 0.0, "vol_cum_60": 0.0, "vol_pctile_240": 0.5}
    for home in (RATE, BQX):
        for name, value in empty.values(home, *days.span).items():
            if name in kept:
                assert set(value[~np.isnan(value)].tolist()) == {kept[name]}, name
            else:
                assert np.isnan(value).all(), name
        assert all(r.differing == 0 for r in CHECKS["nulls"](home, empty))


def test_volume_moves_it(days: World, found: Found) -> None:
    """Volume times 3 leaves shares, ratios and weighted means alone and divides what is per tick."""
    more = replace(days, frames={p: f.with_columns(pl.col("volume") * 3) for p, f in days.frames.items()})
    values = {**more.values(RATE, *days.span), **more.values(BQX, *days.span)}
    same = [n for n in values if n.startswith(("vol_ratio", "vwap", "vw_", "obv", "vol_cv", "vol_pctile", "up_", "bvc",
                                               "vol_share", "vol_spike"))]  # fmt: skip
    assert len(same) == 34
    for name in same:
        np.testing.assert_allclose(values[name], found[name], rtol=1e-9, atol=1e-9, err_msg=name)
    for name in ("amihud_60", *(f"bqx_per_vol_{w}" for w in LENGTHS)):
        np.testing.assert_allclose(3 * values[name], found[name], rtol=1e-12, atol=1e-15, err_msg=name)


def including_now(streams: Streams, name: str, honest: F8) -> F8:
    """vol_ratio against a mean that holds the bar itself."""
    shift, excess, _ = centre(streams.panel.volume, streams.panel.grid.seg_age, 60, needed(60), 1)
    return np.where(np.isnan(honest), np.nan, streams.panel.volume / (shift + excess))


def from_the_open(streams: Streams, name: str, honest: F8) -> F8:
    """VWAP since the loaded bars begin, as the seed's."""
    s, v = streams, np.nan_to_num(streams.panel.volume)
    typical = np.nan_to_num((s.rate_high + s.rate_low + s.rate_close) / 3)
    return np.where(
        np.isnan(honest), np.nan, s.rate_close - np.cumsum(v * typical, axis=0) / np.maximum(np.cumsum(v, axis=0), 1)
    )


def zero_for_null(streams: Streams, name: str, honest: F8) -> F8:
    return np.nan_to_num(honest, nan=0.0)


def sigma_of_all(streams: Streams, name: str, honest: F8) -> F8:
    """The bulk share with the deviation of everything that was loaded: sees the future."""
    side = bulk_side(streams.bqx_change, np.broadcast_to(np.nanstd(streams.bqx_change, axis=0), honest.shape).copy())
    made = weighted_mean(side, streams.panel.volume, streams.panel.grid.seg_age, 60, needed(60))
    return np.where(np.isnan(honest), np.nan, made)


def of_the_price(streams: Streams, name: str, honest: F8) -> F8:
    """Price changes instead of log changes."""
    return honest * streams.panel.close


def one_ahead(streams: Streams, name: str, honest: F8) -> F8:
    out = honest.copy()
    out[:-1] = np.where(np.isnan(honest[:-1]), np.nan, honest[1:])
    return out


BUGS: list[tuple[Dataset, str, Callable[[Streams, str, F8], F8], set[str]]] = [
    (RATE, "vol_ratio_60", including_now, {"reference"}),
    (RATE, "vwap_dev_60", from_the_open, {"partition", "reference"}),
    (RATE, "vol_z_60", zero_for_null, {"nulls", "zeros"}),
    (RATE, "amihud_60", of_the_price, {"scale", "reference"}),
    (BQX, "bvc_imbalance_60", sigma_of_all, {"causal", "partition", "reference"}),
    (BQX, "vol_bqx_lead_30", one_ahead, {"causal", "reference"}),
]


@pytest.mark.parametrize(("whole", "column", "plant", "caught"), BUGS, ids=lambda v: getattr(v, "__name__", None))
def test_planted_bug_is_caught(
    whole: Dataset, column: str, plant: Callable[[Streams, str, F8], F8], caught: set[str], world: World
) -> None:
    home = replace(whole, columns=(whole.by_name[column],))

    def broken(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
        return {n: plant(streams, n, v) for n, v in whole.compute(streams, names).items()}

    two = world.only(("eurusd", "usdjpy"))
    assert failures(home, two, caught) == set()
    assert failures(replace(home, compute=broken), two, caught) == caught


def failures(home: Dataset, world: World, names: set[str]) -> set[str]:
    return {name for name in names if not all(r.passed for r in CHECKS[name](home, world))}
