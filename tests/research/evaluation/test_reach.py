"""The smallest skill a history finds, against what repeated histories of known skill find."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bqx.research.evaluation.reach import reach


def test_the_smallest_skill_is_found_four_times_in_five() -> None:
    """Skills measured with that error around that truth: the share of intervals above 0."""
    found = reach(-0.01, 0.03, 36_000)
    assert found.weeks == 5.0 and found.error == pytest.approx(0.04 / (2 * stats.norm.ppf(0.975)))
    measured = np.random.default_rng(1).normal(found.smallest, found.error, 200_000)
    assert np.mean(measured - stats.norm.ppf(0.975) * found.error > 0) == pytest.approx(0.8, abs=0.005)


def test_a_longer_history_finds_less() -> None:
    """Four times the weeks halve the error, so `needed` weeks find what they say."""
    found = reach(-0.01, 0.03, 36_000)
    for skill, weeks in found.needed.items():
        half = 0.02 * np.sqrt(found.weeks / weeks)
        assert reach(-half, half, int(weeks * 7200)).smallest == pytest.approx(float(skill), rel=1e-4)
    assert "5.0 trading weeks" in found.words and "0.5 % needs" in found.words
