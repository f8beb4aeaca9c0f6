"""All of one target: the pooled skill, its parts, the cells with their false discovery rates, the confidence set."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import EvaluationError
from bqx.research.bootstrap import block_length
from bqx.research.causality.fdr import benjamini_hochberg, benjamini_yekutieli
from bqx.research.evaluation.calibration import Calibration, from_moments, moments
from bqx.research.evaluation.cell import Cell, cell_of
from bqx.research.evaluation.confidence_set import ConfidenceSet, confidence_set
from bqx.research.evaluation.coverage import ratio
from bqx.research.evaluation.judge import RANDOM_WALK, Found, judge
from bqx.research.evaluation.rows import Rows
from bqx.research.evaluation.strata import SESSIONS, TERCILES
from bqx.research.evaluation.sums import MODEL, WALK, WIDTH, Sums, added
from bqx.research.evaluation.worth import effective, memory, spacing
from bqx.research.skill import DRAWS

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
POOLED = ("pooled", "")
KINDS = ("horizon", "pair", "session", "tercile", "fold")
TENTHS = 10


@dataclass(frozen=True)
class TargetFound:
    """parts : kind (horizon, pair, session, tercile, fold) -> one Found each; a part with fewer than 500 rows is in
    `left_out`. calibration and curve by horizon; a curve is a row a tenth of forecasts: mean forecast, mean outcome,
    error of it, rows."""

    target: str
    pooled: Found
    parts: dict[str, list[Found]]
    cells: list[Cell]
    calibration: dict[int, Calibration | None]
    curve: list[tuple[float, float, float, int]]
    confidence: ConfidenceSet | None
    left_out: tuple[str, ...]

    @property
    def quarantined(self) -> bool:
        return bool(self.too_good)

    @property
    def too_good(self) -> list[str]:
        """What is too good, with its figures."""
        parts = [self.pooled, *(f for fs in self.parts.values() for f in fs), *(c.found for c in self.cells)]
        return [
            f"{self.target} {f.part}: skill {f.walk.skill:.3f}, hits {f.hit_rate:.3f}" for f in parts if f.quarantined
        ]

    def signed(self) -> TargetFound:
        """The same after somebody answered for what is too good: verdicts are those of skill alone."""
        return replace(
            self,
            pooled=replace(self.pooled, watched=False),
            parts={k: [replace(f, watched=False) for f in v] for k, v in self.parts.items()},
            cells=[replace(c, found=replace(c.found, watched=False)) for c in self.cells],
        )

    def as_dict(self) -> dict[str, Any]:
        return {
            "target": self.target, "pooled": self.pooled.as_dict(),
            "parts": {k: [f.as_dict() for f in v] for k, v in self.parts.items()},
            "cells": [c.as_dict() for c in self.cells],
            "calibration": {str(h): None if c is None else c.as_dict() for h, c in self.calibration.items()},
            "curve": [{"forecast": f, "outcome": y, "error": e, "rows": n} for f, y, e, n in self.curve],
            "confidence_set": None if self.confidence is None else self.confidence.as_dict(),
            "left_out": list(self.left_out),
        }  # fmt: skip


@dataclass
class TargetSums:
    """Takes cells one by one, so that no more than one is in memory, then judges.

    numbers : of all times; benchmarks : names that every cell has. kinds : of parts to judge beside the pooled whole.
    """

    target: str
    numbers: I8
    benchmarks: tuple[str, ...]
    seed: int = 0
    draws: int = DRAWS
    kinds: tuple[str, ...] = KINDS
    spacings: list[int] = field(default_factory=list)
    sums: Sums = field(init=False)
    cells: list[Cell] = field(default_factory=list)
    moments: dict[int, F8] = field(default_factory=dict)
    tenths: list[F8] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sums = Sums(self.numbers, self.benchmarks)

    def add(self, rows: Rows) -> None:
        """A cell: to the parts it belongs to, and its own tests."""
        y, f = rows.truth[self.target], rows.forecasts[self.target]["model"]
        parts: list[tuple[tuple[str, str], NDArray[np.bool_] | None]] = [
            (POOLED, None), (("horizon", str(rows.horizon)), None), (("pair", rows.pair), None),
        ]  # fmt: skip
        parts += [(("session", name), rows.session == k) for k, name in enumerate(SESSIONS)]
        parts += [(("tercile", name), rows.tercile == k) for k, name in enumerate(TERCILES)]
        parts += [(("fold", str(k)), rows.fold == k) for k in np.unique(rows.fold).tolist()]
        kept = [
            (key, mask) for key, mask in parts if key[0] in ("pooled", *self.kinds) and (mask is None or mask.any())
        ]
        whole = self.sums.add(rows, self.target, kept)
        at, n = self.sums.when(rows), len(self.numbers)
        total = added(moments(y, f), at, n)
        self.moments[rows.horizon] = self.moments[rows.horizon] + total if rows.horizon in self.moments else total
        self._add_tenths(y, f, at)
        every = spacing(rows.position)
        self.spacings.append(every)
        try:
            found = judge(
                whole,
                self.numbers,
                self.benchmarks,
                part=f"{rows.pair}, h = {rows.horizon}",
                target=self.target,
                horizon=rows.horizon,
                longest=rows.horizon,
                worth=effective(1.0, self.target, rows.horizon, every),
                seed=self.seed,
                draws=self.draws,
            )
        except EvaluationError as error:
            self.left_out.append(f"{error.where}: {error.what}")
            return
        self.cells.append(cell_of(rows, self.target, found))

    def _add_tenths(self, y: F8, f: F8, at: I8) -> None:
        """Outcome, forecast and count of each tenth of the cell's forecasts by time."""
        rank = np.argsort(np.argsort(f, kind="stable"), kind="stable") * TENTHS // len(f)
        for k in range(TENTHS):
            mine = rank == k
            part = added(np.column_stack([y, f, np.ones(len(y))])[mine], at[mine], len(self.numbers))
            if len(self.tenths) <= k:
                self.tenths.append(part)
            else:
                self.tenths[k] += part

    def found(self) -> TargetFound:
        """Judge everything added; EvaluationError when all together are too few."""
        pooled = self._judge(POOLED)
        parts: dict[str, list[Found]] = {k: [] for k in KINDS}
        for kind, name in self.sums.tables:
            if kind in parts:
                try:
                    one = self._judge((kind, name))
                except EvaluationError as error:
                    self.left_out.append(f"{error.where}: {error.what}")
                    continue
                watched = kind in ("horizon", "pair")
                parts[kind].append(replace(one, gated=not pooled.demonstrated, watched=watched))
        parts["horizon"].sort(key=lambda f: f.horizon or 0)
        cells = [replace(c, found=replace(c.found, gated=not pooled.demonstrated)) for c in self.cells]
        p = [c.found.walk.p for c in cells]
        family = p + [1.0] * len(self._cells_left_out)
        bh, by = benjamini_hochberg(family), benjamini_yekutieli(family)
        cells = [replace(c, q_bh=float(bh[k]), q_by=float(by[k])) for k, c in enumerate(cells)]
        lags = {h: memory(h, WIDTH, len(self.numbers)) for h in self.moments}
        return TargetFound(
            target=self.target,
            pooled=pooled,
            parts=parts,
            cells=cells,
            calibration={h: from_moments(t, lags[h]) for h, t in sorted(self.moments.items())},
            curve=[self._tenth(t, max(lags.values())) for t in self.tenths],
            confidence=self._confidence(),
            left_out=tuple(self.left_out),
        )

    @property
    def _cells_left_out(self) -> set[tuple[str, int]]:
        done = {(c.pair, c.found.horizon) for c in self.cells}
        return {cell for cell in self.sums.cells[POOLED] if cell not in done}

    def _judge(self, key: tuple[str, str]) -> Found:
        cells = self.sums.cells[key]
        pairs, horizons = {p for p, _ in cells}, {h for _, h in cells}
        longest = max(horizons)
        legs = min(max(len({c for p in pairs for c in (p[:3], p[3:])}) - 1, 1), len(pairs))
        layers = len(cells) / len(pairs)
        return judge(
            self.sums.tables[key],
            self.numbers,
            self.benchmarks,
            part=" ".join(k for k in key if k),
            target=self.target,
            horizon=longest if len(horizons) == 1 else None,
            longest=longest,
            worth=effective(1.0, self.target, longest, min(self.spacings)) * legs / (len(pairs) * layers),
            seed=self.seed,
            draws=self.draws,
        )

    def _confidence(self) -> ConfidenceSet | None:
        """Random walk, model and every benchmark, on all cells together."""
        table = self.sums.tables[POOLED]
        longest = max(self.moments)
        block = block_length(table[:, WALK] - table[:, MODEL], floor=2.0 * longest / WIDTH)
        columns = [WALK, MODEL, *range(MODEL + 1, table.shape[1])]
        names = [RANDOM_WALK, "model", *self.benchmarks]
        scale = len(table) / float(table[:, WALK].sum())
        return confidence_set(table[:, columns] * scale, names, block, seed=self.seed)

    def _tenth(self, table: F8, lags: int) -> tuple[float, float, float, int]:
        mean, error = ratio(table[:, 0], table[:, 2], lags)
        rows = float(table[:, 2].sum())
        return float(table[:, 1].sum()) / rows, mean, 0.0 if math.isnan(error) else error, int(rows)
