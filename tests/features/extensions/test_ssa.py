"""ssa against the singular value decomposition, on series whose parts are known; its promises are in
test_extension_promises."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from bqx.features.kernels import singular
from bqx.features.kernels.singular import components

F8 = NDArray[np.float64]
ROWS = 200


def parts(y: F8) -> tuple[F8, F8, F8]:
    """Eigenvalues, trend and oscillation by numpy, from Golyandina's book: embed, decompose, group, average."""
    z = y - y.mean()
    x = np.array([z[i : i + 81] for i in range(40)])
    u, s, v = np.linalg.svd(x, full_matrices=False)

    def averaged(k: int) -> F8:
        piece = s[k] * np.outer(u[:, k], v[k])
        return np.array([np.mean([piece[i, t - i] for i in range(40) if 0 <= t - i < 81]) for t in range(120)])

    return s * s, averaged(0), averaged(1) + averaged(2)


def walk() -> F8:
    rng = np.random.default_rng(4)
    at = np.arange(ROWS)[:, None]
    cycle = 5.0 * np.sin(2.0 * np.pi * at / 20.0)
    line = 0.2 * (at - 100.0)
    noise = 0.3 * rng.standard_normal((ROWS, 1))
    return np.hstack([rng.standard_normal((ROWS, 2)).cumsum(axis=0), line + cycle + noise, 0.01 * noise + 7000.0])


@pytest.fixture(scope="module")
def found() -> tuple[F8, ...]:
    return components(walk(), np.arange(ROWS, dtype=np.int32))


def test_agrees_with_a_direct_decomposition(found: tuple[F8, ...]) -> None:
    y, compared = walk(), 0
    for r in range(120, ROWS, 5):
        for j in range(4):
            values, trend, cycle = parts(y[r - 119 : r + 1, j])
            size = float(np.std(y[r - 119 : r + 1, j]))
            want = {
                singular.TREND: trend[-1],
                singular.OSCILLATION: cycle[-1],
                singular.TREND_SHARE: values[0] / values.sum() * size,
                singular.OSCILLATION_SHARE: (values[1] + values[2]) / values.sum() * size,
                singular.NOISE_SIZE: np.log(values[3:].sum() / 4800) * size,
            }
            for k, value in want.items():
                have = found[k][r, j] * (1.0 if k in (singular.TREND, singular.OSCILLATION) else size)
                assert abs(have - value) <= 1e-8 * size, (k, r, j)
                compared += 1
    assert compared == 16 * 4 * 5


def test_a_cycle_on_a_line_comes_apart(found: tuple[F8, ...]) -> None:
    """A line about its mean has two directions, a cycle has two: the larger of the line is the trend, the cycle the
    oscillation, and nearly all that is left is the line's other one."""
    line = slice(130, ROWS), 2
    trend, cycle = found[singular.TREND_SHARE][line], found[singular.OSCILLATION_SHARE][line]
    assert (trend > 0.5).all()
    assert (cycle > 0.3).all()
    assert (trend + cycle > 0.9).all()
    noise = found[singular.OSCILLATION_SHARE][130:, 3]
    assert (noise < 0.3).all(), "noise alone has no cycle"


def test_held_between_refreshes_and_null_across_a_hole() -> None:
    y = walk()
    y[150, 0] = np.nan
    found = components(y, np.arange(ROWS, dtype=np.int32))[singular.TREND]
    assert np.isnan(found[:120]).all()
    for start in range(120, 150, 5):
        assert (found[start : start + 5] == found[start]).all()
    assert np.isnan(found[150:, 0]).all()
    assert not np.isnan(found[150:, 1]).any()
