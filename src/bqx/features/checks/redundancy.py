"""T10: no column of a dataset says what another one says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.checks.result import MINIMUM, CheckResult
from bqx.features.checks.world import World
from bqx.features.declare import OURS, Column, Dataset

F8 = NDArray[np.float64]
NAME = "T10 redundancy"
LIMIT = 0.9999
BARS = 50_000
"""The last bars of each pair that are compared, where there are as many."""
LANES = 4
"""Pairs that are compared at most; a twin is one in every pair."""


def check_redundancy(home: Dataset, world: World) -> list[CheckResult]:
    """No two columns correlate by more than 0.9999 in absolute value, over the minutes where both have a value.

    A twin is one in every pair that has 500 common values or more. Not compared are columns tagged `level`, two
    columns of which one is the alias of the other or both of a third, and columns that do not vary. The auxiliary
    datasets of every project, which are not counted, are left out.
    """
    if not (home.counted or home.extension) and home.origin == OURS:
        return []
    items = [c for c in home.columns if "level" not in c.tags]
    values = world.values(home, *world.span)
    count = {c.name: int((~np.isnan(values[c.name])).sum()) for c in items}
    twins = np.full((len(items), len(items)), np.inf)
    common = np.zeros((len(items), len(items)), dtype=np.int64)
    for lane in range(min(len(world.pairs), LANES)):
        matrix = np.column_stack([values[c.name][-BARS:, lane] for c in items]) if items else np.empty((0, 0))
        found, both = correlations(matrix)
        known = (both >= MINIMUM) & ~np.isnan(found)
        twins = np.where(known, np.minimum(twins, np.abs(found)), twins)
        common += np.where(known, both, 0)
    twins[np.isinf(twins)] = 0.0
    for i, a in enumerate(items):
        for j, b in enumerate(items):
            if i == j or _same_by_declaration(home, a, b):
                twins[i, j] = 0.0
    return [_result(home, items, k, twins[k], common[k], count[c.name]) for k, c in enumerate(items)]


def _same_by_declaration(home: Dataset, a: Column, b: Column) -> bool:
    """One is declared the alias of the other, or both of a third."""
    return _root(home, a) == _root(home, b)


def _root(home: Dataset, item: Column) -> str:
    """`dataset.column` at the end of its chain of aliases."""
    seen = {item.name}
    while item.alias_of is not None:
        place, _, name = item.alias_of.rpartition(".")
        if place != home.name or name not in home.by_name or name in seen:
            return item.alias_of
        seen.add(name)
        item = home.by_name[name]
    return f"{home.name}.{item.name}"


def _result(
    home: Dataset, items: list[Column], own: int, twins: F8, common: NDArray[np.int64], count: int
) -> CheckResult:
    bad = np.flatnonzero(twins > LIMIT)
    worst = int(np.argmax(twins)) if len(twins) else own
    note = ""
    if len(bad):
        more = f", and {len(bad) - 1} more" if len(bad) > 1 else ""
        note = (
            f"says the same as {items[worst].name}: correlation {twins[worst]:.6f} in absolute value over "
            f"{common[worst]:,} values{more}"
        )
    where = items[worst].name if len(bad) else ""
    top = float(twins[worst]) if len(twins) else 0.0
    return CheckResult(NAME, home.name, items[own].name, count, len(bad), top, where, note)


def correlations(x: F8) -> tuple[F8, NDArray[np.int64]]:
    """Correlation of every two columns over the rows where both are known, NaN where one does not vary; and the
    number of those rows. x : (n, columns), NaN for NULL."""
    known = ~np.isnan(x)
    count = np.maximum(known.sum(axis=0), 1)
    filled = np.where(known, x, 0.0)
    centre = filled.sum(axis=0) / count
    filled = np.where(known, filled - centre, 0.0)
    scale = np.sqrt((filled**2).sum(axis=0) / count)
    flat = scale <= 1e-12 * np.maximum(np.abs(centre), 1e-300)
    filled /= np.where(flat, 1.0, scale)
    seen = known.astype(np.float64)
    n = seen.T @ seen
    rows = np.maximum(n, 1.0)
    total = filled.T @ seen  # [i, j]: sum of i over the rows it shares with j
    square = (filled**2).T @ seen
    spread = square / rows - (total / rows) ** 2
    product = filled.T @ filled / rows - (total / rows) * (total.T / rows)
    size = np.sqrt(np.maximum(spread, 0.0) * np.maximum(spread.T, 0.0))
    varies = (spread > 1e-9) & (spread.T > 1e-9) & ~flat[:, None] & ~flat[None, :]
    out = np.where(varies, product / np.where(varies, size, 1.0), np.nan)
    return out, np.rint(n).astype(np.int64)
