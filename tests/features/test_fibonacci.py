"""fibonacci against TA-Lib, pandas, scipy and its mirror image, and mistakes planted in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import talib
from numpy.typing import NDArray
from scipy.signal import argrelextrema

from bqx.features import declare
from bqx.features.catalogue import count, datasets
from bqx.features.checks import CHECKS, World
from bqx.features.compute import evaluate
from bqx.features.declare import Dataset
from bqx.features.families import fibonacci, fibonacci_series
from bqx.features.families.fibonacci import ENGINES, split
from bqx.features.families.fibonacci_series import LEVELS, Legs
from bqx.features.streams import Domain, Stream, Streams
from bqx.market.calendar import Calendar, minute_of
from bqx.market.simulated import simulate

F8 = NDArray[np.float64]
DOMAINS: tuple[Domain, ...] = ("rate", "bqx")
START, END = (minute_of(datetime(2024, 2, day, 22, tzinfo=UTC)) for day in (18, 23))
KINDS = ("pos", "range", "dir", "age_high", "age_low", "retrace", *(f"prox_{level}" for level in LEVELS), "nearest")


@pytest.fixture(scope="module")
def week() -> World:
    """One segment of one pair without a NULL minute."""
    calendar = Calendar.load()
    return World(simulate(calendar, START, END, seed=1, pairs=("eurusd",), origin_minute=START), calendar, START)


def home_of(domain: Domain) -> Dataset:
    return datasets()[f"fibonacci_{domain}"]


def whole(world: World, home: Dataset) -> Streams:
    return world.streams(home, *world.span)[0]


@pytest.mark.parametrize("domain", DOMAINS)
def test_columns(domain: Domain) -> None:
    home = home_of(domain)
    assert [c.name for c in home.columns] == [f"fib_{kind}_{e}" for kind, e in product(KINDS, ENGINES)]
    found = count([home])
    assert (found["counted"], found["laggable"], found["inherited"]) == (56, 0, 56 if domain == "rate" else 0)
    assert home.stage == ("1.6.9a" if domain == "rate" else "1.6.14")
    more = 15 if domain == "bqx" else 0
    for item in home.columns:
        kind, engine = split(item.name)
        own = 21 if engine == "fx" else int(engine[1:])
        near = kind.startswith("prox") or kind == "nearest"
        assert item.warmup == max(own, 601 if near else 0) + more, item.name


@pytest.mark.parametrize("domain", DOMAINS)
def test_rolling_agrees_with_talib(week: World, domain: Domain) -> None:
    """One unbroken week, 1,000 bps up since TA-Lib takes 0 for missing; ages where the extreme is one bar's alone."""
    home = home_of(domain)
    streams = whole(week, home)
    s = streams.stream(domain)
    h, low, c = (np.ascontiguousarray(x[15:, 0]) + 1000.0 for x in (s.high, s.low, s.close))
    values = {name: v[15:, 0] for name, v in evaluate(home, streams).items()}
    for n in (60, 240, 1440):
        rows = slice(n - 1, None)
        hi, lo = talib.MAX(h, n)[rows], talib.MIN(low, n)[rows]
        want = {"range": hi - lo, "pos": (c[rows] - lo) / (hi - lo)}
        for kind, theirs in want.items():
            ours = values[f"fib_{kind}_r{n}"][rows]
            assert not np.isnan(ours).any()
            np.testing.assert_allclose(ours, theirs, atol=1e-9)
        for kind, x, find, sign in (("high", h, talib.MAXINDEX, 1), ("low", low, talib.MININDEX, -1)):
            theirs = (np.arange(len(x)) - find(x, n))[rows]
            highest = (talib.MAX(x, n) if sign > 0 else -talib.MIN(x, n))[rows]
            ours = values[f"fib_age_{kind}_r{n}"][rows]
            sample = slice(None, None, 7)
            windows = np.lib.stride_tricks.sliding_window_view(sign * x, n)[sample]
            alone = (windows > highest[sample, None] - 1e-4).sum(axis=1) == 1
            assert alone.mean() > 0.4
            np.testing.assert_array_equal(ours[sample][alone], theirs[sample][alone])
            at = np.arange(len(x))[rows] - ours.astype(int)
            assert (sign * x[at] > highest - 1.6e-5).all()
            assert (ours <= theirs).all(), "the latest of equals"


