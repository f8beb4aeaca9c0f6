"""Data health and service levels: clean input says nothing, each planted fault is named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from bqx.base.errors import MonitorInputError
from bqx.market.calendar import datetime_of
from bqx.serve.monitor import health, retrain, service
from bqx.serve.monitor.finding import Finding
from bqx.serve.monitor.performance import by_day, rows_of
from bqx.serve.monitor.probe import keep
from bqx.serve.monitor.served import frames_differ, values_differ

LIMITS = health.HealthLimits()
MINUTES = np.arange(1000, 2440)


def test_clean_bars_say_nothing() -> None:
    rng = np.random.default_rng(0)
    close = 1.0 + 1e-4 * np.cumsum(rng.standard_normal(1440))
    spread, hour = rng.uniform(0.8, 1.2, 1440), MINUTES // 60 % 24
    found = health.staleness("eurusd", 2439, 2445, np.arange(2439, 2446), LIMITS)
    found += health.gaps("eurusd", MINUTES, MINUTES, LIMITS) + health.duplicates("eurusd", MINUTES)
    found += health.flat_line("eurusd", close + 1e-5, close - 1e-5, close, LIMITS)
    found += health.spread_regime("eurusd", spread, hour, spread, hour, LIMITS)
    found += health.clock_skew("api", 100.0, 101.0, LIMITS)
    found += health.null_rates("eurusd", {"a": (50, 1440)}, {"a": (40, 1440)}, LIMITS)
    assert found == []


def test_every_fault_is_named() -> None:
    assert health.staleness("eurusd", 1000, 1100, np.arange(1000, 1101), LIMITS)[0].value == 99
    assert health.staleness("eurusd", 1000, 9000, np.array([1000, 9000]), LIMITS) == []  # a week end is no age
    assert health.gaps("eurusd", MINUTES[::2], MINUTES, LIMITS)[0].value == pytest.approx(0.5)
    assert health.duplicates("eurusd", np.r_[MINUTES, 2439])[0].severity == "critical"
    still = np.full(61, 1.1)
    assert health.flat_line("eurusd", still, still, still, LIMITS)[0].value == 60
    hour = MINUTES // 60 % 24
    usual = 1.0 + hour / 24  # the reference knows its hours
    assert health.spread_regime("eurusd", usual[:60], hour[:60], usual, hour, LIMITS) == []
    assert health.spread_regime("eurusd", 4 * usual, hour, usual, hour, LIMITS)[0].value == pytest.approx(4.0)
    assert health.clock_skew("api", 0.0, 30.0, LIMITS)[0].value == 30.0
    nulls = health.null_rates("eurusd", {"a": (200, 1440), "b": (900, 1440)}, {"a": (0, 9), "b": (0, 9)}, LIMITS)
    assert len(nulls) == 1 and "b" in nulls[0].what and nulls[0].what.startswith("2 ")
    with pytest.raises(MonitorInputError):
        health.null_rates("eurusd", {"a": (5, 4)}, {"a": (0, 9)}, LIMITS)


def sample(at: float, requests: int, errors: int = 0, p99: float | None = 10.0, began: float = 0.0) -> service.Sample:
    return service.Sample(at, requests, errors, p99, began)


def test_a_healthy_server_says_nothing_and_old_errors_are_forgotten() -> None:
    good = [sample(60.0 * k, 1000 * k, 900) for k in range(200)]
    assert service.levels(good, service.ServiceLimits()) == []
    assert service.levels([sample(0, 5, 5)], service.ServiceLimits()) == []


def test_errors_latency_and_budget_are_found() -> None:
    bad = [sample(60.0 * k, 100 * k, 3 * max(0, k - 100), 900.0) for k in range(200)]
    found = {f.key: f for f in service.levels(bad, service.ServiceLimits())}
    assert {"budget/api-1h", "budget/api-6h", "latency/api"} <= set(found)
    assert found["budget/api-1h"].value == pytest.approx(30.0)
    assert "errors/api" not in found
    worse = [sample(60.0 * k, 100 * k, 10 * k) for k in range(20)]
    assert "errors/api" in {f.key for f in service.levels(worse, service.ServiceLimits())}


def test_counters_of_a_restarted_server_begin_again() -> None:
    seen = [sample(0, 500, 50), sample(60, 520, 50), sample(120, 30, 1, began=100.0)]
    assert service.window(seen, 300.0) == (50, 1)


def frame(values: list[float | None]) -> pl.DataFrame:
    stamps = [datetime_of(60 * k) for k in range(len(values))]
    return pl.DataFrame({"ts_utc": stamps, "move_15": values, "signal_15": [0] * len(values)})


def test_equal_forecasts_have_no_difference_and_one_bit_is_seen() -> None:
    a = frame([1.0, None, -0.0])
    assert frames_differ(a, a.clone()).differing == {} and frames_differ(a, a).compared == 6
    assert frames_differ(a, frame([1.0, None, 0.0])).differing == {"move_15": 1}
    assert frames_differ(a, frame([float(np.nextafter(1.0, 2.0)), 0.5, -0.0])).differing == {"move_15": 2}
    assert frames_differ(a, a.head(2)).differing == {"move_15": 1, "signal_15": 1}
    assert frames_differ(a.head(2), a).findings("forecasts")[0].severity == "critical"
    with pytest.raises(MonitorInputError, match="signal_15"):
        frames_differ(a, a.drop("signal_15"))


def test_served_features_are_float32_bits() -> None:
    third = float(np.float32(1 / 3))
    assert values_differ(json.loads(json.dumps({"a": third, "b": None})), {"a": third, "b": np.nan}).differing == {}
    assert values_differ({"a": third, "b": 0.0}, {"a": third, "b": np.nan}).differing == {"b": 1}
    with pytest.raises(MonitorInputError, match="b"):
        values_differ({"a": 1.0}, {"a": 1.0, "b": 2.0})


def test_answers_are_kept_once_a_bar(tmp_path: Path) -> None:
    answer = {"pair": "eurusd", "data": {"bar": "t"}, "model": {"digest": "d"}, "features": {}, "latency_ms": 1}
    assert len(keep(tmp_path, "eurusd", answer)) == 1
    assert len(keep(tmp_path, "eurusd", answer)) == 1
    assert len(keep(tmp_path, "eurusd", {**answer, "data": {"bar": "u"}})) == 2
    assert keep(tmp_path, "eurusd", None)[0] == {k: v for k, v in answer.items() if k != "latency_ms"}


def test_rows_await_their_labels_and_a_day_is_one_mean() -> None:
    y = np.array([1.0, -2.0, np.nan, 0.5])
    f, low, high = np.zeros(4), np.full(4, -1.5), np.full(4, 1.5)
    rows = rows_of(np.array([1, 1, 2, 2]), y, f + 0.5, low, high, np.full(4, np.nan), high)
    days = by_day([rows])
    assert days["day"].to_list() == [1, 2] and rows.height == 3
    assert days["miss80"].to_list() == [0.5, 0.0] and days["miss90"].null_count() == 2
    assert days["loss"].to_list() == pytest.approx([(0.25 - 1 + 6.25 - 4) / 2, 0 - 0.25])


def test_drift_alone_never_trains_again() -> None:
    drifted = [Finding("drift", "rate", "warning", "d"), Finding("nulls", "eurusd", "warning", "n")]
    assert not retrain.decide(drifted, age_days=5, every=30).retrain
    assert retrain.decide(drifted, age_days=31, every=30).why == "schedule"
    assert not retrain.decide([], age_days=400, every=0).retrain
    assert retrain.decide([Finding("loss", "first-loss", "warning", "l")], age_days=1, every=30).why == "performance"


def test_the_champion_stays_unless_it_is_beaten_after_all_looks() -> None:
    class Pair:
        def __init__(self, better: float, worse: float) -> None:
            self.p_better, self.p_worse = better, worse

    even = [Pair(0.5, 0.5)] * 9
    assert retrain.champion(even) == "champion"
    assert retrain.champion([*even, Pair(0.03, 0.97)]) == "champion"  # one of ten looks
    assert retrain.champion([*even, Pair(0.001, 0.999)]) == "challenger"
    assert retrain.champion([*even, Pair(0.001, 0.999), Pair(0.999, 0.001)]) == "champion"
    assert retrain.champion([]) == "champion"
