"""Selection: each part against a slow or known answer, and the whole on planted columns."""

from __future__ import annotations

import doctest
from collections import Counter
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from noise_worlds import planted_sample
from scipy.stats import spearmanr

from bqx.base.errors import SelectionError, UsageError
from bqx.features.support import Price, Window
from bqx.research.candidates import Candidate, candidates
from bqx.research.selection import agreement, clusters, options
from bqx.research.selection.agreement import shared, stability_index
from bqx.research.selection.clusters import cluster_ids, correlations, duplicates, rank_scores
from bqx.research.selection.fill import borda, fill, pooled
from bqx.research.selection.fold import select_fold
from bqx.research.selection.mask import Mask
from bqx.research.selection.mrmr import codes, information, mrmr_order
from bqx.research.selection.options import Options
from bqx.research.selection.permutation import block_permutation, ridge_importance
from bqx.research.selection.prefilter import prefilter
from bqx.research.selection.whitened import Whitener, cross_moments, stability

SMALL = Options(budget=40, rate=15, bqx=15, per_half=20, rounds=20, folds=2)
ROWS, COLUMNS = 5000, 160


def picked(count: int) -> list[Candidate]:
    every = candidates()
    return [every[k] for k in np.sort(np.random.default_rng(0).choice(len(every), count, replace=False))]


def run(seed: int, r2: float = 0.01, workers: int = 1, options: Options = SMALL) -> tuple[Mask, list[int], list[int]]:
    p = planted_sample(ROWS, seed=seed, columns=COLUMNS, targets=4, r2=r2)
    young = np.full(ROWS, 10**6)
    mask = select_fold(
        p.X, p.Y, p.position, np.full(ROWS, 5000), young, picked(COLUMNS), np.arange(ROWS),
        horizon=60, embargo=300, options=options, workers=workers,
    )  # fmt: skip
    return mask, list(p.planted), list(p.decoys)


@pytest.fixture(scope="module")
def found() -> tuple[Mask, list[int], list[int]]:
    return run(1)


def test_planted_columns_are_found_and_the_mask_says_why(found: tuple[Mask, list[int], list[int]]) -> None:
    """The small sibling of the soak `selection-planted`: five effects, each beside decoys of correlation 0.9."""
    mask, planted, decoys = found
    t = mask.table
    assert mask.selected[planted].sum() == 5 and mask.selected[decoys].sum() <= 10
    assert mask.selected.sum() == SMALL.budget
    taken = t.filter(pl.col("selected"))
    assert Counter(taken["why"]) == {"rate quota": 15, "bqx quota": 15, "free": 10}
    assert taken["signal_domain"].to_list().count("rate") >= 15 and sorted(taken["place"]) == list(range(1, 41))
    assert taken.group_by("cluster").len()["len"].max() <= SMALL.cap
    noise = np.setdiff1d(np.arange(COLUMNS), planted + decoys)
    assert t["certified"].to_numpy()[noise].sum() <= mask.bound
    assert t["certified"].to_numpy()[planted].sum() >= 4
    assert set(t.filter(~pl.col("selected"))["why"]) == {"not among the best"}
    assert mask.counts()["certified"] == mask.certified


def test_same_mask_on_one_and_four_workers(found: tuple[Mask, list[int], list[int]]) -> None:
    """Bit for bit, scores included; another seed is another mask."""
    again, _, _ = run(1, workers=4)
    assert again.digest == found[0].digest
    for name in found[0].table.columns:
        assert again.table[name].equals(found[0].table[name], null_equal=True), name
    other, _, _ = run(1, options=replace(SMALL, seed=1))
    assert other.digest != found[0].digest


