"""Block length and resampling against the arch package, and coverage on dependent data."""

from __future__ import annotations

import numpy as np
import pytest
from arch.bootstrap import StationaryBootstrap, optimal_block_length

from bqx.base.errors import CheckError
from bqx.research.bootstrap import block_length, resampled_sums, stationary_indices


def moving(n: int, window: int, seed: int) -> np.ndarray:
    z = np.random.default_rng(seed).normal(size=n + window)
    return np.convolve(z, np.ones(window) / np.sqrt(window), mode="valid")[:n]


@pytest.mark.parametrize("n", [200, 1500, 6001])
@pytest.mark.parametrize("window", [1, 4, 30])
def test_block_length_equals_arch(n: int, window: int) -> None:
    for seed in range(4):
        x = moving(n, window, seed)
        theirs = float(optimal_block_length(x)["stationary"].iloc[0])
        assert block_length(x) == pytest.approx(max(theirs, 1.0), rel=1e-9)


def test_floor_and_degenerate_series() -> None:
    x = np.random.default_rng(1).normal(size=500)
    assert block_length(x, floor=42.0) == 42.0
    assert block_length(np.ones(100)) == 1.0
    with pytest.raises(CheckError, match="20 values"):
        block_length(np.ones(5))


def test_indices_are_geometric_blocks_wrapped_around() -> None:
    n, block = 5000, 20.0
    starts = lengths = 0
    hits = np.zeros(n)
    for draw in range(40):
        rows = stationary_indices(n, block, 9, draw)
        assert rows.min() >= 0 and rows.max() < n
        breaks = (np.diff(rows) != 1) & ~((rows[:-1] == n - 1) & (rows[1:] == 0))
        starts += 1 + breaks.sum()
        lengths += n
        np.add.at(hits, rows, 1)
    assert lengths / starts == pytest.approx(block, rel=0.05)
    assert hits.std() < 3 * np.sqrt(40 * block) and hits.min() > 0
    assert np.array_equal(stationary_indices(100, 5.0, 1, 2), stationary_indices(100, 5.0, 1, 2))
    assert not np.array_equal(stationary_indices(100, 5.0, 1, 2), stationary_indices(100, 5.0, 1, 3))


def test_spread_of_means_equals_arch() -> None:
    x = moving(2000, 15, 3)
    ours = resampled_sums(x[:, None], 30.0, 2000, 0)[:, 0] / len(x)
    theirs = StationaryBootstrap(30, x, seed=0).apply(np.mean, 2000)[:, 0]
    assert ours.std() == pytest.approx(theirs.std(), rel=0.08)
    assert ours.mean() == pytest.approx(x.mean(), abs=4 * ours.std() / np.sqrt(2000))


def test_columns_are_resampled_together() -> None:
    x = np.random.default_rng(0).normal(size=(300, 1))
    sums = resampled_sums(np.hstack([x, 2 * x]), 10.0, 50, 1)
    np.testing.assert_allclose(sums[:, 1], 2 * sums[:, 0], rtol=1e-9, atol=1e-9)


def test_intervals_cover() -> None:
    """95 % intervals of the mean of an MA(15) hold 0 in at least 86 of 100 worlds; blocks of 1 do not."""
    cover = {True: 0, False: 0}
    for seed in range(100):
        x = moving(1200, 15, seed)
        for blocks in cover:
            sums = resampled_sums(x[:, None], block_length(x) if blocks else 1.0, 400, seed)[:, 0]
            low, high = np.quantile(sums, [0.025, 0.975])
            cover[blocks] += low <= 0.0 <= high
    assert cover[True] >= 86 and cover[False] < 60
