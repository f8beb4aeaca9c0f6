"""Leakage tests L1-L14: green on a clean dataset, and each one fails when what it looks for is planted."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from noise_worlds import REAL, WORLD_PAIRS

from bqx.base.errors import CheckError
from bqx.build.project import Project
from bqx.features.declare import Dataset as Home
from bqx.research.dataset import Dataset, Sample
from bqx.research.labels import Labels
from bqx.research.leakage import alignment, pipeline, recompute, scope
from bqx.research.leakage.alignment import l4_labels, l11_available, l12_boundaries
from bqx.research.leakage.geometry import intersections, l5_geometry
from bqx.research.leakage.nulls import l13_nulls
from bqx.research.leakage.pipeline import l14_too_good, labels_matrix, pooled
from bqx.research.leakage.recompute import Recompute, l1_future, l2_truncation, l3_least_history
from bqx.research.leakage.result import LeakResult
from bqx.research.leakage.rows import Strata, stratified
from bqx.research.leakage.suite import run_suite
from bqx.research.selection.options import Options
from bqx.research.targets import HORIZONS

PAIR = WORLD_PAIRS[0]


@pytest.fixture(scope="module")
def results(noise_dataset: Dataset) -> dict[str, LeakResult]:
    return {r.test: r for r in run_suite(noise_dataset, PAIR, homes=REAL)}


@pytest.fixture(scope="module")
def sample(noise_dataset: Dataset) -> Sample:
    return noise_dataset.sample(PAIR, chosen=noise_dataset.candidates[400:440])


@pytest.fixture(scope="module")
def labels(noise_dataset: Dataset) -> Labels:
    return noise_dataset.labels(PAIR)


@pytest.fixture(scope="module")
def strata(labels: Labels) -> Strata:
    return stratified(labels, 1000, 1)


@pytest.mark.parametrize("test", [f"L{k}" for k in range(1, 15)])
def test_a_clean_dataset_passes(results: dict[str, LeakResult], test: str) -> None:
    r = results[test]
    assert r.ok, r
    assert r.compared >= 500 and r.as_dict()["ok"]


def test_features_that_look_ahead_are_caught(noise_dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """L1, L2 and L3 when a stored column is that of the next minute."""
    real = Recompute.stored

    def ahead(self: Recompute, home: Home, start: int, end: int) -> dict[str, np.ndarray]:
        found = real(self, home, start, end + 1)
        return {k: v[1:] if k == "ret_5" else v[: len(v) - 1] for k, v in found.items()}

    monkeypatch.setattr(recompute.Recompute, "stored", ahead)
    r = Recompute(noise_dataset, PAIR, ("returns_raw_rate",))
    for found in (l1_future(r), l2_truncation(r), l3_least_history(r)):
        assert not found.ok and "ret_5" in found.detail, found.test


def test_features_that_know_the_future_are_caught(noise_dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """L1 when what is computed depends on bars after t: stored with the true future, recomputed with another."""
    r = Recompute(noise_dataset, PAIR, ("returns_raw_rate",))
    real = recompute.evaluate

    def peeking(home: Home, streams: object, names: object = None, start_row: int = 0) -> dict[str, np.ndarray]:
        found = real(home, streams, names, start_row=start_row)  # type: ignore[arg-type]
        found["ret_1"] = found["ret_1"] - np.nanmean(found["ret_1"])
        return found

    monkeypatch.setattr(recompute, "evaluate", peeking)
    assert not l1_future(r).ok


def test_too_little_compared_is_a_failure(noise_dataset: Dataset) -> None:
    r = Recompute(noise_dataset, PAIR, ())
    assert not l2_truncation(replace_homes(r)).ok


def replace_homes(r: Recompute) -> Recompute:
    r.homes = []
    return r


@pytest.mark.parametrize("shift", [1, -1])
def test_labels_of_another_minute_are_caught(
    noise_dataset: Dataset, labels: Labels, strata: Strata, shift: int
) -> None:
    moved = replace(labels, values={**labels.values, "r_30": np.roll(labels.values["r_30"], shift)})
    found = l4_labels(noise_dataset, PAIR, moved, strata)
    assert not found.ok and found.wrong > 500 and "h = 30" in found.detail


def test_labels_end_at_the_seal(noise_dataset: Dataset, labels: Labels, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last rows before a seal have no label that reaches into it, and L4 says so when one does."""
    seal = int(labels.position[4000])
    monkeypatch.setattr(noise_dataset, "splits", replace(noise_dataset.splits, sealed=seal))
    rows = Strata(np.arange(3850, 4000), {"before the seal": 150})
    clean = l4_labels(noise_dataset, PAIR, labels.before(seal), rows)
    assert clean.ok, clean
    open_seal = l4_labels(noise_dataset, PAIR, labels, rows)
    ends = labels.left[rows.rows][:, None] >= np.array(HORIZONS)
    reach = labels.position[rows.rows][:, None] + np.array(HORIZONS) >= seal
    assert open_seal.wrong == (ends & reach).sum() == sum(HORIZONS)


