"""Transfer-entropy questions of one window: the same rows serve to screen, to ask and, on later data, to confirm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.research.causality.embedding import MOST as DEPTHS
from bqx.research.causality.embedding import ragwitz
from bqx.research.causality.factors import FEWEST_PAIRS, Factors
from bqx.research.causality.lagged import runs
from bqx.research.causality.ordinal import DELAYS, patterns
from bqx.research.causality.series import Series
from bqx.research.causality.surrogates import Sequential
from bqx.research.causality.transfer import (
    Question,
    Screen,
    Transfer,
    ask,
    block_sample,
    described,
    ordinal_screen,
)

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
METHOD = "te"
REACH = DELAYS + DEPTHS
SCREEN_ROWS, EMBED_ROWS = 20_000, 1500


@dataclass(frozen=True)
class TeWindow:
    """Rows of `series` in one window. `factors` come from training rows; `more` are further sources, such as features,
    each (n,) on the rows of `series`."""

    series: Series
    factors: Factors
    seed: int
    more: Mapping[str, F8]

    @property
    def names(self) -> list[str]:
        return [*self.series.names, *self.more]

    @cached_property
    def values(self) -> F8:
        return np.column_stack([self.factors.standard(self.series.values), *self.more.values()])

    @cached_property
    def common(self) -> F8:
        """The first factor there is, and the log of all pairs' mean movement, so that shared turmoil is no link."""
        own = self.factors.standard(self.series.values)
        factors = self.factors.of(self.series.values)[:, -1:]
        if own.shape[1] < FEWEST_PAIRS:
            return factors
        return np.column_stack([factors, np.log(np.abs(own).mean(axis=1) + 1e-3)])

    def age(self, source: str) -> I8:
        """Complete rows before each; a feature may lack rows that the pairs have."""
        known = np.isfinite(self.series.values).all(axis=1)
        if source in self.more:
            known &= np.isfinite(self.more[source])
        return runs(np.asarray(known), self.series.segment, self.series.position, self.series.every)

    @cached_property
    def shared_age(self) -> I8:
        return self.age("")

    def rows(self, source: str) -> I8:
        """Rows that a question may use: all lags, delays and patterns lie in one unbroken run."""
        age = self.age(source) if source in self.more else self.shared_age
        return np.flatnonzero(age >= REACH)

    def column(self, name: str) -> F8:
        return self.values[:, self.names.index(name)]

    def aim(self, target: str) -> F8:
        """The target less a linear fit on the gap it had a step before; its own past is that of this series."""
        y = self.column(target)
        gap = self.series.gaps.get(target)
        if gap is None:
            return y
        rows = np.flatnonzero(self.shared_age >= 1)
        before = np.column_stack([np.ones(len(rows)), gap[rows - 1]])
        out = np.full(len(y), np.nan)
        out[rows] = y[rows] - before @ np.linalg.lstsq(before, y[rows], rcond=None)[0]
        return out

    def screen(self, source: str, target: str, stream: int) -> Screen:
        """Ordinal screen of what is left of the source after a linear fit on target and common factor of the same step:
        what both share at one time is in the target's past, but its three values' order does not tell all of that."""
        age = self.age(source) if source in self.more else self.shared_age
        known = age >= 1
        y, x = self.aim(target), self.column(source).copy()
        rest = np.column_stack([np.ones(int(known.sum())), y[known], self.common[known, :1]])
        x[known] -= rest @ np.linalg.lstsq(rest, x[known], rcond=None)[0]
        rows = block_sample(np.flatnonzero(age >= REACH), SCREEN_ROWS, self.seed)
        return ordinal_screen(patterns(y, age), patterns(x, age), rows, self.seed, stream)

    def depth(self, name: str) -> int:
        """Ragwitz's embedding of a series, from its own past alone."""
        x = self.aim(name) if name in self.series.names else self.column(name)
        rows = block_sample(self.rows(name), EMBED_ROWS, self.seed)
        return ragwitz(np.column_stack([x[rows - lag] for lag in range(1, DEPTHS + 1)]), x[rows])

    def question(self, source: str, target: str, delay: int, own: int, depth: int, size: int) -> Question:
        rows = block_sample(self.rows(source), size, self.seed)
        y, x = self.aim(target), self.column(source)
        past = np.column_stack([y[rows - lag] for lag in range(1, own + 1)])
        common = np.column_stack([self.common[rows - delay, :1], self.common[rows - 1, 1:]])
        late = np.column_stack([x[rows - delay - lag] for lag in range(depth)])
        return Question(y[rows], past, common, late, rows)

    def ask(self, source: str, target: str, how: Mapping[str, Any], size: int, until: int, stream: int,
            values: list[float] | None = None) -> tuple[Transfer, Sequential]:  # fmt: skip
        """how : `delay`, `own`, `depth`. values : surrogates of an earlier round with the same size."""
        question = self.question(source, target, how["delay"], how["own"], how["depth"], size)
        state = None if values is None else Sequential(float(question.truth().mean()), list(values))
        answer, state = ask(question, state, until, self.seed, stream)
        return described(answer, how["delay"], how["own"], how["depth"]), state