def test_noise_certifies_no_more_than_the_bound() -> None:
    """Placebos: over noise worlds the mean number of certified columns is within q^2 / ((2 pi - 1) p)."""
    rng, certified = np.random.default_rng(0), []
    for seed in range(20):
        Z = rng.normal(size=(1500, 120)).astype(np.float32)
        sums, rows = cross_moments(Z, rng.normal(size=(1500, 3)), np.arange(1500) // 16)
        share = stability(Whitener.fit(Z, 1500), sums, rows, 60, 24, seed)
        certified.append(int((share >= 0.9).sum()))
        assert share.mean() == pytest.approx(24 / 120)
    assert np.mean(certified) <= replace(SMALL, per_half=24).false_picks(120)


def test_shortages_are_named() -> None:
    few = picked(60)
    domains = Counter(c.signal_domain for c in few)
    n, ones = len(few), np.ones(len(few))
    o = Options(budget=50, rate=domains["rate"] + 1, bqx=0, cap=60)
    with pytest.raises(SelectionError, match="rate quota: 1 of") as error:
        fill(few, ones, ones, ones, np.arange(n), o, Counter({"constant": 7, "missing": 3}))
    assert "7 constant, 3 missing" in str(error.value)
    with pytest.raises(SelectionError, match="in 2 clusters of which 3"):
        fill(few, ones, ones, ones, np.arange(n) % 2, Options(budget=50, rate=0, bqx=0), Counter())
    taken = fill(few, ones, np.arange(n) % 2, ones, np.arange(n), Options(budget=10, rate=3, bqx=3), Counter())
    first = [few[k].name for k in taken][:3]
    assert first == sorted(first) and all(k % 2 for k in taken), "ties by stability, then name"


def test_a_cluster_gives_its_best_whatever_the_quotas_take_first() -> None:
    """A bqx column that leads its cluster is in, though rate columns of the cluster are taken before."""
    every = candidates()
    rate = [c for c in every if c.signal_domain == "rate"][:6]
    bqx = [c for c in every if c.signal_domain == "bqx"][:6]
    cluster = np.array([0, 0, 0, 1, 2, 3, 0, 4, 5, 6, 7, 8])
    points = np.array([0.9, 0.8, 0.7, 0.1, 0.1, 0.1, 1.0, 0.1, 0.1, 0.1, 0.1, 0.1])
    zero = np.zeros(12)
    taken = fill([*rate, *bqx], points, zero, zero, cluster, Options(budget=8, rate=4, bqx=4, cap=2), Counter())
    assert 6 in taken and 0 in taken and not {1, 2} & set(taken)


def test_prefilter_without_labels() -> None:
    n, rng = 2000, np.random.default_rng(0)
    c = replace(picked(1)[0], warmup=200, lag=0, support=Window(Price(), 51, "SEG"))
    age, stream = np.tile(np.arange(500), 4), np.arange(n)
    good = rng.normal(size=n)
    declared = np.where((stream < 200) | (age < 50), np.nan, good)
    columns = {
        "": declared,
        "constant": np.where(np.isnan(declared), np.nan, 1.0),
        "infinite values": np.where(stream == 900, np.inf, good),
        "missing beyond": np.where(rng.random(n) < 0.1, np.nan, declared),
        "drifts": good + 8.0 * (stream > 1000),
    }
    X = np.column_stack(list(columns.values())).astype(np.float32)
    found = prefilter(X, age, stream, [c] * 5, Options())
    for text, why in zip(columns, found, strict=True):
        assert (text in why) if text else why == "", why
    late = prefilter(X[:, :1], age, stream - 1500, [c], Options())
    assert "in its warm-up" in late[0]


def test_rank_correlations_are_spearmans() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(700, 6)).astype(np.float32)
    X[:, 1] = np.exp(X[:, 0])
    X[:, 2] = np.round(X[:, 2])
    X[:, 3] = 0.9 * X[:, 4] + 0.3 * X[:, 3]
    R = correlations(rank_scores(X))
    np.testing.assert_allclose(R, spearmanr(X).statistic, atol=2e-6)
    assert duplicates(R, 0.999).tolist() == [0, 0, 2, 3, 4, 5]
    assert cluster_ids(R, 0.7).tolist() == [0, 0, 1, 2, 2, 3]
    X[5:50, 5] = np.nan
    both = np.isfinite(X[:, 5])
    again = correlations(rank_scores(X))[5, 2]
    assert again == pytest.approx(spearmanr(X[both, 5], X[both, 2]).statistic, abs=0.02), "a NULL is the mean rank"


def test_whitened_path_is_that_of_an_elastic_net() -> None:
    """scikit-learn's path on whitened columns: the order in which columns enter is the order of `entry`."""
    from sklearn.linear_model import enet_path

    rng = np.random.default_rng(0)
    mix = rng.normal(size=(12, 12)) + 6 * np.eye(12)
    X = rng.normal(size=(4000, 12)) @ mix
    Z = ((X - X.mean(0)) / X.std(0)).astype(np.float32)
    y = Z[:, 2] - 0.5 * Z[:, 7] + rng.normal(size=4000)
    white = Whitener.fit(Z, 4000.0)
    W = Z.astype(np.float64) @ white.root
    assert np.abs(np.corrcoef(W.T) - np.eye(12)).max() < 0.05
    y = (y - y.mean()) / y.std()
    entry = white.entry(Z.T.astype(np.float64) @ y / 4000)
    for ratio in (1.0, 0.5):
        alphas, path, _ = enet_path(W, y, l1_ratio=ratio, alphas=400, eps=1e-3)
        enters = [alphas[np.flatnonzero(path[k])[0]] if path[k].any() else 0.0 for k in range(12)]
        strong = entry > 0.1
        assert list(np.argsort(-entry)[: strong.sum()]) == list(np.argsort(-np.array(enters))[: strong.sum()])
        assert max(enters) * ratio == pytest.approx(entry.max(), rel=0.03)


