"""The hidden chain against hmmlearn, statsmodels, all paths and a planted truth."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hmmlearn import _hmmc
from hmmlearn.hmm import GaussianHMM
from numpy.typing import NDArray
from statsmodels.tsa.regime_switching.markov_switching import cy_hamilton_filter_log

from bqx.features.kernels import hidden_markov as hm
from bqx.features.kernels.hidden_markov import arrange, clear_filter, filter_row, filter_step, filtered
from bqx.features.kernels.hidden_markov_fit import (
    CHUNK,
    DAYS,
    LEAST_MOVE,
    LEAST_VARIANCE,
    MODEL_ROWS,
    MOVE,
    SUM_ROWS,
    WORK_ROWS,
    fit_chain,
    refine,
)

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]

MEAN = np.array([[0.0, 0.3, 1.5], [0.2, 0.6, 0.3]])
SD = np.array([[0.3, 0.3, 0.4], [0.1, 0.15, 0.15]])
STAY = np.array([[0.97, 0.02, 0.01], [0.03, 0.95, 0.02], [0.02, 0.08, 0.90]])
BURN, NEED, CAP = 300, 20, 40


def chain(rows: int, lanes: int, seed: int = 0) -> tuple[F8, F8, NDArray[np.int64]]:
    """x, y and the hidden states, (rows, lanes)."""
    rng = np.random.default_rng(seed)
    state = np.zeros((rows, lanes), dtype=np.int64)
    edges = np.cumsum(STAY, axis=1)
    for t in range(1, rows):
        u = rng.random(lanes)
        state[t] = (u[:, None] > edges[state[t - 1]]).sum(axis=1)
    x, y = (MEAN[d][state] + SD[d][state] * rng.standard_normal((rows, lanes)) for d in (0, 1))
    return x, y, state


def holes(x: F8, y: F8, seed: int = 1) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(len(x) // 60):
        at, lane = rng.integers(len(x)), rng.integers(x.shape[1])
        x[at : at + rng.integers(1, 12), lane] = np.nan
    y[np.isnan(x)] = np.nan


def truth(lanes: int) -> F8:
    """The planted model for the filter."""
    parts = [np.tile(a, (1, lanes, 1)) for a in (MEAN[0], MEAN[1], SD[0] ** 2, SD[1] ** 2)]
    return arrange(parts[0], parts[1], parts[2], parts[3], np.tile(STAY, (1, lanes, 1, 1)))


def run(x: F8, y: F8, age: I4, models: F8 | None = None, active: NDArray[np.bool_] | None = None) -> tuple[F8, ...]:
    which = np.zeros(len(x), dtype=np.int32)
    every = np.ones(len(x), dtype=bool) if active is None else active
    return filtered(x, y, truth(x.shape[1]) if models is None else models, which, age, every, BURN, NEED, CAP)


def densities(x: F8, y: F8) -> F8:
    """Logarithms, (rows, 3); 0 where there is no value."""
    out = np.zeros((len(x), 3))
    for d, v in enumerate((x, y)):
        out += -0.5 * ((v[:, None] - MEAN[d]) / SD[d]) ** 2 - np.log(SD[d]) - 0.5 * math.log(2 * math.pi)
    return np.where(np.isnan(x)[:, None], 0.0, out)


def one_segment(rows: int) -> I4:
    return np.arange(rows, dtype=np.int32)


def test_filtered_probabilities_of_hmmlearn_and_statsmodels() -> None:
    x, y, _ = chain(4000, 3)
    holes(x, y)
    found = run(x, y, one_segment(4000))
    for j in range(3):
        logs = densities(x[:, j], y[:, j])
        first = np.full(3, 1 / 3) @ STAY
        total, forward, scale = _hmmc.forward_scaling(first, STAY, np.exp(logs))
        value = ~np.isnan(x[:, j]) & ((~np.isnan(x[:, j])).cumsum() >= NEED)
        for s in range(3):
            np.testing.assert_allclose(found[s][value, j], forward[value, s], rtol=1e-10, atol=1e-13)
            assert np.isnan(found[s][~value, j]).all()
        nll = np.log(scale)
        np.testing.assert_allclose(found[hm.NLL][value, j], nll[value], rtol=1e-10, atol=1e-11)
        assert total == pytest.approx(-nll.sum(), rel=1e-12)
        other, *_ = cy_hamilton_filter_log(np.full(3, 1 / 3), STAY.T[:, :, None], np.ascontiguousarray(logs.T), 0)
        for s in range(3):
            np.testing.assert_allclose(found[s][value, j], other[s][value], rtol=1e-9, atol=1e-12)


def test_all_paths() -> None:
    """Nine bars, two of them without a value, by the sum over all 3^9 paths."""
    x, y, _ = chain(9, 1, seed=3)
    x[[3, 6]] = y[[3, 6]] = np.nan
    models, which = truth(1), np.zeros(9, dtype=np.int32)
    found = filtered(x, y, models, which, one_segment(9), np.ones(9, dtype=bool), 0, 1, 100)
    weights = np.exp(densities(x[:, 0], y[:, 0]))
    mass = np.zeros(3)
    for path in itertools.product(range(3), repeat=9):
        p = float((np.full(3, 1 / 3) @ STAY)[path[0]])
        for t in range(9):
            p *= weights[t, path[t]] * (STAY[path[t - 1], path[t]] if t else 1.0)
        mass[path[-1]] += p
    mass /= mass.sum()
    np.testing.assert_allclose([f[8, 0] for f in found[:3]], mass, rtol=1e-12)
    assert found[hm.CODES][8, 0] == mass.argmax()
    assert found[hm.SWITCH][8, 0] == pytest.approx(mass @ (1 - np.diag(STAY)), rel=1e-12)
    assert found[hm.ENTROPY][8, 0] == pytest.approx(-(mass @ np.log(mass)) / math.log(3), rel=1e-10)
    assert found[hm.EXPECTED][8, 0] == pytest.approx(math.log(mass @ (1 / (1 - np.diag(STAY)))), rel=1e-12)
    assert all(np.isnan(f[[3, 6], 0]).all() for f in found)


def test_durations_count_values() -> None:
    x, y, _ = chain(3000, 2)
    holes(x, y)
    found = run(x, y, one_segment(3000))
    code = run(x, y, one_segment(3000))[hm.CODES]
    for j in range(2):
        rows = np.flatnonzero(~np.isnan(x[:, j]))
        length = 0
        before = None
        for taken, r in enumerate(rows, 1):
            best = int(np.argmax([f[r, j] for f in found[:3]])) if taken >= NEED else None
            length = length + 1 if best == before and best is not None else 1
            before = best
            if taken > 2 * CAP:
                assert code[r, j] == best
                assert found[hm.DURATION][r, j] == pytest.approx(math.log(1 + min(length, CAP)), rel=1e-14)
    assert np.isnan(found[hm.DURATION][:CAP, 0]).all()


def test_later_values_move_nothing() -> None:
    x, y, _ = chain(2000, 2)
    early = run(x, y, one_segment(2000))
    x[1500:] += 5.0
    y[1500:] = 0.9
    late = run(x, y, one_segment(2000))
    for a, b in zip(early, late, strict=True):
        np.testing.assert_array_equal(a[:1500].view(np.int64), b[:1500].view(np.int64))
    assert (early[2][1500] < 0.5).all() and (late[2][1500] > 0.5).all()
    assert (late[2][1499] < 0.5).all(), "a smoother would have known"


def test_live_steps_are_the_batch() -> None:
    """Row by row over a ring of one row; the next segment's trajectory runs alongside."""
    x, y, _ = chain(2600, 3)
    holes(x, y)
    age = (np.arange(2600) % 900).astype(np.int32)
    active = np.arange(2600) % 5 == 4
    batch = run(x, y, age, active=active)
    model = truth(3)[0]
    states = [np.zeros(hm.STATE_ROWS * hm.LANES) for _ in range(2)]
    for s in states:
        clear_filter(s)
    found = np.full(hm.OUTPUTS * hm.LANES, np.nan)
    for r in range(2600):
        if age[r] == 0 and r:
            states = [states[1], np.zeros_like(states[0])]
            clear_filter(states[1])
            found[:] = np.nan
        if active[r]:
            row_x, row_y = x[r : r + 1].copy(), y[r : r + 1].copy()
            filter_step(row_x, row_y, 0, model, float(CAP), states[0])
            filter_row(model, float(NEED), float(CAP), states[0], found)
            if age[r] >= 900 - BURN:
                filter_step(row_x, row_y, 0, model, float(CAP), states[1])
        live = found.reshape(hm.OUTPUTS, hm.LANES)[:, :3]
        for k in range(hm.OUTPUTS):
            np.testing.assert_array_equal(live[k].view(np.int64), batch[k][r].view(np.int64))
    assert (~np.isnan(batch[0])).sum() > 4000


