"""P3: NULL where the declaration says so and nowhere else."""

from __future__ import annotations

import numpy as np

from bqx.features.checks.result import CheckResult
from bqx.features.checks.world import World
from bqx.features.declare import Dataset

NAME = "P3 null pattern"


def check_nulls(home: Dataset, world: World) -> list[CheckResult]:
    """The pattern of NULLs equals what calendar, gaps and warm-up predict; no value is infinite. A column tagged
    `may_be_undefined` may be NULL more often, never less."""
    first, last = world.span
    values = world.values(home, first, last)
    view = world.view(first, last)
    skip = view.panel.grid.index(first)
    out = []
    for item in home.columns:
        value = values[item.name]
        expected = item.expected(view)[skip:]
        have = ~np.isnan(value)
        wrong = (have & ~expected) | np.isinf(value)
        if "may_be_undefined" not in item.tags:
            wrong |= expected & ~have
        compared = int((expected & have).sum())
        out.append(CheckResult(NAME, home.name, item.name, compared, int(wrong.sum()), 1.0, world.place(first, wrong)))
    return out