def joined(streams: Streams, domain: Domain, pair: int) -> tuple[F8, F8, F8]:
    """High, low and close of one pair without closure gaps: each segment goes on where the one before ended."""
    s, age = streams.stream(domain), streams.panel.grid.seg_age
    h, low, c = (x[:, pair].copy() for x in (s.high, s.low, s.close))
    if domain == "rate":
        offset = 0.0
        for start, stop in zip(np.flatnonzero(age == 0), [*np.flatnonzero(age == 0)[1:], len(age)], strict=True):
            for x in (h, low, c):
                x[start:stop] += offset
            priced = c[start:stop][~np.isnan(c[start:stop])]
            offset = priced[-1] if len(priced) else offset
    return h, low, c


@pytest.mark.parametrize("domain", DOMAINS)
def test_across_closures_agrees_with_pandas(world: World, domain: Domain) -> None:
    home = home_of(domain)
    streams = whole(world, home)
    values = evaluate(home, streams)
    for pair in range(streams.panel.shape[1]):
        h, low, c = joined(streams, domain, pair)
        hi = pd.Series(h).rolling(1440, min_periods=1296).max()
        lo = pd.Series(low).rolling(1440, min_periods=1296).min()
        for kind, want in (("range", hi - lo), ("pos", (c - lo) / (hi - lo))):
            ours = values[f"fib_{kind}_r1440"][:, pair]
            known = ~np.isnan(ours)
            assert known.sum() > 15_000
            np.testing.assert_allclose(ours[known], want[known], atol=1e-8)
            age = streams.panel.grid.seg_age
            assert known[age < 1000].mean() > 0.3, "the window reaches across closures"


@pytest.mark.parametrize("domain", DOMAINS)
def test_swings_agree_with_scipy(world: World, domain: Domain) -> None:
    """Strict extrema of order 10 in each segment, known 10 bars later, carried for 1,440 bars by pandas."""
    home = home_of(domain)
    streams = whole(world, home)
    age = streams.panel.grid.seg_age
    values = evaluate(home, streams)
    rows = np.arange(len(age))
    for pair in range(streams.panel.shape[1]):
        h, low, c = joined(streams, domain, pair)
        last = {}
        for kind, x, level in (("high", h, h), ("low", -low, low)):
            steps = np.rint(x * 65536)
            found = argrelextrema(np.where(np.isnan(steps), np.inf, steps), np.greater, order=10)[0]
            clean = pd.Series(x).rolling(21).count().to_numpy()
            found = found[(found >= 10) & (found < len(x) - 10)]
            found = found[(age[found + 10] >= 20) & (clean[found + 10] == 21)]
            at = pd.Series(np.nan, index=rows, dtype=float)
            at[found + 10] = found
            at = at.ffill()
            at[rows - at > 1440] = np.nan
            last[kind] = (at, at.map(lambda k, level=level: level[int(k)], na_action="ignore"))
        (hi_at, hi), (lo_at, lo) = last["high"], last["low"]
        both = (hi_at.notna() & lo_at.notna() & ~np.isnan(c)).to_numpy()
        ages = {kind: values[f"fib_age_{kind}_fx"][:, pair] for kind in last}
        warm = ~np.isnan(ages["high"])
        assert (warm == both).mean() > 0.999, "but for the bars before the warm-up"
        assert warm.sum() > 15_000
        for kind, (at, _) in last.items():
            same = ages[kind][warm] == (rows - at)[warm]
            # a tie within rounding may fall otherwise when counted from another zero
            assert same.mean() > (0.99 if domain == "rate" else 0.9999)
        span = (hi - lo).to_numpy()
        same = warm & (ages["high"] == rows - hi_at) & (ages["low"] == rows - lo_at)
        leg = same & (span > 1e-9)
        assert (~np.isnan(values["fib_range_fx"][:, pair]) == leg)[same].all()
        np.testing.assert_allclose(values["fib_range_fx"][leg, pair], span[leg], atol=1e-8)
        place = np.clip((c - lo.to_numpy())[leg] / span[leg], -1, 2)
        np.testing.assert_allclose(values["fib_pos_fx"][leg, pair], place, atol=1e-6)


