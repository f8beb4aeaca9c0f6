"""One selection inside one training fold; nothing outside `train` can move a bit of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import SelectionError
from bqx.research.candidates import Candidate
from bqx.research.cpcv import CombinatorialPurged
from bqx.research.estimators.boosting import Boosting
from bqx.research.estimators.ridge_forecast import clipped, fit_scaler, standardised
from bqx.research.selection import mask as masks
from bqx.research.selection.clusters import cluster_ids, correlations, duplicates, mean_ranks, rank_scores
from bqx.research.selection.fill import borda, fill, pooled
from bqx.research.selection.mask import METHODS, Mask
from bqx.research.selection.mrmr import BINS, codes, information, mrmr_order
from bqx.research.selection.options import Options
from bqx.research.selection.permutation import ridge_importance
from bqx.research.selection.prefilter import prefilter
from bqx.research.selection.whitened import Whitener, cross_moments, stability
from bqx.research.skill import overlap

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
T = TypeVar("T")
LEAST_ROWS = 500
SHAP_ROWS = 2000


def select_fold(
    X: F4,
    Y: F8,
    position: I8,
    seg_age: I8,
    in_stream: I8,
    chosen: Sequence[Candidate],
    train: I8,
    *,
    horizon: int,
    embargo: int,
    options: Options | None = None,
    workers: int = 1,
) -> Mask:
    """Mask over `chosen` from the rows `train` of X (n, candidates) and Y (n, targets), in order of time.

    horizon, embargo : bars, for the inner purged folds. The mask does not depend on `workers`.
    """
    o = options or Options()
    rows = train[np.isfinite(Y[train]).all(axis=1)]
    if len(rows) < LEAST_ROWS:
        raise SelectionError(f"{len(rows)} training rows with labels, {LEAST_ROWS} are the least")
    clock = _Clock()
    with _one_thread(), ThreadPoolExecutor(workers) as pool:
        x, y, at = X[rows], clipped(Y[rows]), position[rows]
        why = prefilter(x, seg_age[rows], in_stream[rows], chosen, o)
        clock("prefilter")
        ranks = rank_scores(x[:, np.flatnonzero([not text for text in why])])
        kept, R, cluster = _families(ranks, why, chosen, o)
        x = np.asfortranarray(x[:, kept])
        Z = np.asarray(standardised(fit_scaler(x), x), dtype=np.float32)
        clock("clusters")
        scores, shrinkage, stable = _scores(x, Z, y, at, R, cluster, horizon, embargo, o, pool, clock)
        points = borda(scores)
        strength = np.mean([s / max(float(np.abs(s).max()), 1e-300) for s in scores.values()], axis=0)
        left_out = Counter(masks.kind(text) for text in why if text)
        taken = fill([chosen[k] for k in kept], points, stable, strength, cluster, o, left_out)
    sizes = np.bincount(cluster)
    columns: dict[str, Any] = {
        "borda": points,
        "stability": stable,
        "certified": stable >= o.certain,
        "cluster": cluster,
        "cluster_size": sizes[cluster],
    }
    for name in METHODS:
        columns[f"rank_{name}"] = 1.0 + mean_ranks(-scores[name])
    return Mask(
        masks.table(chosen, why, kept, taken, columns),
        len(rows),
        int(at[0]),
        int(at[-1]),
        o.false_picks(len(kept)),
        len(sizes),
        shrinkage,
        clock.seconds,
    )


def _families(ranks: F4, why: list[str], chosen: Sequence[Candidate], o: Options) -> tuple[I8, F4, I8]:
    """Candidates that are left once duplicates are out (`why` is told), their rank correlations and clusters."""
    passed = np.flatnonzero([not text for text in why])
    if not len(passed):
        raise SelectionError("no candidate passed the prefilter", where=_most(why))
    R = correlations(ranks)
    first = duplicates(R, o.duplicate)
    own = first == np.arange(len(first))
    for k in np.flatnonzero(~own):
        why[passed[k]] = f"repeats {chosen[passed[first[k]]].name}"
    R = R[np.ix_(own, own)]
    return passed[own], R, cluster_ids(R, o.cluster)


def _scores(
    x: F4, Z: F4, y: F8, at: I8, R: F4, cluster: I8, horizon: int, embargo: int, o: Options, pool: ThreadPoolExecutor,
    clock: Callable[[str], None],
) -> tuple[dict[str, F8], float, F8]:  # fmt: skip
    """Method -> (columns,), targets pooled; the whitener's shrinkage; stability of each column."""
    targets = range(y.shape[1])
    inner = list(CombinatorialPurged(horizon, o.folds, 1, min(embargo, _inner_embargo(at, o))).split(at))

    def importance(k: int) -> F8:
        train, test = inner[k]
        return ridge_importance(Z, y, at, cluster, train, test, o.block, o.seed + k)

    def shap(k: int) -> F8:
        train, test = inner[-1]
        model = Boosting(rounds=o.rounds, seed=o.seed).fit(x[train], y[train, k : k + 1], at[train], horizon, embargo)
        return model.shap(x[test[:: max(1, len(test) // SHAP_ROWS)]])[:, 0]

    worth = max(len(x) * o.every / max(overlap(horizon), o.every), 50.0)
    parts = _map(pool, importance, range(len(inner)))
    clusterwise = np.mean(parts, axis=0)
    clock("permutation")
    shaps = np.column_stack(_map(pool, shap, targets))
    clock("shap")
    binned, labels = codes(x), codes(y)
    mi = np.concatenate(
        _map(pool, lambda s: information(binned[:, s], labels, BINS + 1, worth), _slices(x.shape[1], 128))
    )
    relevance = mrmr_order(pooled(mi), R)
    clock("mrmr")
    whitener = Whitener.fit(Z, worth)
    sums, count = cross_moments(Z, y, _blocks(at, o.block))
    net = whitener.entry(sums.sum(axis=0, dtype=np.float64) / count.sum())
    clock("elastic_net")
    stable = stability(whitener, sums, count, o.halves, o.per_half, o.seed)
    clock("stability")
    scores = {
        "permutation": pooled(clusterwise)[cluster],
        "elastic_net": pooled(net),
        "shap": pooled(shaps),
        "mrmr": relevance,
    }
    return scores, whitener.shrinkage, stable


def _inner_embargo(at: I8, o: Options) -> int:
    """An embargo may not eat more than a tenth of an inner fold."""
    return int((at[-1] - at[0]) // (10 * o.folds))


def _blocks(at: I8, block: int) -> I8:
    return np.cumsum(np.r_[0, np.diff(at // block) != 0]).astype(np.int64)


def _slices(n: int, width: int) -> list[slice]:
    return [slice(k, min(k + width, n)) for k in range(0, n, width)]


def _map(pool: ThreadPoolExecutor, work: Callable[[Any], T], items: Any) -> list[T]:
    """Results in the order of the items, whoever made them."""
    return list(pool.map(work, items))


def _most(why: Sequence[str]) -> str:
    return ", ".join(f"{n} {text}" for text, n in Counter(masks.kind(t) for t in why).most_common(4))


class _Clock:
    """Seconds of each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._at = time.perf_counter()

    def __call__(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = round(now - self._at, 3)
        self._at = now


@contextmanager
def _one_thread() -> Iterator[None]:
    """Linear algebra on one thread: its last bits must not depend on the cores."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        yield
