"""All leakage tests on one pair of a dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bqx.base.errors import UsageError
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
    dataset: Dataset,
    pair: str,
    *,
    samples: int = 1000,
    seed: int = 0,
    homes: Sequence[str] | None = None,
    tests: Sequence[str] | None = None,
) -> list[LeakResult]:
    """L1 to L14 in order, or those of `tests`. homes : datasets to recompute in L1-L3 and L13, all unless given.

    The forecasting tests take COLUMNS candidates drawn by `seed`, for what they test is the pipeline.
    """
    recompute = Recompute(dataset, pair, homes)
    labels = dataset.labels(pair)
    strata = stratified(labels, samples, seed)
    chosen = np.sort(np.random.default_rng(seed).choice(len(dataset.candidates), COLUMNS, replace=False))
    sample = dataset.sample(pair, chosen=[dataset.candidates[k] for k in chosen])
    plan = dataset.splits
    suite: dict[str, Callable[[], LeakResult]] = {
        "L1": lambda: l1_future(recompute, seed),
        "L2": lambda: l2_truncation(recompute),
        "L3": lambda: l3_least_history(recompute),
        "L4": lambda: l4_labels(dataset, pair, labels, strata),
        "L5": lambda: l5_geometry(plan),
        "L6": lambda: l6_fit_scope(sample, plan, seed),
        "L7": lambda: l7_placebo(sample, plan, seed),
        "L8": lambda: l8_random_walk(dataset.project.calendar, seed),
        "L9": lambda: l9_planted_leak(sample, plan, seed),
        "L10": lambda: l10_planted_signal(sample, plan, seed),
        "L11": lambda: l11_available(dataset, pair),
        "L12": lambda: l12_boundaries(dataset, pair, labels),
        "L13": lambda: l13_nulls(recompute),
        "L14": lambda: l14_too_good(sample, plan, seed),
    }
    if tests is not None and (unknown := sorted(set(tests) - set(suite))):
        raise UsageError(f"no leakage test {unknown[0]}", fix=f"one of {', '.join(suite)}")
    return [test() for name, test in suite.items() if tests is None or name in tests]
