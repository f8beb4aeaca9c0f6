"""All leakage tests on one pair of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bqx.research.leakage.alignment import l4_labels, l11_available, l12_boundaries
from bqx.research.leakage.geometry import l5_geometry
from bqx.research.leakage.nulls import l13_nulls
from bqx.research.leakage.pipeline import COLUMNS, l7_placebo, l9_planted_leak, l10_planted_signal, l14_too_good
from bqx.research.leakage.recompute import Recompute, l1_future, l2_truncation, l3_least_history
from bqx.research.leakage.result import LeakResult
from bqx.research.leakage.rows import stratified
from bqx.research.leakage.scope import l6_fit_scope
from bqx.research.leakage.walks import l8_random_walk

if TYPE_CHECKING:
    from bqx.research.dataset import Dataset


def run_suite(
    dataset: Dataset, pair: str, *, samples: int = 1000, seed: int = 0, homes: Sequence[str] | None = None
) -> list[LeakResult]:
    """L1 to L14 in order. homes : datasets to recompute in L1-L3 and L13, all of them unless given.

    The forecasting tests take COLUMNS candidates drawn by `seed`, for what they test is the pipeline.
    """
    recompute = Recompute(dataset, pair, homes)
    labels = dataset.labels(pair)
    strata = stratified(labels, samples, seed)
    chosen = np.sort(np.random.default_rng(seed).choice(len(dataset.candidates), COLUMNS, replace=False))
    sample = dataset.sample(pair, chosen=[dataset.candidates[k] for k in chosen])
    plan = dataset.splits
    return [
        l1_future(recompute, seed),
        l2_truncation(recompute),
        l3_least_history(recompute),
        l4_labels(dataset, pair, labels, strata),
        l5_geometry(plan),
        l6_fit_scope(sample, plan, seed),
        l7_placebo(sample, plan, seed),
        l8_random_walk(dataset.project.calendar, seed),
        l9_planted_leak(sample, plan, seed),
        l10_planted_signal(sample, plan, seed),
        l11_available(dataset, pair),
        l12_boundaries(dataset, pair, labels),
        l13_nulls(recompute),
        l14_too_good(sample, plan, seed),
    ]
