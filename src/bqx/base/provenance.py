"""Numbers that say where they come from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from bqx.base.errors import CheckError
from bqx.base.runlog import current_run


@dataclass(frozen=True, slots=True)
class Source:
    """The run that made a number, and how."""

    run_id: str
    how: str  # such as "sum of partition row counts"

    def __str__(self) -> str:
        return f"{self.how} (run {self.run_id})"


@dataclass(frozen=True, slots=True)
class Number:
    """A value for a report: with unit, source, and, when it is missing, the reason.

    None, NaN and infinities need a `reason`; CheckError otherwise. `digits` after the point; None shows
    whole numbers as such and others with 4 significant digits.
    """

    value: float | int | None
    unit: str
    source: Source
    digits: int | None = None
    reason: str | None = None

    def __post_init__(self) -> None:
        if not self.known and not self.reason:
            raise CheckError(
                f"a report number is {self.value} without a reason", where=self.source.how, fix="pass reason="
            )

    @property
    def known(self) -> bool:
        """Whether there is a finite value."""
        return self.value is not None and math.isfinite(self.value)

    def text(self, digits: int | None = None) -> str:
        """For people: ``12,345``, ``0.0312 bp``, ``n/a (warm-up)``; `digits` if the number has none set."""
        if self.value is None or not self.known:
            return f"n/a ({self.reason})"
        shown = plain_number(self.value, digits if self.digits is None else self.digits)
        return f"{shown}{'' if self.unit in ('', '%') else ' '}{self.unit}"

    def as_dict(self) -> dict[str, Any]:
        """JSON form; a missing value is null with its reason."""
        out: dict[str, Any] = {"value": self.value if self.known else None, "unit": self.unit}
        out |= {"run_id": self.source.run_id, "how": self.source.how}
        return out | ({"reason": self.reason} if self.reason else {})


def computed(
    value: float | int | None, unit: str, how: str, *, digits: int | None = None, reason: str | None = None
) -> Number:
    """A Number made by the current run."""
    return Number(value, unit, Source(current_run().run_id, how), digits, reason)


def plain_number(value: float | int, digits: int | None = None) -> str:
    """Digits with thousands separators; 4 significant digits for fractions unless `digits` is given."""
    if digits is not None:
        return f"{value:,.{digits}f}"
    if isinstance(value, int) or (value == int(value) and abs(value) < 1e15):
        return f"{int(value):,}"
    if 1e-4 <= abs(value) < 1e6:
        places = max(0, 3 - math.floor(math.log10(abs(value))))
        return f"{value:,.{places}f}"
    return f"{value:.3e}"
