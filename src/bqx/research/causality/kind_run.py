"""All questions of one kind of series: folds, Granger, transfer entropy, each in parts that are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import CausalityError
from bqx.research.causality.answer import Answer, unasked
from bqx.research.causality.factors import Factors
from bqx.research.causality.feature_fold import ask_features
from bqx.research.causality.folds import folds_of
from bqx.research.causality.granger_fold import GrangerFold, questions
from bqx.research.causality.links import Question
from bqx.research.causality.parts import Parts, Tell
from bqx.research.causality.series import LEAST_SHARE, Series
from bqx.research.causality.settings import Settings
from bqx.research.causality.te_fold import TeWindow
from bqx.research.causality.te_plan import TePlan
from bqx.research.causality.te_stage import TeStage

F8 = NDArray[np.float64]
Features = Callable[[str, Series], dict[str, F8]]
"""Pair and series -> features at the rows of the series."""
FEWEST_SERIES = 2


@dataclass
class KindRun:
    """`series` as it comes; those that lack too much leave it here and stay in the family with p = 1."""

    series: Series
    settings: Settings
    features: Features
    parts: Parts
    workers: int
    tell: Tell | None = None
    answers: list[Answer] = field(default_factory=list)
    confirmations: dict[Question, list[float | None]] = field(default_factory=dict)
    plan: TePlan | None = None
    stationary: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        s, raw = self.settings, self.series
        self.kind = raw.kind
        self.good, self.dropped = raw.complete()
        if len(self.good.names) < FEWEST_SERIES:
            raise CausalityError(
                f"{len(self.good.names)} series of {self.kind} have {100 * LEAST_SHARE:.0f} % of their steps, not two",
                fix="import more bars, or give a span that the pairs share",
            )
        first, last = int(raw.position[0]) - raw.every + 1, int(raw.position[-1]) + 1
        self.folds, self.text = folds_of(first, last - first, raw.every)
        if not self.folds:
            raise CausalityError(f"no fold has training and test rows of {self.kind}", fix="give a longer span")
        self.pairs = questions(s.pairs)
        self.last = self.folds[-1]

    def run(self) -> None:
        """Answers and confirmations by Granger, answers by TE; TE is confirmed later, when the family is known."""
        if "granger" in self.settings.methods:
            self._granger()
        if "te" in self.settings.methods:
            self._te()

    def _granger(self) -> None:
        s = self.settings
        for span in self.folds:
            fold = GrangerFold(self.good, span, s.max_order, s.draws, s.seed)
            units = {f"granger-{self.kind}-{span.number}-{t}": partial(self._ask, fold, t) for t in self.good.names}
            if not all(self.parts.has(name) for name in units):
                fold.prepare()
            found = [Answer(**a) for part in self.parts.run(units, self.workers, self.tell) for a in part]
            for a in found:
                self.confirmations.setdefault(a.question, []).append(a.confirm_p)
            if span is self.last:
                self._keep("granger", found)
        name = f"stationarity-{self.kind}"
        self.stationary = self.parts.run({name: lambda: self._stationarity(fold)}, 1)[0]

    def _ask(self, fold: GrangerFold, target: str) -> list[dict[str, Any]]:
        found = fold.ask(target)
        if self.settings.features:
            found += ask_features(fold, target, self.features(target, self.good))
        return [a.as_dict() for a in found]

    def _stationarity(self, fold: GrangerFold) -> list[dict[str, Any]]:
        return [{"series": n, **s.as_dict()} for n, s in zip(self.good.names, fold.stationary, strict=True)]

    def _keep(self, method: str, found: list[Answer]) -> None:
        """In the family's order, with p = 1 for what was left out."""
        known = {a.question: a for a in found}
        wanted = [*self.pairs, *((f, t) for t in self.settings.pairs for f in self.settings.features)]
        for source, target in wanted:
            out = next((n for n in (source, target) if n in self.dropped), None)
            if out is None and (source in self.settings.pairs and source not in self.series.names):
                out = source
            answer = known.get((method, self.kind, source, target))
            reason = f"{out} lacks more than a tenth of the steps" if out else f"{target} has no bars here"
            self.answers.append(answer or unasked(method, self.kind, source, target, self.last.number, reason))

    def _te(self) -> None:
        stage = self._stage(self.last.train_start, self.last.train_end)
        screened = stage.screened()
        passed = sum("reason" not in how for found in screened.values() for how in found)
        self.plan = TePlan.of(passed, self.settings.budget / len(self.settings.kinds))
        self._keep("te", stage.answers(screened, self.plan, self.last.number))

    def confirm(self, passed: list[Answer]) -> None:
        """TE links that the family lets through, asked again on each fold's test block."""
        if not passed or self.plan is None:
            return
        rows = self.plan.confirm_rows(len(passed) * len(self.folds))
        tests = [
            ((a.source, a.target), {"delay": a.lag, "own": (a.more or {})["own_depth"], "depth": a.order})
            for a in passed
        ]
        for span in self.folds:
            stage = self._stage(span.start, span.end)
            for a, p in zip(passed, stage.confirm(tests, stage.window, rows, span.number), strict=True):
                self.confirmations.setdefault(a.question, []).append(p)

    def _stage(self, start: int, stop: int) -> TeStage:
        train = self.good.rows(self.last.train_start, self.last.train_end)
        known = train.values[np.isfinite(train.values).all(axis=1)]
        if not len(known):
            raise CausalityError(f"no row of {self.kind} has all {len(train.names)} series")
        factors, part = Factors.fit(known, train.names), self.good.rows(start, stop)
        plain = TeWindow(part, factors, self.settings.seed, {})

        def window(target: str) -> TeWindow:
            if not self.settings.features:
                return plain
            return TeWindow(part, factors, self.settings.seed, self.features(target, part))

        names = self.good.names
        asked: Mapping[str, list[str]] = {t: [*(n for n in names if n != t), *self.settings.features] for t in names}
        return TeStage(self.kind, asked, window, self.parts, self.workers, self.tell)
