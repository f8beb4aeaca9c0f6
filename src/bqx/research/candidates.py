"""The 2,640 inputs a selection may choose from: every counted column, and four lags of the laggable ones.

Columns of extensions are candidates only of a training dataset that was made with them (`bqx dataset make
--extensions`); they come after the 2,640, unlagged, and change none of these.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import CheckError, UsageError
from bqx.features.catalogue import extensions, own_datasets
from bqx.features.declare import Column, Dataset
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


def counted_datasets(wider: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Datasets whose columns are candidates, in catalogue order, and the extensions `wider`."""
    return (*(home.name for home in own_datasets().values() if home.counted), *wider)


@lru_cache(maxsize=8)
def candidates(profile: str = "seed", wider: tuple[str, ...] = ()) -> tuple[Candidate, ...]:
    """All candidates in catalogue order, then the lags by length, then columns of the extensions `wider`; CheckError
    when without these they are not 2,640."""
    if profile not in LAG_PROFILES:
        raise UsageError(f"unknown lag profile {profile!r}", fix=f"one of {', '.join(LAG_PROFILES)}")
    now: list[Candidate] = []
    lagged: list[Candidate] = []
    for home in own_datasets().values():
        if not home.counted:
            continue
        for item in home.columns:
            for lag in (0, *(LAG_PROFILES[profile] if home.laggable else ())):
                (lagged if lag else now).append(_candidate(home, item, lag))
    found = (*now, *sorted(lagged, key=lambda c: c.lag))
    if len(found) != COUNT:
        raise CheckError(
            f"{len(now):,} columns and {len(lagged):,} lags are {len(found):,} candidates, not {COUNT:,}",
            fix="the catalogue changed: 1,264 + 4 x 344 must hold",
        )
    more = [_candidate(extensions()[name], item, 0) for name in wider for item in extensions()[name].columns]
    return (*found, *more)


def _candidate(home: Dataset, item: Column, lag: int) -> Candidate:
    tail = f".lag{lag}" if lag else ""
    alias = item.alias_of + tail if item.alias_of else None
    domain, warmup = home.signal_domain(item.name), item.warmup + lag
    return Candidate(f"{home.name}.{item.name}{tail}", home.name, item.name, lag, domain, warmup, item.support, alias)


@lru_cache(maxsize=8)
def catalogue_version(wider: tuple[str, ...] = ()) -> str:
    """Hash of names, declared versions and code of all counted datasets; `+dataset:hash` for each extension."""
    return "+".join((_counted_version(), *(f"{name}:{_version([extensions()[name]])[:12]}" for name in wider)))


def wider_in(version: str) -> tuple[str, ...]:
    """The extensions that a :func:`catalogue_version` names."""
    return tuple(part.partition(":")[0] for part in version.split("+")[1:])


@lru_cache(maxsize=1)
def _counted_version() -> str:
    return _version([home for home in own_datasets().values() if home.counted])


def _version(homes: Iterable[Dataset]) -> str:
    digest = hashlib.sha256()
    for home in homes:
        names = ",".join(c.name for c in home.columns)
        digest.update(f"{home.name}:{home.version}:{home.code_hash}:{names}\n".encode())
    return digest.hexdigest()[:32]
