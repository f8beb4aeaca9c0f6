"""Kernels of error correction against statsmodels, numpy and 50 digits."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import statsmodels.api as sm
from numpy.typing import NDArray
from statsmodels.tsa.ar_model import AutoReg
from statsmodels.tsa.vector_ar.vecm import VECM

from bqx.features.kernels import adjustment as adj
from bqx.features.kernels import autoregression as auto
from bqx.features.kernels import hourly_line as line
from bqx.features.kernels.johansen import relation
from bqx.features.kernels.members import member_mean, parity, parity_of_levels
from bqx.features.kernels.pairwise import correlation_of
from bqx.features.kernels.products import PRODUCT_ROWS
from bqx.features.kernels.sums import STATE_ROWS

F8 = NDArray[np.float64]
I4 = NDArray[np.int32]


def ages(*lengths: int) -> I4:
    return np.concatenate([np.arange(n, dtype=np.int32) for n in lengths])


def autoregressive(rows: int, lanes: int, phi: float, seed: int, offset: float = 0.0) -> F8:
    noise = np.random.default_rng(seed).standard_normal((rows, lanes))
    out = np.zeros((rows, lanes))
    for r in range(1, rows):
        out[r] = phi * out[r - 1] + noise[r]
    return out + offset


def with_holes(x: F8, share: float, seed: int) -> F8:
    return np.where(np.random.default_rng(seed).random(x.shape) < share, np.nan, x)


def test_parity_of_exact_crosses_is_nothing() -> None:
    """T12: crosses that are products of their legs to the last digit."""
    rng = np.random.default_rng(0)
    xb, by, yb = (np.exp(rng.standard_normal(2000)) for _ in range(3))
    lanes = np.array([[[1, 2]], [[1, 3]], [[0, 0]], [[0, 0]], [[0, 0]]])
    signs = np.array([[[1.0, 1.0]], [[1.0, -1.0]], [[1.0, 1.0]], [[1.0, 1.0]], [[1.0, 1.0]]])
    price = np.column_stack([xb * by, xb, by, yb, xb / yb])
    assert np.abs(parity(price, lanes, signs)[:, 0]).max() < 1e-11
    swapped = price[:, [4, 1, 2, 3, 0]]
    assert np.abs(parity(swapped, np.array([[[1, 3]]] * 5), np.array([[[1.0, -1.0]]] * 5))[:, 0]).max() < 1e-11


def test_parity_in_words() -> None:
    price = np.array([[1.10, 1.25, 0.88]])
    lanes, signs = np.array([[[1, 2]]] * 3), np.array([[[1.0, 1.0]]] * 3)
    assert parity(price, lanes, signs)[0, 0] == pytest.approx(1e4 * np.log(1.10 / (1.25 * 0.88)), abs=1e-11)
    assert parity(price, lanes, -signs)[0, 0] == pytest.approx(1e4 * np.log(1.10 * 1.25 * 0.88), rel=1e-14)
    assert np.isnan(parity(price, np.where(lanes == 2, -1, lanes), signs)).all()
    levels = np.array([[5.0, 2.0, 1.0]])
    assert parity_of_levels(levels, lanes, signs)[0, 0] == 2.0
    assert parity_of_levels(levels, lanes, -signs)[0, 0] == 8.0
    assert member_mean(levels, lanes[:, 0], np.array([[1.0, -1.0]] * 3))[0].tolist() == [0.5, 0.5, 0.5]


def test_hourly_lines_are_those_of_statsmodels() -> None:
    rng = np.random.default_rng(1)
    b = np.cumsum(rng.standard_normal((1500, 3)), axis=0) + 400.0
    a = 0.8 * b + autoregressive(1500, 3, 0.95, 2)
    a, b = with_holes(a, 0.02, 3), with_holes(b, 0.02, 4)
    window, need, skip = 480, 432, 500
    out = np.empty((1000, 3))
    line.residuals(a, b, skip, 0, window, need, 60, out)
    for j in range(3):
        for point in (0, 60, 540, 960):
            rows = slice(skip + point - window + 1, skip + point + 1)
            fit = sm.OLS(a[rows, j], sm.add_constant(b[rows, j]), missing="drop").fit()
            for r in (point, point + 17, min(point + 59, 999)):
                want = a[skip + r, j] - fit.params[0] - fit.params[1] * b[skip + r, j]
                assert out[r, j] == pytest.approx(want, rel=1e-9, abs=1e-10, nan_ok=True)
    still = np.full_like(b, 7.0)
    line.residuals(a, still, skip, 0, window, need, 60, out)
    assert np.isnan(out).all(), "what it is regressed on does not move"


def test_a_line_begun_inside_a_segment_waits_for_the_next_hour() -> None:
    a = autoregressive(1000, 1, 0.9, 5)
    b = autoregressive(1000, 1, 0.9, 6)
    out = np.empty((400, 1))
    line.residuals(a, b, 600, 25, 480, 432, 60, out)
    assert np.isnan(out[:35]).all() and not np.isnan(out[35:]).any()


def planted(rows: int, seed: int) -> F8:
    """Seven random walks of which a combination is stationary."""
    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.standard_normal((rows, 7)), axis=0)
    x[:, 0] = 0.5 * x[:, 1] - 0.3 * x[:, 2] + 4.0 + autoregressive(rows, 1, 0.9, seed + 1)[:, 0]
    return x


@pytest.mark.parametrize("seed", [7, 8])
def test_the_vector_of_the_majors_is_that_of_statsmodels(seed: int) -> None:
    x = planted(3000, seed)
    window, skip = 1500, 1600
    out = np.empty(len(x) - skip)
    relation(x, skip, window, window * 9 // 10, 60, out)
    for point in (0, 720, 1380):
        levels = x[skip + point - window + 1 : skip + point + 1]
        fit = VECM(levels, k_ar_diff=2, coint_rank=1, deterministic="ci").fit()
        vector = np.r_[fit.beta[:, 0], fit.const_coint[0, 0]]
        vector = vector / np.linalg.norm(vector[:7]) * np.sign(vector[0])
        rows = np.arange(skip + point, min(skip + point + 60, len(x)))
        want = x[rows] @ vector[:7] + vector[7]
        np.testing.assert_allclose(out[rows - skip], want, rtol=1e-7, atol=1e-8)
    assert vector[1] == pytest.approx(-0.5 * vector[0], abs=0.1), "the planted relation"


def test_sums_that_slide_keep_their_digits() -> None:
    """A hole, a shift of 1,000 and six days of sliding against sums begun at the point."""
    x = planted(9000, 9) + 1000.0
    x[4000:4007, 3] = np.nan
    out, fresh = np.empty(len(x) - 1500), np.empty(len(x) - 8400)
    relation(x, 1500, 1440, 1296, 60, out)
    relation(x, 8400, 1440, 1296, 60, fresh)
    np.testing.assert_allclose(out[6900:], fresh, rtol=1e-9, atol=1e-10)
    x[5000:, 2] = np.nan
    relation(x, 1500, 1440, 1296, 60, out)
    assert np.isnan(out[5000 - 1500 :]).all()


def test_half_life_is_that_of_an_autoregression() -> None:
    x = autoregressive(3000, 2, 0.98, 10, 50.0)
    found = auto.half_life_across(x, ages(3000), 1440, 1296)
    for r in (1440, 2000, 2999):
        fit = AutoReg(x[r - 1440 : r + 1, 0], 1, trend="c").fit()
        assert found[r, 0] == pytest.approx(np.log(0.5) / np.log(fit.params[1]), rel=1e-9)
    assert np.isnan(found[:1296]).all() and not np.isnan(found[1296:]).any()


def test_half_life_at_its_ends() -> None:
    zigzag = np.where(np.arange(600) % 2, 1.0, -1.0)[:, None] + 0.01 * autoregressive(600, 1, 0.0, 11)
    assert np.isnan(auto.half_life_across(zigzag, ages(600), 240, 216)[300:]).all(), "phi < 0"
    growing = np.exp(0.01 * np.arange(600))[:, None]
    assert (auto.half_life_across(growing, ages(600), 240, 216)[300:] == 240.0).all(), "phi > 1"
    assert np.isnan(auto.half_life_across(np.full((600, 1), 3.0), ages(600), 240, 216)).all(), "flat"


def test_alpha_is_that_of_statsmodels() -> None:
    """Two segments: neither a change nor a lag reaches over the closure."""
    age = ages(900, 800)
    y = np.cumsum(autoregressive(1700, 2, 0.2, 12), axis=0)
    e = autoregressive(1700, 2, 0.9, 13, 3.0)
    y, e = with_holes(y, 0.01, 14), with_holes(e, 0.01, 15)
    found = adj.adjustment(y, e, age, 720, 600)
    for r in (719, 950, 1500, 1699):
        for j in range(2):
            rows = np.array([s for s in range(r - 719, r + 1) if age[s] >= 2])
            u, v, w = y[rows, j] - y[rows - 1, j], e[rows - 1, j], y[rows - 1, j] - y[rows - 2, j]
            u = np.where(np.isnan(e[rows, j]), np.nan, u)
            fit = sm.OLS(u, sm.add_constant(np.column_stack([v, w])), missing="drop").fit()
            assert found[r, j] == pytest.approx(fit.params[1], rel=1e-9)
    same = np.vstack([np.zeros((1, 2)), np.diff(y, axis=0)])
    assert np.isnan(adj.adjustment(y, same, age, 720, 600)).all(), "error and lagged change are one"


def test_z_and_correlation() -> None:
    x = with_holes(autoregressive(2000, 3, 0.9, 16, 1e4), 0.02, 17)
    z = auto.standardised_across(x, ages(1100, 900), 1440, 1296)
    for r in (1439, 1800, 1999):
        window = x[r - 1439 : r + 1]
        want = (x[r] - np.nanmean(window, axis=0)) / np.nanstd(window, axis=0, ddof=1)
        np.testing.assert_allclose(z[r], want, rtol=1e-9)
    both = ~np.isnan(x[:, :2]).any(axis=1)
    assert correlation_of(x, 0, 1) == pytest.approx(np.corrcoef(x[both, 0], x[both, 1])[0, 1], rel=1e-11)
    assert np.isnan(correlation_of(np.ones((50, 2)), 0, 1))


def test_hard_inputs_against_50_digits() -> None:
    """A level 10^7 deviations from 0 and a spike of 10^6 that has left the window: as many digits are lost as such a
    level itself has lost, and none to the spike."""
    x = autoregressive(4000, 1, 0.95, 18, 1e7)
    x[2000] += 1e6
    y = np.cumsum(autoregressive(4000, 1, 0.3, 19), axis=0)
    half, alpha = auto.half_life_across(x, ages(4000), 720, 648), adj.adjustment(y, x, ages(4000), 720, 648)
    for r in (2900, 3999):
        with mpmath.workdps(50):
            rows = range(r - 719, r + 1)
            now, then = ([mpmath.mpf(float(x[s - k, 0])) for s in rows] for k in (0, 1))
            u = [mpmath.mpf(float(y[s, 0])) - mpmath.mpf(float(y[s - 1, 0])) for s in rows]
            w = [mpmath.mpf(float(y[s - 1, 0])) - mpmath.mpf(float(y[s - 2, 0])) for s in rows]

            def product(a: list[mpmath.mpf], b: list[mpmath.mpf]) -> mpmath.mpf:
                m, n = mpmath.fsum(a) / len(a), mpmath.fsum(b) / len(b)
                return mpmath.fsum((p - m) * (q - n) for p, q in zip(a, b, strict=True))

            phi = product(now, then) / product(then, then)
            vv, ww, vw = product(then, then), product(w, w), product(then, w)
            want = (product(u, then) * ww - product(u, w) * vw) / (vv * ww - vw * vw)
            assert half[r, 0] == pytest.approx(float(mpmath.log(0.5) / mpmath.log(phi)), rel=1e-11)
            assert alpha[r, 0] == pytest.approx(float(want), rel=1e-10)


def test_lanes_do_not_touch() -> None:
    """One lane alone and among 28: the same bits."""
    a = with_holes(np.cumsum(autoregressive(2600, 28, 0.1, 20), axis=0), 0.01, 21)
    b = with_holes(np.cumsum(autoregressive(2600, 28, 0.1, 22), axis=0), 0.01, 23)
    age = ages(1300, 1300)
    some = slice(5, 6)

    def drawn(p: F8, q: F8) -> F8:
        out = np.empty((1300, p.shape[1]))
        line.residuals(p, q, 1300, 0, 720, 648, 60, out)
        return out

    for function in (
        drawn,
        lambda p, _: auto.half_life_across(p, age, 720, 648),
        lambda p, _: auto.standardised_across(p, age, 720, 648),
        lambda p, q: adj.adjustment(p, q, age, 720, 600),
    ):
        whole = function(a, b)[:, some]
        alone = function(np.ascontiguousarray(a[:, some]), np.ascontiguousarray(b[:, some]))
        np.testing.assert_array_equal(alone.view(np.int64), whole.copy().view(np.int64))
        assert (~np.isnan(alone)).sum() > 500


def test_bar_by_bar_is_the_batch() -> None:
    """Rings of just over a window: the bits of the batch loops."""
    rows, p, window, need = 1900, 3, 480, 432
    age = ages(1000, 900)
    a = with_holes(np.cumsum(autoregressive(rows, p, 0.1, 24), axis=0), 0.01, 25)
    b = with_holes(np.cumsum(autoregressive(rows, p, 0.1, 26), axis=0), 0.01, 27)
    hole = np.isnan(a) | np.isnan(b)
    a, b = np.where(hole, np.nan, a), np.where(hole, np.nan, b)
    wanted = {
        "z": auto.standardised_across(a, age, window, need),
        "hl": auto.half_life_across(a, age, window, need),
        "alpha": adj.adjustment(a, b, age, window, need - 40),
    }
    line_wanted = np.empty((1000, p))
    line.residuals(a[:1000], b[:1000], 0, 0, window, need, 60, line_wanted)
    now, then = np.full_like(a, np.nan), np.full_like(a, np.nan)
    auto.lagged_pairs(a, age, 1, now, then)
    u, v, w = adj.adjustment_terms(a, b, age)
    cap = window + 1
    rings = {name: np.full((cap, p), np.nan) for name in ("a", "b", "now", "then", "u", "v", "w")}
    z_state, hl_state, adj_state = np.zeros((STATE_ROWS, p)), np.zeros((PRODUCT_ROWS, p)), np.zeros((adj.STATE_ROWS, p))
    line_state, drawn = np.zeros((PRODUCT_ROWS, p)), np.full((line.LINE_ROWS, p), np.nan)
    runs, lasts = [np.zeros(p) for _ in range(3)], [np.full(p, np.nan) for _ in range(3)]
    out = np.empty((4, p))
    for r in range(rows):
        for name, x in (("a", a), ("b", b), ("now", now), ("then", then), ("u", u), ("v", v), ("w", w)):
            rings[name][r % cap] = x[r]
        auto.standard_across_step(rings["a"], r, age[r], window, need, z_state, runs[0], lasts[0], out, 0)
        auto.half_life_across_step(
            rings["now"], rings["then"], r, age[r], window, need, hl_state, runs[1], lasts[1], out, 1
        )
        adj.adjustment_step(rings["u"], rings["v"], rings["w"], r, age[r], window, need - 40, adj_state, out, 2)
        for k, name in enumerate(("z", "hl", "alpha")):
            np.testing.assert_array_equal(out[k].view(np.int64), wanted[name][r].view(np.int64), err_msg=f"{name} {r}")
        if r < 1000:
            line.residual_step(
                rings["a"], rings["b"], r, 0, age[r], r == 0, window, need, 60, line_state, runs[2], lasts[2], drawn,
                out, 3,
            )  # fmt: skip
            np.testing.assert_array_equal(out[3].view(np.int64), line_wanted[r].view(np.int64))
