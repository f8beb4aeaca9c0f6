"""Statistics of forecasts against scipy, statsmodels, scikit-learn and arch."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import integrate, stats
from sklearn.metrics import mean_pinball_loss
from statsmodels.stats.sandwich_covariance import S_hac_simple

from bqx.base.errors import EvaluationError
from bqx.research.evaluation.calibration import calibrate
from bqx.research.evaluation.conditional import giacomini_white
from bqx.research.evaluation.confidence_set import confidence_set, eliminated
from bqx.research.evaluation.coverage import coverage
from bqx.research.evaluation.direction import break_even, pesaran_timmermann
from bqx.research.evaluation.mechanical import change_r2, hit_rate, level_r2, momentum, simulated
from bqx.research.evaluation.pit import interval_of, pit_test
from bqx.research.evaluation.quantile_scores import crps, pinball
from bqx.research.evaluation.worth import effective, inflation, memory, spacing

LEVELS = np.array([0.05, 0.10, 0.50, 0.90, 0.95])


def series(n: int = 900, effect: float = 0.3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes and forecasts, both moving sums of 5 with changing variance."""
    rng = np.random.default_rng(seed)
    e = rng.normal(size=(2, n + 4)) * np.exp(0.5 * np.sin(np.arange(n + 4) / 50))
    y, f = (np.convolve(x, np.ones(5), mode="valid") for x in e)
    return y + effect * f, f


def test_calibration_equals_statsmodels() -> None:
    y, f = series()
    found = calibrate(0.1 + y, f, 12)
    assert found is not None
    fit = sm.OLS(0.1 + y, sm.add_constant(f)).fit(cov_type="HAC", cov_kwds={"maxlags": 12})
    assert (found.a, found.b) == pytest.approx(tuple(fit.params), rel=1e-9)
    assert (found.a_error, found.b_error) == pytest.approx(tuple(fit.bse), rel=1e-9)
    joint = fit.wald_test((np.eye(2), np.array([0.0, 1.0])), use_f=False, scalar=True)
    assert found.wald == pytest.approx(float(joint.statistic), rel=1e-8)
    assert found.p == pytest.approx(float(joint.pvalue), rel=1e-7)
    assert calibrate(y, np.full(len(y), 0.3), 12) is None
    tiny = calibrate(y, 1e-9 * f, 12)
    assert tiny is not None and tiny.b == pytest.approx(1e9 * (found.b), rel=1e-6), "any scale"
    with pytest.raises(EvaluationError):
        calibrate(y[:20], f[:20], 2)


def test_pesaran_timmermann_is_the_association_of_a_two_by_two_table() -> None:
    """Its square is n / (n - 1) times the chi-squared statistic of independence."""
    y, f = series(effect=0.05)
    found = pesaran_timmermann(y, f, 12)
    table = [[int((((y > 0) == a) & ((f > 0) == b)).sum()) for b in (True, False)] for a in (True, False)]
    chi2 = stats.chi2_contingency(table, correction=False).statistic
    assert found.statistic**2 == pytest.approx(chi2 * found.n / (found.n - 1), rel=1e-9)
    assert found.hit_rate == (table[0][0] + table[1][1]) / found.n
    fit = sm.OLS((y > 0) * 1.0, sm.add_constant((f > 0) * 1.0)).fit(cov_type="HAC", cov_kwds={"maxlags": 12})
    assert found.hac == pytest.approx(float(fit.tvalues[1]), rel=1e-9)
    assert found.hac_p == pytest.approx(float(fit.pvalues[1]) / 2, rel=1e-7)


def test_overlap_fools_the_plain_sign_test_and_not_the_robust_one() -> None:
    """400 worlds without skill, labels of 15 overlapping bars and slow forecasts."""
    plain = robust = 0
    for seed in range(400):
        e = np.random.default_rng(seed).normal(size=(2, 1214))
        y = np.convolve(e[0], np.ones(15), mode="valid")
        f = np.convolve(e[1], np.ones(15), mode="valid")
        found = pesaran_timmermann(y, f, 60)
        plain += found.p < 0.05
        robust += found.hac_p < 0.05
    assert plain > 80 and 8 <= robust <= 44


