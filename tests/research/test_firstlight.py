"""The first answer: honest on random walks, finds what is planted, and its tests of the test."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from worlds import DOLLARS, invented, world

from bqx.base.errors import CheckError
from bqx.market.simulated import planted_skill
from bqx.research.firstlight import first_answer
from bqx.research.fold import Fold, noise_signs
from bqx.research.skill import NO_SKILL


def test_random_walks_show_no_skill() -> None:
    """Of 6 random-walk worlds at most one may claim skill; each horizon's interval covers 0 almost always."""
    answers = [first_answer(world("random-walk", seed), noise=20, draws=500) for seed in range(6)]
    assert sum(NO_SKILL in a.verdict() for a in answers) >= 5
    assert sum(s.verdict == NO_SKILL for a in answers for s in a.horizons) >= 27
    assert all(a.simulated and a.folds >= 2 and a.trials == 4 * 5 * a.folds for a in answers)


def test_planted_effect_is_found() -> None:
    found = [first_answer(world("planted", seed, days=60), noise=20, draws=500) for seed in range(3)]
    assert sum("skill against the random walk" in a.verdict() for a in found) >= 2
    for a in found:
        assert a.pooled.low < planted_skill(45), "not more than the best possible"
        assert a.pooled.noise_95 < 0.005 and not a.pooled.quarantined


def test_planted_skill_by_simulation() -> None:
    """The formula against a long world of one series: y from its definition, S known."""
    from bqx.market.sim_path import KAPPA, RHO

    rng, n, h = np.random.default_rng(0), 400_000, 30
    z, S, x = rng.normal(size=n), 0.0, np.empty(n)
    state = np.empty(n)
    for i in range(n):
        state[i] = S
        x[i] = KAPPA * S + z[i]
        S = RHO * S + np.sqrt(1 - RHO**2) * x[i]
    y = np.convolve(x, np.arange(h, 0, -1), mode="valid")  # sum of k x(t + k), k = 1..h
    s = state[: len(y)]
    beta = (s @ y) / (s @ s)
    measured = 1 - ((y - beta * s) ** 2).sum() / (y**2).sum()
    assert measured == pytest.approx(planted_skill(h), abs=0.003)
    assert [round(planted_skill(k), 3) for k in (15, 30, 45, 60, 75)] == [0.014, 0.019, 0.02, 0.019, 0.017]


def test_a_leak_is_quarantined() -> None:
    """L9: a column that holds the label with noise gives absurd skill, and is flagged by the rule L14."""
    m = world("random-walk", 3)
    rng = np.random.default_rng(0)
    leak = m.Y[:, :, 2] + 3.0 * rng.normal(size=m.Y.shape[:2])
    a = first_answer(
        replace(m, X=np.concatenate([m.X, leak[:, :, None]], axis=2), columns=(*m.columns, "leak")), noise=5
    )
    assert a.horizons[2].quarantined and a.horizons[2].skill > 0.07
    assert a.verdict().startswith("quarantined") and a.verdict().endswith("h = 45")
    assert not any(s.quarantined for s in first_answer(m, noise=5).horizons)


def test_nothing_of_the_test_block_enters_the_fit() -> None:
    """L6: other test rows, and everything after the last training label, leave all coefficients bitwise the same."""
    m = invented(effect=0.2)
    usable = np.ones(m.Y.shape[:2], bool)
    block, signs = noise_signs(m.position, 3, 0)
    train, test = np.arange(0, 1500), np.arange(1600, 2000)
    X, Y = m.X.copy(), m.Y.copy()
    X[1500:], Y[1500:] = 77.0, -5.0
    folds = [Fold(w, usable, train, test, 50, block, signs) for w in (m, replace(m, X=X, Y=Y))]
    for k in range(2):
        for a, b in zip(*(f.coefficients(k) for f in folds), strict=True):
            np.testing.assert_array_equal(a, b)
    X[1499] = 77.0
    seen = Fold(replace(m, X=X), usable, train, test, 50, block, signs).coefficients(0)[0]
    assert not np.array_equal(seen, folds[0].coefficients(0)[0]), "the comparison can fail"


def test_known_effect_is_measured_right() -> None:
    """L10: independent rows, label = 0.15 x + noise: skill 0.0225 / 1.0225 lies in the interval."""
    a = first_answer(invented(n=6000, effect=0.15), noise=10)
    for s in a.horizons:
        assert s.low < 0.0225 / 1.0225 < s.high and s.low > 0


def test_missing_values_are_dropped_and_counted() -> None:
    m = invented(effect=0.15)
    X, Y = m.X.copy(), m.Y.copy()
    X[10:20, 1, 2] = np.nan
    Y[30:34, 0, 1] = np.nan
    a = first_answer(replace(m, X=X, Y=Y), noise=5)
    assert (a.dropped_features, a.dropped_labels, a.rows) == (10, 4, 12_000)


def test_same_answer_every_time_and_as_json() -> None:
    import json

    a, b = (first_answer(invented(effect=0.1), noise=5, seed=4) for _ in range(2))
    assert a == b
    data = json.loads(json.dumps(a.as_dict(), allow_nan=False))
    assert data["verdict"] == a.verdict() and len(data["horizons"]) == 2 and data["simulated"] is True


def test_too_little_data_says_what_is_needed() -> None:
    with pytest.raises(CheckError, match="11,520"):
        first_answer(invented(n=900))
    m = invented()
    with pytest.raises(CheckError, match="there are 0"):
        first_answer(replace(m, X=np.full_like(m.X, np.nan)))
    with pytest.raises(CheckError, match="10 a column"):
        first_answer(replace(m, X=np.where(np.arange(3000)[:, None, None] % 200 == 0, m.X, np.nan)))


def test_worlds_hold_all_currencies() -> None:
    assert len({c for p in DOLLARS for c in (p[:3], p[3:])}) == 8
