"""The table of a run: every question with its rates over the whole family, and which of them are kept as links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from bqx.research.causality.answer import Answer
from bqx.research.causality.fdr import benjamini_hochberg, benjamini_yekutieli

CONFIRMED = 0.05
Question = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Link:
    """A question and its answer from the last training window, q over the family, and what later data said.

    support : folds that confirmed it at 5 %, of `folds` whose test block could be asked; None when none was, because
    the question did not pass before. kept : q_by <= q, bootstrap p <= q (Granger), confirmed often enough.
    """

    method: str
    series: str
    source: str
    target: str
    lag: int | None
    order: int | None
    sign: int | None
    statistic: float | None
    effect: float | None
    p: float
    p_boot: float | None
    q_bh: float
    q_by: float
    confirmed: int | None
    folds: int
    support: float | None
    kept: bool
    rows: int
    reason: str
    more: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def rates(answers: Sequence[Answer]) -> tuple[list[float], list[float]]:
    """q_bh and q_by of all answers together: one family."""
    p = [a.p for a in answers]
    return benjamini_hochberg(p).tolist(), benjamini_yekutieli(p).tolist()


def passes(answer: Answer, q_by: float, q: float) -> bool:
    """Before confirmation: the family's rate, and the bootstrap beside it."""
    return q_by <= q and (answer.p_boot is None or answer.p_boot <= q)


def link_table(
    answers: Sequence[Answer], confirmations: Mapping[Question, Sequence[float | None]], q: float, support: float
) -> list[Link]:
    """`confirmations` : p on each fold's test block, None where it was not asked; absent for TE that did not pass."""
    bh, by = rates(answers)
    out = []
    for a, q_bh, q_by in zip(answers, bh, by, strict=True):
        seen = [p for p in confirmations.get(a.question, ()) if p is not None]
        confirmed = sum(p <= CONFIRMED for p in seen) if seen else None
        share = None if confirmed is None else confirmed / len(seen)
        kept = passes(a, q_by, q) and share is not None and share >= support
        out.append(
            Link(
                a.method, a.series, a.source, a.target, a.lag, a.order, a.sign, a.statistic, a.effect, a.p, a.p_boot,
                q_bh, q_by, confirmed, len(seen), share, kept, a.rows, a.reason, a.more or {},
            )
        )  # fmt: skip
    return out


def frame(links: Sequence[Link]) -> pl.DataFrame:
    """One row a question, without what only one method has."""
    rows = [{k: v for k, v in link.as_dict().items() if k != "more"} for link in links]
    return pl.DataFrame(rows, infer_schema_length=None)
