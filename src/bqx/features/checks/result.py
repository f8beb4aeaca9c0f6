"""What a check found for one column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

MINIMUM = 500
"""Non-NULL values a check must have compared; fewer is a failure, not a pass."""

Verdict = Literal["by count", "too short", "no data"]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """compared : non-NULL values looked at. differing : how many broke the rule. worst : largest error, in the check's
    own measure. where : the first offender. note : what is wrong, where a check can say more than "values differ".
    verdict : why too little was compared, where that is known (:mod:`bqx.features.checks.shortage`)."""

    check: str
    dataset: str
    column: str
    compared: int
    differing: int
    worst: float = 0.0
    where: str = ""
    note: str = ""
    verdict: Verdict = "by count"

    @property
    def passed(self) -> bool:
        return self.differing == 0 and self.compared >= MINIMUM

    @property
    def outcome(self) -> str:
        """`passed`, `failed`, and where nothing is wrong but too little was compared `too short` or `no data`."""
        if self.verdict != "by count":
            return self.verdict
        return "passed" if self.passed else "failed"

    @property
    def reason(self) -> str:
        if self.note and not self.passed:
            return self.note
        if self.differing:
            return f"{self.differing} of {self.compared} values differ, worst {self.worst:.3g}, first at {self.where}"
        if self.compared < MINIMUM:
            return f"only {self.compared} values compared, {MINIMUM} are needed"
        return ""

    def as_dict(self) -> dict[str, Any]:
        return {
            "check": self.check,
            "dataset": self.dataset,
            "column": self.column,
            "compared": self.compared,
            "differing": self.differing,
            "worst": self.worst if np.isfinite(self.worst) else None,
            "where": self.where,
            "passed": self.passed,
            "outcome": self.outcome,
            "reason": self.reason,
        }


def merge(parts: list[CheckResult]) -> CheckResult:
    """Several trials of one check on one column as one result."""
    bad = [p for p in parts if p.differing]
    first = (bad or parts)[0]
    return CheckResult(
        first.check,
        first.dataset,
        first.column,
        sum(p.compared for p in parts),
        sum(p.differing for p in parts),
        max(p.worst for p in parts),
        first.where if bad else "",
        first.note if bad else "",
    )


def same_bits(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Equal to the bit, every NULL equal to every NULL, 0.0 unlike -0.0."""
    both = np.isnan(a) & np.isnan(b)
    return np.asarray(both | (np.ascontiguousarray(a).view(np.int64) == np.ascontiguousarray(b).view(np.int64)))