def test_signs_that_are_all_the_same_say_nothing() -> None:
    y, f = series()
    found = pesaran_timmermann(y, np.abs(f), 5)
    assert found.p == 1.0 and found.hac_p == 1.0 and found.as_dict()["statistic"] is None
    with pytest.raises(EvaluationError, match="50"):
        pesaran_timmermann(y, np.zeros(len(y)), 5)


def test_break_even_of_the_specification() -> None:
    """sigma 8 bps an hour, E|r| 6.4: costs of 0.3, 0.5, 1 and 2 bps."""
    size = 8.0 * math.sqrt(2 / math.pi)
    found = [100 * break_even(c, size) for c in (0.3, 0.5, 1.0, 2.0)]
    assert found == pytest.approx([52.4, 53.9, 57.8, 65.7], abs=0.06)
    with pytest.raises(EvaluationError):
        break_even(1.0, 0.0)


def test_giacomini_white_is_n_times_r2_without_overlap_and_hac_with() -> None:
    """With uncentred moments and no lags the statistic is n R2 of 1 on z d; ours centres: W = s / (1 - s / n)."""
    rng = np.random.default_rng(4)
    d, known = rng.normal(size=500) + 0.1, rng.normal(size=(500, 1))
    wald, p = giacomini_white(d, known, 0)
    z = sm.add_constant(known) * d[:, None]
    uncentred = 500 * sm.OLS(np.ones(500), z).fit().rsquared
    assert wald == pytest.approx(uncentred / (1 - uncentred / 500), rel=1e-9)
    assert p == pytest.approx(stats.chi2.sf(wald, 2), rel=1e-9)
    wald, _ = giacomini_white(d, known, 7)
    mean = z.mean(axis=0)
    theirs = 500 * mean @ np.linalg.solve(S_hac_simple(z - mean, nlags=7) / 500, mean)
    assert wald == pytest.approx(float(theirs), rel=1e-8)
    strong = giacomini_white(d + known[:, 0], known, 7)[1]
    assert strong < 1e-6 < p
    with pytest.raises(EvaluationError):
        giacomini_white(d, np.ones((500, 1)), 3)


def test_pinball_equals_scikit_learn() -> None:
    y, f = series()
    for level in LEVELS:
        assert pinball(y, f, level).mean() == pytest.approx(mean_pinball_loss(y, f, alpha=level), rel=1e-12)


@pytest.mark.parametrize("y", [-4.0, -1.7, -0.2, 0.0, 0.4, 1.6, 3.0])
def test_crps_equals_its_integral(y: float) -> None:
    q = np.array([[-2.0, -1.0, 0.1, 0.9, 1.7]])

    def square(x: float) -> float:
        F = 0.0 if x < q[0, 0] else 1.0 if x >= q[0, -1] else float(np.interp(x, q[0], LEVELS))
        return float((F - (x >= y)) ** 2)

    points = sorted({*q[0].tolist(), y})
    edges = [min(points) - 1.0, *points, max(points) + 1.0]
    whole = sum(integrate.quad(square, a, b)[0] for a, b in itertools.pairwise(edges))
    assert crps(np.array([y]), q, LEVELS)[0] == pytest.approx(whole, rel=1e-8)
    assert crps(np.array([y]), q[:, ::-1], LEVELS)[0] == pytest.approx(whole, rel=1e-8), "sorted first"


def test_crps_of_many_normal_quantiles_is_that_of_the_normal() -> None:
    levels = np.linspace(0.001, 0.999, 999)
    q = stats.norm.ppf(levels)[None]
    for y in (-1.0, 0.3, 2.0):
        exact = y * (2 * stats.norm.cdf(y) - 1) + 2 * stats.norm.pdf(y) - 1 / math.sqrt(math.pi)
        assert crps(np.array([y]), q, levels)[0] == pytest.approx(exact, abs=2e-4)
    assert crps(np.zeros(1), np.zeros((1, 5)), LEVELS)[0] == 0.0, "a point forecast that is right"


def counted(y: np.ndarray, q: np.ndarray) -> np.ndarray:
    return np.eye(q.shape[1] + 1)[interval_of(y, q)]


