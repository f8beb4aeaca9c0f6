"""Features of the live engine in the same process: the newest minutes from memory, earlier ones from the store."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bqx.market.bars import PRICE_COLUMNS
from bqx.market.calendar import WEEK
from bqx.research.candidates import Candidate
from bqx.research.labels import ASSUMED_COST, bars_left
from bqx.serve.api.freshness import MAX_AGE
from bqx.serve.api.source import Row
from bqx.serve.live.bar import FIELDS

if TYPE_CHECKING:
    from bqx.build.project import Project
    from bqx.serve.api.store_source import StoreSource
    from bqx.serve.live.engine import Engine

F4 = NDArray[np.float32]
KEPT = 64
"""Minutes kept; one of 28 pairs and 2,640 candidates has 300 kB."""
_CLOSE, _BID, _ASK = (FIELDS.index(name) for name in ("close", "bid_close", "ask_close"))


@dataclass(frozen=True)
class Minute:
    """All pairs at one minute: values (pairs, columns), the rest (pairs,)."""

    values: F4
    last_bar: NDArray[np.int64]
    sigma: F4
    cost: F4
    left: int


class LiveSource:
    """Rows that :meth:`take` was told; see :class:`bqx.serve.api.source.FeatureSource`. Safe for threads.

    columns : all that will be asked for. cost : a round trip in bps; None takes the quoted spread of the bar.
    """

    name = "live"

    def __init__(
        self, engine: Engine, store: StoreSource, columns: Sequence[Candidate], *, cost: float | None = None
    ) -> None:
        self._store, self._cost = store, cost
        self._names = tuple(dict.fromkeys(c.name for c in columns))
        self._place = {name: k for k, name in enumerate(self._names)}
        self._lanes = {pair: k for k, pair in enumerate(engine.pairs)}
        self._last_bar = _last_bars(engine, store.project)
        self._minutes: dict[int, Minute] = {}
        self._revised = engine.told.revised
        self._lock = threading.Lock()
        if len(engine.sigma) and engine.newest.minute >= 0:
            self.take(engine)

    def take(self, engine: Engine) -> None:
        """Keep the engine's newest minute; called by the live loop after each. A revised bar moves what came after it,
        so that minutes kept before are forgotten then."""
        minute = engine.newest.minute
        bars = engine.bars(minute)
        left = int(bars_left(engine.calendar, np.array([minute]))[0])
        values = engine.newest.matrix(self._names)
        with self._lock:
            self._last_bar = np.where(_real(bars), minute, self._last_bar)
            if engine.told.revised != self._revised:
                self._revised = engine.told.revised
                self._minutes.clear()
            self._minutes[minute] = Minute(
                values, self._last_bar.copy(), engine.sigma.astype(np.float32), self._costs(bars), left
            )
            while len(self._minutes) > KEPT:
                self._minutes.pop(next(iter(self._minutes)))

    def stamp(self) -> object:
        with self._lock:
            newest = next(reversed(self._minutes), None)
        return newest, self._revised, self._store.stamp()

    def newest(self, pair: str, columns: Sequence[Candidate]) -> int | None:
        with self._lock:
            newest = next(reversed(self._minutes), None)
        if newest is None or not self._has(pair, columns):
            return self._store.newest(pair, columns)
        return newest

    def row(self, pair: str, minute: int, columns: Sequence[Candidate]) -> Row:
        with self._lock:
            held = self._minutes.get(minute)
        if held is None or not self._has(pair, columns):
            return self._store.row(pair, minute, columns)
        lane = self._lanes[pair]
        at = [self._place[c.name] for c in columns]
        return Row(
            np.ascontiguousarray(held.values[lane, at]),
            minute,
            int(held.last_bar[lane]),
            float(held.sigma[lane]),
            float(held.cost[lane]),
            held.left,
        )

    def _has(self, pair: str, columns: Sequence[Candidate]) -> bool:
        """A model promoted since may read columns that live was not asked to keep."""
        return pair in self._lanes and all(c.name in self._place for c in columns)

    def _costs(self, bars: NDArray[np.float64]) -> F4:
        """As labels have them (`bqx.research.labels`)."""
        if self._cost is not None:
            return np.full(bars.shape[1], self._cost, dtype=np.float32)
        spread = 1e4 * (bars[_ASK] - bars[_BID]) / bars[_CLOSE]
        return np.where(np.isfinite(spread), spread, ASSUMED_COST).astype(np.float32)


def _real(bars: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Pairs that have a bar, (pairs,)."""
    return np.asarray(np.isfinite(bars[: len(PRICE_COLUMNS)]).all(axis=0))


def _last_bars(engine: Engine, project: Project) -> NDArray[np.int64]:
    """The newest bar of each pair when serving begins: of those stored, and of the engine's last minutes, which may be
    in its journal alone. Older ones do not matter: what is older than two bars is stale."""
    newest = engine.newest.minute
    frames = project.bars.read(list(engine.pairs), newest - WEEK, newest + 1, project.as_of)
    stamps = [frames[p]["ts_utc"].to_physical().to_numpy() // 60_000_000 for p in engine.pairs]
    last = np.array([s[-1] if len(s) else -1 for s in stamps], dtype=np.int64)
    for minute in project.calendar.grid(newest - 2 * MAX_AGE, newest + 1).minute:
        last = np.where(_real(engine.bars(int(minute))), minute, last)
    return last
