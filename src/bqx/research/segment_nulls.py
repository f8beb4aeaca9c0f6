"""At which ages of a segment a column is NULL when nothing is missing: the NULLs that closures explain."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bqx.features.support import All, Lag, Support, Window, needed
from bqx.market.calendar import WEEK

B1 = NDArray[np.bool_]
_AGE = np.arange(WEEK)


@lru_cache(maxsize=4096)
def segment_nulls(support: Support, lag: int = 0) -> B1:
    """True where NULL, by age (open minutes since the segment began). Shape (7200,), not to be written to.

    The segment before counts as complete. Nodes that hold through NULL, trajectories and fits, leave no mark. lag : of
    a candidate, inside the segment.
    """
    if lag:
        return segment_nulls(Lag(support, lag, "SEG"))
    out = _nulls(support)
    out.setflags(write=False)
    return out


def _nulls(support: Support) -> B1:
    if isinstance(support, All):
        return np.asarray(np.logical_or.reduce([segment_nulls(part) for part in support.parts]))
    if isinstance(support, Lag):
        own = segment_nulls(support.of)
        both = own | _later(own, support.bars)
        return both | (support.bars > _AGE) if support.policy == "SEG" else both
    if isinstance(support, Window):
        own = _later(segment_nulls(support.of), int(support.before))
        total = np.cumsum(own)
        total[support.bars :] = total[support.bars :] - total[: -support.bars]
        out = total > support.bars - needed(support.bars)
        return out | (support.span > _AGE) if support.policy == "SEG" else out
    return np.zeros(WEEK, bool)


def _later(mask: B1, bars: int) -> B1:
    """Age a holds age a - bars; False before it."""
    return np.asarray(np.r_[np.zeros(min(bars, WEEK), bool), mask[: max(WEEK - bars, 0)]])
