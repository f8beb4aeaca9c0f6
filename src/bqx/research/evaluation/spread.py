"""The width of forecasts: coverage of intervals, PIT, pinball, CRPS, and the probability of a rise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import EvaluationError
from bqx.market.sim_math import inverse_normal
from bqx.research.bootstrap import block_length, resampled_sums
from bqx.research.evaluation.coverage import SLACK, Coverage, coverage
from bqx.research.evaluation.pit import Pit, interval_of, pit_test
from bqx.research.evaluation.quantile_scores import crps, pinball
from bqx.research.evaluation.rows import Rows
from bqx.research.evaluation.strata import SESSIONS, TERCILES
from bqx.research.evaluation.sums import WIDTH, added
from bqx.research.evaluation.worth import memory
from bqx.research.skill import DRAWS, NO_SKILL

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
LEVELS = np.array([0.05, 0.10, 0.50, 0.90, 0.95])
NOMINAL = {"80": 0.8, "90": 0.9}
_NORMAL = np.array([float(inverse_normal(float(p))) for p in LEVELS])


@dataclass(frozen=True, slots=True)
class Gain:
    """Mean score of the forecast and of the random walk's, the share saved and its 95 % interval."""

    score: float
    walk: float
    skill: float
    low: float
    high: float
    n: int

    def as_dict(self) -> dict[str, Any]:
        words = "better than the random walk's" if self.low > 0 else NO_SKILL
        return {"score": self.score, "walk": self.walk, "skill": self.skill, "low": self.low, "high": self.high,
                "n": self.n, "verdict": words}  # fmt: skip


@dataclass(frozen=True)
class SpreadFound:
    """coverage : nominal ("80", "90") -> part -> Coverage, parts being pooled, h = H and session x volatility.

    pit : by horizon and "pooled". pinball : level -> mean loss. crps : against the quantiles of N(0, 1), which is what
    a random walk of that sigma has; brier : of p_up against 1/2. None where the head was not trained.
    """

    coverage: dict[str, dict[str, Coverage]]
    pit: dict[str, Pit]
    pinball: dict[str, float]
    crps: Gain | None
    brier: Gain | None

    @property
    def within(self) -> bool | None:
        """Pooled 90 % coverage in 88 to 92 % and every stratum in 85 to 95 %; None without intervals."""
        parts = self.coverage.get("90")
        return all(c.within for c in parts.values()) if parts else None

    def as_dict(self) -> dict[str, Any]:
        return {
            "coverage": {k: {part: c.as_dict() for part, c in v.items()} for k, v in self.coverage.items()},
            "within": self.within,
            "pit": {k: v.as_dict() for k, v in self.pit.items()},
            "pinball": self.pinball,
            "crps": None if self.crps is None else self.crps.as_dict(),
            "brier": None if self.brier is None else self.brier.as_dict(),
        }


@dataclass
class SpreadSums:
    """Takes cells one by one; tables (times, columns) by part."""

    numbers: I8
    seed: int = 0
    draws: int = DRAWS
    held: dict[str, dict[str, F8]] = field(default_factory=dict)
    pits: dict[str, F8] = field(default_factory=dict)
    scores: dict[str, F8] = field(default_factory=dict)
    pinballs: dict[str, list[float]] = field(default_factory=dict)
    longest: int = 1

    def add(self, rows: Rows) -> None:
        y, at, n = rows.truth["y4"], np.searchsorted(self.numbers, rows.position // WIDTH), len(self.numbers)
        self.longest = max(self.longest, rows.horizon)
        if rows.intervals is not None:
            for name in NOMINAL:
                low, high = rows.intervals[f"lo{name}"], rows.intervals[f"hi{name}"]
                table = np.column_stack([(y >= low) & (y <= high), np.ones(len(y)), high - low]).astype(np.float64)
                parts = self.held.setdefault(name, {})
                for part, mask in self._parts(rows):
                    _plus(parts, part, added(table[mask], at[mask], n))
        if rows.quantiles is not None:
            counts = added(np.eye(len(LEVELS) + 1)[interval_of(y, rows.quantiles)], at, n)
            for part in ("pooled", f"h = {rows.horizon}"):
                _plus(self.pits, part, counts)
            flat = np.tile(_NORMAL, (len(y), 1))
            pair = np.column_stack([np.ones(len(y)), crps(y, flat, LEVELS), crps(y, rows.quantiles, LEVELS)])
            _plus(self.scores, "crps", added(pair, at, n))
            for k, level in enumerate(LEVELS.tolist()):
                lost = self.pinballs.setdefault(f"{level:.2f}", [0.0, 0.0])
                lost[0] += float(pinball(y, rows.quantiles[:, k], level).sum())
                lost[1] += len(y)
        if rows.p_up is not None:
            square = (rows.p_up - (y > 0.0)) ** 2
            _plus(self.scores, "brier", added(np.column_stack([np.ones(len(y)), np.full(len(y), 0.25), square]), at, n))

    @staticmethod
    def _parts(rows: Rows) -> list[tuple[str, NDArray[np.bool_]]]:
        out = [("pooled", np.ones(len(rows), bool)), (f"h = {rows.horizon}", np.ones(len(rows), bool))]
        out += [
            (f"{session}, {tercile}", (rows.session == s) & (rows.tercile == v))
            for s, session in enumerate(SESSIONS)
            for v, tercile in enumerate(TERCILES)
        ]
        return out

    def found(self) -> SpreadFound:
        lags = memory(self.longest, WIDTH, len(self.numbers))
        held: dict[str, dict[str, Coverage]] = {}
        for name, parts in self.held.items():
            for part, table in parts.items():
                slack = SLACK["pooled" if part == "pooled" else "stratum"]
                try:
                    held.setdefault(name, {})[part] = coverage(table, NOMINAL[name], lags, slack=slack)
                except EvaluationError:  # fewer than 50 outcomes say nothing of a stratum; the report counts strata
                    continue
        return SpreadFound(
            coverage={name: dict(sorted(parts.items(), key=_place)) for name, parts in held.items()},
            pit={part: pit_test(counts, LEVELS, lags) for part, counts in self.pits.items()},
            pinball={k: lost / n for k, (lost, n) in self.pinballs.items()},
            crps=self._gain("crps"),
            brier=self._gain("brier"),
        )

    def _gain(self, name: str) -> Gain | None:
        table = self.scores.get(name)
        if table is None:
            return None
        n, walk, model = table.sum(axis=0).tolist()
        block = block_length(table[:, 1] - table[:, 2], floor=2.0 * self.longest / WIDTH)
        drawn = resampled_sums(np.ascontiguousarray(table[:, 1:]), block, self.draws, self.seed)
        low, high = np.quantile(1.0 - drawn[:, 1] / drawn[:, 0], [0.025, 0.975]).tolist()
        return Gain(model / n, walk / n, 1.0 - model / walk, low, high, int(n))


def _place(part: tuple[str, Coverage]) -> tuple[int, int]:
    """Pooled, horizons, then strata as they came."""
    name = part[0]
    return (0, 0) if name == "pooled" else (1, int(name[4:])) if name.startswith("h = ") else (2, 0)


def _plus(tables: dict[str, F8], part: str, table: F8) -> None:
    tables[part] = tables[part] + table if part in tables else table
