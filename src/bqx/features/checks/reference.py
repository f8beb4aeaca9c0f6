"""The fast kernel agrees with the slow, obvious formula."""

from __future__ import annotations

import numpy as np

from bqx.features.checks.result import MINIMUM, CheckResult
from bqx.features.checks.world import World
from bqx.features.declare import Dataset

NAME = "reference"
TOLERANCE = 1e-9


def check_reference(home: Dataset, world: World, *, samples: int = MINIMUM, seed: int = 0) -> list[CheckResult]:
    """`samples` random values a column, where the declaration promises one, against the family's reference: relative
    to the value or to a thousandth of the column's standard deviation, 1e-9. What stands where NULL is declared is the
    business of the NULL pattern, and no reference is defined there."""
    rng = np.random.default_rng(seed)
    first, last = world.span
    streams, skip = world.streams(home, first, last)
    values = world.values(home, first, last)
    view = world.view(first, last)
    behind = view.panel.grid.index(first)
    out = []
    for item in home.columns:
        value = values[item.name]
        rows, lanes = np.nonzero(~np.isnan(value) & item.expected(view)[behind:])
        if not len(rows):
            out.append(CheckResult(NAME, home.name, item.name, 0, 0))
            continue
        pick = rng.choice(len(rows), size=min(samples, len(rows)), replace=False)
        floor = 1e-3 * float(np.nanstd(value))
        error = np.zeros(value.shape)
        for row, lane in zip(rows[pick], lanes[pick], strict=True):
            have = float(value[row, lane])
            want = home.reference(streams, item.name, int(row) + skip, int(lane))
            gap = abs(have - want)
            error[row, lane] = np.inf if np.isnan(want) else gap / max(abs(want), floor) if gap else 0.0
        differs = error > TOLERANCE
        worst = float(error.max())
        where = world.place(first, differs)
        out.append(CheckResult(NAME, home.name, item.name, len(pick), int(differs.sum()), worst, where))
    return out