def test_pit_covariance_equals_statsmodels() -> None:
    y, _ = series(effect=0.0)
    q = np.tile(stats.norm.ppf(LEVELS) * y.std(), (len(y), 1))
    counts = counted(y, q)
    found = pit_test(counts, LEVELS, 15)
    nominal = np.diff(np.r_[0.0, LEVELS, 1.0])
    scores = (counts - nominal)[:, :-1]
    mean = scores.mean(axis=0)
    cov = S_hac_simple(scores - mean, nlags=15) / len(y)
    assert found.wald == pytest.approx(float(len(y) * mean @ np.linalg.solve(cov, mean)), rel=1e-8)
    assert found.shares == pytest.approx(np.histogram(y, np.r_[-np.inf, q[0], np.inf])[0] / len(y))
    with pytest.raises(EvaluationError):
        pit_test(counts, LEVELS[:3], 15)


def test_pit_of_an_interval_that_held_nothing() -> None:
    y = np.random.default_rng(0).normal(size=400)
    q = np.tile(stats.norm.ppf(LEVELS), (400, 1))
    found = pit_test(counted(np.abs(y), q), LEVELS, 0)
    assert found.shares[0] == 0.0 and found.p < 1e-6


def test_what_is_right_to_the_last_digit() -> None:
    y = np.random.default_rng(0).normal(size=400)
    found, signs = calibrate(y, y, 5), pesaran_timmermann(y, y, 5)
    assert found is not None and found.b == pytest.approx(1.0) and found.p == 1.0
    assert signs.hit_rate == 1.0 and signs.hac_p == 0.0 and signs.as_dict()["hac"] is None


def test_pit_rejects_at_its_level_under_overlap_and_finds_what_is_wrong() -> None:
    q = np.tile(stats.norm.ppf(LEVELS), (3000, 1))
    robust = plain = 0
    for seed in range(200):
        e = np.random.default_rng(seed).normal(size=3014)
        y = np.convolve(e, np.ones(15) / np.sqrt(15), mode="valid")
        robust += pit_test(counted(y, q), LEVELS, 60).p < 0.05
        plain += pit_test(counted(y, q), LEVELS, 0).p < 0.05
    assert robust <= 32 and plain > 120
    assert pit_test(counted(1.4 * y, q), LEVELS, 60).p < 1e-4


def intervals(seed: int, window: int = 15, n: int = 3000) -> np.ndarray:
    e = np.random.default_rng(seed).normal(size=n + window - 1)
    y = np.convolve(e, np.ones(window) / np.sqrt(window), mode="valid")
    return np.column_stack([np.abs(y) < stats.norm.ppf(0.95), np.ones(n), np.full(n, 3.29)])


def test_coverage_covers() -> None:
    """95 % intervals of the coverage of 90 % intervals under overlap; without the lags they are too narrow."""
    held = {60: 0, 0: 0}
    for seed in range(400):
        for lags in held:
            c = coverage(intervals(seed), 0.9, lags)
            held[lags] += c.low <= 0.9 <= c.high
    assert held[60] >= 352 and held[0] < 280, "of 400; 200 independent outcomes each"


def test_coverage_is_a_hac_mean_and_strata_keep_their_place() -> None:
    table = intervals(1)
    found = coverage(table, 0.9, 40)
    fit = sm.OLS(table[:, 0], np.ones(len(table))).fit(cov_type="HAC", cov_kwds={"maxlags": 40})
    assert found.share - found.low == pytest.approx(1.96 * float(fit.bse[0]), rel=1e-9)
    assert found.width == pytest.approx(3.29)
    assert found.within == (abs(found.share - 0.9) <= 0.02)
    every_third = np.where(np.arange(len(table))[:, None] % 300 < 100, table, 0.0)
    part = coverage(every_third, 0.9, 40, slack=0.05)
    assert part.n == 1000 and part.high - part.low > 1.5 * (found.high - found.low)
    with pytest.raises(EvaluationError):
        coverage(table[:40], 0.9, 3)


@pytest.mark.parametrize("seed", range(4))
def test_confidence_set_equals_arch(seed: int) -> None:
    """p of every model, from the resamples arch itself drew."""
    from arch.bootstrap import MCS

    rng = np.random.default_rng(seed)
    losses = rng.normal(size=(400, 5)) ** 2 + 0.5 * rng.normal(size=(400, 1)) ** 2 + np.array([0, 0, 0.05, 0.2, 0.6])
    theirs: Any = MCS(losses, size=0.05, reps=500, block_size=10, method="R", bootstrap="stationary", seed=seed)
    theirs.compute()
    drawn = np.array([losses[rows].mean(axis=0) for rows in theirs._bootstrap_indices])
    ours = eliminated(losses.mean(axis=0), drawn)
    assert ours == pytest.approx(theirs.pvalues["Pvalue"].sort_index().to_numpy(), abs=1e-12)
    own = confidence_set(losses, "abcde", 10.0, draws=2000)
    assert own.p == pytest.approx(ours.tolist(), abs=0.06), "and near them from our own draws"
    assert set(own.kept) <= set("abcd") and "e" not in own.kept