@pytest.mark.parametrize("domain", DOMAINS)
def test_identities(world: World, domain: Domain) -> None:
    """What columns say of each other; E13: the place in 60 bars is that of %R, in 240 bars that of momentum."""
    home = home_of(domain)
    v = world.values(home, *world.span)
    for e in ENGINES:
        pos, way, back = (v[f"fib_{kind}_{e}"] for kind in ("pos", "dir", "retrace"))
        known = ~np.isnan(way)
        assert set(np.unique(way[known]).tolist()) == {-1.0, 1.0}
        np.testing.assert_allclose(back[known], np.where(way > 0, 1 - pos, pos)[known], atol=1e-9)
        later = v[f"fib_age_high_{e}"] < v[f"fib_age_low_{e}"]
        assert (later[known] == (way[known] > 0)).all()
        best = np.max([v[f"fib_prox_{level}_{e}"] for level in LEVELS], axis=0)
        near = ~np.isnan(best)
        assert near.sum() > 10_000
        np.testing.assert_allclose(np.exp(-4 * np.abs(v[f"fib_nearest_{e}"][near])), best[near], rtol=1e-9, atol=1e-300)
    for small, large in (("r60", "r240"), ("r240", "r1440")):
        a, b = v[f"fib_range_{small}"], v[f"fib_range_{large}"]
        both = ~np.isnan(a) & ~np.isnan(b)
        assert both.sum() > 10_000
        assert (a[both] <= b[both] + 1e-9).all()
    aliases = {c.name: c.alias_of for c in home.columns if c.alias_of}
    williams, momentum = f"technical_{domain}.williams_r_60", f"momentum_w240_{domain}.pos_range"
    assert aliases == {"fib_pos_r60": williams, "fib_pos_r240": momentum}
    theirs = world.values(datasets()[f"technical_{domain}"], *world.span, ["williams_r_60"])["williams_r_60"]
    np.testing.assert_allclose(v["fib_pos_r60"], 1 + theirs / 100, atol=1e-12)
    if f"momentum_w240_{domain}" in datasets():
        theirs = world.values(datasets()[f"momentum_w240_{domain}"], *world.span, ["pos_range"])["pos_range"]
        np.testing.assert_allclose(v["fib_pos_r240"], theirs, atol=1e-12)


class Mirrored(Streams):
    """The same bars with y -> -y."""

    def stream(self, domain: Domain) -> Stream:
        s = super().stream(domain)
        return replace(s, open=-s.open, high=-s.low, low=-s.high, close=-s.close, change=-s.change, ends=-s.ends)


def mirror_of(name: str, values: Mapping[str, F8]) -> F8:
    """T6: what a column becomes when the price path is turned over, where the high and the low are two bars."""
    kind, engine = split(name)
    if kind.startswith("age"):
        return values[f"fib_age_{'low' if kind == 'age_high' else 'high'}_{engine}"]
    if kind in ("dir", "nearest"):
        return -values[name]
    return 1 - values[name] if kind == "pos" else values[name]


def two_bars(name: str, values: Mapping[str, F8]) -> NDArray[np.bool_]:
    engine = split(name)[1]
    return np.asarray(values[f"fib_age_high_{engine}"] != values[f"fib_age_low_{engine}"])


