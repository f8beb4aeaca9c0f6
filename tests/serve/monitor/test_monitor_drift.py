"""Drift: what the usual thresholds do on clean data, and what the calibrated ones do."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bqx.base.errors import MonitorInputError
from bqx.serve.monitor import drift, histograms
from bqx.serve.monitor.settings import DriftSettings

MINUTES = 1440
LIMIT = DriftSettings().score


def moving_sum(days: int, seed: int, width: int = 60) -> np.ndarray:
    """A feature of `width` bars over white noise: (days, minutes) float32."""
    noise = np.random.default_rng(seed).standard_normal(days * MINUTES + width - 1)
    sums = np.cumsum(np.r_[0.0, noise])
    return ((sums[width:] - sums[:-width]) / np.sqrt(width)).astype(np.float32).reshape(days, MINUTES)


def counts_of(values: np.ndarray, inner: np.ndarray) -> np.ndarray:
    days = np.arange(len(values))
    return histograms.day_counts(values.ravel(), np.repeat(days, values.shape[1]), days, inner)


def test_counts_are_numpys_histogram_and_null_has_a_bin_of_its_own() -> None:
    x = np.random.default_rng(0).standard_normal(500).astype(np.float32)
    x[::50] = np.nan
    inner = histograms.edges(x)
    found = histograms.day_counts(x, np.zeros(500, np.int64), np.array([0]), inner)
    known = x[~np.isnan(x)].astype(np.float64)
    assert found[0, :10].tolist() == np.histogram(known, np.r_[-np.inf, inner, np.inf])[0].tolist()
    assert found[0, 10] == 10
    assert histograms.day_counts(x, np.ones(500, np.int64), np.array([0, 2]), inner).sum() == 0


def test_the_distance_is_scipys() -> None:
    p, q = np.array([0.2, 0.3, 0.5]), np.array([0.4, 0.4, 0.2])
    assert histograms.psi(p, q) == pytest.approx(stats.entropy(p, q) + stats.entropy(q, p))


def test_a_day_of_kl_above_a_tenth_is_a_permanent_false_alarm() -> None:
    """Most days of a clean 240-bar feature, some of a 60-bar one, none of independent rows: mean 9 / (2 x 1,440)."""
    found = {}
    for width in (1, 60, 240):
        x = moving_sum(60, 1, width)
        counts = counts_of(x, histograms.edges(x.ravel()))[..., :10]
        found[width] = stats.entropy(histograms.shares(counts), histograms.shares(counts.sum(axis=0)), axis=1)
    assert (found[240] > 0.1).mean() > 0.6 and (found[240] > 0.05).mean() > 0.9
    assert 0.0 < (found[60] > 0.1).mean() < 0.2 and found[60].mean() > 10 * found[1].mean()
    assert found[1].max() < 0.1 and found[1].mean() == pytest.approx(9 / (2 * MINUTES), rel=0.3)


@pytest.fixture(scope="module")
def world() -> tuple[drift.Calibrated, np.ndarray, list[np.ndarray]]:
    """40 reference days of 8 features in two domains; later days."""
    edges, reference, later = [], [], []
    for k in range(8):
        x = moving_sum(70, 10 + k)
        edges.append(histograms.edges(x[:40].ravel()))
        reference.append(counts_of(x[:40], edges[-1]))
        later.append(x[40:])
    counts = np.stack(reference, axis=1)
    found = drift.calibrate(counts, {"rate": np.arange(4), "bqx": np.arange(4, 8)}, draws=499)
    return found, np.stack([counts_of(x, e) for x, e in zip(later, edges, strict=True)], axis=1), edges


def test_clean_windows_raise_nothing(world: tuple[drift.Calibrated, np.ndarray, list[np.ndarray]]) -> None:
    found, later, _ = world
    scores = [d.score for k in range(0, 30, 5) for d in drift.judge(found, later[k : k + 5])[0]]
    assert max(scores) < LIMIT


def test_a_shift_in_one_domain_is_found_there(
    world: tuple[drift.Calibrated, np.ndarray, list[np.ndarray]],
) -> None:
    found, later, edges = world
    for k in (5, 6):
        x = moving_sum(5, 100 + k) + 0.8
        later = later.copy()
        later[:5, k] = counts_of(x, edges[k])
    domains = {d.domain: d for d in drift.judge(found, later[:5])[0]}
    assert domains["bqx"].score > LIMIT > domains["rate"].score and domains["bqx"].p <= 0.01
    assert set(domains["bqx"].drifted) == {5, 6} and domains["bqx"].worst in (5, 6)


def test_a_column_that_became_null_is_drift(world: tuple[drift.Calibrated, np.ndarray, list[np.ndarray]]) -> None:
    found, later, _ = world
    broken = later[:5].copy()
    broken[:, 0, 10] = broken[:, 0].sum(axis=1)
    broken[:, 0, :10] = 0.0
    assert {d.domain: d.score for d in drift.judge(found, broken)[0]}["rate"] > LIMIT


def test_the_gamma_tail_is_scipys() -> None:
    assert drift.gamma_tail(np.array([3.0]), np.array([2.0]), np.array([0.5])) == pytest.approx(
        stats.gamma.sf(3.0, 16.0, scale=0.125)
    )


def test_too_short_a_reference_is_refused() -> None:
    with pytest.raises(MonitorInputError, match="20 trade days"):
        drift.calibrate(np.ones((20, 1, 11)), {"rate": np.array([0])})