def test_one_lane_or_28() -> None:
    x, y, _ = chain(1500, 28)
    holes(x, y)
    all_lanes = run(x, y, one_segment(1500))
    for j in (0, 13, 27):
        alone = run(x[:, j : j + 1].copy(), y[:, j : j + 1].copy(), one_segment(1500))
        for a, b in zip(all_lanes, alone, strict=True):
            np.testing.assert_array_equal(a[:, j].view(np.int64), b[:, 0].view(np.int64))


def test_far_outliers_and_no_model() -> None:
    x, y, _ = chain(500, 2)
    x[300, 0] = 1e8
    found = run(x, y, one_segment(500))
    total = (found[0] + found[1]) + found[2]
    assert not np.isinf(np.array(found)).any()
    np.testing.assert_allclose(total[NEED:], 1.0, rtol=1e-14)
    assert found[hm.NLL][300, 0] == pytest.approx(((1e8 - 1.5) / 0.4) ** 2 / 2, rel=1e-6), "the widest state's tail"
    none = truth(2)
    none[:, 1 :: hm.LANES] = np.nan
    found = run(x, y, one_segment(500), none)
    assert all(np.isnan(f[:, 1]).all() for f in found)
    assert not np.isnan(found[0][NEED:, 0]).any()


def stretches(rows: int, seed: int = 5) -> tuple[F8, F8]:
    x, y, _ = chain(rows, DAYS, seed)
    return (x - x.mean()) / x.std(), (y - y.mean()) / y.std()


