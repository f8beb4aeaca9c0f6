"""Granger's F against statsmodels, transfer entropy by brute force and against what is known of it."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from statsmodels.regression.linear_model import OLS

from bqx.features.families.extensions.crosswindow_series import majority
from bqx.features.kernels.causation import improvement, transfer_entropy
from bqx.features.kernels.softmax import first_weight


def test_granger_against_statsmodels() -> None:
    """The F of two nested fits on samples 15 bars apart, with holes."""
    rng = np.random.default_rng(0)
    y, x = rng.normal(size=(700, 2)), rng.normal(size=(700, 2))
    x[15:] += 0.3 * y[:-15]
    y[15:] += 0.4 * x[:-15]
    y[rng.random(y.shape) < 0.02] = np.nan
    found = improvement(y, x, 15, 32, 20)
    compared = 0
    for r in range(500, 700, 9):
        for j in range(2):
            rows = [[y[k, j], y[k - 15, j], y[k - 30, j], x[k - 15, j], x[k - 30, j]] for k in range(r, r - 480, -15)]
            table = np.array(rows)
            table = table[~np.isnan(table).any(axis=1)]
            if len(table) < 20:
                assert np.isnan(found[r, j])
                continue
            one = np.ones((len(table), 1))
            small = OLS(table[:, 0], np.hstack([one, table[:, 1:3]])).fit()
            large = OLS(table[:, 0], np.hstack([one, table[:, 1:]])).fit()
            assert found[r, j] == pytest.approx(np.log(large.compare_f_test(small)[0]), rel=1e-8, abs=1e-8)
            compared += 1
    assert compared > 30
    same = improvement(y, y, 15, 32, 20)
    assert np.isnan(same[500:]).all(), "a series adds nothing to itself: no fit"


def brute(codes: np.ndarray) -> float:
    """Sum of p(a, b, c) ln(p(a | b, c) / p(a | c)) over all 27 cells, probabilities by counting masks."""
    a, b, c = codes // 9, codes // 3 % 3, codes % 3
    total = 0.0
    for i, j, k in product(range(3), repeat=3):
        joint = np.mean((a == i) & (b == j) & (c == k))
        if joint > 0:
            given = joint / np.mean((b == j) & (c == k))
            alone = np.mean((a == i) & (c == k)) / np.mean(c == k)
            total += joint * np.log(given / alone)
    return float(total)


def test_transfer_entropy_by_brute_force() -> None:
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 27, size=(420, 2)).astype(float)
    codes[rng.random(codes.shape) < 0.05] = np.nan
    found = transfer_entropy(codes, 300, 270)
    for r in range(299, 420, 11):
        for j in range(2):
            window = codes[r - 299 : r + 1, j]
            window = window[~np.isnan(window)]
            want = brute(window.astype(int)) if len(window) >= 270 else np.nan
            assert found[r, j] == pytest.approx(want, rel=1e-10, nan_ok=True)


def test_transfer_entropy_of_known_sources() -> None:
    """A fair coin that is copied gives ln 2; one that the past tells already gives nothing."""
    source = np.random.default_rng(2).integers(0, 2, size=4000)
    copied = (9 * source + 3 * source + 0).astype(float)[:, None]
    assert transfer_entropy(copied, 4000, 4000)[-1, 0] == pytest.approx(np.log(2), abs=1e-3)
    known = (9 * source + 3 * source + source).astype(float)[:, None]
    assert transfer_entropy(known, 4000, 4000)[-1, 0] == 0.0


def test_majority() -> None:
    rows = [[1, 1, 1, -1, -1], [1, 1, 0, -1, -1], [0, 0, 0, 0, 0], [2, 3, 4, 5, 6], [1, np.nan, 1, 1, 1]]
    found = majority([np.array([[row[k]] for row in rows], dtype=float) for k in range(5)])[:, 0]
    assert found[:4].tolist() == pytest.approx([0.6, 0.6, 1.0, 1.0])
    assert np.isnan(found[4])


def test_weight() -> None:
    parts = [np.array([[v]]) for v in (1.0, 2.0, 0.5, 900.0)]
    assert first_weight(parts[0], (parts[1], parts[2], parts[0]))[0, 0] == pytest.approx(
        np.exp(1) / (np.exp(1) + np.exp(2) + np.exp(0.5) + np.exp(1)), rel=1e-14
    )
    assert first_weight(parts[0], (parts[1], parts[2], parts[3]))[0, 0] == 0.0
