"""Live is batch: the same bars in blocks of one minute and of thousands, saved and restored in between, to the bit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from bqx.features.catalogue import earliest
from bqx.features.checks.result import CheckResult, same_bits
from bqx.features.checks.world import World
from bqx.features.declare import Dataset
from bqx.features.fits import Kept, Shelf
from bqx.features.live.past import Past
from bqx.features.live.session import Session
from bqx.market.sim_math import bits, stream_key

NAME = "P2 live"


class Lots:
    """Whole numbers drawn by counting, the same everywhere."""

    def __init__(self, seed: int) -> None:
        self._key, self._count = np.uint64(stream_key(seed, 0)), 0

    def below(self, most: int) -> int:
        """One of 0 .. most - 1."""
        self._count += 1
        return int(bits(self._key, self._count)) % most


def check_live(
    home: Dataset,
    world: World,
    windows: Sequence[tuple[int, int]] = (),
    *,
    singles: int = 200,
    saves: int = 3,
    seed: int = 0,
    fits: Shelf | None = None,
) -> list[CheckResult]:
    """Every column over the spans [start, end) (minutes; the last 2,000 open ones unless told) equals batch.

    Live begins where the dataset's look-back does. Blocks are of random sizes; in each window the `singles` bars after
    its start, and those around a segment's start in it, come alone. At `saves` random blocks a new session goes on
    from the state.
    """
    lots = Lots(seed)
    calendar = world.calendar
    oldest, last = world.span
    spans = list(windows) or [(calendar.at_ordinal(calendar.ordinal(last) - 2000), last)]
    begin = max(earliest(home, spans[0][0], calendar), calendar.segment_start(oldest))
    depth = calendar.ordinal(last) - calendar.ordinal(begin)
    anchors = world.anchors()
    shelf = fits or Kept()
    expected = world.values(home, spans[0][0], spans[-1][1])
    origin = calendar.ordinal(spans[0][0])
    session, past = _session(home, world, depth, shelf)
    panel = world.panel(begin, spans[-1][1])
    ends = list(_blocks(world, begin, spans, singles, lots))
    saved = {lots.below(len(ends)) for _ in range(saves)}
    counts = {c.name: np.zeros(2, dtype=np.int64) for c in home.columns}
    first: dict[str, str] = {}
    row = 0
    for k, stop in enumerate(ends):
        if k in saved and row:
            state = session.state()
            session, past = _session(home, world, depth, shelf)
            past.take(panel.slice(0, row), anchors)
            session.restore(state)
        part = panel.slice(row, stop)
        values = session.advance(part, anchors)[home.name]
        for span in spans:
            low, high = (int(np.searchsorted(part.grid.minute, m)) for m in span)
            if low == high:
                continue
            at = calendar.ordinal(int(part.grid.minute[low])) - origin
            for c, column in enumerate(home.columns):
                want, have = expected[column.name][at : at + high - low], values[c, low:high]
                differs = ~same_bits(have, want)
                counts[column.name] += (~np.isnan(want)).sum(), differs.sum()
                if differs.any() and column.name not in first:
                    first[column.name] = world.place(int(part.grid.minute[low]), differs)
        row = stop
    return [
        CheckResult(NAME, home.name, name, int(n), int(bad), np.inf if bad else 0.0, first.get(name, ""))
        for name, (n, bad) in counts.items()
    ]


def _session(home: Dataset, world: World, depth: int, shelf: Shelf) -> tuple[Session, Past]:
    past = Past(world.calendar, depth, shelf)
    return Session([home], world.calendar, past), past


def _blocks(world: World, begin: int, spans: Sequence[tuple[int, int]], singles: int, lots: Lots) -> Iterator[int]:
    """Rows at which blocks end, counted from `begin`."""
    calendar = world.calendar
    base = calendar.ordinal(begin)
    alone: set[int] = set()
    for start, end in spans:
        low, high = calendar.ordinal(start) - base, calendar.ordinal(end) - base
        alone |= set(range(low, min(low + singles, high)))
        for _, opens in calendar.closures(start, end):
            at = calendar.ordinal(opens) - base
            alone |= set(range(max(at - 5, low), min(at + 40, high)))
    stop = calendar.ordinal(spans[-1][1]) - base
    row = 0
    while row < stop:
        if row in alone:
            row += 1
        else:
            power = lots.below(12)
            size = (2 << power) + lots.below(2 << power)
            row = min([row + size, stop, *(a for a in alone if row < a)])
        yield row
