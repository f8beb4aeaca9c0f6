"""A verdict on a table of losses: skill against every benchmark, with intervals and what noise gets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import EvaluationError
from bqx.research.bootstrap import block_length, resampled_sums
from bqx.research.causality.clark_west import adjusted_gain
from bqx.research.compare_losses import diebold_mariano
from bqx.research.evaluation.noise import Noise, flipped
from bqx.research.evaluation.sums import HITS, MODEL, ROWS, SIGNS, SQUARE, WALK, WIDTH
from bqx.research.evaluation.worth import memory
from bqx.research.skill import DRAWS, FEWEST, NO_SKILL, TOO_GOOD_HITS, TOO_GOOD_SKILL

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
RANDOM_WALK = "random walk"
SKILL, QUARANTINED = "skill against the random walk", "quarantined: too good to be true, look for a leak"
SURE_SKILL, SURE_HITS = 0.025, 0.54
"""What the lower bound must exceed before a figure above the limits of L14 is held for a leak and not for luck."""


@dataclass(frozen=True, slots=True)
class Beaten:
    """skill against a benchmark, its 95 % interval, p : one-sided Diebold-Mariano that the model is no better."""

    skill: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, slots=True)
class Found:
    """What a part of the rows says. against : benchmark -> Beaten, the random walk first.

    hit_low, hit_high : 95 % interval of the share of right signs, NaN without any. clark_west : p against the random
    walk, which the model nests. block : bars, mean block of the bootstrap. gated : a part of an answer that as a whole
    demonstrates nothing.
    watched : L14 looks at it; not at slices of a pair's time, of which one in many is above the limits by luck, and not
    when somebody has signed.
    """

    part: str
    target: str
    horizon: int | None
    against: dict[str, Beaten]
    noise: Noise
    clark_west: float
    hit_rate: float
    hit_low: float
    hit_high: float
    n_rows: int
    n_effective: float
    block: float
    gated: bool = False
    watched: bool = True

    @property
    def walk(self) -> Beaten:
        return self.against[RANDOM_WALK]

    @property
    def quarantined(self) -> bool:
        """L14: above its limits, and surely so."""
        good = self.walk.skill > TOO_GOOD_SKILL and self.walk.low > SURE_SKILL
        return self.watched and (good or (self.hit_rate > TOO_GOOD_HITS and self.hit_low > SURE_HITS))

    @property
    def demonstrated(self) -> bool:
        return not self.gated and self.walk.low > 0.0 and self.walk.skill > self.noise.high

    @property
    def verdict(self) -> str:
        if self.quarantined:
            return QUARANTINED
        return SKILL if self.demonstrated else NO_SKILL

    def as_dict(self) -> dict[str, Any]:
        walk = self.walk
        hits = {"hit_rate": self.hit_rate, "hit_low": self.hit_low, "hit_high": self.hit_high}
        return {
            "part": self.part, "target": self.target, "horizon": self.horizon,
            "skill": walk.skill, "low": walk.low, "high": walk.high, "dm_p": walk.p, "clark_west_p": self.clark_west,
            "noise_mean": self.noise.mean, "noise_95": self.noise.high, "noise_p": self.noise.p,
            **{k: None if math.isnan(v) else v for k, v in hits.items()},
            "against": {k: {"skill": b.skill, "low": b.low, "high": b.high, "dm_p": b.p}
                        for k, b in self.against.items()},
            "n_rows": self.n_rows, "n_effective": self.n_effective, "block": self.block,
            "quarantined": self.quarantined, "verdict": self.verdict,
        }  # fmt: skip


def judge(
    table: F8,
    numbers: I8,
    benchmarks: Sequence[str],
    *,
    part: str,
    target: str,
    horizon: int | None,
    longest: int,
    worth: float,
    seed: int = 0,
    draws: int = DRAWS,
) -> Found:
    """Judge a table of :class:`Sums` (times, columns), `numbers` of its times, labels of at most `longest` bars.

    worth : independent labels a row stands for. Interval: stationary bootstrap of times, which hold all pairs, so that
    dependence between pairs and overlap stay in; mean block by Politis and White, at least 2 x `longest` bars.
    EvaluationError below 500 rows, or when they all lie in so few stretches that a resample may miss them.
    """
    rows, walk = float(table[:, ROWS].sum()), float(table[:, WALK].sum())
    if rows < FEWEST or walk <= 0.0:
        raise EvaluationError(f"{int(rows)} forecasts to judge, {FEWEST} are the least", where=part)
    block = block_length(table[:, WALK] - table[:, MODEL], floor=2.0 * longest / WIDTH)
    columns = [WALK, MODEL, HITS, SIGNS, *range(MODEL + 1, table.shape[1])]
    drawn = resampled_sums(np.ascontiguousarray(table[:, columns]), block, draws, seed)
    if not (drawn[:, 0] > 0.0).all():
        raise EvaluationError("the rows lie in too few stretches of time for an interval", where=part)
    window = memory(longest, WIDTH, len(table))
    lag = min(math.ceil(longest / WIDTH), len(table) // 5)
    against = {}
    for name, column, place in _order(benchmarks):
        if not float(table[:, column].sum()) > 0.0:
            raise EvaluationError(f"{name} is never wrong: it knows the outcome", where=part)
        low, high = np.quantile(1.0 - drawn[:, 1] / drawn[:, place], [0.025, 0.975])
        p = diebold_mariano(table[:, MODEL], table[:, column], lag, window=window).better
        skill = 1.0 - float(table[:, MODEL].sum()) / float(table[:, column].sum())
        against[name] = Beaten(skill, float(low), float(high), p)
    hit = hit_low = hit_high = math.nan
    if table[:, SIGNS].sum() > 0 and (drawn[:, 3] > 0).all():
        hit = float(table[:, HITS].sum() / table[:, SIGNS].sum())
        hit_low, hit_high = np.quantile(drawn[:, 2] / drawn[:, 3], [0.025, 0.975]).tolist()
    return Found(
        part=part,
        target=target,
        horizon=horizon,
        against=against,
        noise=flipped(table[:, WALK], table[:, MODEL], table[:, SQUARE], numbers * WIDTH, seed),
        clark_west=adjusted_gain(table[:, WALK] - table[:, MODEL] + table[:, SQUARE], window)[1],
        hit_rate=hit,
        hit_low=hit_low,
        hit_high=hit_high,
        n_rows=int(rows),
        n_effective=rows * worth,
        block=block * WIDTH,
    )


def _order(benchmarks: Sequence[str]) -> list[tuple[str, int, int]]:
    """Name, column of the table, column of the resampled sums."""
    return [(RANDOM_WALK, WALK, 0), *((name, MODEL + 1 + k, 4 + k) for k, name in enumerate(benchmarks))]
