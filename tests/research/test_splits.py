"""Purge geometry by brute force (L5), and the manners of scikit-learn."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from bqx.base.errors import CheckError, UsageError
from bqx.research import splits, targets
from bqx.research.splits import WalkForward, inner_split, plan_splits, purged


def test_no_information_interval_of_training_meets_one_of_the_test() -> None:
    rng = np.random.default_rng(0)
    folds = 0
    for _ in range(60):
        h, e = int(rng.integers(1, 40)), int(rng.integers(0, 60))
        at = np.sort(rng.choice(2000, size=700, replace=False))  # holes, as in a real history
        at = np.repeat(at, 2)  # two pairs
        walk = WalkForward(h, train=int(rng.integers(100, 500)), test=int(rng.integers(50, 400)), embargo=e)
        for train, test in walk.split(at):
            folds += 1
            seen = {b for t in at[test] for b in range(t, t + h + 1)}
            for t in at[train]:
                assert not seen.intersection(range(t, t + h + e + 1))
            assert at[train].max() < at[test].min()
            assert set(at[train]).isdisjoint(at[test]), "pairs are split together"
    assert folds > 100


def test_purge_keeps_all_it_may_on_both_sides() -> None:
    train, test, h, e = np.arange(0, 300), np.arange(100, 121), 7, 5
    keep = purged(train, test, h, e)
    for t, kept in zip(train, keep, strict=True):
        before, after = t + h + e < 100, t > 120 + h + e
        assert kept == (before or after)
    assert keep.sum() == 300 - (21 + 2 * (h + e))


def test_test_blocks_tile_the_time_after_the_first_training() -> None:
    walk, at = WalkForward(15, train=1000, test=300, embargo=60), np.arange(50, 2350)
    tests = [test for _, test in walk.split(at)]
    assert walk.get_n_splits(at) == len(tests) == 5
    assert np.array_equal(np.concatenate(tests), np.arange(1000, 2300))
    X = np.zeros((len(at), 3))
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(walk.split(X, None, at), walk.split(at), strict=True))


def test_inner_split_is_purged() -> None:
    at = np.arange(0, 4000, 5)
    early, late = inner_split(at, 75, 240)
    assert at[early].max() + 75 + 240 < at[late].min() and len(late) == 200


def test_plans_suit_the_history() -> None:
    assert plan_splits(300_000, 75)[0].test == 22 * 1440
    assert plan_splits(129 * 1440, 75)[0].test == 22 * 1440, "a half-year has 129 trading days"
    month, text = plan_splits(30_000, 75)
    assert (month.test, month.embargo) == (7200, 1440) and "weeks, for there are less than 6 months" in text
    short, text = plan_splits(14_000, 75)
    assert short.embargo == 240 and "embargo shrunk to 240" in text
    with pytest.raises(CheckError, match="11,520"):
        plan_splits(5_000, 75)
    with pytest.raises(UsageError):
        WalkForward(0)
    with pytest.raises(UsageError, match="groups"):
        list(WalkForward(5).split(np.zeros((4, 2))))


def test_docstrings_print_what_they_say() -> None:
    for module in (splits, targets):
        found = doctest.testmod(module)
        assert found.attempted > 0 and found.failed == 0
