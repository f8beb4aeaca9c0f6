"""Features out of the feature store: an hour of a pair is read at once and kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import DatasetError, NoPrediction, StoreError
from bqx.market.calendar import datetime_of
from bqx.research.candidate_read import Block, read_blocks
from bqx.research.candidates import Candidate
from bqx.research.labels import Labels, make_labels
from bqx.serve.api.source import Row

if TYPE_CHECKING:
    from bqx.build.project import Project

HOUR = 60
KEPT = 256
"""Hours of pairs kept; one of 250 columns has 60 kB."""


@dataclass(frozen=True)
class Chunk:
    """Rows of consecutive open minutes; last_bar : newest real bar at or before each, -1 before the first."""

    block: Block
    labels: Labels
    last_bar: NDArray[np.int64]

    def row(self, at: int) -> Row:
        v = self.labels.values
        return Row(
            np.ascontiguousarray(self.block.X[at]),
            int(self.block.minute[at]),
            int(self.last_bar[at]),
            float(v["sigma"][at]),
            float(v["cost"][at]),
            int(self.labels.left[at]),
        )


class StoreSource:
    """Reads what is built in a project; see :class:`bqx.serve.api.source.FeatureSource`. Safe for threads.

    cost : round trip in bps as at training; None takes the quoted spread.
    """

    name = "store"

    def __init__(self, project: Project, *, cost: float | None = None) -> None:
        self.project, self.cost = project, cost
        self._lock = threading.Lock()
        self._stamp: object = None
        self._chunks: OrderedDict[tuple[str, int, tuple[str, ...]], Chunk] = OrderedDict()
        self._newest: dict[tuple[str, frozenset[str]], int | None] = {}

    def stamp(self) -> object:
        """When the manifest last changed."""
        now = self.project.snapshot()
        with self._lock:
            if now != self._stamp:
                self._stamp = now
                self._chunks.clear()
                self._newest.clear()
        return now

    def newest(self, pair: str, columns: Sequence[Candidate]) -> int | None:
        homes = frozenset(c.dataset for c in columns)
        key = (pair, homes)
        if key not in self._newest:
            last: dict[str, int] = {}
            for info in self.project.store.partitions(self.project.as_of, pair=pair):
                if info.key.dataset in homes:
                    last[info.key.dataset] = max(last.get(info.key.dataset, -1), info.last_minute)
            self._newest[key] = min(last.values()) if homes <= set(last) else None
        return self._newest[key]

    def row(self, pair: str, minute: int, columns: Sequence[Candidate]) -> Row:
        last = self.newest(pair, columns)
        if last is None or minute > last:
            raise NoPrediction(
                "no_row",
                f"{pair} has no features at {datetime_of(minute).isoformat()}"
                + ("" if last is None else f", the last are of {datetime_of(last).isoformat()}"),
                where=pair,
                fix="`bqx build run` makes them from the bars there are",
            )
        hour = minute - minute % HOUR
        key = (pair, hour, tuple(c.name for c in columns))
        with self._lock:
            chunk, stamp = self._chunks.get(key), self._stamp
            if chunk is not None:
                self._chunks.move_to_end(key)
        if chunk is None:
            chunk = self._read(pair, hour, min(hour + HOUR, last + 1), columns)
            with self._lock:
                if stamp == self._stamp:
                    self._chunks[key] = chunk
                while len(self._chunks) > KEPT:
                    self._chunks.popitem(last=False)
        at = int(np.searchsorted(chunk.block.minute, minute))
        if at == len(chunk.block) or chunk.block.minute[at] != minute:
            raise NoPrediction("no_row", f"{datetime_of(minute).isoformat()} is no open minute", where=pair)
        return chunk.row(at)

    def _read(self, pair: str, start: int, end: int, columns: Sequence[Candidate]) -> Chunk:
        project = self.project
        parts = []
        try:
            first = self.project.bars.spans(project.as_of).get(pair, (start, start))[0]
            parts = list(
                read_blocks(project.store, project.calendar, pair, max(start, first), end, columns, project.as_of)
            )
        except (StoreError, DatasetError) as error:
            raise NoPrediction("no_row", error.what, where=error.where, fix=error.fix) from error
        if not parts:
            raise NoPrediction("no_row", f"{pair} has no rows from {datetime_of(start).isoformat()}", where=pair)
        return chunk_of(project, pair, parts[0], self.cost)


def chunk_of(project: Project, pair: str, block: Block, cost: float | None) -> Chunk:
    """`block` with sigma, cost, what is left of the segment, and the newest real bar, all from the bars."""
    first, last = int(block.minute[0]), int(block.minute[-1])
    labels = make_labels(project.bars, project.calendar, pair, first, last + 1, cost=cost, as_of=project.as_of)
    bars = project.bars.read([pair], first - 7 * 1440, last + 1, project.as_of)[pair]
    stamps = bars["ts_utc"].to_physical().to_numpy() // 60_000_000
    at = np.searchsorted(stamps, block.minute, side="right") - 1
    newest = np.where(at >= 0, stamps[np.maximum(at, 0)], -1) if len(stamps) else np.full(len(block), -1)
    return Chunk(block, labels, np.asarray(newest, dtype=np.int64))
