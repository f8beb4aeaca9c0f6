"""One question's answer in one fold, as it is kept on disk."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """`p` is what the family takes: 1 with a `reason` when the question was not asked to the end.

    statistic : HAC Wald over its order (Granger), or effective transfer entropy in nats. order, lag : how many source
    lags, and which of them says most. effect : ln(RSS without / with) / 2 or the same TE, both in nats. confirm_p : of
    the test block, None when it was not looked at. more : what only one method has.
    """

    method: str
    series: str
    source: str
    target: str
    fold: int
    p: float
    statistic: float | None = None
    order: int | None = None
    lag: int | None = None
    sign: int | None = None
    effect: float | None = None
    rows: int = 0
    p_boot: float | None = None
    confirm_p: float | None = None
    reason: str = ""
    more: dict[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def question(self) -> tuple[str, str, str, str]:
        return self.method, self.series, self.source, self.target


def unasked(method: str, series: str, source: str, target: str, fold: int, reason: str) -> Answer:
    """A question that stays in the family with p = 1."""
    return Answer(method, series, source, target, fold, 1.0, reason=reason)