def guess() -> F8:
    model = np.full(MODEL_ROWS, 1.0)
    model[:6] = [-0.7, 0.1, 1.0, -0.5, 0.8, 0.1]
    model[6:12] = [0.8, 1.1, 0.9, 1.0, 0.7, 1.2]
    model[MOVE:] = np.array([[0.90, 0.06, 0.04], [0.07, 0.88, 0.05], [0.03, 0.09, 0.88]]).ravel()
    return model


@pytest.mark.parametrize("rounds", [1, 3])
def test_rounds_of_hmmlearn(rounds: int) -> None:
    x, y = stretches(240)
    model = guess()
    work = np.empty((240, 3 * DAYS)), np.empty((CHUNK, WORK_ROWS * DAYS)), np.empty(SUM_ROWS * DAYS)
    likely = refine(x, y, model, rounds, *work)
    peer = GaussianHMM(3, "diag", n_iter=rounds, tol=-np.inf, init_params="", params="tmc", covars_prior=0.0,
                       covars_weight=1.0, min_covar=0.0)  # fmt: skip
    start = guess()
    peer.startprob_, peer.transmat_ = np.full(3, 1 / 3), start[MOVE:].reshape(3, 3)
    peer.means_, peer.covars_ = start[:6].reshape(2, 3).T, start[6:12].reshape(2, 3).T
    data = np.column_stack([x.T.ravel(), y.T.ravel()])
    peer.fit(data, [240] * DAYS)
    np.testing.assert_allclose(model[:6].reshape(2, 3).T, peer.means_, rtol=1e-9, atol=1e-11)
    covars = np.array([np.diag(c) for c in peer.covars_])
    np.testing.assert_allclose(model[6:12].reshape(2, 3).T, covars, rtol=1e-9)
    np.testing.assert_allclose(model[MOVE:].reshape(3, 3), peer.transmat_, rtol=1e-9)
    assert likely == pytest.approx(peer.score(data, [240] * DAYS), rel=1e-11)


def test_missing_values_are_bridged() -> None:
    """A round with values missing, by forward and backward sums over each sequence."""
    x, y = stretches(60)
    holes(x, y)
    model = guess()
    work = np.empty((60, 3 * DAYS)), np.empty((CHUNK, WORK_ROWS * DAYS)), np.empty(SUM_ROWS * DAYS)
    refine(x, y, model, 1, *work)
    old = guess()
    mean, var, move = old[:6].reshape(2, 3), old[6:12].reshape(2, 3), old[MOVE:].reshape(3, 3)
    moves, weight, first, second = np.zeros((3, 3)), np.zeros(3), np.zeros((2, 3)), np.zeros((2, 3))
    for j in range(DAYS):
        b = np.ones((60, 3))
        for d, v in enumerate((x[:, j], y[:, j])):
            density = np.exp(-0.5 * (v[:, None] - mean[d]) ** 2 / var[d]) / np.sqrt(2 * np.pi * var[d])
            b *= np.where(np.isnan(v)[:, None], 1.0, density)
        _, forward, scale = _hmmc.forward_scaling(np.full(3, 1 / 3), move, b)
        backward = _hmmc.backward_scaling(np.full(3, 1 / 3), move, b, scale)
        gamma = forward * backward
        gamma /= gamma.sum(axis=1)[:, None]
        for t in range(59):
            xi = forward[t][:, None] * move * b[t + 1] * backward[t + 1]
            moves += xi / xi.sum()
        some = ~np.isnan(x[:, j])
        weight += gamma[some].sum(axis=0)
        for d, v in enumerate((x[some, j], y[some, j])):
            first[d] += gamma[some].T @ v
            second[d] += gamma[some].T @ (v * v)
    np.testing.assert_allclose(model[:6].reshape(2, 3), first / weight, rtol=1e-9)
    np.testing.assert_allclose(model[6:12].reshape(2, 3), second / weight - (first / weight) ** 2, rtol=1e-9)
    np.testing.assert_allclose(model[MOVE:].reshape(3, 3), moves / moves.sum(axis=1)[:, None], rtol=1e-9)


