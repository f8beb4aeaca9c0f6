"""What a leakage test found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

LEAST = 500


@dataclass(frozen=True, slots=True)
class LeakResult:
    """compared : values, rows or intervals looked at. wrong : how many broke the rule. Fewer than 500 is a failure."""

    test: str
    title: str
    compared: int
    wrong: int
    detail: str
    least: int = LEAST

    @property
    def ok(self) -> bool:
        return self.wrong == 0 and self.compared >= self.least

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "ok": self.ok}
