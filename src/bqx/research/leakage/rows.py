"""Which rows to recompute: existing bars, stratified by session, volatility, month edge and the weeks clocks change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import CheckError
from bqx.market.calendar import DAY, NEW_YORK, datetime_of, month_span, months_between
from bqx.research.labels import Labels

I8 = NDArray[np.int64]


@dataclass(frozen=True)
class Strata:
    """Row numbers of a sample of labels, and how many rows came from each stratum."""

    rows: I8
    counts: dict[str, int]


def stratified(labels: Labels, samples: int, seed: int) -> Strata:
    """At least `samples` rows that have a volatility, an equal share a stratum as far as it has rows."""
    alive = np.isfinite(labels.values["sigma"])
    if int(alive.sum()) < samples:
        raise CheckError(f"{int(alive.sum())} rows have a volatility, {samples} are to be sampled")
    low, high = np.quantile(labels.values["sigma"][alive], [1 / 3, 2 / 3])
    tercile = np.digitize(labels.values["sigma"], [low, high])
    session = labels.minute % DAY // 480
    strata = {
        f"session {s}, volatility {v}": alive & (session == s) & (tercile == v) for s in range(3) for v in range(3)
    }
    strata["month edge"] = alive & _month_edge(labels.minute)
    strata["clock change"] = alive & _clock_week(labels.minute)
    rng = np.random.default_rng(seed)
    chosen, counts = np.zeros(len(labels), bool), {}
    for name, mask in strata.items():
        have = np.flatnonzero(mask & ~chosen)
        taken = rng.choice(have, size=min(len(have), -(-samples // len(strata))), replace=False)
        chosen[taken], counts[name] = True, len(taken)
    rest = np.flatnonzero(alive & ~chosen)
    more = rng.choice(rest, size=max(samples - int(chosen.sum()), 0), replace=False)
    chosen[more] = True
    counts["any"] = len(more)
    return Strata(np.flatnonzero(chosen), counts)


def _month_edge(minute: I8) -> NDArray[np.bool_]:
    """Within four hours of the first minute of a month."""
    near = np.zeros(len(minute), bool)
    for ym in months_between(int(minute[0]), int(minute[-1]) + 1):
        near |= np.abs(minute - month_span(ym)[0]) <= 240
    return near


def _clock_week(minute: I8) -> NDArray[np.bool_]:
    """Within five days of a change of New York's clocks."""
    near = np.zeros(len(minute), bool)
    day = datetime_of(int(minute[0]))
    while day <= datetime_of(int(minute[-1])) + timedelta(days=1):
        offsets = [(day + timedelta(days=k)).astimezone(NEW_YORK).utcoffset() for k in (0, 1)]
        if offsets[0] != offsets[1]:
            near |= np.abs(minute - int(day.timestamp()) // 60) <= 5 * DAY
        day += timedelta(days=1)
    return near
