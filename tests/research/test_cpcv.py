"""Combinatorial purged splits: geometry by brute force (L5), paths, manners."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from bqx.base.errors import UsageError
from bqx.research import cpcv
from bqx.research.cpcv import CombinatorialPurged


def test_no_information_interval_of_training_meets_one_of_the_test() -> None:
    rng = np.random.default_rng(0)
    for h, back, e in ((5, 0, 3), (7, 4, 0), (1, 0, 20)):
        at = np.sort(rng.choice(1200, size=700, replace=False))
        cv = CombinatorialPurged(h, groups=6, k=2, embargo=e, back=back)
        for train, test in cv.split(at):
            seen = {b for t in at[test] for b in range(t - back, t + h + 1)}
            assert all(seen.isdisjoint(range(t - back, t + h + 1)) for t in at[train])
            assert len(train) > 300 - 8 * (h + back + e) and set(train).isdisjoint(test)
        assert cv.get_n_splits() == 15 and cv.paths == 5


def test_ten_by_two_makes_nine_paths_that_cover_everything_once() -> None:
    cv = CombinatorialPurged(3, embargo=10)
    at = np.arange(2000)
    assert (cv.count, cv.paths) == (45, 9)
    splits = list(cv.split(at))
    edges = cv.edges(at)
    used = set()
    for path in cv.path_of():
        rows = []
        for split, group in path:
            low, high = edges[group], edges[group + 1]
            part = [r for r in splits[split][1] if low <= at[r] < high]
            assert len(part) == high - low, "that split tests that group"
            rows += part
            used.add((split, group))
        assert rows == list(range(2000))
    assert len(used) == 90, "each test group of each split is used once"


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match="155,117,520"):
        CombinatorialPurged(5, groups=30, k=15)
    with pytest.raises(UsageError, match="1 <= k < groups"):
        CombinatorialPurged(5, groups=3, k=3)
    with pytest.raises(UsageError, match="have no row"):
        list(CombinatorialPurged(1, groups=10, embargo=0).split(np.array([0, 1, 2, 100])))
    assert doctest.testmod(cpcv).failed == 0


def test_it_works_inside_scikit_learn() -> None:
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import cross_val_score

    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 3))
    y = X[:, 0] + rng.normal(size=600)
    scores = cross_val_score(Ridge(), X, y, cv=CombinatorialPurged(2, groups=5, embargo=4), groups=np.arange(600))
    assert len(scores) == 10 and (scores > 0.2).all()