def some_picks(seed: int, rows: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(0, rows * DAYS, (5, 3))


def test_a_planted_chain_is_found() -> None:
    """28,800 values: means within 0.02 of the truth, moves within 0.01, 97 % of the bars in their state."""
    x, y, _ = chain(1440, DAYS, seed=7)
    model = fit_chain(x, y, some_picks(0, 1440), 3, 20)
    order = np.argsort(model[:3])
    np.testing.assert_allclose(model[:3][order], MEAN[0], atol=0.02)
    np.testing.assert_allclose(model[3:6][order], MEAN[1], atol=0.02)
    np.testing.assert_allclose(model[6:9][order], SD[0] ** 2, rtol=0.08)
    np.testing.assert_allclose(model[9:12][order], SD[1] ** 2, rtol=0.08)
    np.testing.assert_allclose(model[MOVE:-1].reshape(3, 3)[np.ix_(order, order)], STAY, atol=0.01)
    new_x, new_y, hidden = chain(4000, 1, seed=8)
    parts = [model[3 * k : 3 * k + 3][order][None, None] for k in range(4)]
    move = model[MOVE:-1].reshape(3, 3)[np.ix_(order, order)][None, None]
    models = arrange(*parts, move)
    found = run(new_x, new_y, one_segment(4000), models)[hm.CODES]
    right = (found[NEED:, 0] == hidden[NEED:, 0]).mean()
    assert right > 0.97
    nll = run(new_x, new_y, one_segment(4000), models)[hm.NLL]
    assert -np.nanmean(nll) == pytest.approx(model[-1], abs=0.05), "the likelihood of new bars is that of the fit"


def test_units_do_not_matter() -> None:
    """x times 3 plus 5, y over 8: the same states, moves to 1e-9 and likelihood less ln(3 / 8)."""
    x, y, _ = chain(1440, DAYS, seed=9)
    one = fit_chain(x, y, some_picks(1, 1440), 3, 5)
    two = fit_chain(3 * x + 5, y / 8, some_picks(1, 1440), 3, 5)
    np.testing.assert_allclose(two[:3], 3 * one[:3] + 5, rtol=1e-9)
    np.testing.assert_allclose(two[3:6], one[3:6] / 8, rtol=1e-9)
    np.testing.assert_allclose(two[MOVE:-1], one[MOVE:-1], rtol=1e-9)
    assert two[-1] == pytest.approx(one[-1] - math.log(3 / 8), rel=1e-9)


def test_degenerate_series() -> None:
    x, y, _ = chain(1440, DAYS)
    picks = some_picks(2, 1440)
    assert np.isnan(fit_chain(np.full_like(x, 2.0), y, picks, 1, 2)).all(), "x does not vary"
    assert np.isnan(fit_chain(np.full_like(x, np.nan), np.full_like(x, np.nan), picks, 1, 2)).all(), "no value"
    two = np.where(x > 1.0, 1.0, 0.0)
    model = fit_chain(two, np.where(two > 0, 0.5, 0.2) + 1e-3 * y, picks, 5, 20)
    assert not np.isnan(model).any(), "values of two kinds: variances stop at their floor"
    assert model[6:9].min() >= LEAST_VARIANCE * two.var() * (1 - 1e-12)
    moves = model[MOVE:-1].reshape(3, 3)
    np.testing.assert_allclose(moves.sum(axis=1), 1.0, rtol=1e-14)
    assert moves.min() >= LEAST_MOVE * 0.99


def test_the_likelihood_rises() -> None:
    x, y = stretches(240)
    work = np.empty((240, 3 * DAYS)), np.empty((CHUNK, WORK_ROWS * DAYS)), np.empty(SUM_ROWS * DAYS)
    model, values = guess(), []
    for _ in range(12):
        values.append(refine(x, y, model, 1, *work))
    assert (np.diff(values) > 0).all()