@pytest.mark.parametrize("domain", DOMAINS)
def test_mirror(world: World, domain: Domain) -> None:
    home = home_of(domain)
    streams = whole(world, home)
    values = evaluate(home, streams)
    turned = evaluate(home, Mirrored(streams.panel, streams.calendar, streams.anchors))
    for name, value in turned.items():
        want, rows = mirror_of(name, values), two_bars(name, values)
        assert (np.isnan(value) == np.isnan(want)).all(), name
        gap = np.abs(value - want)[rows & ~np.isnan(want)]
        assert len(gap) > 10_000
        assert (gap > 1e-6 * max(1.0, float(np.nanstd(want)))).sum() <= (3 if "nearest" in name else 0), name


def test_mirror_of_prices(world: World) -> None:
    """Of 1/p all of rate is the mirror image; of M to first order."""
    o, h, low, c = (pl.col(name) for name in ("open", "high", "low", "close"))
    frames = {k: f.with_columns(open=1 / o, high=1 / low, low=1 / h, close=1 / c) for k, f in world.frames.items()}
    turned = replace(world, frames=frames)
    for domain in DOMAINS:
        home = home_of(domain)
        before, after = world.values(home, *world.span), turned.values(home, *world.span)
        for name, value in after.items():
            gap = np.abs(value - mirror_of(name, before)) / np.nanstd(value)
            gap = gap[two_bars(name, before) & ~np.isnan(gap)]
            if domain == "rate":
                assert (gap < 1e-5).mean() > 0.9999, name
            else:
                # a level is read in quarters of an hour's range, the second order of M in hundredths of its extremes
                median, share = (0.02, 0.85) if "prox" in name or "nearest" in name else (0.005, 0.97)
                assert np.median(gap) < median, name
                assert (gap < 0.05).mean() > share, (name, (gap < 0.05).mean())


@pytest.mark.parametrize("domain", DOMAINS)
def test_quiet_market(week: World, domain: Domain) -> None:
    """500 flat minutes: no leg within them, so its place, direction and levels are NULL; its length is 0."""
    at = 3000
    frame = week.frames["eurusd"]
    flat = pl.Series(np.arange(len(frame))).is_between(at, at + 499)
    prices = ("open", "high", "low", "close")
    still = float(frame["close"][at])
    frames = {"eurusd": frame.with_columns(pl.when(flat).then(still).otherwise(pl.col(c)).alias(c) for c in prices)}
    values = replace(week, frames=frames).values(home_of(domain), *week.span)
    quiet = slice(at + 400, at + 480)
    for kind in KINDS:
        found = values[f"fib_{kind}_r240"][quiet]
        if kind == "range" or kind.startswith("age"):
            assert (np.abs(found) < 1e-9).all(), kind
        else:
            assert np.isnan(found).all(), kind
        far = values[f"fib_{kind}_r1440"][quiet]
        assert not np.isnan(far).any(), kind
    for name, value in values.items():
        assert not np.isinf(value).any(), name


def test_what_is_borrowed_is_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    """atr_60 comes from technical: an edit there makes fibonacci stale, and declarations count as formulas do."""

    def files(name: str) -> set[str]:
        seen: list[Sequence[Path]] = []
        monkeypatch.setattr(declare, "_code_hash", lambda version, paths: seen.append(paths) or "")
        assert datasets()[name].code_hash == ""
        return {p.name for p in seen[0]}

    assert {"fibonacci.py", "fibonacci_series.py", "technical_series.py"} <= files("fibonacci_rate")
    assert {"statistics.py", "statistics_formulas.py"} <= files("statistics_rate")
    assert files("bollinger_rate") == {"bollinger.py"}


class Early(Legs):
    """A swing at the bar itself, ten bars before it can be known."""

    def _swings(self) -> tuple[F8, ...]:
        lost = np.full((10, self._stream.close.shape[1]), np.nan)
        return tuple(np.vstack([x[10:], lost]) for x in super()._swings())


