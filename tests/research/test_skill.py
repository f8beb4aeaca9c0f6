"""Skill, its interval, its words."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bqx.base.errors import CheckError
from bqx.research.skill import NO_SKILL, Skill, losses, measure, overlap, skill_of, summary

SHAPE = {"horizon": 15, "longest": 15, "every": 5, "legs": 3, "pairs": 3, "seed": 1}


def made(skill: float = 0.01, low: float = 0.005, noise: float = 0.001, hit: float = 0.52) -> Skill:
    return Skill(15, skill, low, skill + 0.01, 0.0, noise, hit, 10_000, 3000, 900.0, 30.0)


def test_losses_count_what_is_known() -> None:
    y = np.array([[1.0, -2.0], [np.nan, 3.0], [0.0, 1.0]])
    f = np.array([[0.5, 1.0], [1.0, 3.0], [1.0, np.nan]])
    np.testing.assert_array_equal(losses(y, f), [[9.25, 5, 1, 2, 2], [0, 9, 1, 1, 1], [1, 0, 0, 0, 1]])


def test_skill_is_one_minus_the_ratio_of_squared_errors() -> None:
    rng = np.random.default_rng(0)
    f = rng.normal(size=(2000, 3))
    y = f + rng.normal(size=f.shape)
    s = skill_of(losses(y, f), np.zeros(9), **SHAPE)
    assert s.skill == pytest.approx(1 - ((y - f) ** 2).sum() / (y**2).sum(), rel=1e-12)
    assert s.low < s.skill < s.high and s.high - s.low < 0.1 and s.block >= 30
    assert s.hit_rate == pytest.approx(0.75, abs=0.02), "1/2 + asin(sqrt(1/2)) / pi"
    assert s.n_rows == 6000 and s.n_effective == pytest.approx(2000 * 3 * 5 / overlap(15))
    assert s.quarantined and "leak" in s.verdict


def test_interval_keeps_dependence_between_pairs() -> None:
    """Ten copies of one pair are worth one pair: the interval must not shrink."""
    rng = np.random.default_rng(1)
    f = 0.1 * rng.normal(size=(1500, 1))
    y = f + rng.normal(size=f.shape)
    one = skill_of(losses(y, f), np.zeros(9), **SHAPE)
    ten = skill_of(losses(np.tile(y, 10), np.tile(f, 10)), np.zeros(9), **{**SHAPE, "pairs": 10})
    assert ten.high - ten.low == pytest.approx(one.high - one.low, rel=1e-9)


def test_words() -> None:
    assert made().verdict == "skill against the random walk"
    assert made(low=-0.001).verdict == NO_SKILL
    assert made(skill=-0.02, low=-0.03).verdict == NO_SKILL
    assert made(noise=0.02).verdict == NO_SKILL, "noise gets as much"
    assert made(skill=0.06, low=0.05).quarantined and made(hit=0.6).quarantined
    assert "no demonstrated skill" in summary([made()], made(low=-1.0))
    assert "h = 15" in summary([made()], made()) and "quarantined at h = 15" in summary([made(hit=0.7)], made())


def test_too_few_forecasts_are_refused() -> None:
    with pytest.raises(CheckError, match="500"):
        skill_of(losses(np.ones((100, 3)), np.zeros((100, 3))), np.zeros(9), **SHAPE)


def test_overlap_is_the_sum_of_autocorrelations() -> None:
    k = np.arange(1, 61, dtype=float)
    rho = [(k[: 60 - j] * k[j:]).sum() / (k**2).sum() for j in range(60)]
    assert overlap(60) == pytest.approx(2 * sum(rho) - 1)
    assert math.isclose(overlap(60), 45.4, abs_tol=0.05), "specs H.5"


def test_a_horizon_is_claimed_only_with_the_pooled_endpoint() -> None:
    """One of five horizons looks good by chance more often than one in twenty: the pooled skill is the gate."""
    from dataclasses import replace

    good = made()
    assert good.verdict != NO_SKILL
    assert replace(good, gated=True).verdict == NO_SKILL
    odd = replace(made(skill=0.2), gated=True)
    assert odd.quarantined and "leak" in odd.verdict, "a leak is told whatever the gate says"
    text = summary([replace(good, gated=True)], made(low=-0.001))
    assert text.startswith(NO_SKILL) and "above the random walk" not in text


def test_the_interval_is_that_of_a_ratio_of_means() -> None:
    """Independent losses: 1.96 standard errors by the delta method on either side."""
    rng = np.random.default_rng(5)
    n = 20_000
    y, f = rng.normal(size=(2, n))
    table = np.column_stack([(y - 0.2 * f) ** 2, y**2, y * f > 0, np.ones(n), np.ones(n)]).astype(float)
    found = measure(table, longest=1, every=1, seed=1)
    a, b = table[:, 0], table[:, 1]
    ratio = a.mean() / b.mean()
    error = (a - ratio * b).std() / b.mean() / np.sqrt(n)
    assert found.skill == pytest.approx(1.0 - ratio)
    assert found.skill - found.low == pytest.approx(1.96 * error, rel=0.1)
    assert found.high - found.skill == pytest.approx(1.96 * error, rel=0.1)
