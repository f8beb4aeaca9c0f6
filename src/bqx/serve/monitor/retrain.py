"""When to train again: performance evidence or the schedule, never moved inputs alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from bqx.serve.monitor.finding import Finding

if TYPE_CHECKING:
    from bqx.research.training.folder import Run

EVIDENCE = frozenset({"loss", "coverage"})
"""Checks that speak of performance."""


@dataclass(frozen=True)
class Decision:
    """retrain : whether; why : `performance`, `schedule` or `none`; what : in words."""

    retrain: bool
    why: Literal["performance", "schedule", "none"]
    what: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Verdict(Protocol):
    """One champion-challenger comparison, such as `registry.comparison.Compared`."""

    @property
    def p_better(self) -> float: ...

    @property
    def p_worse(self) -> float: ...


def decide(findings: Iterable[Finding], *, age_days: float | None, every: int) -> Decision:
    """age_days : trade-calendar age of the model's data in days, None when not known. every : of the schedule, 0 never.

    Drift of inputs does not count: a model may be right on inputs it has seldom seen, and retraining on every move of
    the market exchanges models by chance.
    """
    evidence = sorted(f.what for f in findings if f.check in EVIDENCE)
    if evidence:
        return Decision(True, "performance", evidence[0])
    if every and age_days is not None and age_days >= every:
        return Decision(True, "schedule", f"the model's data end {age_days:.0f} days ago, the schedule is {every}")
    return Decision(False, "none", "no evidence of worse forecasts, and the schedule has time")


def champion(verdicts: Sequence[Verdict], *, alpha: float = 0.05) -> Literal["challenger", "champion"]:
    """Who serves on. verdicts : the challenger as `first` against the champion, by pair, horizon and target.

    The challenger wins when it is better somewhere by Diebold and Mariano after Holm (1979) over all comparisons, and
    nowhere worse by the same rule; otherwise the champion stays.
    """
    better = _holm([v.p_better for v in verdicts], alpha)
    worse = _holm([v.p_worse for v in verdicts], alpha)
    return "challenger" if better and not worse else "champion"


def _holm(p: list[float], alpha: float) -> bool:
    """Whether any is rejected: the smallest at alpha over their number decides that."""
    return bool(p) and min(p) <= alpha / len(p)


def compare_runs(challenger: Run, current: Run) -> dict[str, Any]:
    """Both runs on the rows they share, and who serves on."""
    from bqx.research.registry.comparison import compare

    rows = compare(challenger, current)
    return {"challenger": challenger.name, "champion": current.name, "keeps": champion(rows),
            "comparisons": [r.as_dict() for r in rows]}  # fmt: skip
