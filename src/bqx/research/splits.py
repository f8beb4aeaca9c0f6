"""Walk-forward splits in time, all pairs together, with purge by label interval and an embargo."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bqx.base.errors import CheckError, UsageError

I8 = NDArray[np.int64]
DAY, WEEK, MONTH = 1440, 7200, 22 * 1440
YEAR, HALF_YEAR = 250 * DAY, 125 * DAY
"""A calendar year has 257 to 260 trading days, half a one never fewer than 125."""


def purged(train: I8, test: I8, horizon: int, embargo: int) -> NDArray[np.bool_]:
    """Which training positions may stay beside a test block of positions [min(test), max(test)].

    The information of a sample at t is [t, t + horizon]. Dropped: samples whose interval meets the block's or ends
    within `embargo` bars before it, and samples that begin within `embargo` bars after the block's last label
    (Lopez de Prado 2018, ch. 7).
    """
    first, last = int(test.min()), int(test.max()) + horizon
    return (train + horizon + embargo < first) | (train > last + embargo)


@dataclass(frozen=True)
class WalkForward:
    """Expanding training window, then a test block, then the next; scikit-learn manners.

    Parameters are in bars (open minutes): `horizon` of the label, `train` before the first test block, `test` length
    of a block (the last may be as short as a quarter), `embargo` beside the purge.

    >>> for train, test in WalkForward(horizon=2, train=6, test=3, embargo=1).split(np.arange(12)):
    ...     print(train, test)
    [0 1 2] [6 7 8]
    [0 1 2 3 4 5] [ 9 10 11]
    """

    horizon: int
    train: int = 2 * WEEK
    test: int = WEEK
    embargo: int = DAY

    def __post_init__(self) -> None:
        if min(self.horizon, self.train, self.test) < 1 or self.embargo < 0:
            raise UsageError(f"splits need positive lengths, got {self}")

    def split(self, X: ArrayLike, y: Any = None, groups: ArrayLike | None = None) -> Iterator[tuple[I8, I8]]:
        """Yield indices of training and test rows. `groups` are the rows' positions in bars; without it X is."""
        at = np.asarray(X if groups is None else groups, dtype=np.int64)
        if at.ndim != 1:
            raise UsageError(f"positions have shape {at.shape}, not (n,)", fix="give groups=position of each row")
        for start, stop in self._blocks(at):
            test = np.flatnonzero((at >= start) & (at < stop))
            before = np.flatnonzero(at < start)
            if len(test) and len(before):
                train = before[purged(at[before], at[test], self.horizon, self.embargo)]
                if len(train):
                    yield train, test

    def get_n_splits(self, X: ArrayLike, y: Any = None, groups: ArrayLike | None = None) -> int:
        return sum(1 for _ in self.split(X, y, groups))

    def _blocks(self, at: I8) -> Iterator[tuple[int, int]]:
        if not len(at):
            return
        start, end = int(at.min()) + self.train, int(at.max()) + 1
        while end - start >= max(self.test // 4, 1):
            yield start, min(start + self.test, end)
            start += self.test


def inner_split(at: I8, horizon: int, embargo: int, share: float = 0.25) -> tuple[I8, I8]:
    """Rows to fit and rows to choose on, inside a training fold: the last `share` of its time, purged."""
    cut = int(at.min()) + int((1.0 - share) * (int(at.max()) + 1 - int(at.min())))
    late = np.flatnonzero(at >= cut)
    early = np.flatnonzero(at < cut)
    return early[purged(at[early], at[late], horizon, embargo)], late


def plan_splits(bars: int, horizon: int) -> tuple[WalkForward, str]:
    """Splits that suit a history of that many bars, and a sentence that states them; raises CheckError below 8 days."""
    if bars >= HALF_YEAR:
        chosen, unit = WalkForward(horizon, train=3 * MONTH, test=MONTH), "months (22 trading days)"
    elif bars >= 4 * WEEK - DAY:
        chosen, unit = WalkForward(horizon), "weeks, for there are less than 6 months"
    elif bars >= 8 * DAY:
        chosen = WalkForward(horizon, train=4 * DAY, test=2 * DAY, embargo=240)
        unit = "two days, for there are less than 4 weeks, with the embargo shrunk to 240 bars"
    else:
        raise CheckError(
            f"an answer needs {8 * DAY:,} bars with complete features and labels, there are {bars:,}",
            fix="import or build more; the longest feature looks back over 5,760 bars",
        )
    text = (
        f"walk-forward, expanding training of at least {chosen.train:,} bars, test blocks in {unit}; "
        f"purge {horizon} bars, embargo {chosen.embargo:,} bars, all pairs split at the same minutes"
    )
    return chosen, text
