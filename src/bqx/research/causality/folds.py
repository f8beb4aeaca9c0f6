"""Training windows to ask on, and what came after each to confirm on."""

from __future__ import annotations

import numpy as np

from bqx.base.errors import CausalityError
from bqx.research.split_plan import FEWEST, FoldSpan, plan
from bqx.research.splits import DAY, plan_splits

FEWEST_DAYS = 8


def folds_of(first: int, bars: int, every: int) -> tuple[list[FoldSpan], str]:
    """Walk-forward folds of `bars` open minutes from position `first`, and a sentence that states them.

    As all research: from six weeks on the end of the history is sealed and not touched. Below three weeks folds are
    shorter; CausalityError below 8 days.
    """
    if bars >= FEWEST:
        whole = plan(first, bars, every)
        return whole.folds(), whole.text
    if bars < FEWEST_DAYS * DAY:
        raise CausalityError(
            f"{bars:,} open minutes cannot be split, {FEWEST_DAYS * DAY:,} (8 trading days) are the least",
            fix="give a longer span, or import more bars",
        )
    walk, text = plan_splits(bars, every)
    at = np.arange(first, first + bars, dtype=np.int64)
    spans = [
        FoldSpan(k, int(at[train[0]]), int(at[train[-1]]) + 1, int(at[test[0]]), int(at[test[-1]]) + 1)
        for k, (train, test) in enumerate(walk.split(at))
    ]
    return spans, text
