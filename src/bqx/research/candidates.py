"""The 2,640 inputs a selection may choose from: every counted column, and four lags of the laggable ones."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import CheckError, UsageError
from bqx.features.catalogue import own_datasets
from bqx.features.support import Support
from bqx.research.segment_nulls import segment_nulls

LAG_PROFILES = {"seed": (1, 5, 15, 30), "extended": (60, 120, 180, 240)}
"""Lags in open minutes, never across a closure."""
COUNT = 2640


@dataclass(frozen=True, slots=True)
class Candidate:
    """One column now (lag 0) or `lag` open minutes ago; the name is `dataset.column`, with `.lag5` behind it.

    signal_domain : `rate`, `bqx` or `neutral`, of the series it is computed from. warmup : bars of the pair's stream it
    needs. support : what the column sees. alias_of : the candidate that is the same quantity.
    """

    name: str
    dataset: str
    column: str
    lag: int
    signal_domain: str
    warmup: int
    support: Support
    alias_of: str | None

    def declared_null(self, in_stream: NDArray[np.int64], seg_age: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Rows where warm-up or a closure excuses a NULL; bars since the pair's first, and seg_age (n,)."""
        closed = segment_nulls(self.support, self.lag)
        return np.asarray((in_stream < self.warmup) | closed[np.minimum(seg_age, len(closed) - 1)])


def counted_datasets() -> tuple[str, ...]:
    """Datasets whose columns are candidates, in catalogue order."""
    return tuple(home.name for home in own_datasets().values() if home.counted)


@lru_cache(maxsize=4)
def candidates(profile: str = "seed") -> tuple[Candidate, ...]:
    """All candidates in catalogue order, then the lags by length; CheckError when they are not 2,640."""
    if profile not in LAG_PROFILES:
        raise UsageError(f"unknown lag profile {profile!r}", fix=f"one of {', '.join(LAG_PROFILES)}")
    now: list[Candidate] = []
    lagged: list[Candidate] = []
    for home in own_datasets().values():
        if not home.counted:
            continue
        for item in home.columns:
            for lag in (0, *(LAG_PROFILES[profile] if home.laggable else ())):
                tail = f".lag{lag}" if lag else ""
                alias = item.alias_of + tail if item.alias_of else None
                made = Candidate(
                    f"{home.name}.{item.name}{tail}",
                    home.name,
                    item.name,
                    lag,
                    home.signal_domain(item.name),
                    item.warmup + lag,
                    item.support,
                    alias,
                )
                (lagged if lag else now).append(made)
    found = (*now, *sorted(lagged, key=lambda c: c.lag))
    if len(found) != COUNT:
        raise CheckError(
            f"{len(now):,} columns and {len(lagged):,} lags are {len(found):,} candidates, not {COUNT:,}",
            fix="the catalogue changed: 1,264 + 4 x 344 must hold",
        )
    return found


@lru_cache(maxsize=1)
def catalogue_version() -> str:
    """Hash of names, declared versions and code of all counted datasets."""
    digest = hashlib.sha256()
    for home in own_datasets().values():
        if home.counted:
            names = ",".join(c.name for c in home.columns)
            digest.update(f"{home.name}:{home.version}:{home.code_hash}:{names}\n".encode())
    return digest.hexdigest()[:32]
