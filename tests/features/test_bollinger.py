"""bollinger against TA-Lib, pandas and numbers worked by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
import talib
from numpy.typing import NDArray

from bqx.features.catalogue import count, datasets
from bqx.features.checks import CHECKS, World
from bqx.features.declare import Dataset
from bqx.features.families.bollinger import BARS, RANKED, parse
from bqx.features.kernels import bands, moments, ranks
from bqx.features.streams import Streams
from bqx.features.support import needed

F8 = NDArray[np.float64]
NAMES = ("bollinger_rate", "bollinger_bqx")
KINDS = ("upper", "middle", "lower", "width", "percent_b", "slope", "squeeze", "breach")


@pytest.fixture(scope="module", params=NAMES)
def home(request: pytest.FixtureRequest) -> Dataset:
    return datasets()[str(request.param)]


@pytest.fixture(scope="module")
def values(world: World) -> dict[str, dict[str, F8]]:
    return {name: world.values(datasets()[name], *world.span) for name in NAMES}


@pytest.fixture(scope="module")
def series(world: World) -> dict[str, F8]:
    """S of each domain, its index in the rate domain."""
    streams, row = world.streams(datasets()["bollinger_rate"], *world.span)
    index = streams.panel.close * (100.0 / streams.anchors.mids(streams.panel.pairs))
    return {"bollinger_rate": index[row:], "bollinger_bqx": streams.bqx_close[row:]}


def test_columns(home: Dataset) -> None:
    assert [c.name for c in home.columns] == [
        f"bb_{kind}_{w}" for kind, w in product(KINDS, (10, 20, 30, 50, 60, 120, 240))
    ]
    found = count([home])
    assert (found["counted"], found["laggable"], found["inherited"]) == (56, 0, 56 if home.domain == "rate" else 0)
    levels = {c.name for c in home.columns if "level" in c.tags}
    assert levels == ({f"bb_{k}_{w}" for k, w in product(KINDS[:3], BARS)} if home.domain == "rate" else set())
    assert home.stage == ("1.6.9a" if home.domain == "rate" else "1.6.13")


def whole_run(s: F8, age: NDArray[np.int32]) -> slice:
    """The longest run of rows without a NULL inside a segment."""
    valid = np.r_[False, ~np.isnan(s) & (age > 0), False]
    edges = np.flatnonzero(np.diff(valid.astype(int)))
    starts, ends = edges[::2], edges[1::2]
    k = int(np.argmax(ends - starts))
    return slice(int(starts[k]), int(ends[k]))


@pytest.mark.parametrize("w", BARS)
def test_against_talib_and_pandas(
    w: int, home: Dataset, values: dict[str, dict[str, F8]], series: dict[str, F8], world: World
) -> None:
    """A run without a hole. TA-Lib's BBANDS keeps running sums of squares, hence the tolerance on its bands."""
    mine, s = values[home.name], series[home.name]
    rows = whole_run(s[:, 0], world.panel(*world.span).grid.seg_age)
    base = float(np.mean(s[rows, 0]))
    x = pd.Series(s[rows, 0] - base)
    assert len(x) > 3000
    mean, psd = x.rolling(w).mean(), x.rolling(w).std(ddof=0)
    theirs = talib.BBANDS(x.to_numpy(), w, 2.0, 2.0, talib.MA_Type.SMA)
    got = {kind: mine[f"bb_{kind}_{w}"][rows, 0] for kind in KINDS}
    known = ~np.isnan(got["middle"]) & ~np.isnan(theirs[0])
    assert known.sum() > 2500
    for kind, band, plain in zip(KINDS[:3], theirs, (mean + 2 * psd, mean, mean - 2 * psd), strict=True):
        np.testing.assert_allclose(got[kind][known], (base + band)[known], atol=2e-6)
        np.testing.assert_allclose(got[kind][known], (base + plain.to_numpy())[known], atol=1e-8)
    scale = 1e4 / (base + mean) if home.domain == "rate" else 1.0
    whole = known & ~np.isnan(plain.to_numpy())
    np.testing.assert_allclose(got["width"][whole], (4 * psd * scale).to_numpy()[whole], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(got["percent_b"][whole], (0.5 + (x - mean) / (4 * psd)).to_numpy()[whole], rtol=1e-5)
    steps = (mean.diff(5) / 5 * (1e4 / (base + mean.shift(5)) if home.domain == "rate" else 1.0)).to_numpy()
    both = ~np.isnan(got["slope"]) & ~np.isnan(steps)
    np.testing.assert_allclose(got["slope"][both], steps[both], atol=1e-7)
    outside = (x > mean + 2 * psd).astype(float) - (x < mean - 2 * psd)
    flags = outside.where(mean.notna()).rolling(w).mean().to_numpy()
    both = ~np.isnan(got["breach"]) & ~np.isnan(flags)
    assert np.isclose(got["breach"][both], flags[both], atol=1e-9).mean() > 0.999
    width = pd.Series(got["width"])
    rank = (width.rolling(RANKED).rank() / RANKED - 0.5 / RANKED).to_numpy()
    both = ~np.isnan(rank)
    assert both.sum() > 1500
    # pandas breaks ties that differ by rounding
    np.testing.assert_allclose(got["squeeze"][both], rank[both], atol=3 / RANKED)
    assert np.isclose(got["squeeze"][both], rank[both], atol=1e-12).mean() > 0.99


def test_identities(values: dict[str, dict[str, F8]]) -> None:
    for name, w in product(NAMES, BARS):
        v = {kind: values[name][f"bb_{kind}_{w}"] for kind in KINDS}
        known = ~np.isnan(v["upper"])
        np.testing.assert_allclose((v["upper"] + v["lower"])[known] / 2, v["middle"][known], rtol=1e-12, atol=1e-12)
        spread = (v["upper"] - v["lower"])[known] * (1e4 / v["middle"][known] if name == NAMES[0] else 1.0)
        np.testing.assert_allclose(spread, v["width"][known], rtol=1e-7, atol=1e-9)
        assert np.nanmin(v["squeeze"]) >= 0.5 / RANKED
        assert np.nanmax(v["squeeze"]) <= 1 - 0.5 / RANKED


def test_mean_and_deviation_of_m_are_those_of_statistics(values: dict[str, dict[str, F8]], world: World) -> None:
    """The aliases: bb_middle_w = mean, bb_width_w = 4 sqrt((n - 1) / n) sd."""
    home = datasets()["bollinger_bqx"]
    aliases = {c.name: c.alias_of.partition(".")[2] for c in home.columns if c.alias_of}
    assert set(aliases) == {f"bb_{k}_{w}" for k, w in product(("middle", "width"), (30, 60, 120))}
    other = world.values(datasets()["statistics_bqx"], *world.span, list(aliases.values()))
    for mine, theirs in aliases.items():
        w = parse(mine)[1]
        factor = 4 * math.sqrt((w - 1) / w) if "width" in mine else 1.0
        a, b = values["bollinger_bqx"][mine], factor * other[theirs]
        assert (np.isnan(a) == np.isnan(b)).all()
        both = ~np.isnan(a)
        np.testing.assert_allclose(a[both], b[both], rtol=3e-3, atol=1e-12)  # n < w in windows with holes
        assert np.isclose(a[both], b[both], rtol=1e-9, atol=1e-9).mean() > 0.97


def test_a_bar_at_its_band_is_not_outside() -> None:
    """Eight equal closes and two other equal ones lie 2 deviations apart from their mean, exactly."""
    for price, tick in ((1.08512, 1e-5), (156.234, 1e-3), (0.65, 1e-4)):
        x = np.full((30, 1), price)
        x[18:20] = price + tick
        age = np.arange(30, dtype=np.int32)
        shift, excess, deviation = moments.centre(x, age, 10, 10, 0)
        bands.settle(shift, excess, deviation, 1e-13, 0.0)
        flags = bands.outside(x, shift, excess, deviation)
        place = bands.place_between(x, shift, excess, deviation)
        assert flags[18, 0] == 1.0  # one of ten: three deviations
        assert place[18, 0] == pytest.approx(0.5 + 0.75)
        assert flags[19, 0] == 0.0
        assert place[19, 0] == pytest.approx(1.0)
        assert (flags[9:18] == 0.0).all()
        assert np.isnan(place[9:18]).all()
        found = bands.balance(flags, age, 10, 10)
        assert found[27, 0] == 0.1
        assert np.isnan(found[:18]).all()


def test_equal_prices_of_other_quotes_are_a_flat_window() -> None:
    """Mids of other bids and asks differ in the last bit: the bands have no width, not one of 1e-12."""
    x = np.where(np.arange(60) % 2, 0.1 + 0.2, 0.3)[:, None]
    shift, excess, deviation = moments.centre(x, np.arange(60, dtype=np.int32), 20, 18, 0)
    assert 0 < deviation[40, 0] < 1e-16
    bands.settle(shift, excess, deviation, 1e-13, 0.0)
    assert (deviation[19:] == 0.0).all()


def by_hand(x: F8, window: int) -> F8:
    out = np.full(x.shape, np.nan)
    for r in range(len(x)):
        for j in range(x.shape[1]):
            v = x[max(0, r - window + 1) : r + 1, j]
            v = v[~np.isnan(v)]
            if not np.isnan(x[r, j]) and len(v) >= needed(window):
                out[r, j] = ((v < x[r, j]).sum() + 0.5 * (v == x[r, j]).sum()) / len(v)
    return out


def test_ranks_by_hand_and_live() -> None:
    """With ties, zeros and NULLs; over several chunks; and a ring that counts the whole window."""
    rng = np.random.default_rng(2)
    x = np.abs(np.round(np.cumsum(rng.standard_normal((9000, 2)), axis=0) / 2) / 8)
    x[rng.random(x.shape) < 0.03] = np.nan
    found = ranks.percentile_rank(x, 1440, 1296)
    expected = by_hand(x, 1440)
    np.testing.assert_array_equal(found, expected)
    assert (~np.isnan(found)).sum() > 12_000
    cap, live = 1500, np.empty((1, 2))
    ring = np.full((cap, 2), np.nan)
    for r in range(len(x)):
        ring[r % cap] = x[r]
        ranks.rank_step(ring, r, 1440, 1296, live, 0)
        np.testing.assert_array_equal(live[0], found[r])
    small = ranks.percentile_rank(x[:500].astype(np.float32), 60, 54)
    np.testing.assert_array_equal(small, by_hand(x[:500].astype(np.float32).astype(np.float64), 60))


def test_breach_of_a_ring_gives_the_same_bits() -> None:
    rng = np.random.default_rng(4)
    flag = rng.integers(-1, 2, (900, 3)).astype(np.float64)
    flag[rng.random(flag.shape) < 0.03] = np.nan
    age = (np.arange(900) % 500).astype(np.int32)
    found, ring, state, out = bands.balance(flag, age, 60, 54), np.zeros((64, 3)), np.zeros((2, 3)), np.empty((1, 3))
    for r in range(900):
        ring[r % 64] = flag[r]
        bands.balance_step(ring, r, age[r], 60, 54, state, out, 0)
        np.testing.assert_array_equal(out[0], found[r])
        v = flag[max(r - 59, r - age[r]) : r + 1]
        for j in range(3):
            part = v[~np.isnan(v[:, j]), j]
            if age[r] >= 59 and len(part) >= 54:
                assert found[r, j] == part.sum() / len(part)
            else:
                assert np.isnan(found[r, j])


def test_mirror() -> None:
    """S -> -S turns the bands over."""
    x = np.random.default_rng(1).standard_normal((400, 2))
    age = np.arange(400, dtype=np.int32)
    up, down = (moments.centre(v, age, 20, 18, 0) for v in (x, -x))
    np.testing.assert_array_equal(bands.outside(x, *up), -bands.outside(-x, *down))
    np.testing.assert_allclose(bands.place_between(x, *up), 1 - bands.place_between(-x, *down), atol=1e-14)


def test_no_two_columns_say_the_same(home: Dataset, values: dict[str, dict[str, F8]]) -> None:
    """T10, levels and aliases excepted."""
    names = [c.name for c in home.columns if "level" not in c.tags]
    table = np.stack([values[home.name][n].ravel() for n in names])
    table = table[:, ~np.isnan(table).any(axis=0)]
    assert table.shape[1] > 40_000
    close = np.abs(np.corrcoef(table)) - np.eye(len(table)) > 0.9999
    assert not close.any(), [(names[a], names[b]) for a, b in np.argwhere(close)]


def sample_deviation(streams: Streams, name: str, honest: F8) -> F8:
    w = parse(name)[1]
    return honest * math.sqrt(w / (w - 1))


def change_of_width(streams: Streams, name: str, honest: F8) -> F8:
    """The seed's slope."""
    deviation = moments.centre(streams.panel.close, streams.panel.grid.seg_age, parse(name)[1], 18, 0)[2]
    return np.where(np.isnan(honest), np.nan, 4e4 * bands.mean_change(deviation, 0 * deviation, 5))


def rank_without_ties(streams: Streams, name: str, honest: F8) -> F8:
    """The current value counted as above itself."""
    return honest + 0.5 / RANKED


def from_the_index(streams: Streams, name: str, honest: F8) -> F8:
    return honest * (100.0 / streams.anchors.mids(streams.panel.pairs))


def before_the_baseline(streams: Streams, name: str, honest: F8) -> F8:
    w = parse(name)[1]
    shift, excess, _ = moments.centre(streams.panel.close, streams.panel.grid.seg_age, w, needed(w), 0)
    return (shift + excess) * (100.0 / streams.anchors.mids(streams.panel.pairs))


def rank_of_the_month(streams: Streams, name: str, honest: F8) -> F8:
    """Ranked among all that was loaded."""
    w = parse(name)[1]
    width = moments.centre(streams.panel.close, streams.panel.grid.seg_age, w, needed(w), 0)[2]
    found = ranks.percentile_rank(width, 10**6, 1)
    return np.where(np.isnan(honest), np.nan, found)


BUGS: list[tuple[str, Callable[[Streams, str, F8], F8], set[str]]] = [
    ("bb_width_20", sample_deviation, {"reference"}),
    ("bb_slope_20", change_of_width, {"reference"}),
    ("bb_squeeze_20", rank_without_ties, {"reference"}),
    ("bb_width_20", from_the_index, {"baseline", "reference"}),
    ("bb_middle_20", before_the_baseline, {"nulls"}),
    ("bb_squeeze_20", rank_of_the_month, {"partition", "reference"}),
]


@pytest.mark.parametrize(("column", "plant", "caught"), BUGS, ids=lambda v: getattr(v, "__name__", None))
def test_planted_bug_is_caught(
    column: str, plant: Callable[[Streams, str, F8], F8], caught: set[str], world: World
) -> None:
    whole = datasets()["bollinger_rate"]
    home = replace(whole, columns=(whole.by_name[column],))

    def broken(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
        return {n: plant(streams, n, v) for n, v in whole.compute(streams, names).items()}

    two = world.only(("eurusd", "usdjpy"))
    assert failures(home, two) == set()
    assert caught <= failures(replace(home, compute=broken), two)


def failures(home: Dataset, world: World) -> set[str]:
    chosen = ("partition", "nulls", "baseline", "reference")
    return {name for name in chosen if not all(r.passed for r in CHECKS[name](home, world))}
