"""P2: where a build begins and which pairs it holds do not matter."""

from __future__ import annotations

import numpy as np

from bqx.features.catalogue import earliest
from bqx.features.checks.reach import warmup
from bqx.features.checks.result import CheckResult, merge, same_bits
from bqx.features.checks.world import World
from bqx.features.declare import Dataset
from bqx.market.calendar import month_span, months_between

NAME = "P2 anchored"


def check_partition(home: Dataset, world: World, *, starts: int = 3, seed: int = 0) -> list[CheckResult]:
    """Each month alone, spans from random minutes and from where the least history is loaded, and one pair alone (of a
    panel: all pairs in another order) must equal the slice of the whole to the bit."""
    rng = np.random.default_rng(seed)
    calendar = world.calendar
    first, last = world.span
    whole = world.values(home, first, last)
    base = calendar.ordinal(first)
    found: dict[str, list[CheckResult]] = {c.name: [] for c in home.columns}

    def compare(part: World, start: int, end: int, lanes: slice) -> None:
        values = part.values(home, start, end)
        row = calendar.ordinal(start) - base
        for name, value in values.items():
            expected = whole[name][row : row + len(value), lanes]
            differs = ~same_bits(value, expected)
            place = part.place(start, differs)
            compared = int((~np.isnan(expected)).sum())
            found[name].append(CheckResult(NAME, home.name, name, compared, int(differs.sum()), np.inf, place))

    for ym in months_between(first, last):
        low, high = month_span(ym)
        compare(world, max(low, first), min(high, last), slice(None))
    size = calendar.ordinal(last) - base
    early = min(warmup(home), 0.8 * size) if warmup(home) > 0.5 * size else 0.0
    begins = [base + int(early + (0.9 * size - early) * rng.random()) for _ in range(starts)]
    begins += [calendar.ordinal(m) for m in _least_loaded(home, world)]
    for at in begins:
        start = calendar.at_ordinal(at)
        compare(world, start, min(calendar.at_ordinal(at + 2000), last), slice(None))
    low = calendar.at_ordinal(base + max(size // 2, int(early)))
    if "panel" in home.uses:  # all pairs belong to it; their order does not
        compare(world.only(world.pairs[::-1]), low, last, slice(None, None, -1))
    else:
        alone = int(rng.integers(len(world.pairs)))
        narrow = world.only(world.pairs[alone : alone + 1])
        compare(narrow, max(low, narrow.span[0]), min(last, narrow.span[1]), slice(alone, alone + 1))
    return [merge(parts) for parts in found.values()]


def _least_loaded(home: Dataset, world: World) -> list[int]:
    """The segment start before which the fewest bars are loaded, among those that do not load all there are.

    A state that should not remember the start of the build shows it there: elsewhere it may have forgotten.
    """
    calendar, (first, last) = world.calendar, world.span
    found = []
    for _, opens in calendar.closures(first, last):
        begin = earliest(home, opens, calendar)
        if begin > first and opens < last:
            found.append((calendar.ordinal(opens) - calendar.ordinal(begin), opens))
    return [min(found)[1]] if found else []
