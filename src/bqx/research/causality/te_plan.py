"""What a budget buys: sample size and surrogates, fixed from counts alone, so that they are the same everywhere."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bqx.base.errors import CausalityError
from bqx.research.causality.surrogates import FIRST, MOST

SECONDS = 8e-9
"""Assumed core seconds of an estimate are this times rows squared (five dimensions, 10 neighbours)."""
EXPECTED = FIRST / 2
FIRST_SHARE, CONFIRM_SHARE = 0.4, 0.2
FEWEST_ROWS, MOST_ROWS = 400, 4000
CONFIRM_DRAWS = 99


@dataclass(frozen=True, slots=True)
class TePlan:
    """rows : of each estimate. questions : that passed the screen. first : surrogates at most in the first round."""

    rows: int
    questions: int
    budget: float
    first: int = FIRST

    @classmethod
    def of(cls, questions: int, budget: float) -> TePlan:
        """0.4 of the budget for the first round as expected, 0.8 at worst; CausalityError when that is too little."""
        rows = math.isqrt(int(FIRST_SHARE * budget / (max(questions, 1) * EXPECTED * SECONDS)))
        if rows < FEWEST_ROWS:
            need = max(questions, 1) * EXPECTED * SECONDS * FEWEST_ROWS**2 / FIRST_SHARE
            raise CausalityError(
                f"a budget of {budget:g} s gives {questions} questions {rows} rows each, {FEWEST_ROWS} are the least",
                fix=f"give --budget {math.ceil(need)} or more, or fewer pairs or series",
            )
        return cls(min(rows, MOST_ROWS), questions, budget)

    def most(self, spent: int, open_questions: int) -> int:
        """Surrogates at most for questions still open after `spent` estimates in the first round."""
        left = (1.0 - CONFIRM_SHARE) * self.budget - spent * self.seconds(self.rows)
        more = int(max(left, 0.0) / (max(open_questions, 1) * self.seconds(self.rows)))
        return min(self.first + more, MOST)

    def confirm_rows(self, tests: int) -> int:
        """Rows of each of `tests` estimates on later data."""
        rows = math.isqrt(int(CONFIRM_SHARE * self.budget / (max(tests, 1) * (CONFIRM_DRAWS + 1) * SECONDS)))
        return max(min(rows, self.rows), FEWEST_ROWS // 2)

    @staticmethod
    def seconds(rows: int) -> float:
        return SECONDS * rows * rows
