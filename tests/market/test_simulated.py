"""The simulated market: consistent, anchored, reproducible, and without (or with a known) predictability."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import mpmath
import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from bqx.base.errors import UsageError
from bqx.market import simulated as module
from bqx.market.bars import BARS_SCHEMA
from bqx.market.calendar import Calendar, month_span
from bqx.market.pairs import PAIRS, TRIANGLES
from bqx.market.sim_math import exp, inverse_normal, log, normal
from bqx.market.simulated import ORIGIN, simulate, simulated_source

CALENDAR = Calendar.load()
JULY = month_span("2024_07")
GOLDEN = "1dcfb988e02de5401f4d1156"


def fingerprint(frames: dict[str, pl.DataFrame]) -> str:
    h = hashlib.sha256()
    for pair in sorted(frames):
        for column in frames[pair]:
            h.update(column.to_physical().to_numpy().tobytes())
    return h.hexdigest()[:24]


@pytest.fixture(scope="module")
def month() -> dict[str, pl.DataFrame]:
    return simulate(CALENDAR, *JULY, seed=7)


def test_every_pair_has_the_bars_schema(month: dict[str, pl.DataFrame]) -> None:
    assert tuple(month) == PAIRS
    for frame in month.values():
        assert dict(frame.schema) == BARS_SCHEMA
        assert frame["ts_utc"].is_sorted() and frame["ts_utc"].n_unique() == len(frame)
        assert frame.null_count().sum_horizontal().item() == 0


def test_bars_are_consistent(month: dict[str, pl.DataFrame]) -> None:
    for pair, f in month.items():
        for side in ("", "bid_", "ask_"):
            o, h, low, c = (f[f"{side}{x}"] for x in ("open", "high", "low", "close"))
            assert (low <= o).all() and (low <= c).all() and (h >= o).all() and (h >= c).all() and (low > 0).all()
        scale = 1e3 if pair.endswith("jpy") else 1e5
        for x in ("open", "high", "low", "close"):
            bid, ask = f[f"bid_{x}"].to_numpy(), f[f"ask_{x}"].to_numpy()
            assert (bid < ask).all()
            assert (f[x].to_numpy() == 0.5 * (bid + ask)).all()
            assert (np.round(bid * scale) / scale == bid).all(), "quotes are whole points"
        assert (f["volume"] >= 1).all()


def test_only_open_minutes_and_missing_ones_differ_by_pair(month: dict[str, pl.DataFrame]) -> None:
    grid = CALENDAR.grid(*JULY).minute
    shares, masks = [], []
    for f in month.values():
        minute = f["ts_utc"].to_physical().to_numpy() // 60_000_000
        assert np.isin(minute, grid).all()
        masks.append(~np.isin(grid, minute))
        shares.append(masks[-1].mean())
    assert min(shares) >= 0.013 and max(shares) <= 0.035 and max(shares) - min(shares) > 0.01
    assert np.corrcoef(masks[0], masks[1])[0, 1] < 0.05
    runs = [len(r) for m in masks for r in "".join("x" if v else " " for v in m).split()]
    assert 6 < max(runs) <= 95


def test_no_arbitrage_across_any_triangle(month: dict[str, pl.DataFrame]) -> None:
    compared = 0
    for t in TRIANGLES:
        legs = [month[p].select("ts_utc", pl.col("bid_close").alias("b" + k), pl.col("ask_close").alias("a" + k))
                for p, k in ((t.cross, "0"), (t.first, "1"), (t.second, "2"))]  # fmt: skip
        f = legs[0].join(legs[1], on="ts_utc").join(legs[2], on="ts_utc")
        assert (f["b0"] < f["a1"] * f["a2"]).all() and (f["a0"] > f["b1"] * f["b2"]).all()
        mid = (f["a0"] + f["b0"]) / 2
        via = (f["a1"] + f["b1"]) * (f["a2"] + f["b2"]) / 4
        assert ((mid / via).log().abs().max() or 0) < 2.5e-5  # rounding to points only
        compared += len(f)
    assert compared > 1_000_000


def test_levels_are_like_the_market(month: dict[str, pl.DataFrame]) -> None:
    bounds = {"eurusd": (0.8, 1.5), "usdjpy": (100, 220), "gbpusd": (0.9, 1.8), "eurchf": (0.7, 1.35)}
    for pair, (low, high) in bounds.items():
        assert low < (month[pair]["close"].mean() or 0) < high


def test_months_chunks_and_subsets_give_the_same_bits(month: dict[str, pl.DataFrame]) -> None:
    a, b = JULY
    cut = a + 9 * 1440 + 137
    module._seen.clear()
    parts = [simulate(CALENDAR, x, y, seed=7, pairs=["usdjpy", "eurusd"]) for x, y in ((a, cut), (cut, b))]
    module._seen.clear()
    late = simulate(CALENDAR, cut, b + 5000, seed=7, pairs=["eurusd"])
    for pair in ("eurusd", "usdjpy"):
        assert_frame_equal(pl.concat([p[pair] for p in parts]), month[pair], check_exact=True)
    assert_frame_equal(late["eurusd"].head(5000), parts[1]["eurusd"].head(5000), check_exact=True)


def test_a_hole_goes_on_across_the_start_of_a_span(month: dict[str, pl.DataFrame]) -> None:
    cuts = 0
    for pair in PAIRS[:8]:
        minute = month[pair]["ts_utc"].to_physical().to_numpy() // 60_000_000
        gap = np.diff(minute)
        for at in np.flatnonzero((gap > 10) & (gap < 95)):
            cut = int(minute[at]) + 5
            part = simulate(CALENDAR, cut, cut + 200, seed=7, pairs=[pair])[pair]
            assert part["ts_utc"].to_physical()[0] // 60_000_000 == minute[at + 1]
            cuts += 1
    assert cuts >= 3


def test_same_bytes_as_ever() -> None:
    assert fingerprint(simulate(CALENDAR, JULY[0], JULY[0] + 1440, seed=3, flavour="planted")) == GOLDEN


def test_same_bytes_on_a_generic_cpu(tmp_path: Path) -> None:
    code = "import test_simulated as t; t.test_same_bytes_as_ever()"
    path = os.pathsep.join([*sys.path, str(Path(__file__).parent)])
    env = {**os.environ, "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], check=True, env={**env, "PYTHONPATH": path}, timeout=120)


def test_seeds_and_flavours_differ() -> None:
    span = (ORIGIN + 3000, ORIGIN + 4000)
    prints = {fingerprint(simulate(CALENDAR, *span, seed=s, flavour=f)) for s in (1, 2) for f in module.FLAVOURS}
    assert len(prints) == 4


def test_random_walk_returns_are_uncorrelated_and_unbiased() -> None:
    """Of 28 x 60 lagged autocorrelations and 28 means, scaled by robust errors, few exceed two and none five."""
    frames = simulate(CALENDAR, *month_span("2024_08"), seed=11)
    scores = []
    for f in frames.values():
        r = np.diff(np.log(f["close"].to_numpy()))
        r = np.clip(r, -6 * r.std(), 6 * r.std())
        scores.append(r.sum() / np.sqrt((r**2).sum()))
        for lag in range(1, 61):
            product = r[lag:] * r[:-lag]
            scores.append(product.sum() / np.sqrt((product**2).sum()))
    z = np.array(scores)
    assert len(z) == 28 * 61
    assert np.abs(z).max() < 5 and (np.abs(z) > 1.96).mean() < 0.08


def test_volatility_persists_and_follows_sessions(month: dict[str, pl.DataFrame]) -> None:
    f = month["eurusd"]
    r = np.abs(np.diff(np.log(f["close"].to_numpy())))
    hour = f["ts_utc"].dt.hour().to_numpy()[1:]
    assert r[(hour >= 12) & (hour < 15)].mean() > 1.7 * r[(hour >= 21) & (hour < 23)].mean()
    slow = np.array([part.mean() for part in np.array_split(r, len(r) // 1440)])
    assert np.corrcoef(slow[1:], slow[:-1])[0, 1] > 0.15
    z = np.diff(np.log(f["close"].to_numpy()))
    assert (z**4).mean() / (z**2).mean() ** 2 > 4, "fat tails"


def test_parkinson_range_agrees_with_closes(month: dict[str, pl.DataFrame]) -> None:
    for pair in ("eurusd", "audjpy", "gbpnzd"):
        f = month[pair]
        o, h, low, c = (np.log(f[x].to_numpy()) for x in ("open", "high", "low", "close"))
        calm = np.abs(c - o) < 6 * (c - o).std()
        parkinson = ((h - low)[calm] ** 2).mean() / (4 * np.log(2))
        assert parkinson == pytest.approx(((c - o)[calm] ** 2).mean(), rel=0.1)


def test_opens_continue_the_last_close_except_at_gaps(month: dict[str, pl.DataFrame]) -> None:
    f = month["gbpusd"]
    step = f["ts_utc"].diff().dt.total_seconds()[1:].to_numpy()
    jump = np.abs(np.diff(np.log(f["close"].to_numpy())) - np.log(f["close"] / f["open"]).to_numpy()[1:]) * 1e4
    assert jump[step == 60].max() < 0.3, "rounding only"
    assert np.median(jump[step > 86_400]) > 1.0, "weekends gap"


def test_planted_momentum_is_there() -> None:
    """Returns follow the currencies' momentum S with coefficient KAPPA: measured on the pairs' own past."""
    t = 0.0
    for seed in range(2):
        for flavour, sign in (("planted", 1.0), ("random-walk", -1.0)):
            f = simulate(CALENDAR, *JULY, seed=seed, flavour=flavour, pairs=["eurusd", "audjpy", "gbpcad", "nzdchf"])
            for frame in f.values():
                r = np.diff(np.log(frame["close"].to_numpy()))
                r = np.clip(r / r.std(), -5, 5)
                past = np.convolve(r, np.ones(45), mode="valid")[:-1] / np.sqrt(45)
                future = r[45:]
                t += sign * (past * future).sum() / np.sqrt(len(future)) / 4
    assert t > 10


def test_a_million_bars_a_second(month: dict[str, pl.DataFrame]) -> None:
    best = np.inf
    for _ in range(3):
        begin = time.perf_counter()
        frames = simulate(CALENDAR, *JULY, seed=8)
        best = min(best, time.perf_counter() - begin)
    assert sum(len(f) for f in frames.values()) / best > 1_000_000


def test_the_source_says_simulated() -> None:
    source = simulated_source(5, "planted")
    assert source["simulated"] is True and source["seed"] == 5 and source["flavour"] == "planted"
    assert "simulated" in source["vendor"]


@pytest.mark.parametrize(
    "kwargs", [{"flavour": "rosy"}, {"seed": -1}, {"pairs": ["usdeur"]}, {"origin_minute": JULY[1]}]
)
def test_wrong_calls_teach(kwargs: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        simulate(CALENDAR, *JULY, **{"seed": 1, **kwargs})  # type: ignore[arg-type]


def test_own_mathematics_against_40_digits() -> None:
    mpmath.mp.dps = 40
    rng = np.random.default_rng(0)
    for x in rng.uniform(-30, 30, 500):
        assert exp(x) == pytest.approx(float(mpmath.e ** mpmath.mpf(x)), rel=5e-16)
    for x in np.exp(rng.uniform(-40, 3, 500)):
        assert log(x) == pytest.approx(float(mpmath.log(mpmath.mpf(x))), rel=1e-15)
    for u in (0.5, 0.975, 0.025, 1e-9, 1e-15, 0.7):
        exact = float(mpmath.sqrt(2) * mpmath.erfinv(2 * mpmath.mpf(u) - 1))
        assert inverse_normal(u) == pytest.approx(exact, rel=1e-14, abs=1e-300)
    z = np.array([normal(np.uint64(1), i) for i in range(100_000)])
    assert abs(z.mean()) < 0.015 and abs(z.std() - 1) < 0.01
