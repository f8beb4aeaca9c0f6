"""Values stay inside what is declared, and zeros are data."""

from __future__ import annotations

import numpy as np

from bqx.features.checks.result import CheckResult
from bqx.features.checks.world import World
from bqx.features.declare import Dataset

BOUNDS = "bounds"
ZEROS = "P3 stand-ins"
ZERO_SHARE = 0.01


def check_bounds(home: Dataset, world: World) -> list[CheckResult]:
    """Every value lies in its declared interval."""
    first, last = world.span
    values = world.values(home, first, last)
    out = []
    for item in home.columns:
        value = values[item.name]
        low, high = item.bounds
        outside = (value < low) | (value > high)
        compared = int((~np.isnan(value)).sum())
        worst = float(np.abs(value[outside]).max(initial=0.0))
        where = world.place(first, outside)
        out.append(CheckResult(BOUNDS, home.name, item.name, compared, int(outside.sum()), worst, where))
    return out


def check_zeros(home: Dataset, world: World) -> list[CheckResult]:
    """At most 1 % exact zeros, unless the column is tagged `zero_ok` (there the NULL pattern tells a stand-in)."""
    first, last = world.span
    values = world.values(home, first, last)
    out = []
    for item in home.columns:
        value = values[item.name]
        zero = value == 0.0
        compared = int((~np.isnan(value)).sum())
        share = float(zero.sum() / max(compared, 1))
        bad = zero if "zero_ok" not in item.tags and share > ZERO_SHARE else np.zeros_like(zero)
        out.append(CheckResult(ZEROS, home.name, item.name, compared, int(bad.sum()), share, world.place(first, bad)))
    return out
