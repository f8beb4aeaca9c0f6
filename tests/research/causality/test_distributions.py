"""Tails against scipy, near and far out."""

from __future__ import annotations

import pytest
from scipy import stats

from bqx.research.causality.distributions import chi2_tail, f_tail, normal_tail


@pytest.mark.parametrize("top", [1, 2, 7, 30])
@pytest.mark.parametrize("bottom", [5, 60, 30_000])
@pytest.mark.parametrize("x", [1e-3, 0.4, 1.0, 2.5, 9.0, 80.0])
def test_f(top: int, bottom: int, x: float) -> None:
    assert f_tail(x, top, bottom) == pytest.approx(stats.f.sf(x, top, bottom), rel=1e-8, abs=1e-290)


@pytest.mark.parametrize("freedom", [1, 2, 9, 60])
@pytest.mark.parametrize("x", [1e-3, 1.0, 10.0, 90.0, 400.0])
def test_chi2(freedom: int, x: float) -> None:
    assert chi2_tail(x, freedom) == pytest.approx(stats.chi2.sf(x, freedom), rel=1e-9)


def test_normal_and_edges() -> None:
    for x in (-3.0, 0.0, 1.6, 8.0):
        assert normal_tail(x) == pytest.approx(stats.norm.sf(x), rel=1e-12)
    assert f_tail(0.0, 2, 10) == 1.0
    assert f_tail(float("nan"), 2, 10) == 1.0
    assert chi2_tail(-1.0, 3) == 1.0
