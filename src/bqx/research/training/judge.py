"""How good the forecasts of a cell, of a pair and horizon, and of a whole run are, and which are too good (L14)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.base.errors import CheckError
from bqx.research.skill import TOO_GOOD_HITS, TOO_GOOD_SKILL, losses, measure, overlap
from bqx.research.walk import Score, score

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
TARGETS = ("y3", "y4")
PLAUSIBLE, LUCK = 0.55, 3.09
"""Right signs of a forecast of skill 0.024, more than an honest one has; standard errors that chance exceeds once in a
thousand."""
ONE_BAR, LEAST_BARS = 0.10, 100
"""Share of the next bar's variance that a forecast of h >= 15 bars cannot honestly know; rows to tell by."""


def table_losses(table: pl.DataFrame, target: str) -> F8:
    """`skill.losses` of the point forecast of y3 or y4, a row a test row. Shape (rows, 5)."""
    y, f = (table[k].cast(pl.Float64).fill_null(np.nan).to_numpy()[:, None] for k in (target, f"f{target[1:]}"))
    return losses(y, f)


@dataclass(frozen=True, slots=True)
class Plain:
    """Point figures of a forecast: skill and mean absolute error against the random walk (0), share of right signs.

    z : standard errors by which right signs exceed PLAUSIBLE, rows counted at what they are worth under overlap.
    """

    target: str
    skill: float
    mae: float
    mae_walk: float
    hit_rate: float
    rows: int
    effective: float
    z: float

    @property
    def too_good(self) -> str | None:
        """L14 for a cell or table, in words. These may be small, so the luck of an honest forecast is excluded too."""
        if (self.skill > TOO_GOOD_SKILL or self.hit_rate > TOO_GOOD_HITS) and self.z > LUCK:
            return f"{self.target} skill {self.skill:.3f}, hits {self.hit_rate:.1%} of {self.rows:,} rows"
        return None

    def as_dict(self) -> dict[str, Any]:
        return {k: getattr(self, k) for k in self.__slots__}


def plain(tables: Sequence[pl.DataFrame], target: str, horizon: int, every: int) -> Plain | None:
    """Of all rows of `tables` that have the target; None without any."""
    y, f = (np.concatenate([t[k].cast(pl.Float64).fill_null(np.nan).to_numpy() for t in tables])
            for k in (target, f"f{target[1:]}"))  # fmt: skip
    ok = np.isfinite(y) & np.isfinite(f)
    y, f = y[ok], f[ok]
    walk = float((y**2).sum())
    if not len(y) or walk == 0.0:
        return None
    signed = (y != 0) & (f != 0)
    hits = float(((y > 0) == (f > 0))[signed].mean()) if signed.any() else 0.5
    effective = float(signed.sum()) * every / max(overlap(horizon), every)
    z = (hits - PLAUSIBLE) / 0.5 * math.sqrt(effective)
    mae = (float(np.abs(y - f).mean()), float(np.abs(y).mean()))
    return Plain(target, 1.0 - float(((y - f) ** 2).sum()) / walk, *mae, hits, len(y), effective, z)


def next_bar(table: pl.DataFrame, minute: I8, log_close: F8) -> str | None:
    """In words, when a point forecast knows the bar after t: the mark of a feature that is one bar late.

    At h bars such a column explains only 1 / h of y4, less than L14 looks for beyond h = 15, but the forecast made of
    it follows that one bar. minute, log_close : (bars,) of the pair, in order.
    """
    at = table["ts_utc"].dt.epoch("s").to_numpy() // 60
    row = np.searchsorted(minute, at)
    there = (row + 1 < len(minute)) & (minute[np.minimum(row, len(minute) - 1)] == at)
    row = np.where(there, row, 0)
    there &= minute[row + 1] == at + 1
    move = (log_close[row + 1] - log_close[row])[there] / table["sigma"].to_numpy()[there]
    for name in ("f3", "f4"):
        f = table[name].cast(pl.Float64).fill_null(np.nan).to_numpy()[there]
        if len(f) >= LEAST_BARS and np.isfinite(f).all() and f.std() > 0 and move.std() > 0:
            known = float(np.corrcoef(f, move)[0, 1]) ** 2
            if known > ONE_BAR and known * len(f) > LUCK**2:
                return f"{name} explains {known:.0%} of the very next bar"
    return None


def interval(table: pl.DataFrame, target: str, horizon: int, every: int, seed: int) -> dict[str, float | None]:
    """`low` and `high` of the skill, 95 % by block bootstrap; None below the 500 rows that `skill.measure` needs."""
    try:
        found = measure(table_losses(table, target), longest=horizon, every=every, seed=seed)
    except CheckError:
        return {"low": None, "high": None}
    return {"low": found.low, "high": found.high}


def pooled(tables: Mapping[tuple[str, int], pl.DataFrame], target: str, every: int, seed: int) -> Score | None:
    """All pairs and horizons together, each with equal weight in units of its random walk, over common minutes.

    The interval resamples blocks of time common to all pairs. None below 500 rows.
    """
    parts = []
    for _, table in sorted(tables.items()):
        own = table_losses(table, target)
        worth = own[:, 1].sum() / max(own[:, 4].sum(), 1.0)
        if worth > 0:
            own[:, :2] /= worth
            parts.append((table["position"].to_numpy(), own))
    if not parts:
        return None
    at = np.unique(np.concatenate([p for p, _ in parts]))
    total = np.zeros((len(at), 5))
    for position, own in parts:
        total[np.searchsorted(at, position)] += own
    horizon = max(h for _, h in tables)
    try:
        return score(total, f"{target} pooled", horizon=horizon, every=every, seed=seed, layers=len(parts))
    except CheckError:
        return None
