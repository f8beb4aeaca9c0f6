"""Small simulated worlds as matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from bqx.market.calendar import Calendar, month_span
from bqx.market.pairs import PAIRS
from bqx.market.simulated import Flavour, simulate
from bqx.research.matrix import Matrix, from_bars

CALENDAR = Calendar.load()
DOLLARS = tuple(p for p in PAIRS if "usd" in p)
"""Seven pairs that hold all eight currencies."""


def world(flavour: Flavour, seed: int, days: int = 40, **options: Any) -> Matrix:
    start = CALENDAR.segment_start(month_span("2023_02")[0])
    end = CALENDAR.at_ordinal(CALENDAR.ordinal(start) + days * 1440)
    bars = simulate(CALENDAR, start, end, seed=seed, flavour=flavour, pairs=DOLLARS)
    options = {"every": 15, "datasets": ("returns_std_rate",), "simulated": True, **options}
    return from_bars(bars, CALENDAR, start, end, **options)


def invented(n: int = 3000, pairs: int = 4, columns: int = 6, effect: float = 0.0, seed: int = 0) -> Matrix:
    """Independent normal features and labels at every bar of 5, label = effect * first feature + noise."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, pairs, columns))
    Y = rng.normal(size=(n, pairs, 2)) + effect * X[:, :, :1]
    at = np.arange(n, dtype=np.int64) * 5
    names = tuple(f"c{k}" for k in range(columns))
    return Matrix(at + 28_000_000, at, DOLLARS[:pairs], names, (5, 10), 5, X, Y, True)
