"""Conformal intervals: coverage on exchangeable data, equality with others, repair of drift, no look-ahead."""

from __future__ import annotations

import math

import numpy as np
import pytest
from crepes import ConformalRegressor
from model_rows import wandering

from bqx.base.errors import IntervalError, UsageError
from bqx.features.families.time import _session_code
from bqx.market.calendar import Calendar
from bqx.research.conformal import Cells, Conformal, Walker
from bqx.research.conformal.cells import sessions
from bqx.research.conformal.cqr import ENDS, LEAST_CELL, ends, rank, scores
from bqx.research.estimators.heads import LEVELS

CELLS = Cells(0.9, 1.1)
MINUTE = 28_000_020


def normal_quantiles(width: np.ndarray) -> np.ndarray:
    z = np.array([-1.6449, -1.2816, 0.0, 1.2816, 1.6449])
    return width[:, None] * z


def calibrated(q: np.ndarray, y: np.ndarray, gamma: float = 0.01, horizon: int = 60) -> Conformal:
    n = len(y)
    return Conformal.fit(q, y, MINUTE + np.arange(n), np.ones(n), cells=CELLS, horizon=horizon, gamma=gamma)


def covered(ends_: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    return tuple(float(np.mean((ends_[:, 2 * k] <= y) & (y <= ends_[:, 2 * k + 1]))) for k in range(2))  # type: ignore[return-value]


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_exchangeable_data_are_covered_whatever_the_quantiles_are_worth(scale: float) -> None:
    """Quantiles too narrow, right and too wide by the factor: 80 % and 90 % +- 2 on average over 40 calibrations."""
    rng = np.random.default_rng(0)
    got = []
    for _ in range(40):
        width = np.exp(0.5 * rng.normal(size=1500))
        y, q = width * rng.standard_t(4, size=1500), normal_quantiles(scale * width)
        got.append(covered(calibrated(q[:500], y[:500]).intervals(q[500:]), y[500:]))
    low, high = np.mean(got, axis=0)
    assert abs(low - 0.8) < 0.02 and abs(high - 0.9) < 0.02


def test_the_rank_is_the_papers() -> None:
    """Smallest k with k >= (n + 1)(1 - alpha), never beyond the scores there are."""
    for n in (9, 10, 19, 99, 100, 257):
        for alpha in (0.1, 0.2):
            k = math.ceil(round((n + 1) * (1 - alpha), 9))
            assert rank(n, alpha) == min(k, n) - 1
    assert rank(19, 0.1) == 17 and rank(50, -0.3) == 49 and rank(50, 1.3) == 0


def test_equals_a_written_out_cqr() -> None:
    rng = np.random.default_rng(1)
    q, y = normal_quantiles(rng.uniform(0.5, 2, 301)), rng.normal(size=301)
    found = calibrated(q, y)
    for k, (lo, hi) in enumerate(((1, 3), (0, 4))):
        scores_ = sorted(max(q[i, lo] - y[i], y[i] - q[i, hi]) for i in range(301))
        alpha = (0.2, 0.1)[k]
        assert found.correction(-1)[k] == scores_[math.ceil(302 * (1 - alpha) - 1e-9) - 1]
    assert LEVELS[ENDS[0][0]] == 0.10 and LEVELS[ENDS[1][1]] == 0.95
    crossed = ends(normal_quantiles(np.ones(1)), np.array([[-2.0, -5.0]]))[0]
    assert crossed[0] == crossed[1] == crossed[2] == crossed[3] == 0.0


def test_equals_crepes_where_both_exist() -> None:
    """With all quantiles equal, CQR is split conformal regression; crepes has that one, with and without cells."""
    rng = np.random.default_rng(2)
    n = 1400
    centre, y, sigma = np.repeat(rng.normal(size=(n, 1)), 5, axis=1), rng.normal(size=n), rng.uniform(0.5, 1.5, n)
    minute = MINUTE + 15 * np.arange(n)
    found = Conformal.fit(centre, y, minute, sigma, cells=Cells.fit(sigma), horizon=60)
    own = found.cells.of(minute, sigma)
    sizes = np.bincount(own, minlength=15)
    assert (sizes[sizes > 0] >= LEAST_CELL).sum() >= 8
    away, new = y - centre[:, 0], rng.normal(size=(n, 1))
    common, by_cell = ConformalRegressor(), ConformalRegressor()
    common.fit(away)
    by_cell.fit(away, bins=own)
    big = sizes[own] >= LEAST_CELL
    big = sizes[own] >= LEAST_CELL
    for k, share in enumerate((0.8 - 1e-9, 0.9 - 1e-9)):  # crepes takes int(0.0999... * 100) as 9 where 10 is meant
        ours = found.intervals(np.repeat(new, 5, axis=1))[:, 2 * k : 2 * k + 2]
        np.testing.assert_allclose(ours, common.predict_int(new[:, 0], confidence=share), atol=1e-12)
        ours = found.intervals(np.repeat(new, 5, axis=1), own)[:, 2 * k : 2 * k + 2]
        theirs = by_cell.predict_int(new[:, 0], bins=own, confidence=share)
        np.testing.assert_allclose(ours[big], theirs[big], atol=1e-12)


def test_cells_cover_where_one_correction_does_not() -> None:
    """Errors three times as wide in high volatility, which the quantiles do not know: each tercile gets its 90 %."""
    rng = np.random.default_rng(3)
    n = 6000
    sigma = rng.uniform(0.5, 1.5, n)
    cells = Cells.fit(sigma[:3000])
    minute = MINUTE + rng.integers(0, 7 * 1440, n)
    cell = cells.of(minute, sigma)
    y = rng.normal(size=n) * np.where(cell % 3 == 2, 3.0, 1.0)
    q = normal_quantiles(np.ones(n))
    found = Conformal.fit(q[:3000], y[:3000], minute[:3000], sigma[:3000], cells=cells, horizon=60)
    new, high = slice(3000, n), cell[3000:] % 3 == 2
    common, own = found.intervals(q[new]), found.intervals(q[new], cell[new])
    assert covered(common[high], y[new][high])[1] < 0.8 and covered(common[~high], y[new][~high])[1] > 0.93
    for part in (high, ~high):
        assert abs(covered(own[part], y[new][part])[1] - 0.9) < 0.03


def test_few_rows_of_a_cell_take_the_common_correction() -> None:
    rng = np.random.default_rng(4)
    q, y = normal_quantiles(np.ones(300)), rng.normal(size=300)
    found = calibrated(q, y)
    assert (np.bincount(found.cell) == 0).any()
    rare = int(np.flatnonzero(np.bincount(found.cell, minlength=15) == 0)[0])
    np.testing.assert_array_equal(found.correction(rare), found.correction(-1))
    assert found.summary()["rows"] == 300
    back = Conformal.restore(found.files())
    np.testing.assert_array_equal(back.intervals(q, found.cell), found.intervals(q, found.cell))
    assert back.files() == found.files()


def test_drift_breaks_plain_cqr_and_the_walk_repairs_it() -> None:
    """Errors grow to 2.5 times after calibration. Labels are known 4 rows later; coverage of the last 1,500 rows."""
    rng = np.random.default_rng(5)
    n = 3000
    q, y = normal_quantiles(np.ones(n)), rng.normal(size=n)
    y[600:] *= np.minimum(1.0 + np.arange(n - 600) / 600, 2.5)
    start = calibrated(q[:600], y[:600])
    rows = np.arange(600, n)
    cell = start.cells.of(MINUTE + rows, np.ones(len(rows)))
    walked = Walker(start).run(15 * rows, cell, q[rows], y[rows])
    plain = start.intervals(q[rows], cell)
    late = slice(900, None)
    assert covered(plain[late], y[rows][late])[1] < 0.65
    low, high = covered(walked[late], y[rows][late])
    assert abs(high - 0.9) < 0.02 and abs(low - 0.8) < 0.02


def test_coverage_of_overlapping_labels_under_wandering_volatility() -> None:
    """Returns of 60 minutes every 15, scaled by a lagging EWMA: 88-92 % pooled and 85-95 % in each cell, though rows
    overlap and volatility is not what sigma says."""
    rows = wandering(120, 8)
    learn, held, new = slice(0, 3000), slice(3000, 5000), slice(5000, None)
    y = rows.y4[60]
    q = np.repeat(np.quantile(y[learn], LEVELS)[None], len(rows), axis=0)
    cells = Cells.fit(rows.sigma[learn])
    cell = cells.of(rows.minute, rows.sigma)
    start = Conformal.fit(q[held], y[held], rows.minute[held], rows.sigma[held], cells=cells, horizon=60)
    out = Walker(start).run(rows.position[new], cell[new], q[new], y[new])
    low, high = covered(out, y[new])
    assert abs(high - 0.9) < 0.02 and abs(low - 0.8) < 0.03
    big = [c for c in range(15) if (cell[new] == c).sum() >= 300]
    assert len(big) >= 6
    for c in big:
        assert 0.85 < covered(out[cell[new] == c], y[new][cell[new] == c])[1] < 0.95, cells.name(c)


def test_the_update_is_gibbs_and_candes_with_a_delay() -> None:
    """alpha after each row equals alpha + gamma (target - missed), added up over the labels known by then."""
    rng = np.random.default_rng(6)
    n, gamma, horizon = 120, 0.02, 45
    q = normal_quantiles(np.ones(n))
    start = calibrated(normal_quantiles(np.ones(200)), rng.normal(size=200), gamma=gamma, horizon=horizon)
    y, position = 2.0 * rng.normal(size=n), 15 * np.arange(n)
    y[7] = np.nan
    walker, issued = Walker(start), []
    for t in range(n):
        if t >= 3:
            walker.learn(int(position[t]), int(position[t - 3]), float(y[t - 3]))
        known = [j for j in range(t) if position[j] + horizon <= position[t] and np.isfinite(y[j])]
        for k, miss in enumerate((0.2, 0.1)):
            missed = [not issued[j][2 * k] <= y[j] <= issued[j][2 * k + 1] for j in known]
            want = miss
            for m in missed:
                want = min(max(want + gamma * (miss - m), -gamma), 1 + gamma)
            assert walker.alpha[k, -1] == pytest.approx(want, abs=1e-12)
        issued.append(walker.issue(int(position[t]), -1, q[t]))
    again = Walker(start).run(position, np.full(n, -1), q, y)
    np.testing.assert_array_equal(again, np.array(issued), err_msg="batch is the same steps as live")
    assert (start.alpha[0] == 0.2).all() or np.allclose(start.alpha[0], 0.2), "the start is not changed"
    with pytest.raises(UsageError, match="order of time"):
        walker.issue(3, -1, q[0])
    for position_, says in ((15 * (n - 1), "known at"), (0, "waits for its truth")):
        with pytest.raises(UsageError, match=says):
            walker.learn(15 * n, position_, 0.0)


def test_a_null_forecast_gets_no_interval_and_teaches_nothing() -> None:
    rng = np.random.default_rng(7)
    start = calibrated(normal_quantiles(np.ones(200)), rng.normal(size=200))
    q = normal_quantiles(np.ones(4))
    q[1] = np.nan
    out = Walker(start).run(15 * np.arange(4), np.full(4, -1), q, np.zeros(4))
    assert np.isnan(out[1]).all() and np.isfinite(out[[0, 2, 3]]).all()


def test_sessions_are_those_of_the_feature() -> None:
    """Two years of open minutes, changes of daylight saving in all three cities among them."""
    calendar = Calendar.load()
    grid = calendar.grid(28_400_000, 28_400_000 + 2 * 366 * 1440)
    np.testing.assert_array_equal(sessions(grid.minute), _session_code(grid))


def test_terciles_come_from_what_is_given_and_a_null_sigma_is_no_cell() -> None:
    sigma = np.arange(1.0, 301.0)
    cells = Cells.fit(sigma)
    assert np.bincount(cells.of(np.full(300, MINUTE), sigma) % 3).tolist() == [100, 100, 100]
    assert cells.of(np.array([MINUTE]), np.array([np.nan])).tolist() == [-1]
    assert cells.name(14) == "London and New York, high volatility" and cells.name(-1) == "all rows"
    with pytest.raises(IntervalError, match="volatility"):
        Cells.fit(np.array([np.nan]))
    with pytest.raises(IntervalError, match="99 rows"):
        calibrated(normal_quantiles(np.ones(99)), np.zeros(99))
    assert scores(normal_quantiles(np.ones(1)), np.array([0.0]))[0, 1] == pytest.approx(-1.6449)
