"""Skill against the random-walk forecast, with its interval and with what pure noise gets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import CheckError
from bqx.research.bootstrap import block_length, resampled_sums

F8 = NDArray[np.float64]
DRAWS = 2000
TOO_GOOD_SKILL, TOO_GOOD_HITS = 0.05, 0.58
NO_SKILL = "no demonstrated skill"
FEWEST = 500


@dataclass(frozen=True, slots=True)
class Skill:
    """skill = 1 - MSE(model) / MSE(random walk). `horizon` is None for all horizons together.

    low, high : 95 % interval, stationary bootstrap of time blocks (`block` bars on average) common to all pairs.
    noise_mean, noise_95 : mean and 95 % quantile of the skill of the same pipeline on targets whose signs were
    flipped at random; a skill below noise_95 is what noise may get.
    gated : a horizon of an answer whose pooled skill is not demonstrated; one of five may look good by chance.
    n_effective : independent labels that the rows are worth (overlap, and pairs sharing currencies).
    """

    horizon: int | None
    skill: float
    low: float
    high: float
    noise_mean: float
    noise_95: float
    hit_rate: float
    n_rows: int
    n_times: int
    n_effective: float
    block: float
    gated: bool = False

    @property
    def quarantined(self) -> bool:
        """Too good for intraday currencies: a leak until shown otherwise (test L14)."""
        return self.skill > TOO_GOOD_SKILL or self.hit_rate > TOO_GOOD_HITS

    @property
    def verdict(self) -> str:
        if self.quarantined:
            return "quarantined: too good to be true, look for a leak"
        if not self.gated and self.low > 0.0 and self.skill > self.noise_95:
            return "skill against the random walk"
        return NO_SKILL

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "quarantined": self.quarantined, "verdict": self.verdict}


def overlap(horizon: int) -> float:
    """Bars a label sampled every bar is worth: sum of the autocorrelations of M_h, 3h(h + 1) / (2(2h + 1))."""
    return 3 * horizon * (horizon + 1) / (2 * (2 * horizon + 1))


def losses(y: F8, forecast: F8) -> F8:
    """Per time: squared error of the forecast, of 0, hits, signs, rows; y and forecast (times, pairs) -> (times, 5)."""
    ok = np.isfinite(y) & np.isfinite(forecast)
    a = np.where(ok, y, 0.0)
    f = np.where(ok, forecast, 0.0)
    signed = ok & (a != 0.0) & (f != 0.0)
    parts = ((a - f) ** 2, a**2, signed & ((a > 0) == (f > 0)), signed, ok)
    return np.stack([p.sum(axis=1).astype(np.float64) for p in parts], axis=1)


def skill_of(
    table: F8,
    noise: F8,
    *,
    horizon: int | None,
    longest: int,
    every: int,
    legs: int,
    pairs: int,
    seed: int,
    layers: int = 1,
    draws: int = DRAWS,
) -> Skill:
    """Skill of `losses` (times in order, `every` bars apart), `noise` being skills of noise targets.

    `layers` horizons were added up; `legs` of the `pairs` are independent. The block is the automatic one of the loss
    differences, at least 2 x `longest` bars. Raises CheckError when fewer than 500 rows, or nothing but zeros, would
    be compared.
    """
    found = measure(table, longest=longest, every=every, draws=draws, seed=seed)
    return Skill(
        horizon=horizon,
        skill=found.skill,
        low=found.low,
        high=found.high,
        noise_mean=float(noise.mean()),
        noise_95=float(np.quantile(noise, 0.95)),
        hit_rate=found.hit_rate,
        n_rows=int(found.rows),
        n_times=len(found.table),
        n_effective=float(found.rows / (pairs * layers) * legs * every / max(overlap(longest), every)),
        block=found.block * every,
    )


@dataclass(frozen=True, slots=True)
class Measured:
    """What a table of losses says: skill and its 95 % interval, share of right signs (NaN without any), rows, length of
    the bootstrap's blocks in rows of the table, and the table's rows that hold a forecast."""

    skill: float
    low: float
    high: float
    hit_rate: float
    rows: float
    block: float
    table: F8


def measure(table: F8, *, longest: int, every: int, draws: int = DRAWS, seed: int = 0) -> Measured:
    """Of losses (times in order, `every` bars apart; 5), labels of at most `longest` bars. The block is the automatic
    one of the loss differences, at least 2 x `longest` bars. Raises CheckError when fewer than 500 rows, or nothing but
    zeros, would be compared."""
    table = table[table[:, 4] > 0]
    model, walk, hits, signs, rows = table.sum(axis=0)
    if rows < FEWEST or walk <= 0.0:
        raise CheckError(f"skill of {int(rows)} forecasts asked, {FEWEST} are the least", fix="give a longer history")
    block = block_length(table[:, 1] - table[:, 0], floor=2.0 * longest / every)
    sums = resampled_sums(np.ascontiguousarray(table[:, :2]), block, draws, seed)
    low, high = np.quantile(1.0 - sums[:, 0] / sums[:, 1], [0.025, 0.975])
    hit_rate = float(hits / signs) if signs else math.nan
    return Measured(float(1.0 - model / walk), float(low), float(high), hit_rate, float(rows), block, table)


def summary(parts: Sequence[Skill], pooled: Skill) -> str:
    """One sentence: the pooled skill decides unless any horizon is quarantined; the horizons are told."""
    share = f"{100 * pooled.skill:.2f} % ({100 * pooled.low:.2f} to {100 * pooled.high:.2f})"
    good = [str(s.horizon) for s in parts if s.verdict != NO_SKILL and not s.quarantined]
    odd = [str(s.horizon) for s in parts if s.quarantined]
    verdict = next((s.verdict for s in (pooled, *parts) if s.quarantined), pooled.verdict)
    text = f"{verdict}: {share} over all horizons; pure noise gets up to {100 * pooled.noise_95:.2f} %"
    if odd:
        return text + f"; quarantined at h = {', '.join(odd)}"
    return text + (f"; above the random walk at h = {', '.join(good)}" if good else "")
