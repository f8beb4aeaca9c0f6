"""New rows into the store without building the month again: a live engine that follows the stored bars makes them.

A tail is written for partitions whose rows so far are proven to be what a build of today's bars up to there would
give: the hash of their inputs, cut where they end, is the one they were built from. Everything else is left to
`bqx build run`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import AppendError, LiveError, Unsupported
from bqx.base.runlog import current_run, event
from bqx.build.cut import cut
from bqx.build.inputs import Inputs
from bqx.build.lease import Lease
from bqx.build.sanity import check_values
from bqx.build.tables import lanes, stacked
from bqx.features.anchors import Edge
from bqx.features.declare import Dataset
from bqx.market.calendar import DAY, datetime_of, month_span, months_between
from bqx.serve.live.bar import FIELDS
from bqx.serve.live.engine import Engine
from bqx.serve.live.feeds.replay import bars_of
from bqx.store.contract import Receipt
from bqx.store.listing import Ending, endings, newest_month
from bqx.store.partition import PartitionKey
from bqx.store.span import in_span

if TYPE_CHECKING:
    import polars as pl

    from bqx.build.project import Project

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

FOLDER = "append"
"""In the project: state and journal of the engine that follows the stored bars."""
WRITERS = 4
KEPT = 240
"""Minutes whose values are at hand: a pair that was silent for longer has its month built again."""


@dataclass(frozen=True, slots=True)
class Appended:
    """minutes : taken in. rows, values : written. left : partitions that `bqx build run` has to build. seconds : of
    reading bars, of values, of files, of the commit, and of all."""

    minutes: int
    rows: int
    values: int
    files: int
    partitions: int
    left: int
    seconds: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        return {
            "minutes": self.minutes, "rows": self.rows, "values": self.values, "files": self.files,
            "partitions": self.partitions, "left": self.left,
            "seconds": {name: round(value, 4) for name, value in self.seconds.items()},
        }  # fmt: skip


@dataclass(slots=True)
class _Span:
    """Rows of one pair that its partition of a month lacks: positions in the kept minutes."""

    key: PartitionKey
    lane: int
    rows: slice
    through: int


@dataclass
class _Clock:
    at: float = field(default_factory=time.perf_counter)
    seconds: dict[str, float] = field(default_factory=dict)

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self.at
        self.at = now


class Appender:
    """Opens with the newest month that is built; :meth:`append` brings the store up to the stored bars.

    Raises LiveError when nothing is built yet, Unsupported for a store other than a lake, AppendError when stored bars
    are not those the engine has taken.
    """

    def __init__(
        self, project: Project, folder: Path | None = None, note: Callable[[str], None] = lambda _: None
    ) -> None:
        if project.config.store.kind != "lake":
            raise Unsupported("rows are appended to a lake only", fix="`bqx build run` brings other stores up to date")
        self.project = project
        held = self._held()
        end = _begin(held)
        self._rows: dict[int, dict[str, F8]] = {}
        self._ends: dict[PartitionKey, int] = {}
        """The last minute of all pairs when a partition was proven or written; it may end earlier itself."""
        self._past: dict[int, Inputs] = {}
        """The inputs as they were at those minutes."""
        self.homes = [home for home in project.catalogue.values() if any(key.dataset == home.name for key in held)]
        where = folder or project.root / FOLDER
        self.engine = Engine(project, self.homes, where, note=note, through=end, rows=self._keep)
        try:
            self._inputs = cut(self.engine.inputs, project.bars, self.engine.newest.minute)
            self._same_bars(self.engine.through, self.engine.newest.minute, self.engine.inputs)
        except BaseException:
            self.engine.close()
            raise

    def _held(self, first: int | None = None) -> dict[PartitionKey, Ending]:
        """Partitions of the newest month that is built and of those from minute `first` on."""
        manifest = self.project.manifest
        if (newest := newest_month(manifest)) is None:
            raise LiveError("nothing is built yet, so there is nothing to append to", fix="run `bqx build run` first")
        start, end = month_span(newest)
        return endings(manifest, months_between(start if first is None else min(start, first), end))

    def _keep(self, minutes: I8, values: Mapping[str, F8]) -> None:
        for i, minute in enumerate(minutes.tolist()):
            self._rows[minute] = {name: value[:, i].copy() for name, value in values.items()}
        while len(self._rows) > KEPT:
            self._rows.pop(next(iter(self._rows)))

    def append(self) -> Appended:
        """Take the stored bars' new minutes, write their rows and make them visible in one transaction.

        Killed at any point and opened again it goes on; with nothing new it writes nothing.
        """
        clock = _Clock()
        with Lease(self.project.manifest, current_run().run_id) as lease:
            inputs, frames = self._now()
            minutes = list(self._stored(self.engine.next, _last(inputs), inputs, frames))
            clock.lap("bars")
            for minute, bars in minutes:
                self.engine.take(minute, bars)
            clock.lap("values")
            inputs = inputs.with_bars(inputs.spans, inputs.days, self._edges(inputs), inputs.as_of)
            spans, left = self._missing(inputs)
            clock.lap("plan")
            receipts, files = self._stage(spans, inputs)
            clock.lap("files")
            if receipts:
                lease.check()
                self.project.store.commit(receipts)
            clock.lap("commit")
        self._remember(inputs, receipts)
        done = Appended(
            len(minutes), sum(r.rows for r in receipts), sum(r.rows * len(r.columns) for r in receipts), files,
            len({r.key for r in receipts}), left, {**clock.seconds, "all": sum(clock.seconds.values())},
        )  # fmt: skip
        event("live.append", **done.as_dict())
        return done

    def close(self) -> None:
        """Keep the engine's state for the next start, and give its folder back. While a pair lags, its rows are not
        written yet: the next start plays the journal from an earlier state, and has them again."""
        newest = self.engine.newest.minute
        lag = any(newest - KEPT < last < newest for _, last in self._inputs.spans.values())
        try:
            if self.engine.told.minutes and not lag:
                self.engine.save()
        finally:
            self.engine.close()

    # bars

    def _now(self) -> tuple[Inputs, Mapping[str, pl.DataFrame]]:
        """Today's inputs, weekly edges still of before, and the bars since the day of the newest row. AppendError when
        bars that were taken are others today."""
        bars, old, newest = self.project.bars, self._inputs, self.engine.newest.minute
        as_of = self.project.snapshot()
        spans = {p: s for p, s in bars.spans(as_of=as_of).items() if p in old.pairs}
        low, high = min(s[0] for s in spans.values()), max(s[1] for s in spans.values())
        days = bars.day_hashes(list(spans), low, high + 1, as_of=as_of)
        found = old.with_bars(spans, days, old.edges, as_of)
        frames = bars.read(list(old.pairs), newest // DAY * DAY, high + 1, as_of=as_of)
        before = cut(found, bars, newest, frames)
        if dict(before.spans) != dict(old.spans) or before.days != old.days:
            changed = sorted({key for key, _ in before.days.items() ^ old.days.items()})
            where = ", ".join(f"{pair} {datetime_of(day * DAY):%Y-%m-%d}" for pair, day in changed[:3])
            raise AppendError("bars of minutes that were taken have changed, or came late", where=where or None)
        return found, frames

    def _stored(
        self, first: int, last: int, inputs: Inputs, frames: Mapping[str, pl.DataFrame] | None = None
    ) -> Iterator[tuple[int, F8]]:
        """Open minutes of [first, last] with their bars, (fields, pairs), NaN where a pair has none."""
        if first > last:
            return
        found: dict[int, F8] = {}
        if frames is None:
            frames = self.project.bars.read(list(inputs.pairs), first, last + 1, as_of=inputs.as_of)
        empty = np.full((len(FIELDS), len(inputs.pairs)), np.nan)
        for lane, pair in enumerate(inputs.pairs):
            for bar in bars_of(pair, frames[pair].filter(in_span((first, last + 1)))):
                found.setdefault(bar.minute, empty.copy())[:, lane] = bar.values
        for minute in inputs.calendar.grid(first, last + 1).minute.tolist():
            yield minute, found.get(minute, empty)

    def _same_bars(self, after: int, through: int, inputs: Inputs) -> None:
        """Raise AppendError unless the engine's journal has the stored bars of (after, through]."""
        for minute, bars in self._stored(after + 1, through, inputs):
            if not np.array_equal(self.engine.bars(minute), bars, equal_nan=True):
                raise AppendError(
                    "the journal has other bars than the store", where=f"{datetime_of(minute):%Y-%m-%dT%H:%MZ}"
                )

    def _edges(self, inputs: Inputs) -> dict[str, tuple[Edge, ...]]:
        """The engine's weekly edges; segments that were known keep their first bar, which in the baseline's segment is
        the baseline's."""
        found = {}
        for pair in inputs.baselines:
            known = {edge.seg_id: edge for edge in self._inputs.edges.get(pair, ())}
            edges = ((known.get(edge.seg_id, edge), edge) for edge in self.engine.edges.get(pair, ()))
            found[pair] = tuple(
                replace(edge, first_minute=old.first_minute, first_open=old.first_open) for old, edge in edges
            )
        return found

    # rows

    def _remember(self, inputs: Inputs, receipts: Sequence[Receipt]) -> None:
        newest = self.engine.newest.minute
        self._inputs = self._past[newest] = inputs
        self._ends.update({receipt.key: newest for receipt in receipts})
        wanted = {newest, *self._ends.values()}
        self._past = {minute: past for minute, past in self._past.items() if minute in wanted}

    def _missing(self, inputs: Inputs) -> tuple[dict[str, list[_Span]], int]:
        """Rows by dataset that can be appended; the number of partitions that have to be built instead."""
        newest = self.engine.newest.minute
        kept = np.array(sorted(self._rows), dtype=np.int64)
        held = self._held(int(kept[0]) if len(kept) else None)
        end = max(one.through for one in held.values())
        months = months_between(month_span(min(key.ym for key in held))[0], newest + 1)
        found: dict[str, list[_Span]] = {}
        left = 0
        for home in self.homes:
            columns = tuple(c.name for c in home.columns)
            for ym in months:
                for lane, pair in enumerate(inputs.pairs):
                    if (span := inputs.row_span(pair, ym)) is None:
                        continue
                    key = PartitionKey(home.name, pair, ym)
                    ending = held.get(key)
                    if ending is not None and ending.through >= span[1]:
                        if key not in self._ends:  # while its inputs are still those of the others
                            self._lacks(ending, key, columns, span[0], end, inputs)
                        continue
                    first = self._lacks(ending, key, columns, span[0], end, inputs)
                    rows = None if first is None else self._positions(kept, first, span[1], inputs)
                    if rows is None:
                        left += 1
                    else:
                        found.setdefault(home.name, []).append(_Span(key, lane, rows, span[1]))
        return found, left

    def _lacks(
        self, ending: Ending | None, key: PartitionKey, columns: tuple[str, ...], start: int, end: int, inputs: Inputs
    ) -> int | None:
        """:meth:`_first` by the inputs of when it was last proven, else by those of minute `end`, where the store
        ends."""
        for minute in dict.fromkeys((self._ends.get(key, end), end)):
            if minute not in self._past:
                self._past[minute] = cut(inputs, self.project.bars, minute)
            first = self._first(ending, self._past[minute], key, columns, start)
            if first is not None:
                self._ends[key] = minute
                return first
        return None

    @staticmethod
    def _first(
        ending: Ending | None, before: Inputs, key: PartitionKey, columns: tuple[str, ...], start: int
    ) -> int | None:
        """The first minute a partition lacks; None when what it has is not proven."""
        was = before.row_span(key.pair, key.ym)
        if ending is None:
            return start if was is None else None
        if was is None or ending.columns != columns or ending.through != was[1]:
            return None
        return ending.through + 1 if ending.input_hash == before.input_hash(key.dataset, key.pair, key.ym) else None

    @staticmethod
    def _positions(kept: I8, first: int, last: int, inputs: Inputs) -> slice | None:
        """Where the open minutes of [first, last] are among those kept; None when some are not."""
        low, high = int(np.searchsorted(kept, first)), int(np.searchsorted(kept, last, side="right"))
        return slice(low, high) if 0 < high - low == inputs.rows(first, last) else None

    def _stage(self, spans: Mapping[str, Sequence[_Span]], inputs: Inputs) -> tuple[list[Receipt], int]:
        """One file a dataset and month; receipts with each partition's own end and hash."""
        minutes = np.array(sorted(self._rows), dtype=np.int64)
        simulated = self.project.simulated
        parts = [
            (home, [s for s in spans[home.name] if s.key.ym == ym])
            for home in self.homes
            for ym in sorted({span.key.ym for span in spans.get(home.name, ())})
        ]

        def stage(part: tuple[Dataset, list[_Span]]) -> list[Receipt]:
            return self._stage_month(*part, minutes, inputs, simulated)

        with ThreadPoolExecutor(WRITERS) as pool:  # each waits for the disk most of its time
            staged = list(pool.map(stage, parts))
        return [receipt for each in staged for receipt in each], len(parts)

    def _stage_month(
        self, home: Dataset, spans: Sequence[_Span], minutes: I8, inputs: Inputs, simulated: bool
    ) -> list[Receipt]:
        low, high = min(s.rows.start for s in spans), max(s.rows.stop for s in spans)
        block = np.stack([self._rows[m][home.name] for m in minutes[low:high].tolist()], axis=1)
        values = {column.name: block[k] for k, column in enumerate(home.columns)}
        typed = lanes(home, values, minutes[low:high], inputs.pairs)
        check_values(home, typed, inputs.pairs)
        rows = {s.lane: slice(s.rows.start - low, s.rows.stop - low) for s in spans}
        tables = stacked(home, typed, minutes[low:high], rows)
        by_pair = {s.key.pair: s for s in spans}
        staged = self.project.store.stage_tail(
            home.name,
            {pair: tables[span.lane] for pair, span in by_pair.items()},
            input_hash="of each partition",
            code_version=f"{home.version}:{home.code_hash}",
            complete_through=max(s.through for s in spans),
            simulated=simulated,
        )
        return [
            replace(r, complete_through=by_pair[r.key.pair].through, input_hash=inputs.input_hash(*_parts(r.key)))
            for r in staged
        ]


def _last(inputs: Inputs) -> int:
    """The newest bar of all."""
    return max(span[1] for span in inputs.spans.values())


def _begin(held: Mapping[PartitionKey, Ending]) -> int:
    """The minute up to which no row is wanted: where the first pair ends, those silent for long left out."""
    ends: dict[str, int] = {}
    for key, one in held.items():
        ends[key.pair] = max(ends.get(key.pair, one.through), one.through)
    newest = max(ends.values())
    return min(end for end in ends.values() if newest - end < KEPT)


def _parts(key: PartitionKey) -> tuple[str, str, str]:
    return key.dataset, key.pair, key.ym
