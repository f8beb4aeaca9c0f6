"""What a history of this length can show: the smallest skill it would find, and how long a smaller one takes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from bqx.research.splits import WEEK

SURE, POWER = 1.959964, 0.841621
"""Normal quantiles of a 95 % interval, and of finding what is there four times in five."""
GOOD = (0.005, 0.01)
"""Skills worth having in intraday currencies (platform.md H.2: 0.001 to 0.02 is already interesting)."""


@dataclass(frozen=True, slots=True)
class Reach:
    """error : standard error of the pooled skill, a 95 % interval's width / (2 x 1.96). smallest : true skill whose
    interval lies above 0 four times in five. weeks : trading weeks tested. needed : skill -> trading weeks that would
    find it as often, for the error falls with the root of time."""

    error: float
    smallest: float
    weeks: float
    needed: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def words(self) -> str:
        longer = "; ".join(f"one of {100 * float(k):g} % needs {v:,.0f} weeks of test" for k, v in self.needed.items())
        return (
            f"Tested on {self.weeks:.1f} trading weeks, the pooled skill has a standard error of "
            f"{100 * self.error:.2f} points. A true skill of {100 * self.smallest:.2f} % would be found four times in "
            f"five; {longer}. What lies outside these weeks is not tested: other volatility, other news, other years. "
            "Nor does a skill that is not demonstrated mean that there is none."
        )


def reach(low: float, high: float, bars: int) -> Reach:
    """From the 95 % interval of a pooled skill over `bars` open minutes."""
    error = (high - low) / (2.0 * SURE)
    smallest, weeks = (SURE + POWER) * error, bars / WEEK
    return Reach(error, smallest, weeks, {f"{s:g}": weeks * (smallest / s) ** 2 for s in GOOD})