def test_equal_models_stay_together() -> None:
    losses = np.random.default_rng(0).normal(size=(200, 1)) ** 2 * np.ones((1, 3))
    found = confidence_set(losses, "abc", 5.0, draws=200)
    assert found.p == (1.0, 1.0, 1.0)
    with pytest.raises(EvaluationError):
        confidence_set(losses[:, :1], "a", 5.0)


TABLE = {
    (30, 15): 0.131, (45, 15): 0.301, (45, 30): 0.039, (60, 15): 0.425, (60, 30): 0.128, (60, 45): 0.017,
    (75, 15): 0.515, (75, 30): 0.219, (75, 45): 0.066, (75, 60): 0.009, (60, 60): 0.0, (15, 75): 0.0,
}  # fmt: skip
CHANGES = {
    (60, 15): 0.211, (60, 30): 0.362, (60, 45): 0.460, (60, 60): 0.500, (60, 75): 0.5,
    (75, 15): 0.175, (75, 30): 0.308, (75, 45): 0.407, (75, 60): 0.473, (75, 75): 0.500,
}  # fmt: skip


def test_mechanical_r2_of_the_specification() -> None:
    for (w, h), r2 in TABLE.items():
        assert level_r2(w, h) == pytest.approx(r2, abs=5e-4)
    for (w, h), r2 in CHANGES.items():
        assert change_r2(w, h) == pytest.approx(r2, abs=6e-4)
    hits = [100 * hit_rate(level_r2(75, h)) for h in (15, 30, 45, 60, 75)]
    assert hits == pytest.approx([75.5, 65.5, 58.3, 53.0, 50.0], abs=0.06)
    changes = [100 * hit_rate(change_r2(60, h)) for h in (15, 30, 45, 60, 75)]
    assert changes == pytest.approx([65.2, 70.5, 73.7, 75.0, 75.0], abs=0.06)


def test_mechanical_r2_by_simulation() -> None:
    returns = np.random.default_rng(7).normal(size=1_000_000)
    for w, h in ((60, 15), (75, 30), (60, 60)):
        r2, hits = simulated(returns, w, h)
        assert r2 == pytest.approx(level_r2(w, h), abs=0.01)
        if h < w:
            assert hits == pytest.approx(hit_rate(level_r2(w, h)), abs=0.005)
        r2, hits = simulated(returns, w, h, change=True)
        assert r2 == pytest.approx(change_r2(w, h), abs=0.01)
        assert hits == pytest.approx(hit_rate(change_r2(w, h)), abs=0.005)


def test_momentum_is_the_weighted_sum() -> None:
    r = np.random.default_rng(1).normal(size=200)
    found = momentum(r, 15)
    assert np.isnan(found[:14]).all()
    for t in (14, 50, 199):
        assert found[t] == pytest.approx(sum((15 - j) * r[t - j] for j in range(15)))


def test_rows_are_worth_what_the_specification_says() -> None:
    assert inflation("y3", 60) == pytest.approx(45.37, abs=0.005)
    assert inflation("y3", 75) == pytest.approx(56.62, abs=0.005)
    assert effective(368_425, "y3", 60, 1) == pytest.approx(8_100, rel=0.01)
    assert effective(1000, "y4", 30, 60) == 1000
    assert spacing(np.array([0, 15, 30, 45, 500])) == 15
    assert memory(60, 15, 10_000) == 16 and memory(60, 1, 200) == 40
    r = np.random.default_rng(5).normal(size=400_000)
    y = momentum(r, 60)[59:]
    means = y[: len(y) // 4000 * 4000].reshape(-1, 4000).mean(axis=1)
    assert means.var() * 4000 / y.var() == pytest.approx(45.4, rel=0.35), "variance of means of a hundred blocks"
