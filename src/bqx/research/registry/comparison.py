"""Two models of a pair, or two runs, on the rows both have forecast."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bqx.base.errors import UsageError
from bqx.research.compare_losses import diebold_mariano
from bqx.research.training.folder import Run
from bqx.research.training.quarantine import check_quarantine

TARGETS = {"y3": "f3", "y4": "f4"}


@dataclass(frozen=True, slots=True)
class Compared:
    """gain : 1 - MSE(first) / MSE(second) on common rows. p_better, p_worse : one-sided Diebold-Mariano that the first
    is no better, no worse."""

    pair: str
    horizon: int
    target: str
    rows: int
    gain: float
    p_better: float
    p_worse: float

    @property
    def verdict(self) -> str:
        if self.p_better <= 0.05:
            return "first is better"
        return "first is worse" if self.p_worse <= 0.05 else "no demonstrated difference"

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "verdict": self.verdict}


def compare(first: Run, second: Run, pairs: list[str] | None = None) -> list[Compared]:
    """Every pair, horizon and target that both runs have.

    Raises UsageError when they share nothing or were judged on other truths, QuarantinedError for a run nobody signed.
    """
    for run in (first, second):
        check_quarantine(run)
    out = []
    for pair, horizon in first.tables():
        if (pairs and pair not in pairs) or (pair, horizon) not in second.tables():
            continue
        a, b = first.forecasts(pair, horizon), second.forecasts(pair, horizon)
        both = a.join(b, on="position", suffix="_b")
        for target, forecast in TARGETS.items():
            rows = both.drop_nulls([target, f"{target}_b", forecast, f"{forecast}_b"])
            if not len(rows):
                continue
            y, z = (rows[name].to_numpy() for name in (target, f"{target}_b"))
            if not np.array_equal(y, z):
                raise UsageError(
                    f"{first.name} and {second.name} were judged on other truths of {pair} at {horizon} bars",
                    fix="compare runs of the same dataset",
                )
            ours = (y - rows[forecast].to_numpy()) ** 2
            theirs = (y - rows[f"{forecast}_b"].to_numpy()) ** 2
            lag = math.ceil(horizon / max(first.every, 1))
            found = diebold_mariano(ours, theirs, lag)
            gain = float(1.0 - ours.sum() / theirs.sum())
            out.append(Compared(pair, horizon, target, len(rows), gain, found.better, found.worse))
    if not out:
        raise UsageError(f"{first.name} and {second.name} have no forecast in common")
    return out
