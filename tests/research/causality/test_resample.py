"""The bootstrap of many questions at once, against one at a time, and its size."""

from __future__ import annotations

import numpy as np

from bqx.research.bootstrap import stationary_indices
from bqx.research.causality.hac import bandwidth, long_run
from bqx.research.causality.resample import bootstrap_p, counts


def test_counts_are_the_stationary_bootstrap() -> None:
    drawn = counts(300, 4, 9)
    assert (drawn.sum(axis=1) == 300).all()
    rows = stationary_indices(300, bandwidth(300) + 1.0, 9, 2)
    np.testing.assert_array_equal(drawn[2], np.bincount(rows, minlength=300))


def test_equals_one_at_a_time_and_keeps_its_size() -> None:
    rng = np.random.default_rng(6)
    drawn = counts(400, 199, 1)
    scores = [rng.normal(size=(400, 1 + k % 3)) * np.exp(np.sin(np.arange(400) / 30))[:, None] for k in range(150)]
    found = bootstrap_p(scores, drawn)
    s = scores[2]
    inverse = np.linalg.inv(long_run(s - s.mean(axis=0), bandwidth(400)))
    total = s.sum(axis=0)
    larger = [float(m @ inverse @ m) >= float(total @ inverse @ total) for m in (row @ s - total for row in drawn)]
    assert found[2] == (1 + sum(larger)) / 200
    assert 0.01 <= (found <= 0.05).mean() <= 0.11
    assert 0.4 < np.median(found) < 0.6
    assert bootstrap_p([scores[0] + 0.3], drawn)[0] == 0.005
    assert len(bootstrap_p([], drawn)) == 0
