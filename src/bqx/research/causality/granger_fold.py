"""All Granger questions of one fold: asked on its training rows, confirmed on its test rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import CausalityError
from bqx.research.causality.answer import Answer, unasked
from bqx.research.causality.clark_west import FEWEST, clark_west
from bqx.research.causality.factors import Factors
from bqx.research.causality.granger import ROWS_A_PARAMETER, Fit, granger, independent, own_order
from bqx.research.causality.lagged import Lagged, runs
from bqx.research.causality.resample import I2, bootstrap_p, counts
from bqx.research.causality.series import Series
from bqx.research.causality.stationarity import Stationarity, stationarity
from bqx.research.split_plan import FoldSpan

F8 = NDArray[np.float64]
METHOD = "granger"


@dataclass(frozen=True)
class GrangerFold:
    """`series` without those that lack too much; everything fitted comes from the fold's training rows."""

    series: Series
    span: FoldSpan
    most: int
    draws: int
    seed: int

    @cached_property
    def train(self) -> Series:
        return self.series.rows(self.span.train_start, self.span.train_end)

    @cached_property
    def factors(self) -> Factors:
        known = np.isfinite(self.train.values).all(axis=1)
        if not known.any():
            raise CausalityError(f"no training row of fold {self.span.number} has all {len(self.series.names)} series")
        return Factors.fit(self.train.values[known], self.series.names)

    @cached_property
    def stationary(self) -> list[Stationarity]:
        values = self.train.values
        return [stationarity(values[np.isfinite(values[:, j]), j]) for j in range(values.shape[1])]

    @cached_property
    def depth(self) -> int:
        """Lags held: as many as the rows can bear, and one more for Toda and Yamamoto."""
        return min(self.most, max(len(self.train.values) // (ROWS_A_PARAMETER * 8), 1)) + 1

    def table(self, series: Series) -> tuple[F8, NDArray[np.int64]]:
        """Standardised series, factors and gaps (n, width), and how many complete rows precede each."""
        parts = [self.factors.standard(series.values), self.factors.of(series.values)]
        table = np.column_stack([*parts, *series.gaps.values()])
        complete = np.asarray(np.isfinite(table).all(axis=1))
        return np.where(complete[:, None], table, 0.0), runs(complete, series.segment, series.position, series.every)

    def controls(self, target: str) -> list[int]:
        """Columns that are given beside the target's own past: the factors, and its gap if it has one."""
        first = len(self.series.names)
        last = first + len(self.factors.names)
        gaps = list(self.train.gaps)
        return [*range(first, last), *([last + gaps.index(target)] if target in gaps else [])]

    @cached_property
    def data(self) -> Lagged:
        return Lagged.of(*self.table(self.train), self.depth)

    @cached_property
    def later(self) -> Lagged | None:
        """Test rows with all lags, none when they are too few to confirm anything."""
        values, age = self.table(self.series.rows(self.span.start, self.span.end))
        rows = np.flatnonzero(age >= self.depth)
        return Lagged(values, rows, self.depth, np.zeros((0, 0))) if len(rows) >= FEWEST else None

    @cached_property
    def drawn(self) -> I2:
        return counts(len(self.data.rows), self.draws, self.seed)

    def prepare(self) -> None:
        """What all targets share, computed before threads ask for it."""
        _ = self.data, self.drawn, self.later, self.stationary

    def ask(self, target: str) -> list[Answer]:
        """Every other series as a source of `target`, in the order of names."""
        names, data = self.series.names, self.data
        y = names.index(target)
        controls = independent(data, y, self.controls(target))
        most, doubt = self.depth - 1, [int(not s.certain) for s in self.stationary]
        own = {extra: own_order(data, y, controls, most, extra) for extra in {max(doubt[y], d) for d in doubt}}
        fits = {
            x: granger(data, y, x, controls, own[max(doubt[y], doubt[x])], most, max(doubt[y], doubt[x]))
            for x in range(len(names))
            if x != y
        }
        asked = {x: fit for x, fit in fits.items() if fit is not None}
        boot = dict(zip(asked, bootstrap_p([f.tilde * f.null_error[:, None] for f in asked.values()], self.drawn),
                        strict=True))  # fmt: skip
        out = []
        for x, fit in fits.items():
            question = (METHOD, self.series.kind, names[x], target, self.span.number)
            if fit is None:
                out.append(unasked(*question, "linearly dependent on the target's past and the factors"))
            else:
                out.append(answered(question, fit, float(boot[x]), confirm(self.later, y, fit)))
        return out


def answered(
    question: tuple[str, str, str, str, int], fit: Fit, boot: float, later: tuple[float, float] | None
) -> Answer:
    """The record of a fit; `later` is the statistic and p of Clark and West."""
    a = fit.answer
    more: dict[str, float | None] = {
        "f": a.f,
        "f_p": a.f_p,
        "wald_p": a.wald_p,
        "lm_p": a.lm_p,
        "own_order": a.own,
        "extra": a.extra,
    }
    more["clark_west"] = None if later is None else later[0]
    return Answer(
        *question, a.p, a.wald, a.order, a.lag, a.sign, a.gain / 2, a.rows, boot,
        None if later is None else later[1], more=more,
    )  # fmt: skip


def confirm(later: Lagged | None, target: int, fit: Fit) -> tuple[float, float] | None:
    """Clark and West on rows after the training's, with its coefficients."""
    if later is None:
        return None
    base, source = later.block(fit.base), later.block(fit.source)
    y = later.block([later.at(target, 0)])[:, 0]
    large = base @ fit.large[: len(fit.base)] + source @ fit.large[len(fit.base) :]
    return clark_west(y, base @ fit.small, large)


def questions(names: Sequence[str]) -> list[tuple[str, str]]:
    """All directed pairs (source, target): 756 of 28."""
    return [(a, b) for b in names for a in names if a != b]
