"""From scores to exactly the budget: quotas by signal domain, a cap a cluster, ties by stability, score, name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import SelectionError
from bqx.research.candidates import Candidate
from bqx.research.selection.clusters import mean_ranks
from bqx.research.selection.options import Options

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


def pooled(table: F8) -> F8:
    """Mean over targets of scores (columns, targets), each in units of its spread: horizons weigh alike."""
    spread = table.std(axis=0)
    return np.asarray((table / np.where(spread > 0.0, spread, 1.0)).mean(axis=1))


def borda(scores: Mapping[str, F8]) -> F8:
    """Mean share of columns that a column beats, over methods with equal weight; 1 is best.

    scores : method -> (columns,), greater is better; equal ones share their rank.
    """
    return np.asarray(np.mean([mean_ranks(s) / max(len(s) - 1, 1) for s in scores.values()], axis=0))


def fill(
    chosen: Sequence[Candidate],
    points: F8,
    stable: F8,
    score: F8,
    cluster: I8,
    options: Options,
    left_out: Counter[str],
) -> dict[int, str]:
    """Column -> why it is in: `rate quota`, `bqx quota` or `free`, in the order they were taken.

    Raises SelectionError that names the quota, what is lacking and why candidates were left out.
    """
    order = _best_of_clusters(
        sorted(range(len(chosen)), key=lambda k: (-points[k], -stable[k], -score[k], chosen[k].name)), cluster, options
    )
    taken: dict[int, str] = {}
    free = options.budget - options.rate - options.bqx
    for name, domain, count in (("rate quota", "rate", options.rate), ("bqx quota", "bqx", options.bqx),
                                ("free", None, free)):  # fmt: skip
        fits = [k for k in order if k not in taken and (domain is None or chosen[k].signal_domain == domain)]
        taken |= dict.fromkeys(fits[:count], name)
        if len(fits) < count:
            _short(name, domain, count, count - len(fits), chosen, cluster, options, left_out)
    return taken


def _best_of_clusters(order: Sequence[int], cluster: I8, options: Options) -> list[int]:
    """The first `cap` of each cluster, whatever their domain: a quota that is filled early must not use up the places
    of a cluster with lesser columns than its best."""
    used: Counter[int] = Counter()
    out = []
    for k in order:
        used[int(cluster[k])] += 1
        if used[int(cluster[k])] <= options.cap:
            out.append(k)
    return out


def _short(
    name: str, domain: str | None, count: int, want: int, chosen: Sequence[Candidate], cluster: I8, options: Options,
    left_out: Counter[str],
) -> None:  # fmt: skip
    same = [k for k, c in enumerate(chosen) if domain is None or c.signal_domain == domain]
    groups = len({int(cluster[k]) for k in same})
    why = ", ".join(f"{n} {reason}" for reason, n in left_out.most_common(4)) or "none"
    raise SelectionError(
        f"{name}: {want} of {count} columns are lacking; {len(same)} candidates passed the prefilter in {groups} "
        f"clusters of which {options.cap} columns each may be taken",
        where=f"left out before: {why}",
        fix="build the missing datasets, give a longer history, or raise --cap",
    )
