"""L6: whatever is fitted in a fold, scalers, clusters, scores, mask and forecaster, knows its training rows alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bqx.research.dataset import Sample
from bqx.research.estimators import forecaster
from bqx.research.leakage.pipeline import labels_matrix
from bqx.research.leakage.result import LeakResult
from bqx.research.selection.fold import select_fold
from bqx.research.selection.options import Options
from bqx.research.split_plan import SplitPlan

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
SMALL = Options(budget=20, rate=5, bqx=5, folds=2, halves=10, per_half=10, rounds=5)
COLUMNS = 60


def l6_fit_scope(sample: Sample, plan: SplitPlan, seed: int = 0, options: Options = SMALL) -> LeakResult:
    """Everything but the training rows of the last fold is replaced by noise; mask and coefficients keep every bit."""
    train, _ = plan.rows(sample.position)[-1]
    rng = np.random.default_rng(seed)
    sample = replace(sample, X=sample.X[:, :COLUMNS], chosen=sample.chosen[:COLUMNS])
    X, Y = sample.X.copy(), labels_matrix(sample)
    outside = np.setdiff1d(np.arange(len(sample)), train)
    before = fitted(sample, X, Y, train, plan, options)
    X[outside] = rng.normal(size=(len(outside), X.shape[1])) * 100.0
    Y[outside] = 50.0
    after = fitted(sample, X, Y, train, plan, options)
    same = before == after
    return LeakResult("L6", "fit scope", len(train) * X.shape[1], int(not same), f"mask and forecaster {before[:12]}")


def fitted(sample: Sample, X: NDArray[np.float32], Y: F8, train: I8, plan: SplitPlan, options: Options) -> str:
    """Digest of the mask and of a ridge's coefficients."""
    mask = select_fold(
        X, Y, sample.position, sample.seg_age, sample.in_stream, sample.chosen, train,
        horizon=plan.horizon, embargo=plan.embargo, options=options,
    )  # fmt: skip
    rows = train[np.isfinite(Y[train]).all(axis=1)]
    model = forecaster("ridge").fit(X[rows], Y[rows], sample.position[rows], plan.horizon, plan.embargo)
    return f"{mask.digest}:{getattr(model, 'coef').tobytes().hex()[:64]}"  # noqa: B009 - the contract has no coef
