"""One model for several pairs: rows of all, in order of time, with a column a pair that says whose row it is."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import UsageError
from bqx.research.artefact.rows import TrainingRows

F4 = NDArray[np.float32]
I8 = NDArray[np.int64]


def indicators(pair: str, pool: tuple[str, ...], n: int) -> F4:
    """1 in the column of `pair`, 0 in those of others; (n, pairs) in the order of `pool`."""
    out = np.zeros((n, len(pool)), dtype=np.float32)
    out[:, pool.index(pair)] = 1.0
    return out


def with_indicators(rows: TrainingRows, pool: tuple[str, ...]) -> F4:
    return np.concatenate([rows.X, indicators(rows.pair, pool, len(rows))], axis=1)


def check_pool(parts: Mapping[str, TrainingRows]) -> tuple[str, ...]:
    """Names of the pairs in order; UsageError when they have not the same columns and horizons, or are fewer than 2."""
    pool = tuple(sorted(parts))
    first = parts[pool[0]] if pool else None
    if first is None or len(pool) < 2:
        raise UsageError("a model for several pairs needs two or more")
    for name in pool:
        if parts[name].columns != first.columns or parts[name].horizons != first.horizons:
            raise UsageError(
                f"{name} has other columns or horizons than {pool[0]}", fix="select columns for all together"
            )
    return pool
