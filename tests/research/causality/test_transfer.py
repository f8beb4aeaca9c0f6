"""Screen, surrogates, tail and embedding, each with something it must find and something it must not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bqx.base.errors import CausalityError
from bqx.research.causality.embedding import ragwitz
from bqx.research.causality.ordinal import patterns, screen
from bqx.research.causality.surrogates import ENOUGH, Sequential, shifts
from bqx.research.causality.tail import pareto, tail_p
from bqx.research.causality.te_plan import TePlan
from bqx.research.causality.transfer import Question, ask, block_sample, ordinal_screen


def test_patterns_are_orders_of_three() -> None:
    x = np.array([1.0, 2, 3, 1, 2, 2, 0, 5, 4])
    age = np.array([0, 1, 2, 3, 4, 5, 6, 0, 1])
    found = patterns(x, age)
    assert found.tolist()[:2] == [-1, -1]
    assert found.tolist()[7:] == [-1, -1]
    orders = [(1, 2, 3), (1, 3, 2), (2, 3, 1), (2, 1, 3), (3, 1, 2), (3, 2, 1)]
    assert [int(patterns(np.array(o, float), np.arange(3))[2]) for o in orders] == list(range(6))


def test_screen_is_the_plug_in_estimate() -> None:
    """Against entropies counted with dictionaries: H(a, b) + H(b, c) - H(b) - H(a, b, c)."""
    rng = np.random.default_rng(1)
    y, x = rng.integers(0, 6, 500), rng.integers(0, 6, 500)
    rows = np.arange(5, 500)
    now, past, source = y[rows], y[rows - 1], x[np.roll(rows, -7) - 2]

    def entropy(*columns: np.ndarray) -> float:
        _, count = np.unique(np.stack(columns), axis=1, return_counts=True)
        return -float((count / count.sum() * np.log(count / count.sum())).sum())

    expected = entropy(now, past) + entropy(past, source) - entropy(past) - entropy(now, past, source)
    found = screen(y, x, rows, 2, np.array([0, 7]))
    assert found[1] == pytest.approx(expected, rel=1e-12)
    assert found[0] != found[1]


def test_screen_finds_the_delay() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=6000)
    y = 0.4 * np.roll(x, 2) + rng.normal(size=6000)
    age = np.arange(6000)
    found = ordinal_screen(patterns(y, age), patterns(x, age), np.arange(9, 6000), 1, 1)
    assert (found.delay, found.p) == (2, 0.01)
    assert found.te > 0


def test_sequential_stops_early_and_goes_on() -> None:
    draws = np.random.default_rng(3).normal(size=1000)
    early = Sequential(0.0)
    early.draw(lambda b: float(draws[b]), 1000)
    assert early.settled
    assert len(early.values) < 60
    assert early.p == ENOUGH / len(early.values)
    whole, parts = Sequential(2.6), Sequential(2.6)
    whole.draw(lambda b: float(draws[b]), 1000)
    parts.draw(lambda b: float(draws[b]), 200)
    parts = Sequential(2.6, list(parts.values))
    parts.draw(lambda b: float(draws[b]), 1000)
    assert parts.values == whole.values
    assert parts.p == whole.p
    assert shifts(500, 300, 1, 2).tolist() == [*shifts(500, 100, 1, 2).tolist(), *shifts(500, 300, 1, 2)[100:].tolist()]
    assert min(shifts(500, 300, 1, 2)) >= 16
    assert max(shifts(500, 300, 1, 2)) < 484


def test_tail_of_known_distributions() -> None:
    """1,000 surrogates, 60 samples: at 1e-3 within a factor 2, at 1e-5 not below, nor above by more than 30 times."""
    rng = np.random.default_rng(4)
    for law in (stats.norm(), stats.t(6), stats.gamma(20)):
        for p in (1e-3, 1e-5):
            found = [tail_p(float(law.isf(p)), law.rvs(size=1000, random_state=rng)) for _ in range(60)]
            assert p * (0.5 if p == 1e-3 else 1.0) < np.median(found) < p * (2.0 if p == 1e-3 else 30.0)
    shape, scale = pareto(stats.genpareto(0.3, scale=2.0).rvs(size=20_000, random_state=rng))
    assert shape == pytest.approx(0.3, abs=0.05)
    assert scale == pytest.approx(2.0, rel=0.05)
    with pytest.raises(CausalityError, match="30 are the least"):
        tail_p(3.0, rng.normal(size=100))


def test_embedding_by_ragwitz() -> None:
    rng = np.random.default_rng(5)
    noise = rng.normal(size=1200)
    wave = np.zeros(1200)
    for t in range(2, 1200):
        wave[t] = 1.5 * wave[t - 1] - 0.9 * wave[t - 2] + 0.3 * noise[t]
    for x, depth in ((noise, 1), (wave, 2)):
        past = np.stack([x[3 - lag : 1200 - lag] for lag in (1, 2, 3)], axis=1)
        assert ragwitz(past, x[3:]) == depth


def question(seed: int, share: float, n: int = 700) -> Question:
    """Source and target share a factor at the same time; the source may lead."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=n + 1)
    x, y = (0.8 * common + 0.6 * rng.normal(size=n + 1) for _ in range(2))
    y[1:] += share * x[:-1]
    seen = common + 0.2 * rng.normal(size=n + 1)
    return Question(y[1:], y[:-1, None], seen[:-1, None], x[:-1, None], np.arange(n))


def test_a_shared_factor_is_no_link_and_a_leader_is() -> None:
    null = [ask(question(seed, 0.0), None, 100, seed, 1)[0] for seed in range(16)]
    assert sum(a.p / 3 < 0.1 for a in null) <= 5
    assert abs(np.mean([a.te for a in null])) < 0.006
    found = ask(question(3, -0.8), None, 300, 1, 1)[0]
    assert found.p < 1e-4
    assert found.sign == -1
    assert found.te > 4 * found.error
    assert (found.drawn, found.reached) == (300, 0)


def test_sample_in_whole_blocks() -> None:
    rows = np.arange(0, 4000, 2)
    chosen = block_sample(rows, 620, 1)
    assert len(chosen) == 600
    assert (np.diff(chosen.reshape(12, 50)) == 2).all()
    assert (np.diff(chosen) > 0).all()
    assert chosen[-1] > 3400
    assert block_sample(rows, 9000, 1) is rows


def test_plan_keeps_to_its_budget() -> None:
    plan = TePlan.of(150, 600.0)
    worst = 150 * plan.first
    assert worst * plan.seconds(plan.rows) <= 0.8 * 600.0 * 1.01
    most = plan.most(4000, 12)
    assert most > plan.first
    assert (4000 + 12 * (most - plan.first)) * plan.seconds(plan.rows) <= 0.8 * 600.0
    assert plan.most(worst, 150) <= plan.first + 1
    tests = 40
    assert tests * 100 * plan.seconds(plan.confirm_rows(tests)) <= 0.2 * 600.0
    with pytest.raises(CausalityError, match="--budget") as caught:
        TePlan.of(756, 10.0)
    assert math.isfinite(float(str(caught.value.fix).split("--budget ")[1].split()[0]))