def test_training_rows_beside_a_test_block_are_caught(noise_dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """L5 without purge: rows whose label reaches into the test block."""
    plan = noise_dataset.splits
    at = np.arange(plan.first, plan.end, 15, dtype=np.int64)
    blocks = [(np.arange(0, k), np.arange(k, k + 100)) for k in (500, 900)]
    assert intersections(at, blocks, plan.horizon) == (1400, 10), "five rows of 75 bars each"
    monkeypatch.setattr("bqx.research.cpcv.purged", lambda train, test, *_: ~np.isin(train, test))
    found = l5_geometry(plan)
    assert not found.ok and found.wrong > 45 * 5


def test_a_scaler_of_all_rows_is_caught(
    sample: Sample, noise_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L6 when the selection is fitted on more rows than its own."""
    small = replace(sample, X=sample.X[:, :20], chosen=sample.chosen[:20])
    options = Options(budget=6, rate=1, bqx=0, folds=2, halves=4, per_half=4, rounds=2)
    plan = noise_dataset.splits
    real = scope.select_fold

    def greedy(X: np.ndarray, Y: np.ndarray, position: np.ndarray, age: np.ndarray, stream: np.ndarray,
               chosen: object, train: np.ndarray, **rest: object) -> object:  # fmt: skip
        return real(X, Y, position, age, stream, chosen, np.arange(len(X)), **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(scope, "select_fold", greedy)
    assert not scope.l6_fit_scope(small, plan, options=options).ok


def test_the_detector_fires_and_reports_what_it_does_not_see(
    sample: Sample, noise_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L14 on a leaking column; L9 fails when the detector is blind; L10 when the effect is not there; L7 on a cheat."""
    Y = labels_matrix(sample)
    plan = noise_dataset.splits
    leak = np.where(np.isfinite(Y[:, :1]), Y[:, :1], 0.0).astype(np.float32)
    leaking = replace(sample, X=np.column_stack([sample.X, leak]))
    assert not l14_too_good(leaking, plan).ok
    assert pooled(leaking, Y, plan).verdict.startswith("quarantined")
    monkeypatch.setattr("bqx.research.walk.TOO_GOOD_SKILL", 10.0)
    monkeypatch.setattr("bqx.research.walk.TOO_GOOD_HITS", 10.0)
    assert not pipeline.l9_planted_leak(sample, plan).ok
    monkeypatch.setattr(pipeline, "shuffled", lambda y, *_: y)
    assert not pipeline.l7_placebo(leaking, plan).ok
    real = pipeline.pooled
    monkeypatch.setattr(pipeline, "pooled", lambda s, y, *rest: real(s, y[::-1].copy(), *rest))
    assert not pipeline.l10_planted_signal(sample, plan).ok


def test_misaligned_rows_are_caught(noise_dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """L11 when labels belong to other minutes than the candidates beside them."""
    real = noise_dataset.labels

    def moved(pair: str) -> Labels:
        found = real(pair)
        return replace(found, minute=np.roll(found.minute, 1))

    monkeypatch.setattr(noise_dataset, "labels", moved)
    assert l11_available(noise_dataset, PAIR).wrong > 1000


def test_lags_and_labels_across_closures_are_caught(
    noise_dataset: Dataset, labels: Labels, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L12 and L13 when a lag counts rows, as the reference does, and L12 when a label ignores the close."""
    crossing = replace(labels, values={**labels.values, "a_60_60": np.ones(len(labels), np.float32)})
    assert not l12_boundaries(noise_dataset, PAIR, crossing).ok
    from bqx.research import candidate_read

    def by_rows(out: np.ndarray, whole: np.ndarray, age: np.ndarray, head: int, lag: int) -> None:
        rows = np.arange(head, len(whole))
        out[:] = np.where(rows >= lag, whole[np.maximum(rows - lag, 0)], np.nan)

    monkeypatch.setattr(candidate_read, "_lagged", by_rows)
    assert not l12_boundaries(noise_dataset, PAIR, labels).ok
    assert not l13_nulls(Recompute(noise_dataset, PAIR, ("technical_rate",))).ok


def test_an_undeclared_null_is_caught(noise_dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Recompute.stored

    def holed(self: Recompute, home: Home, start: int, end: int) -> dict[str, np.ndarray]:
        found = real(self, home, start, end)
        found["ret_1"][5000] = np.nan
        return found

    monkeypatch.setattr(recompute.Recompute, "stored", holed)
    found = l13_nulls(Recompute(noise_dataset, PAIR, ("returns_raw_rate",)))
    assert found.wrong == 1 and "ret_1" in found.detail


def test_sample_plan(labels: Labels) -> None:
    """At least a thousand existing rows, every session and volatility, month edges, the same for the same seed."""
    a, b = stratified(labels, 1000, 7), stratified(labels, 1000, 7)
    np.testing.assert_array_equal(a.rows, b.rows)
    assert len(a.rows) >= 1000 and all(x < y for x, y in pairwise(a.rows))
    assert all(a.counts[f"session {s}, volatility {v}"] >= 80 for s in range(3) for v in range(3))
    assert a.counts["month edge"] >= 80
    assert not np.array_equal(a.rows, stratified(labels, 1000, 8).rows)
    with pytest.raises(CheckError, match="are to be sampled"):
        stratified(labels.take(np.arange(500)), 1000, 0)


def test_prices_are_carried_five_minutes(noise_world: Project) -> None:
    close = {100: 1.5}
    assert alignment._carried(close, 105, 50) == 1.5 and alignment._carried(close, 106, 50) is None
    assert alignment._carried(close, 105, 4) is None, "not from the segment before"
