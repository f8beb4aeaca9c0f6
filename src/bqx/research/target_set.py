"""Targets Y1 to Y6 of labels, each beside what a random walk forecasts of it at t."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import UsageError
from bqx.features.streams import WINDOWS
from bqx.market.sim_math import inverse_normal
from bqx.research.labels import Labels, root
from bqx.research.targets import HORIZONS

F8 = NDArray[np.float64]
QUANTILES = (0.1, 0.5, 0.9)
Loss = Literal["squared", "pinball"]


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to forecast, h bars ahead, of window w (0 for returns).

    y1 level M_w(t+h), bps. y2 change M_w(t+h) - M_w(t), bps; y2s the same / sigma(t). y3 innovation: y1 less its
    random-walk forecast, / sigma(t). y4 return over (t, t+h] / (sigma(t) sqrt(h)). y5 its sign, 0 inside a band of one
    round trip. y6 the quantiles of y3 and y4: the same numbers under the pinball loss.
    """

    name: str
    kind: str
    horizon: int
    window: int = 0
    quantile: float | None = None

    @property
    def loss(self) -> Loss:
        return "squared" if self.quantile is None else "pinball"

    def value(self, labels: Labels) -> F8:
        """The target at each row, float64 (n,), NaN where it does not exist."""
        h, w, v = self.horizon, self.window, labels.values
        sigma = _positive(v["sigma"])
        if self.kind in ("y4", "y6_y4"):
            return _f8(v[f"r_{h}"]) / (sigma * math.sqrt(h))
        if self.kind == "y5":
            move, cost = _f8(v[f"r_{h}"]), _f8(v["cost"])
            sign = np.where(np.abs(move) <= cost, 0.0, np.sign(move))
            return np.where(np.isfinite(move) & np.isfinite(cost), sign, np.nan)
        level = _f8(v[f"a_{h}_{w}"])
        if self.kind == "y1":
            return level
        if self.kind in ("y2", "y2s"):
            change = level - _f8(v[f"m_{w}"])
            return change if self.kind == "y2" else change / sigma
        return (level - walk_level(labels, h, w)) / sigma

    def walk(self, labels: Labels) -> F8:
        """What a random walk forecasts at t, float64 (n,); NaN where it needs what is NULL at t."""
        h, w = self.horizon, self.window
        if self.kind == "y1":
            return walk_level(labels, h, w)
        if self.kind in ("y2", "y2s"):
            forecast = walk_level(labels, h, w) - _f8(labels.values[f"m_{w}"])
            return forecast if self.kind == "y2" else forecast / _positive(labels.values["sigma"])
        flat = 0.0 if self.quantile is None else float(inverse_normal(self.quantile)) * self._walk_deviation
        return np.full(len(labels), flat)

    @property
    def _walk_deviation(self) -> float:
        """Standard deviation of y3 or y4 on a random walk of constant sigma."""
        if self.kind == "y6_y4" or self.horizon >= self.window:
            return 1.0
        return math.sqrt(1.0 - (root(self.window - self.horizon) / root(self.window)) ** 2)


def walk_level(labels: Labels, h: int, w: int) -> F8:
    """E[M_w(t + h)] of a random walk: M_{w-h}(t) c_{w-h} / c_w for h < w, else 0 (windows of 15, 30 ... only)."""
    if h >= w:
        return np.zeros(len(labels))
    if w - h not in WINDOWS:
        raise UsageError(f"no momentum of window {w - h} to forecast M_{w} from", fix=f"windows are {WINDOWS}")
    return _f8(labels.values[f"m_{w - h}"]) * (root(w - h) / root(w))


@lru_cache(maxsize=1)
def targets_all() -> dict[str, Target]:
    """All targets by name, in order: 25 of y1, y2, y2s, y3, five of y4 and y5, and the quantiles of y3 (w = h) and y4.

    >>> t = targets_all(); len(t), t["y3_60_60"].horizon, list(t)[-1]
    (140, 60, 'y6_y4_75_q90')
    """
    out = [Target(f"{k}_{h}_{w}", k, h, w) for k in ("y1", "y2", "y2s", "y3") for h in HORIZONS for w in WINDOWS]
    out += [Target(f"{k}_{h}", k, h) for k in ("y4", "y5") for h in HORIZONS]
    for h in HORIZONS:
        out += [Target(f"y6_y3_{h}_{h}_q{round(100 * q)}", "y6_y3", h, h, q) for q in QUANTILES]
        out += [Target(f"y6_y4_{h}_q{round(100 * q)}", "y6_y4", h, 0, q) for q in QUANTILES]
    return {t.name: t for t in out}


def research_targets() -> tuple[Target, ...]:
    """What selection and forecasts are judged on: y3 with w = h, and y4, five horizons each."""
    every = targets_all()
    return tuple(every[f"y3_{h}_{h}"] for h in HORIZONS) + tuple(every[f"y4_{h}"] for h in HORIZONS)


def target(name: str) -> Target:
    """A target by name; UsageError with the nearest ones."""
    every = targets_all()
    if name not in every:
        from difflib import get_close_matches

        near = get_close_matches(name, every, 3) or ["y3_60_60"]
        raise UsageError(f"unknown target {name!r}", fix=f"did you mean {', '.join(near)}?")
    return every[name]


def _f8(x: NDArray[np.floating]) -> F8:
    return np.asarray(x, dtype=np.float64)


def _positive(x: NDArray[np.floating]) -> F8:
    wide = _f8(x)
    return np.where(wide > 0, wide, np.nan)
