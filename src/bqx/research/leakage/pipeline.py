"""L7, L9, L10 and L14: what the forecasting pipeline makes of placebo, planted leak, planted signal and the truth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import CheckError
from bqx.research.dataset import Sample
from bqx.research.estimators import forecaster
from bqx.research.estimators.ridge_forecast import fit_scaler, standardised
from bqx.research.leakage.result import LeakResult
from bqx.research.ridge import PENALTIES
from bqx.research.split_plan import SplitPlan
from bqx.research.target_set import research_targets
from bqx.research.walk import Score, fold_losses, scores

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
COLUMNS = 200
PLACEBO_BLOCK = 240
EFFECT = 0.01


def labels_matrix(sample: Sample) -> F8:
    """y3 (w = h) and y4 for five horizons, (rows, 10)."""
    return np.column_stack([t.value(sample.labels) for t in research_targets()])


def pooled(
    sample: Sample, Y: F8, plan: SplitPlan, X: F4 | None = None, seed: int = 0, penalties: tuple[float, ...] = PENALTIES
) -> Score:
    """Pooled score of ridge over all folds, on the sample's columns."""
    targets = research_targets()[: Y.shape[1]]
    X = sample.X if X is None else X
    at, span = sample.position, (plan.horizon, plan.embargo)
    tables = [
        fold_losses(lambda: forecaster("ridge", penalties=penalties), X, Y, at, train, test, *span)
        for train, test in plan.rows(at)
    ]
    if not tables:
        raise CheckError("no fold has both training and test rows", fix="give a longer history")
    names, horizons = [t.name for t in targets], [t.horizon for t in targets]
    return scores(np.concatenate(tables), names, horizons, every=sample.every, seed=seed)[-1]


def shuffled(Y: F8, position: I8, seed: int) -> F8:
    """Rows of Y with blocks of PLACEBO_BLOCK bars in another order: what overlaps stays together, time is lost."""
    rng = np.random.default_rng(seed)
    blocks = np.split(np.arange(len(Y)), np.flatnonzero(np.diff(position // PLACEBO_BLOCK)) + 1)
    order = rng.permutation(len(blocks))
    return np.asarray(Y[np.concatenate([blocks[k] for k in order])])


def l7_placebo(sample: Sample, plan: SplitPlan, seed: int = 0) -> LeakResult:
    found = pooled(sample, shuffled(labels_matrix(sample), sample.position, seed), plan, seed=seed)
    return LeakResult("L7", "shuffled labels have no skill", found.n_rows, int(found.low > 0.0), _text(found))


def l9_planted_leak(sample: Sample, plan: SplitPlan, seed: int = 0) -> LeakResult:
    """A column of y(t) and noise, and one that looks one bar ahead, must each make the detector of L14 fire."""
    Y = labels_matrix(sample)
    rng = np.random.default_rng(seed)
    first = np.where(np.isfinite(Y[:, 2]), Y[:, 2], 0.0)
    noisy = first + first.std() * rng.normal(size=len(Y))  # loud enough for the shortest history
    ahead = np.where(np.isfinite(sample.labels.values["a_15_15"]), sample.labels.values["a_15_15"], 0.0)
    quiet, compared = [], 0
    for name, leak in (("y(t) + noise", noisy), ("M_15 of 15 bars later", ahead)):
        found = pooled(sample, Y, plan, np.column_stack([sample.X[:, :20], leak]).astype(np.float32))
        compared += found.n_rows
        if not found.quarantined:
            quiet.append(f"{name}: {_text(found)}")
    return LeakResult("L9", "planted leaks are caught", compared, len(quiet), "; ".join(quiet) or "both were")


def l10_planted_signal(sample: Sample, plan: SplitPlan, seed: int = 0) -> LeakResult:
    """Labels of independent noise that one column explains to 1 %: the interval covers the truth.

    A forecast fitted on n rows loses about columns / n of it, which the interval may cover instead.
    """
    rng = np.random.default_rng(seed)
    Z = standardised(fit_scaler(sample.X), sample.X)  # as a forecaster sees it: what it clips no effect may hang on
    best = _steadiest(Z)
    X, x = sample.X[:, best], Z[:, best[0]]
    x = (x - x.mean()) / x.std()
    Y = np.sqrt(EFFECT) * x[:, None] + np.sqrt(1 - EFFECT) * rng.normal(size=(len(x), len(research_targets())))
    found = pooled(sample, Y, plan, X, seed, (0.01,))  # a penalty that is chosen would take a part of the effect
    learnt = np.mean([len(train) for train, _ in plan.rows(sample.position)])
    ok = found.low <= EFFECT and found.high >= EFFECT - X.shape[1] / learnt and found.skill > 0.0
    return LeakResult("L10", f"a planted R2 of {EFFECT} is measured", found.n_rows, int(not ok), _text(found))


def _steadiest(Z: F8) -> I8:
    """The two columns whose mean and deviation differ least between the quarters of the sample."""
    quarters = np.array_split(Z, 4)
    deviation = np.stack([q.std(axis=0) for q in quarters])
    moves = np.ptp(np.stack([q.mean(axis=0) for q in quarters]), axis=0) + np.ptp(deviation, axis=0)
    moves[deviation.min(axis=0) <= 0.0] = np.inf
    return np.argsort(moves, kind="stable")[:2]


def l14_too_good(sample: Sample, plan: SplitPlan, seed: int = 0) -> LeakResult:
    found = pooled(sample, labels_matrix(sample), plan, seed=seed)
    return LeakResult("L14", "not too good to be true", found.n_rows, int(found.quarantined), _text(found))


def _text(found: Score) -> str:
    return f"skill {found.skill:.4f} ({found.low:.4f} to {found.high:.4f}), hits {found.hit_rate:.1%}"