class GapLeftIn(Legs):
    """Levels of two weeks in one window, each counted from its own zero."""

    def __init__(self, streams: Streams, domain: Domain) -> None:
        super().__init__(streams, domain)
        self._stream = replace(self._stream, ends=np.empty((0, self._stream.close.shape[1])))


class AlwaysUp(Legs):
    """The Reference's: whatever came last, the leg goes up."""

    def _leg(self, engine: str) -> tuple[F8, ...]:
        length, way, depth = super()._leg(engine)
        return length, np.abs(way), np.where(way > 0, depth, length - depth)


class OtherRange(Legs):
    """Nearness in raw ranges in place of atr_60, NULL where it is."""

    @property
    def _atr(self) -> F8:  # type: ignore[override]
        s, honest = self._stream, Legs._atr.func(self)  # type: ignore[attr-defined]
        return np.where(np.isnan(honest), np.nan, s.high - s.low)


class Filled(Legs):
    """No leg: half way."""

    def place(self, engine: str) -> F8:
        return np.nan_to_num(super().place(engine), nan=0.5)


class NeverOld(Legs):
    """Swings of any age."""

    def age(self, engine: str, which: int) -> F8:
        found = super().age(engine, which)
        return found + 1500.0


@dataclass(frozen=True)
class Bug:
    plant: type[Legs]
    columns: tuple[str, ...]
    caught_by: str


BUGS = (
    Bug(Early, ("fib_age_high_fx", "fib_dir_fx"), "causal"),
    Bug(GapLeftIn, ("fib_range_r1440", "fib_pos_fx"), "reference"),
    Bug(AlwaysUp, ("fib_dir_r60", "fib_retrace_r240", "fib_prox_618_r1440", "fib_nearest_fx"), "reference"),
    Bug(OtherRange, ("fib_prox_382_r60", "fib_nearest_r240"), "reference"),
    Bug(Filled, ("fib_pos_r60", "fib_pos_r1440"), "nulls"),
    Bug(NeverOld, ("fib_age_low_r60", "fib_age_high_fx"), "bounds"),
)


@pytest.mark.parametrize("plan", BUGS, ids=lambda b: b.plant.__name__)
def test_planted_mistake_is_caught(plan: Bug, world: World) -> None:
    honest = home_of("rate")
    home = replace(honest, columns=tuple(honest.by_name[c] for c in plan.columns))

    def broken(streams: Streams, names: Sequence[str]) -> Mapping[str, F8]:
        legs = plan.plant(streams, "rate")
        return {name: fibonacci.value(legs, name) for name in names}

    small = world.only(("eurusd", "usdjpy"))
    assert all(r.passed for r in CHECKS[plan.caught_by](home, small))
    assert not any(r.passed for r in CHECKS[plan.caught_by](replace(home, compute=broken), small))


@pytest.mark.parametrize("kernel", ["first", "not_strict"])
def test_planted_kernel_is_caught(kernel: str, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of equals in place of the latest; a swing that others equal."""
    honest = home_of("rate")
    small = world.only(("eurusd", "usdjpy"))
    if kernel == "first":
        column = "fib_age_high_r240"
        peak_age = fibonacci_series.peak_age

        def first(x: F8, window: int) -> F8:
            back = np.ascontiguousarray(x) - np.arange(len(x))[:, None] * 1e-9
            return peak_age(back, window)

        monkeypatch.setattr(fibonacci_series, "peak_age", first)
    else:
        column = "fib_age_low_fx"
        last_swing = fibonacci_series.last_swing

        def loose(x: F8, key: F8, top: F8, *rest: object) -> tuple[F8, ...]:
            return last_swing(x, key, top - 1e-9, *rest)  # type: ignore[arg-type]

        monkeypatch.setattr(fibonacci_series, "last_swing", loose)
    home = replace(honest, columns=(honest.by_name[column],))
    assert not any(r.passed for r in CHECKS["reference"](home, small))
    monkeypatch.undo()
    assert all(r.passed for r in CHECKS["reference"](replace(home), small)), "a new object: values are kept by dataset"