def test_permutation_of_a_cluster_by_hand() -> None:
    """The rise of the error when a cluster's columns are permuted together, predicted again with all columns."""
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(1200, 5)).astype(np.float32)
    Y = (Z[:, :1] + 0.5 * Z[:, 1:2] + rng.normal(size=(1200, 1))).astype(np.float64)
    at = np.arange(1200, dtype=np.int64) * 15
    cluster = np.array([0, 0, 1, 1, 2])
    train, test = np.arange(800), np.arange(820, 1200)
    got = ridge_importance(Z, Y, at, cluster, train, test, 240, seed=3)
    from sklearn.linear_model import Ridge

    best, least = None, np.inf
    for penalty in (0.1, 1.0, 10.0, 100.0):
        model = Ridge(alpha=penalty * 800, fit_intercept=False).fit(Z[train], Y[train, 0])
        error = ((Y[test, 0] - model.predict(Z[test])) ** 2).sum()
        if error < least:
            best, least = model, error
    assert best is not None
    for c in range(3):
        rises = []
        for k in range(4):
            bent = Z[test].copy()
            order = block_permutation(at[test], 240, 3, k)
            bent[:, cluster == c] = bent[order][:, cluster == c]
            rises.append(((Y[test, 0] - best.predict(bent)) ** 2).mean() - least / len(test))
        assert got[c, 0] == pytest.approx(np.mean(rises) / Y[test, 0].var(), rel=1e-4, abs=1e-7)
    assert got[0, 0] > 10 * abs(got[1, 0])
    order = block_permutation(at, 240, 3, 0)
    assert (np.diff(order) == 1).mean() > 0.9 and sorted(order) == list(range(1200))


def test_mutual_information_without_its_bias() -> None:
    from sklearn.metrics import mutual_info_score

    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 3))
    y = np.column_stack([x[:, 0] + rng.normal(size=4000), rng.normal(size=4000)])
    a, b = codes(x.astype(np.float32)), codes(y)
    got = information(a, b, 5, 4000.0)
    assert got[0, 0] == pytest.approx(mutual_info_score(a[:, 0], b[:, 0]) - 9 / 8000, abs=1e-9)
    assert got[0, 0] > 0.2 and np.abs(got[1:]).max() < 0.004
    null = codes(np.full((10, 1), np.nan, np.float32))
    assert (null == 4).all(), "NULL has a bin of its own"


def test_mrmr_takes_the_relevant_then_what_is_new() -> None:
    R = np.array([[1, 0.95, 0, 0], [0.95, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]], dtype=np.float32)
    assert np.argsort(-mrmr_order(np.array([1.0, 0.9, 0.5, 0.0]), R)).tolist() == [0, 2, 1, 3]
    assert np.argsort(-mrmr_order(np.array([1.0, 0.9, 0.5, 0.0]), R, steps=1)).tolist() == [0, 2, 3, 1]


def test_borda_weighs_methods_and_targets_equally() -> None:
    assert borda({"a": np.array([3.0, 2.0, 1.0]), "b": np.array([9.0, 9.0, 10.0])}).tolist() == [0.625, 0.375, 0.5]
    table = np.array([[1.0, 30.0, 5.0], [2.0, 20.0, 5.0], [3.0, 10.0, 5.0]])
    np.testing.assert_allclose(pooled(table) - pooled(table)[0], 0.0, atol=1e-12)
    assert pooled(table[:, :1]).argmax() == 2 and pooled(table[:, 1:2]).argmax() == 0


def test_agreement_of_masks() -> None:
    rng = np.random.default_rng(0)
    masks = []
    for _ in range(8):
        m = np.zeros(2640, bool)
        m[rng.choice(2640, 250, replace=False)] = True
        masks.append(m)
    random = stability_index(masks)
    assert random is not None and abs(random) < 0.02
    assert stability_index(masks[:1]) is None and stability_index([masks[0]] * 3) == pytest.approx(1.0)
    assert shared(masks[0], masks[0]) == {"both": 250, "jaccard": 1.0}
    for module in (agreement, clusters, options):
        assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("wrong", [{"rate": 200}, {"halves": 3}, {"every": 0}, {"certain": 0.5}, {"block": 5}])
def test_impossible_options_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        Options(**wrong)  # type: ignore[arg-type]
