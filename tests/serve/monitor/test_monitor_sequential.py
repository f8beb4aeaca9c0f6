"""Tests that are looked at daily: size, power, and the run length of the CUSUM."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from bqx.base.errors import MonitorInputError
from bqx.serve.monitor import abtest, cusum, sequential


def test_the_width_is_the_root_of_the_mixture() -> None:
    """The mixture of exp(lambda S - lambda^2 n / 2) over a normal lambda of variance rho^2 reaches 1 / alpha there."""
    n, alpha, planned = 40, 0.05, 60
    rho2 = (-2 * np.log(alpha) + np.log(-2 * np.log(alpha)) + 1) / planned

    def log_mixture(s: float) -> float:
        return float(-0.5 * np.log(1 + n * rho2) + s * s * rho2 / (2 * (1 + n * rho2)) - np.log(1 / alpha))

    root = optimize.brentq(log_mixture, 0.0, 1000.0)
    assert sequential.mixture_width(n, alpha, planned) == pytest.approx(root / n, rel=1e-9)


def test_daily_looks_are_wrong_less_often_than_alpha_where_a_t_test_is_not() -> None:
    rng = np.random.default_rng(3)
    days = rng.standard_t(5, (200, 150))
    wrong = np.mean([sequential.mean_sequence(x).verdict != "open" for x in days])
    assert wrong <= 0.06
    n = np.arange(30, 151)
    t = np.abs(np.cumsum(days, axis=1)[:, 29:] / np.sqrt(n)) / days.std(axis=1, keepdims=True)
    assert (t > 1.96).any(axis=1).mean() > 0.2


def test_an_edge_is_found_and_a_loss_is_told_apart() -> None:
    rng = np.random.default_rng(4)
    assert sequential.mean_sequence(rng.standard_normal(120) + 0.8).verdict == "above"
    assert sequential.mean_sequence(rng.standard_normal(120) - 0.8).verdict == "below"
    assert sequential.mean_sequence(np.ones(29)).verdict == "open"
    with pytest.raises(MonitorInputError):
        sequential.mean_sequence(np.array([1.0, np.nan]))


def test_assignment_is_by_day_and_pair_and_even() -> None:
    got = [abtest.variant("s", d, p) for d in range(500) for p in ("eurusd", "usdjpy")]
    assert abs(got.count("A") - 500) < 80
    assert got == [abtest.variant("s", d, p) for d in range(500) for p in ("eurusd", "usdjpy")]
    assert got != [abtest.variant("other", d, p) for d in range(500) for p in ("eurusd", "usdjpy")]


def test_a_better_variant_wins_and_a_day_is_one_observation() -> None:
    rng = np.random.default_rng(5)
    days, pairs = np.arange(150), [f"p{i}" for i in range(6)]
    common = rng.standard_normal(150)
    outcome = {p: common + 0.3 * rng.standard_normal(150) for p in pairs}
    found = abtest.verdict("s", outcome, days)
    assert found.verdict == "open" and found.n <= 150
    better = {
        p: x + np.array([0.4 * (abtest.variant("s", d, p) == "A") for d in days.tolist()]) for p, x in outcome.items()
    }
    assert abtest.verdict("s", better, days).verdict == "above"


def test_cusum_is_the_recursion() -> None:
    x = np.random.default_rng(0).standard_normal(30)
    s, by_hand = 0.0, []
    for value in x:
        s = max(0.0, s + (value - 0.1) / 2.0 - 0.5)
        by_hand.append(s)
    np.testing.assert_allclose(cusum.cusum(x, 0.1, 2.0), by_hand)


def ar(n: int, rho: float, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(n + 50)
    x = np.zeros(n + 50)
    for t in range(1, n + 50):
        x[t] = rho * x[t - 1] + noise[t]
    return x[50:]


def test_false_alarms_are_ninety_days_apart_and_a_rise_is_found() -> None:
    """A reference whose deviation came out far too small, the first, still has a limit that is too low."""
    lengths = []
    for seed in (1, 3, 5, 29):
        limit = cusum.calibrate(ar(120, 0.3, seed), arl=90.0, draws=80)
        ends = [cusum.first_alarm(ar(360, 0.3, 100 + k), limit) for k in range(30)]
        lengths.append(np.mean([360 if at is None else at + 1 for at in ends]))
        delays = [cusum.first_alarm(ar(60, 0.3, 500 + k) + 2.5, limit) for k in range(20)]
        assert all(d is not None and d < 15 for d in delays)
    assert sum(x >= 90.0 for x in lengths) >= 3 and np.mean(lengths) >= 90.0


def test_a_limit_without_dependence_cries_wolf() -> None:
    """The planted fault: days are taken for independent."""
    x = ar(120, 0.6, 2)
    right = cusum.calibrate(x, draws=80).h
    wrong = cusum.calibrate(np.random.default_rng(0).permutation(x), draws=80).h
    assert wrong < 0.8 * right


def test_short_or_constant_references_are_refused() -> None:
    for bad in (np.ones(39), np.ones(50), np.full(50, np.nan)):
        with pytest.raises(MonitorInputError):
            cusum.calibrate(bad)
