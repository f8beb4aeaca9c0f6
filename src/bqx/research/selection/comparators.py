"""What the selected columns are worth beside all of them, beside components, and beside random ones (placebo)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from bqx.research.candidates import Candidate
from bqx.research.estimators import Forecaster, forecaster
from bqx.research.estimators.ridge_forecast import clipped, fit_scaler, standardised
from bqx.research.selection.options import Options
from bqx.research.walk import fold_losses

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
PLACEBOS = 3
NAMES = ("selected", "all", "pca", "pls", *(f"random_{k}" for k in range(1, PLACEBOS + 1)), "selected_boosting")


def comparator_losses(
    X: F4, Y: F8, position: I8, chosen: Sequence[Candidate], kept: I8, selected: I8, train: I8, test: I8, *,
    horizon: int, embargo: int, options: Options, workers: int = 1,
) -> Mapping[str, F8]:  # fmt: skip
    """Comparator -> losses (test rows, targets, 5), all fitted on `train` rows.

    `kept` passed the prefilter, `selected` is the mask, both as column numbers. selected, all : ridge on them. pca,
    pls : ridge on as many components as the budget, a share of each dataset's by its size. random_k : ridge on random
    columns within the quotas. selected_boosting : boosted trees.
    """

    def run(name: str) -> F8:
        make: Callable[[], Forecaster] = lambda: forecaster("ridge")  # noqa: E731
        if name in ("pca", "pls"):
            table = components(X[:, kept], Y, [chosen[k].dataset for k in kept], train, options.budget, name)
        elif name == "selected_boosting":
            make = lambda: forecaster("boosting", rounds=options.rounds, seed=options.seed)  # noqa: E731
            table = X[:, selected]
        elif name.startswith("random"):
            table = X[:, random_columns(chosen, kept, options, int(name[-1]))]
        else:
            table = X[:, selected if name == "selected" else kept]
        return fold_losses(make, table, Y, position, train, test, horizon, embargo)

    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1), ThreadPoolExecutor(workers) as pool:
        return dict(zip(NAMES, pool.map(run, NAMES), strict=True))


def components(X: F4, Y: F8, homes: Sequence[str], train: I8, count: int, kind: str) -> F4:
    """Scores of principal components (`pca`), or of the directions that covary most with the targets (`pls`: left
    singular vectors of Z'Y), of each dataset's columns; weights from training rows. Shape (n, about count)."""
    scaler = fit_scaler(X[train])
    Z = standardised(scaler, X)
    rows = train[np.isfinite(Y[train]).all(axis=1)]
    y = clipped(Y[rows])
    out = []
    for home in dict.fromkeys(homes):
        members = np.flatnonzero([h == home for h in homes])
        part = Z[:, members]
        if kind == "pca":
            _, vectors = np.linalg.eigh(part[train].T @ part[train])
            weights = vectors[:, ::-1]
        else:
            weights, _, _ = np.linalg.svd(part[rows].T @ y, full_matrices=False)
        share = max(1, round(count * len(members) / len(homes)))
        out.append((part @ weights[:, :share]).astype(np.float32))
    return np.concatenate(out, axis=1)


def random_columns(chosen: Sequence[Candidate], kept: I8, options: Options, draw: int) -> I8:
    """As many as the budget, of each signal domain as many as its quota, the rest from any."""
    rng = np.random.default_rng([options.seed, 23, draw])
    order = [int(k) for k in rng.permutation(kept)]
    taken: list[int] = []
    for domain, count in (("rate", options.rate), ("bqx", options.bqx)):
        taken += [k for k in order if chosen[k].signal_domain == domain][:count]
    taken += [k for k in order if k not in set(taken)][: options.budget - len(taken)]
    return np.sort(np.array(taken, dtype=np.int64))
