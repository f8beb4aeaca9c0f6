"""Statistics of daily profit against published numbers, scipy, statsmodels, arch and brute force."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
import statsmodels.api as sm
from arch.bootstrap import SPA, StationaryBootstrap
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bqx.base.errors import BacktestError, CheckError
from bqx.research.backtest.deflated import best_of, deflated, probabilistic, shortest_record
from bqx.research.backtest.judge import FRAGILE, SHOWN, deflate, overfit, verdict
from bqx.research.backtest.overfitting import blocks_for, overfitting
from bqx.research.backtest.profit import Book, by_month, concentration, drawdown, drawdown_interval, expectancy, summary
from bqx.research.backtest.sharpe import hac_error, lo_error, moments, null_error, sharpe, sharpe_of
from bqx.research.backtest.sizing import Exposure, Sizing, kelly_weight
from bqx.research.backtest.superior import superior
from bqx.research.skill import NO_SKILL


def _daily(n=500, mean=0.05, seed=0, memory=0.0):
    rng = np.random.default_rng(seed)
    x = stats.skewnorm.rvs(-3, size=n, random_state=rng)
    x = (x - x.mean()) / x.std()
    for i in range(1, n):
        x[i] += memory * x[i - 1]
    return x + mean


def test_bailey_and_lopez_de_prado_2014():
    """Their worked example: DSR 0.9004 against SR0 0.1132; at 46 trials the same record passes 0.95 (their text)."""
    day, spread = 2.5 / math.sqrt(250), math.sqrt(0.5 / 250)
    found, best = deflated(day, 1250, 100, spread, skew=-3.0, kurtosis=10.0)
    assert round(found, 4) == 0.9004
    assert round(best, 4) == 0.1132
    assert deflated(day, 1250, 46, spread, -3.0, 10.0)[0] == pytest.approx(0.9505, abs=1e-3)
    assert deflated(day, 1250, 88, spread, 0.0, 3.0)[0] > 0.95, "normal returns would have allowed 88 trials"


def test_expected_best_of_platform_h7():
    """50 trials x 28 pairs: 3.35; with 5 horizons 3.77, in deviations."""
    assert round(best_of(50 * 28, 1.0), 2) == 3.35
    assert round(best_of(50 * 28 * 5, 1.0), 2) == 3.77
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=(4000, 100)).max(axis=1)
    assert best_of(100, 1.0) == pytest.approx(drawn.mean(), abs=0.05)
    assert best_of(1, 9.0) == 0.0
    with pytest.raises(CheckError):
        best_of(0, 1.0)


def test_lo_2002_and_the_shortest_record():
    day = 1.5 / math.sqrt(252)
    assert math.sqrt(252) * lo_error(day, 252) == pytest.approx(1.0, abs=0.005)
    assert math.ceil(shortest_record(day, confidence=0.975)) - 1 == 433, "platform.md H.7, by n instead of n - 1"
    assert math.ceil(shortest_record(day)) - 1 == 305
    n = shortest_record(day, 0.02, -0.5, 5.0)
    assert probabilistic(day, 0.02, n, -0.5, 5.0) == pytest.approx(0.95, abs=1e-9), "it is the inverse of PSR"
    assert math.isinf(shortest_record(0.0))


def test_moments_and_psr_against_scipy():
    x = _daily()
    mean, deviation, skew, kurtosis = moments(x)
    assert (mean, deviation) == pytest.approx((x.mean(), x.std(ddof=1)))
    assert (skew, kurtosis) == pytest.approx((stats.skew(x), stats.kurtosis(x, fisher=False)))
    z = 0.05 * math.sqrt(499) / math.sqrt(1 - skew * 0.05 + (kurtosis - 1) / 4 * 0.05**2)
    assert probabilistic(0.05, 0.0, 500, skew, kurtosis) == pytest.approx(stats.norm.cdf(z), abs=1e-12)


def test_hac_error_against_statsmodels():
    """The influence's long-run variance is that of a regression on a constant; without memory it is Mertens'."""
    x = _daily(memory=0.3)
    z = (x - x.mean()) / x.std()
    g = z - 0.5 * x.mean() / x.std() * (z**2 - 1)
    fit = sm.OLS(g, np.ones(len(g))).fit(cov_type="HAC", cov_kwds={"maxlags": 8})
    assert hac_error(x) == pytest.approx(float(fit.bse[0]), rel=1e-9)
    x = _daily(20_000, 0.2)
    _, _, skew, kurtosis = moments(x)
    mertens = math.sqrt((1 - skew * sharpe(x) + (kurtosis - 1) / 4 * sharpe(x) ** 2) / len(x))
    assert hac_error(x) == pytest.approx(mertens, rel=0.05)
    assert lo_error(sharpe(x), len(x)) == pytest.approx(hac_error(x), rel=0.15)


def test_sharpe_interval_against_arch():
    x = _daily(400, 0.08, memory=0.2)
    found = sharpe_of(x)
    boot = StationaryBootstrap(found.block, x, seed=1)
    low, high = boot.conf_int(lambda v: sharpe(v) * math.sqrt(252), reps=2000, method="percentile")[:, 0]
    width = high - low
    assert abs(found.low - low) < 0.08 * width
    assert abs(found.high - high) < 0.08 * width
    assert found.ratio == pytest.approx(math.sqrt(252) * x.mean() / x.std(ddof=1))
    assert found.low < found.lo_high
    assert found.correlation == pytest.approx(np.corrcoef(x[1:], x[:-1])[0, 1], abs=0.01)
    assert sharpe_of(x).as_dict() == found.as_dict()


def test_intervals_cover_the_truth():
    """200 records of 250 days: the 95 % intervals hold the true ratio about as often as they say."""
    rng = np.random.default_rng(2)
    boot = asymptotic = 0
    for _ in range(200):
        found = sharpe_of(rng.normal(0.1, 1.0, 250), draws=400)
        boot += found.low <= 0.1 * math.sqrt(252) <= found.high
        asymptotic += found.lo_low <= 0.1 * math.sqrt(252) <= found.lo_high
    assert 0.90 < boot / 200 < 0.985
    assert 0.90 < asymptotic / 200 < 0.985


def test_no_sharpe_of_nothing():
    with pytest.raises(CheckError, match="19 days"):
        sharpe_of(np.arange(19.0))
    with pytest.raises(CheckError, match="without any profit"):
        sharpe_of(np.zeros(100))


def test_null_error_is_what_luck_spreads():
    """Records without skill: the deviation of their ratios is what one of them says, with memory and without."""
    for memory in (0.0, 0.5):
        rng = np.random.default_rng(7)
        found = []
        for _ in range(400):
            x = rng.normal(size=400)
            for i in range(1, 400):
                x[i] += memory * x[i - 1]
            found.append((sharpe(x), null_error(x)))
        ratios, errors = np.array(found).T
        assert errors.mean() == pytest.approx(ratios.std(), rel=0.2)
    assert null_error(np.zeros(100)) == 0.1


def test_deflate_uses_the_ledger_and_the_null():
    found = sharpe_of(_daily(250, 0.2))
    one, many = (deflate(found, 1 / math.sqrt(250), np.linspace(-0.3, 0.3, 50), n) for n in (1, 1400))
    assert one["dsr"] == one["psr"] == pytest.approx(probabilistic(found.daily, 0, 250, found.skew, found.kurtosis))
    assert many["benchmark"] == pytest.approx(3.35 * math.sqrt(252 / 250), abs=0.01)
    assert many["dsr"] < one["dsr"]
    assert many["dsr_by_family"] < many["dsr"], "the family differs by more than luck"
    lost = deflate(sharpe_of(_daily(250, -0.2)), 0.06, np.zeros(2), 2)
    assert lost["shortest_record_days"] is None


def test_verdicts():
    good = {"sharpe": {"low": 0.1}, "expectancy": [{"low90": 0.1}], "deflated": {"dsr": 0.95},
            "gates": {"GATE4": {"passed": True}}}  # fmt: skip
    assert verdict(good) == SHOWN
    assert verdict({**good, "gates": {"GATE4": {"passed": False}}}) == FRAGILE
    for bad in ({"sharpe": None}, {"sharpe": {"low": 0.0}}, {"expectancy": [{"low90": None}]},
                {"expectancy": [{"low90": 0.0}]}, {"deflated": {"dsr": 0.949}}):  # fmt: skip
        assert verdict({**good, **bad}) == NO_SKILL


def _pbo_by_hand(x, s):
    size = len(x) // s
    x = x[len(x) - size * s :]
    parts = np.split(x, s)
    below = []
    for chosen in combinations(range(s), s // 2):
        inside = np.concatenate([parts[k] for k in chosen])
        outside = np.concatenate([parts[k] for k in range(s) if k not in chosen])
        first = np.array([sharpe(inside[:, j]) for j in range(x.shape[1])])
        second = np.array([sharpe(outside[:, j]) for j in range(x.shape[1])])
        omega = stats.rankdata(second)[first.argmax()] / (x.shape[1] + 1)
        below.append(math.log(omega / (1 - omega)) <= 0)
    return float(np.mean(below))


@given(st.integers(0, 10**6), st.integers(2, 7), st.sampled_from([4, 6, 8]))
@settings(max_examples=12, deadline=None)
def test_pbo_against_brute_force(seed, n, s):
    rng = np.random.default_rng(seed)
    x = rng.normal(0.02, 1.0, (s * 5 + int(rng.integers(s)), n))
    assert overfitting(x, s).pbo == pytest.approx(_pbo_by_hand(x, s), abs=1e-12)


def test_pbo_of_the_paper_s_limits():
    """S = 16 gives 12,870 splits. Noise: the best is anywhere, 1/2. A setting that truly leads: 0. Settings whose
    whole record is the same: what was gained in one half is lost in the other, 1 (Bailey et al. 2017)."""
    rng = np.random.default_rng(3)
    pbo = [overfitting(rng.normal(size=(320, 20))).pbo for _ in range(8)]
    assert 0.3 < np.mean(pbo) < 0.7
    x = rng.normal(size=(320, 20))
    assert overfitting(x).splits == 12_870
    leads = x.copy()
    leads[:, 7] += 0.5
    assert overfitting(leads).pbo == 0.0
    level = x - x.mean(axis=0)
    level /= level.std(axis=0)
    found = overfitting(level)
    assert found.pbo > 0.95
    assert found.loss > 0.99
    assert found.slope == pytest.approx(-1.0, abs=0.1)


def test_pbo_among_luck_tells_good_relatives_from_none():
    """Relatives that are all good refuse themselves by their own PBO, as noise does; among luck only noise is refused.
    Relatives that differ by luck alone, whole records being equal, are refused either way."""
    rng = np.random.default_rng(4)
    found: dict[str, list[tuple[float, float]]] = {"good": [], "noise": [], "lucky": [], "bad": []}
    for _ in range(20):
        alike = rng.normal(size=(24, 1)) + 0.1 * rng.normal(size=(24, 8))
        luck = rng.normal(size=(24, 8))
        chance = rng.normal(size=(24, 8))
        level = (chance - chance.mean(axis=0)) / chance.std(axis=0)
        for name, settings_ in (("good", alike + 3.0), ("noise", alike), ("lucky", level), ("bad", alike - 3.0)):
            made = overfit(settings_, luck if name != "lucky" else luck - luck.mean(axis=0))
            found[name].append((made["pbo"], made["of_settings"]))
    mean = {k: np.mean(v, axis=0) for k, v in found.items()}
    assert mean["good"][0] == 0.0
    assert mean["good"][1] > 0.25
    assert 0.3 < mean["noise"][0] < 0.7
    assert mean["lucky"][0] > 0.9
    assert mean["bad"][0] == 1.0, "worse than luck is not better than the middle of itself and luck"


def test_pbo_of_ties_and_short_records():
    assert blocks_for(1000) == 16
    assert blocks_for(20) == 10
    assert overfitting(np.zeros((64, 3))).pbo == 1.0, "settings that never trade are no better than the median"
    for x, s in ((np.zeros((64, 1)), 16), (np.zeros((64, 3)), 5), (np.zeros((7, 3)), None)):
        with pytest.raises(CheckError):
            overfitting(x, s)


@pytest.mark.parametrize("shift", [0.0, 0.06, -0.03])
def test_superior_against_arch(shift):
    """Means compared, as arch does; p-values within the error of 4,000 draws each."""
    x = np.random.default_rng(0).normal(size=(250, 20)) + shift
    found = superior(x, block=5.0, draws=4000, studentised=False)
    theirs = SPA(np.zeros(250), -x, block_size=5, reps=4000, seed=1)
    theirs.compute()
    for mine, other in zip((found.lower, found.consistent, found.upper), theirs.pvalues, strict=True):
        assert mine == pytest.approx(other, abs=0.035)
    assert found.lower <= found.consistent <= found.upper
    assert superior(x, block=5.0).best == int((x.mean(axis=0) / x.std(axis=0)).argmax())


def test_superior_extremes():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(200, 6))
    assert superior(x - 1.0).consistent == 1.0, "all of them lose"
    x[:, 2] += 0.5
    assert superior(x).upper == 0.0
    assert superior(np.c_[np.zeros(200), x]).best == 3, "a setting that never trades is left out, numbers stay"
    with pytest.raises(CheckError):
        superior(np.zeros((200, 3)))


def test_drawdown_by_brute_force():
    x = np.random.default_rng(5).normal(size=60)
    level = np.concatenate([[0.0], x.cumsum()])
    want = max(level[i] - level[j] for i in range(61) for j in range(i, 61))
    assert drawdown(x) == pytest.approx(want)
    low, high = drawdown_interval(np.tile(x, 4), draws=300)
    assert 0 < low < high
    assert drawdown(np.zeros(0)) == 0.0
    assert math.isnan(drawdown_interval(x[:10])[0])


def _book(n=400, days=80, mean=0.3, seed=0):
    rng = np.random.default_rng(seed)
    day = np.sort(rng.integers(0, days, n))
    shared = rng.normal(size=days)[day]
    return Book(rng.uniform(0.5, 1.5, n), mean + shared + rng.normal(size=n), np.full(n, 0.2), np.full(n, 0.01), day)


def test_expectancy_is_that_of_whole_days():
    """The bound knows that trades of one day share their fate: wider than of independent trades; against arch."""
    b = _book()
    found = expectancy(b, 80)
    net = b.gross - b.cost - b.financing
    assert found.mean == pytest.approx((b.weight * net).sum() / b.weight.sum())
    made, used = np.bincount(b.day, b.weight * net, 80), np.bincount(b.day, b.weight, 80)
    boot = StationaryBootstrap(1.0, made, used, seed=3)
    low, high = boot.conf_int(lambda m, u: m.sum() / u.sum(), reps=2000, method="percentile", size=0.9)[:, 0]
    assert (found.low90, found.high90) == pytest.approx((low, high), abs=0.08 * (high - low))
    assert found.high90 - found.low90 > 1.5 * 2 * 1.645 * net.std() / math.sqrt(len(net))
    stressed = expectancy(b, 80, 1.5)
    assert stressed.mean == pytest.approx(found.mean - 0.1), "costs, not financing, are multiplied"
    nothing = expectancy(Book(*(np.zeros(0) for _ in range(4)), np.zeros(0, np.int64)), 80)
    assert (nothing.mean, nothing.low90) == (None, None)


def test_summary_by_hand():
    b = Book(np.array([1.0, 0.5, 1.0]), np.array([3.0, -2.0, 1.0]), np.array([1.0, 1.0, 1.0]), np.zeros(3),
             np.array([0, 1, 1]))  # fmt: skip
    days, pnl = np.array([19_722, 19_723]), np.array([2.0, -1.5])  # 31 December 2023, 1 January 2024
    s = summary(b, days, pnl)
    assert s["hit_rate"] == pytest.approx(2 / 3)
    assert (s["win_rate"], s["profit_factor"]) == (pytest.approx(1 / 3), pytest.approx(2.0 / 1.5))
    assert s["turnover"] == pytest.approx(2 * 2.5 / 2 * 252)
    assert s["break_even_hit_rate"] == pytest.approx(0.5 + 1.0 / (2 * 2.0))
    assert s["drawdown_bps"] == 1.5
    assert s["months"] == [{"month": "2023-12", "profit_bps": 2.0}, {"month": "2024-01", "profit_bps": -1.5}]
    assert concentration(s["months"]) == pytest.approx(4.0)
    assert concentration(by_month(days, -pnl - 1.0)) is None, "there is no share of a loss"
    assert concentration(by_month(days, np.array([1.0, 1.0]))) == 0.5


def test_sizing():
    size = Sizing(risk_bps=4.0, most=0.8)
    assert size.weight(2.0, 16) == pytest.approx(0.5)
    assert size.weight(0.1, 16) == 0.8
    assert size.weight(0.0, 16) == size.weight(math.nan, 16) == 0.0
    assert size.weights(np.array([2.0, 0.1, 0.0]), 16).tolist() == [0.5, 0.8, 0.0]
    held = Exposure([("eurusd", 1.5), ("eurjpy", -1.0)])
    assert held.room("eurgbp", 1.0, 2.0) == pytest.approx(0.5), "1.5 of 2 are taken on the long side of the euro"
    assert held.room("eurgbp", -1.0, 2.0) == 1.0
    assert held.room("usdchf", 1.0, None) == 1.0
    for bad in ({"risk_bps": 0}, {"currency_cap": 0.0}, {"kelly": 0.5}):
        with pytest.raises(BacktestError):
            Sizing(**bad)


def test_kelly_at_the_lower_bound():
    rng = np.random.default_rng(6)
    net = rng.normal(0.5, 5.0, 4000)
    r = net / 1e4
    low = r.mean() - stats.norm.ppf(0.95) * r.std(ddof=1) / math.sqrt(4000)
    assert kelly_weight(net, 0.25) == pytest.approx(0.25 * low / r.var(ddof=1))
    best = max(np.arange(0, 400, 1.0), key=lambda w: np.log1p(w * r).mean())
    assert r.mean() / r.var() == pytest.approx(best, rel=0.05), "mean over variance is what maximises growth"
    assert kelly_weight(net[:99], 0.25) == 0.0
    assert kelly_weight(rng.normal(0.0, 5.0, 500) - 0.2, 0.25) == 0.0
    with pytest.raises(BacktestError):
        kelly_weight(net, 0.3)
