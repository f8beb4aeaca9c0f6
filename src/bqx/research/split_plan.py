"""How a dataset is split: what is sealed, the walk before it, and how a short history shrinks both."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import CheckError
from bqx.research.cpcv import CombinatorialPurged
from bqx.research.splits import DAY, HALF_YEAR, MONTH, WEEK, YEAR, WalkForward

I8 = NDArray[np.int64]
FEWEST = 3 * WEEK
MOST_FOLDS = 8


@dataclass(frozen=True, slots=True)
class FoldSpan:
    """Training rows lie in [train_start, train_end) less purge and embargo, test rows in [start, end); in bars."""

    number: int
    train_start: int
    train_end: int
    start: int
    end: int


@dataclass(frozen=True)
class SplitPlan:
    """Splits of one history of `bars` open minutes that begins at position `first` (Calendar.ordinal).

    sealed : first position of the sealed test, None when the history is too short for one. `text` says all of it.
    """

    first: int
    bars: int
    horizon: int
    train: int
    test: int
    embargo: int
    sealed: int | None
    groups: int
    k: int
    text: str

    @property
    def walk(self) -> WalkForward:
        return WalkForward(self.horizon, self.train, self.test, self.embargo)

    @property
    def combinatorial(self) -> CombinatorialPurged:
        return CombinatorialPurged(self.horizon, self.groups, self.k, self.embargo)

    @property
    def end(self) -> int:
        """One behind the last position that folds may use: a label may not reach into the sealed test."""
        last = self.first + self.bars
        return last if self.sealed is None else self.sealed - self.horizon - self.embargo

    def folds(self) -> list[FoldSpan]:
        at = np.arange(self.first, self.end, dtype=np.int64)
        out = []
        for number, (train, test) in enumerate(self.walk.split(at)):
            ends = (int(at[train[0]]), int(at[train[-1]]) + 1, int(at[test[0]]), int(at[test[-1]]) + 1)
            out.append(FoldSpan(number, *ends))
        return out

    def rows(self, position: I8) -> list[tuple[I8, I8]]:
        """Training and test row numbers of each fold, for rows at rising positions."""
        out = []
        for f in self.folds():
            train = np.flatnonzero((position >= f.train_start) & (position < f.train_end))
            test = np.flatnonzero((position >= f.start) & (position < f.end))
            out.append((train, test))
        return out

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def plan(first: int, bars: int, horizon: int) -> SplitPlan:
    """Splits that suit `bars` open minutes; CheckError below three weeks.

    From 250 trading days on the last two months are sealed and training begins with four; from 125 on, one and three;
    below that folds are whole weeks, an eighth of them is sealed, and below six weeks nothing is.
    """
    if bars >= YEAR:
        sealed, train, test, unit = 2 * MONTH, 4 * MONTH, MONTH, "months (22 trading days)"
    elif bars >= HALF_YEAR:
        sealed, train, test, unit = MONTH, 3 * MONTH, MONTH, "months (22 trading days)"
    elif bars >= FEWEST:
        weeks = bars // WEEK
        sealed = max(round(weeks / 8), 1) * WEEK if weeks >= 6 else 0
        free = weeks - sealed // WEEK
        train = max(free // 2, 1) * WEEK
        test = max(-(-(free - train // WEEK) // MOST_FOLDS), 1) * WEEK
        unit = "weeks, for there are less than 6 months"
    else:
        raise CheckError(
            f"splits need {FEWEST:,} open minutes (three weeks), there are {bars:,}",
            fix="import and build a longer history",
        )
    held = f"the last {sealed:,} bars are sealed" if sealed else "nothing is sealed, for there are less than 6 weeks"
    text = (
        f"walk-forward in {unit}: expanding training of at least {train:,} bars, test blocks of {test:,}; purge "
        f"{horizon} bars, embargo {DAY:,}; {held}; all pairs split at the same minutes"
    )
    start = first + bars - sealed if sealed else None
    return SplitPlan(first, bars, horizon, train, test, DAY, start, 10, 2, text)
