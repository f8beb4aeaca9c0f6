"""reg and its kernel against numpy's polynomials and statsmodels' HAC errors; a golden window."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.polynomial import Polynomial

from bqx.features.families.extensions.reg_series import LAGS, PARTS
from bqx.features.kernels.parabola_terms import parabola_terms


def walk(rows: int, seed: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y = np.cumsum(rng.normal(size=(rows, 2)), axis=0)
    y[rng.random(y.shape) < 0.02] = np.nan
    return y


def test_golden() -> None:
    """y = 0, 1, 4, 9, ... 196: a parabola but for its end, 15 bars; P2(now) of the discrete basis by hand.

    y = u^2 + 14 u + 49 with u = -7 ... 7: mean 49 + 280 / 15, slope 14, second-order term 49 - 280 / 15.
    """
    y = np.array([[float(k * k)] for k in range(15)])
    found = dict(zip(PARTS, parabola_terms(y, np.arange(15, dtype=np.int32), 15, 15, 2, False), strict=True))
    mean_square = Fraction(280, 15)
    assert found["level"][-1, 0] == pytest.approx(float(196 - 49 - mean_square), rel=1e-14)
    assert found["linear"][-1, 0] == pytest.approx(14 * 7, rel=1e-14)
    assert found["quadratic"][-1, 0] == pytest.approx(float(49 - mean_square), rel=1e-13)
    assert found["residual"][-1, 0] == pytest.approx(0, abs=1e-11)
    assert found["r2"][-1, 0] == pytest.approx(1, rel=1e-14)
    assert np.isnan(found["t2"][-1, 0]), "a perfect fit has no t"
    assert np.isnan(found["level"][:14]).all()


@pytest.mark.parametrize("w", [15, 90])
def test_against_libraries(w: int) -> None:
    """Polynomial.fit on the valid bars, and OLS with HAC errors by statsmodels where no bar is missing."""
    y = walk(400)
    need = w if w < 20 else -(-w * 9 // 10)
    found = dict(zip(PARTS, parabola_terms(y, np.arange(400, dtype=np.int32), w, need, LAGS[w], False), strict=True))
    compared = hac = 0
    for r in range(w - 1, 400, 7):
        for j in range(2):
            v = y[r - w + 1 : r + 1, j]
            ok = ~np.isnan(v)
            if ok.sum() < need or not ok[-1]:
                continue
            x = np.arange(w, dtype=float)
            line, curve = (Polynomial.fit(x[ok], v[ok], k) for k in (1, 2))
            now, mean = x[-1], v[ok].mean()
            assert found["linear"][r, j] == pytest.approx(line(now) - mean, rel=1e-9, abs=1e-9)
            assert found["quadratic"][r, j] == pytest.approx(curve(now) - line(now), rel=1e-9, abs=1e-9)
            assert found["residual"][r, j] == pytest.approx(v[-1] - curve(now), rel=1e-9, abs=1e-9)
            compared += 1
            if ok.all():
                u = x - x.mean()
                fit = sm.OLS(v, np.column_stack([np.ones(w), u, u * u])).fit(
                    cov_type="HAC", cov_kwds={"maxlags": LAGS[w], "use_correction": False}
                )
                assert found["t2"][r, j] == pytest.approx(fit.tvalues[2], rel=1e-8)
                assert found["r2"][r, j] == pytest.approx(fit.rsquared, rel=1e-9)
                assert found["rmse"][r, j] == pytest.approx(np.sqrt(fit.ssr / (w - 3)), rel=1e-9)
                hac += 1
    assert compared > 30 and hac > 5


def test_terms_do_not_lean_on_each_other() -> None:
    """In the orthogonal basis slope and bend are uncorrelated under noise; in powers of x they are not."""
    rng = np.random.default_rng(5)
    y = rng.normal(size=(60, 400))
    out = parabola_terms(y, np.arange(60, dtype=np.int32), 60, 54, 3, False)
    assert abs(np.corrcoef(out[1][-1], out[2][-1])[0, 1]) < 0.15
    x = np.arange(60.0)
    raw = np.polyfit(x, y, 2)
    assert np.corrcoef(raw[0], raw[1])[0, 1] < -0.9


def test_a_flat_window() -> None:
    y = np.full((20, 1), 7.1)
    y[0], y[10] = np.nan, np.nan
    found = dict(zip(PARTS, parabola_terms(y, np.arange(20, dtype=np.int32), 20, 18, 2, False), strict=True))
    for part in ("level", "linear", "quadratic", "residual", "rmse", "deviation"):
        assert found[part][-1, 0] == 0.0
    assert np.isnan(found["r2"][-1, 0]) and np.isnan(found["t2"][-1, 0])
