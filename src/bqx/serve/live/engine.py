"""The live engine: minutes of bars in, values of all datasets out, state on disk.

Order of a minute: its bars into the journal, then values, then (:meth:`Engine.prepare`) what has time. After a kill the
newest usable snapshot is loaded and the journal's later minutes are played again, which gives the bits of an engine
that never stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bqx.base.atomic import write_bytes
from bqx.base.errors import BarRefused, LiveError, LiveStateError
from bqx.base.runlog import event
from bqx.build.gather import gather
from bqx.build.inputs import Inputs
from bqx.features.anchors import Edge
from bqx.features.declare import Dataset
from bqx.features.live.ahead import make_ahead
from bqx.market.calendar import DAY, datetime_of
from bqx.serve.live.bar import FIELDS, Bar
from bqx.serve.live.feeds.replay import bars_of
from bqx.serve.live.identity import identity
from bqx.serve.live.journal import Journal, Record
from bqx.serve.live.newest import Newest
from bqx.serve.live.snapshots import Snapshots
from bqx.serve.live.standing import Rows, Standing
from bqx.store.known import now_us

if TYPE_CHECKING:
    from bqx.build.project import Project

F8 = NDArray[np.float64]

EVERY = 60
"""Minutes between snapshots."""
RECENT = 3 * EVERY
"""Minutes whose bars are at hand, so that a bar that comes twice is known at once."""
JOURNAL = "bars.journal"


@dataclass
class Told:
    """What the engine has to report. revised : bars that came again with other values. refused : of states, why."""

    minutes: int = 0
    revised: int = 0
    snapshots: int = 0
    caught_up: int = 0
    refused: list[str] = field(default_factory=list)


class Engine:
    """Datasets of a project, live. One process may have a folder open; :meth:`close` gives it back.

    newest : what it has to say. next : the open minute it takes next. through : stored bars after this minute are left
    out. rows : hears of every minute taken after those bars, played ones too. Raises LiveError when the project has no
    bars.
    """

    def __init__(
        self,
        project: Project,
        homes: Sequence[Dataset] | None = None,
        folder: Path | None = None,
        note: Callable[[str], None] = lambda _: None,
        every: int = EVERY,
        through: int | None = None,
        rows: Rows | None = None,
    ) -> None:
        self._rows = rows
        self.project, self.calendar, self._note, self._every = project, project.calendar, note, every
        self.homes = list(homes or project.catalogue.values())
        self.folder = folder or project.root / "live"
        self.told = Told()
        self._recent: dict[int, F8] = {}
        self._stored: dict[int, dict[int, F8]] = {}
        self._identities: dict[tuple[int, int], dict[str, str]] = {}
        self._since, self._whole = 0, True
        self._inputs, _ = gather(project)
        self.pairs = self._inputs.pairs
        if not self._inputs.spans:
            raise LiveError("the project has no bars to begin from", fix="import some weeks with `bqx bars import`")
        self._snapshots = Snapshots(self.folder)
        self._journal = Journal(self.folder / JOURNAL, len(self.pairs))
        try:
            self._start(through)
        except BaseException:
            self.close()
            raise

    # for who serves

    @property
    def newest(self) -> Newest:
        return self._at.newest

    @property
    def next(self) -> int:
        return self._at.next

    @property
    def inputs(self) -> Inputs:
        """What it found in the project when it was opened."""
        return self._inputs

    @property
    def through(self) -> int:
        """Last minute of the stored bars it began from."""
        return self._at.through

    @property
    def edges(self) -> Mapping[str, Sequence[Edge]]:
        """First open and last close of each pair's segments up to the newest row."""
        return self._at.edges

    @property
    def sigma(self) -> F8:
        """EWMA deviation of the newest row, bps (pairs,); empty before a minute was taken."""
        return self._at.session.sigma

    @property
    def spent(self) -> dict[str, float]:
        """Seconds of this core that each dataset took for the newest minute."""
        return self._at.session.spent

    @property
    def stepped(self) -> dict[str, bool]:
        """Of each dataset, whether it looks at the new rows only."""
        return {live.home.name: live.stepped for live in self._at.session.lives}

    def bars(self, minute: int) -> F8:
        """What live has of a minute, (fields, pairs), NaN where a pair has no bar."""
        if minute in self._recent:
            return self._recent[minute]
        empty = np.full((len(FIELDS), len(self.pairs)), np.nan)
        if minute > self._at.through:
            return next((r.bars for r in reversed(self._recorded(minute - 1, minute))), empty)
        day = minute // DAY
        if day not in self._stored:
            self._stored = {day: {}}
            frames = self.project.bars.read(list(self.pairs), day * DAY, (day + 1) * DAY, as_of=self._inputs.as_of)
            for j, pair in enumerate(self.pairs):
                for bar in bars_of(pair, frames[pair]):
                    self._stored[day].setdefault(bar.minute, empty.copy())[:, j] = bar.values
        return self._stored[day].get(minute, empty)

    # beginning

    def _start(self, through: int | None) -> None:
        for path in self._snapshots.newest_first():
            try:
                self._load(path)
                self._play()
            except LiveStateError as error:
                self._refuse(path, error)
            else:
                return
        last = max(s[1] for s in self._inputs.spans.values())
        self._at = Standing(self.project, self._inputs, self.homes, self._rows)
        self._at.prime(last if through is None else min(last, through), self._note)
        self._records = 0
        self.save()
        self._play()

    def _refuse(self, path: Path, error: LiveStateError) -> None:
        event("live.state_refused", level="warning", what=error.what, where=str(path))
        self.told.refused.append(f"{path.name}: {error.what}")
        self._note(f"{path.name} is not used: {error.what}")
        self._snapshots.put_aside(path)

    def _load(self, path: Path) -> None:
        saved = self._snapshots.load(path, self._identity(*self._snapshots.span(path)))
        self._records = int(saved.arrays.pop("engine/records")[0])
        if any(record.minute <= saved.minute for record in self._journal.read(skip=self._records)):
            raise LiveStateError("bars before it were revised after it was saved", where=str(path))
        self._at = Standing(self.project, self._inputs, self.homes, self._rows)
        self._at.restore(saved.arrays, saved.minute)
        self._at.fill_past(saved.minute, self._recorded(self._at.through, saved.minute))
        self._since = 0

    def _play(self) -> None:
        """Catch up with the journal's records since the state was saved."""
        rows = self._recorded(self.next - 1, skip=self._records)
        self._advance(rows)
        self.told.caught_up += len(rows)
        if self._since >= self._every:
            self.save()

    def _recorded(self, after: int, through: int | None = None, skip: int = 0) -> list[Record]:
        """The journal's minutes in order, of each its newest record; minutes without one have no bars."""
        records = (r for r in self._journal.read(skip=skip) if r.minute > after)
        found = {r.minute: r for r in records if through is None or r.minute <= through}
        if not found:
            return []
        grid = self.calendar.grid(self._at.after(after), max(found) + 1)
        empty = np.full((len(FIELDS), len(self.pairs)), np.nan)
        return [found.get(int(m)) or Record(int(m), 0, empty) for m in grid.minute]

    # minutes

    def take(self, minute: int, bars: F8) -> None:
        """The next minute's bars, (fields, pairs), NaN where a pair has none."""
        if minute != self.next:
            raise LiveError(f"the minute {datetime_of(minute)} is given, {datetime_of(self.next)} is the next")
        if not self._whole:
            raise LiveError("a minute failed half way, so what is remembered is not whole", fix="open live again")
        record = Record(minute, now_us(), bars)
        self._append(record)
        self._advance([record])

    def _advance(self, rows: Sequence[Record]) -> None:
        self._whole = False  # stays so when an exception ends it between two datasets
        self._at.advance(rows)
        self._whole = True
        self._since += len(rows)
        self.told.minutes += len(rows)

    def prepare(self) -> int:
        """What has time until the next minute: the journal onto the disk, a snapshot when one is due, and the fits that
        come into force then; how many estimates."""
        self._journal.sync()
        if self._since >= self._every:
            self.save()
        return make_ahead(self.homes, self._at.past, self.next)

    def revise(self, bar: Bar) -> bool:
        """A bar of a minute that was taken: with other values, everything since is derived anew. False when it says
        nothing new; BarRefused when no snapshot is older than it."""
        lane = self.pairs.index(bar.pair)
        old = self.bars(bar.minute)
        if bar.same(old[:, lane]):
            return False
        paths = self._snapshots.newest_first()
        base = next((path for path in paths if self._snapshots.minute(path) < bar.minute), None)
        if base is None:
            oldest = f"{datetime_of(self._snapshots.minute(paths[-1])):%Y-%m-%dT%H:%MZ}" if paths else "nothing"
            when = f"{datetime_of(bar.minute):%Y-%m-%dT%H:%MZ}"
            raise BarRefused(f"{bar.pair} {when} was revised too late: live can go back to {oldest}")
        for path in paths:
            if self._snapshots.minute(path) >= bar.minute:
                self._snapshots.remove(path)
        new = old.copy()
        new[:, lane] = bar.values
        self._append(Record(bar.minute, now_us(), new))
        self._load(base)
        self._play()
        self.save()
        self.told.revised += 1
        event("live.revised", pair=bar.pair, minute=bar.minute)
        return True

    def _append(self, record: Record) -> None:
        self._journal.append(record)
        self._recent[record.minute] = record.bars
        while len(self._recent) > RECENT:
            self._recent.pop(next(iter(self._recent)))

    # disk

    def _identity(self, begin: int, through: int) -> dict[str, str]:
        span = (begin, through)
        if span not in self._identities:
            self._identities[span] = identity(self._inputs, self.homes, self.project.bars, begin, through)
        return self._identities[span]

    def save(self) -> None:
        """A snapshot now."""
        self._save(self._snapshots)
        self._since = 0
        self.told.snapshots += 1

    def _save(self, snapshots: Snapshots) -> Path:
        span = (self._at.begin, self._at.through)
        arrays = {**self._at.arrays(), "engine/records": np.array([self._journal.count], dtype=np.int64)}
        return snapshots.save(self.newest.minute, self._identity(*span), arrays, span)

    def fork(self, folder: Path) -> Path:
        """Another engine's beginning in `folder`: a snapshot of this one, and its journal so far."""
        other = Snapshots(folder)
        try:
            self._journal.sync()
            write_bytes(folder / JOURNAL, self._journal.path.read_bytes())
            return self._save(other)
        finally:
            other.close()

    def close(self) -> None:
        self._journal.close()
        self._snapshots.close()
