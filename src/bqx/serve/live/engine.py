"""The live engine: minutes of bars in, values of all datasets out, state on disk.

Order of a minute: its bars into the journal, then values, then (:meth:`Engine.prepare`) what has time. After a kill the
newest usable snapshot is loaded and the journal's later minutes are played again, which gives the bits of an engine
that never stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import BarRefused, LiveError, LiveStateError
from bqx.base.runlog import event
from bqx.build.fits import StoredFits, held_fits
from bqx.build.gather import anchors as batch_anchors
from bqx.build.gather import gather
from bqx.features.catalogue import earliest
from bqx.features.declare import Dataset
from bqx.features.live.ahead import make_ahead
from bqx.features.live.carry import Carry
from bqx.features.live.dataset import twin
from bqx.features.live.past import Past
from bqx.features.live.session import Session
from bqx.market.bars import PRICE_COLUMNS, QUOTE_COLUMNS
from bqx.market.calendar import DAY, WEEK, datetime_of
from bqx.serve.live.bar import FIELDS, Bar
from bqx.serve.live.edges import Edges
from bqx.serve.live.feeds.replay import bars_of
from bqx.serve.live.history import history
from bqx.serve.live.identity import identity
from bqx.serve.live.journal import Journal, Record
from bqx.serve.live.newest import Newest
from bqx.serve.live.shelf import LiveShelf
from bqx.serve.live.snapshots import Snapshots
from bqx.store.known import now_us

if TYPE_CHECKING:
    from bqx.build.project import Project

F8 = NDArray[np.float64]
Values = dict[str, F8]

ROWS = 360
"""Minutes in a block when history is caught up with: its values of all datasets are held at once."""
EVERY = 60
"""Minutes between snapshots."""
RECENT = 3 * EVERY
"""Minutes whose bars are at hand, so that a bar that comes twice is known at once."""


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
    out. Raises LiveError when the project has no bars.
    """

    def __init__(
        self,
        project: Project,
        homes: Sequence[Dataset] | None = None,
        folder: Path | None = None,
        note: Callable[[str], None] = lambda _: None,
        every: int = EVERY,
        through: int | None = None,
    ) -> None:
        self.project, self.calendar, self._note, self._every = project, project.calendar, note, every
        self._last = through
        self.homes = list(homes or project.catalogue.values())
        self.folder = folder or project.root / "live"
        self.told = Told()
        self._recent: dict[int, F8] = {}
        self._stored: dict[int, dict[int, F8]] = {}
        self._identities: dict[tuple[int, int], dict[str, str]] = {}
        self._inputs, _ = gather(project)
        self.pairs = self._inputs.pairs
        if not self._inputs.spans:
            raise LiveError("the project has no bars to begin from", fix="import some weeks with `bqx bars import`")
        self._snapshots = Snapshots(self.folder)
        self._journal = Journal(self.folder / "bars.journal", len(self.pairs))
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    # what a fresh engine stands on

    def _fresh(self) -> None:
        fitting = [home.name for home in self.homes if home.fits]
        self._shelf = LiveShelf(StoredFits(self._inputs, held_fits(self.project.manifest, fitting or ["-"])))
        lives = [twin(home) for home in self.homes]
        quotes = any("quotes" in live.home.uses and not live.stepped for live in lives)
        self._past = Past(self.calendar, 0, self._shelf, quotes=quotes)
        self._session = Session(self.homes, self.calendar, self._past, lives)
        self._edges = Edges(self.pairs, self._inputs.t0, batch_anchors(self._inputs).baseline)
        self._carry = Carry(self.pairs)
        self.newest = Newest(self.homes, self.pairs)
        self._records = 0
        self._since = 0

    def _start(self) -> None:
        for path in self._snapshots.newest_first():
            try:
                self._load(path)
                self._play()
            except LiveStateError as error:
                self._refuse(path, error)
            else:
                return
        self._prime()
        self._play()

    def _refuse(self, path: Path, error: LiveStateError) -> None:
        event("live.state_refused", level="warning", what=error.what, where=str(path))
        self.told.refused.append(f"{path.name}: {error.what}")
        self._note(f"{path.name} is not used: {error.what}")
        self._snapshots.put_aside(path)

    # from stored bars

    def _begins(self, minute: int) -> tuple[dict[str, int], int]:
        """Where each dataset begins for values at `minute`, and where the past that it needs does."""
        first = self.calendar.segment_start(min(s[0] for s in self._inputs.spans.values()))
        begins = {home.name: max(earliest(home, minute, self.calendar), first) for home in self.homes}
        stepped = {live.home.name: live.stepped for live in self._session.lives}
        needs = [begins[home.name] for home in self.homes if not stepped[home.name]]
        needs += [fit.earliest(minute, self.calendar) for home in self.homes for fit in home.fits]
        return begins, max(min(needs, default=minute), first)

    def _prime(self) -> None:
        """Take the stored bars in, each dataset from where its look-back begins."""
        self._fresh()
        self._through = max(s[1] for s in self._inputs.spans.values())
        if self._last is not None:
            self._through = min(self._through, self._last)
        begins, past = self._begins(self._through)
        self._begin = min([past, *begins.values()])
        self._past.depth = self._depth(past)
        known = batch_anchors(self._inputs)
        first = min(begins.values())
        for panel in history(self.project.bars, self._inputs, self._begin, self._through):
            start = int(panel.grid.minute[0])
            if start < first:
                self._past.take(panel, known)
                continue
            self._note(f"taking in the week of {datetime_of(start):%Y-%m-%d}")
            begun = [name for name, at in begins.items() if at <= start]
            for row in range(0, len(panel.grid), ROWS):
                part = panel.slice(row, min(row + ROWS, len(panel.grid)))
                self._newly(part.grid.minute, part.grid.seg_age, self._session.advance(part, known, begun))
            self._carry.fill(panel)
        self._edges.fill(known.edges, panel)
        self.next = self._after(self._through)
        self._save()

    def _depth(self, past: int) -> int:
        return self.calendar.ordinal(self._through) - self.calendar.ordinal(past) + WEEK

    def _newly(self, minutes: NDArray[np.int64], ages: NDArray[np.int32], values: Values) -> None:
        self.newest.take(minutes, ages, values)

    def _after(self, minute: int) -> int:
        return self.calendar.at_ordinal(self.calendar.ordinal(minute + 1))

    # from a state

    def _load(self, path: Path) -> None:
        self._fresh()
        begin, through = self._snapshots.span(path)
        saved = self._snapshots.load(path, self._identity(begin, through))
        parts: dict[str, dict[str, NDArray[Any]]] = {}
        for key, value in saved.arrays.items():
            head, _, rest = key.partition("/")
            parts.setdefault(head, {})[rest] = value
        self._begin, self._through, self._records = (int(v) for v in parts["engine"]["place"])
        self._session.restore(parts.get("session", {}))
        for name, one in (("carry", self._carry), ("edges", self._edges), ("newest", self.newest)):
            one.restore(parts.get(name, {}))
        self._shelf.restore(parts.get("fits", {}))
        self.next = self._after(saved.minute)
        late = [r.minute for k, r in enumerate(self._journal.read()) if k >= self._records and r.minute <= saved.minute]
        if late:
            raise LiveStateError("bars before it were revised after it was saved", where=str(path))
        self._fill_past(saved.minute)

    def _identity(self, begin: int, through: int) -> dict[str, str]:
        span = (begin, through)
        if span not in self._identities:
            self._identities[span] = identity(self._inputs, self.homes, self.project.bars, begin, through)
        return self._identities[span]

    def _fill_past(self, minute: int) -> None:
        """The past is no part of a state: from the stored bars, and the journal's after them."""
        _, past = self._begins(minute)
        self._past.depth = self._depth(past)
        begin = min(past, self.calendar.segment_start(self._through))
        known = batch_anchors(self._inputs)
        carry = Carry(self.pairs)
        for panel in history(self.project.bars, self._inputs, begin, self._through):
            self._past.take(panel, known)
            carry.fill(panel)
        rows = self._recorded(self._through, minute)
        if rows:
            self._past.take(self._panel(carry, rows), self._edges.anchors())

    def _recorded(self, after: int, through: int | None = None) -> list[Record]:
        """The journal's minutes in order, of each its newest record; minutes without one have no bars."""
        found = {r.minute: r for r in self._journal.read(after) if through is None or r.minute <= through}
        if not found:
            return []
        grid = self.calendar.grid(self._after(after), max(found) + 1)
        empty = np.full((len(FIELDS), len(self.pairs)), np.nan)
        return [found.get(int(m)) or Record(int(m), 0, empty) for m in grid.minute]

    # minutes

    def _panel(self, carry: Carry, rows: Sequence[Record]) -> Any:
        grid = self.calendar.grid(rows[0].minute, rows[-1].minute + 1)
        if len(grid) != len(rows):
            raise LiveStateError(f"{len(rows)} minutes for {len(grid)} rows of the grid")
        bars = np.stack([row.bars for row in rows])
        named = {name: bars[:, k] for k, name in enumerate(FIELDS)}
        prices = {name: named[name] for name in (*PRICE_COLUMNS, "volume")}
        return carry.panel(grid, prices, {name: named[name] for name in QUOTE_COLUMNS})

    def _advance(self, rows: Sequence[Record]) -> None:
        for k in range(0, len(rows), ROWS):
            part = rows[k : k + ROWS]
            panel = self._panel(self._carry, part)
            self._edges.take(panel)
            values = self._session.advance(panel, self._edges.anchors())
            self._newly(panel.grid.minute, panel.grid.seg_age, values)
            self.next = self._after(part[-1].minute)
            self._since += len(part)
            self.told.minutes += len(part)

    def _play(self) -> None:
        """Catch up with the journal."""
        rows = self._recorded(self.next - 1)
        self._advance(rows)
        self.told.caught_up += len(rows)
        if self._since >= self._every:
            self._save()

    def take(self, minute: int, bars: F8) -> None:
        """The next minute's bars, (fields, pairs), NaN where a pair has none."""
        if minute != self.next:
            raise LiveError(f"the minute {datetime_of(minute)} is given, {datetime_of(self.next)} is the next")
        record = Record(minute, now_us(), bars)
        self._append(record)
        self._advance([record])

    def prepare(self) -> int:
        """What has time until the next minute: the journal onto the disk, a snapshot when one is due, and the fits that
        come into force then; how many estimates."""
        self._journal.sync()
        if self._since >= self._every:
            self._save()
        return make_ahead(self.homes, self._past, self.next)

    def revise(self, bar: Bar) -> bool:
        """A bar of a minute that was taken: with other values, everything since is derived anew. False when it says
        nothing new; BarRefused when no snapshot is older than it."""
        lane = self.pairs.index(bar.pair)
        old = self._known(bar.minute)
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
        self._shelf.forget(bar.minute)
        self._play()
        self._save()
        self.told.revised += 1
        event("live.revised", pair=bar.pair, minute=bar.minute)
        return True

    def _append(self, record: Record) -> None:
        self._journal.append(record)
        self._recent[record.minute] = record.bars
        while len(self._recent) > RECENT:
            self._recent.pop(next(iter(self._recent)))

    def _known(self, minute: int) -> F8:
        """The bars that live has of a minute, (fields, pairs)."""
        if minute in self._recent:
            return self._recent[minute]
        empty = np.full((len(FIELDS), len(self.pairs)), np.nan)
        if minute > self._through:
            return next((r.bars for r in reversed(self._recorded(minute - 1, minute))), empty)
        day = minute // DAY
        if day not in self._stored:
            self._stored = {day: {}}
            frames = self.project.bars.read(list(self.pairs), day * DAY, (day + 1) * DAY, as_of=self._inputs.as_of)
            for j, pair in enumerate(self.pairs):
                for bar in bars_of(pair, frames[pair]):
                    self._stored[day].setdefault(bar.minute, empty.copy())[:, j] = bar.values
        return self._stored[day].get(minute, empty)

    # for who serves

    @property
    def sigma(self) -> F8:
        """EWMA deviation of the newest row, bps (pairs,); empty before a minute was taken."""
        return self._session.sigma

    def bars(self, minute: int) -> F8:
        """What live has of a minute, (fields, pairs), NaN where a pair has no bar."""
        return self._known(minute)

    # disk

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All that is remembered, copies."""
        found = {f"session/{k}": v for k, v in self._session.state().items()}
        for name, one in (("carry", self._carry), ("edges", self._edges), ("newest", self.newest)):
            found |= {f"{name}/{k}": v for k, v in one.state().items()}
        found |= {f"fits/{k}": v for k, v in self._shelf.state().items()}
        place = [self._begin, self._through, self._journal.count]
        return found | {"engine/place": np.array(place, dtype=np.int64)}

    def _save(self) -> None:
        self._snapshots.save(self.newest.minute, self._identity(self._begin, self._through), self.arrays())
        self._since = 0
        self.told.snapshots += 1

    def save(self) -> None:
        """A snapshot now."""
        self._save()

    def fork(self, folder: Path) -> Path:
        """Another engine's beginning: a snapshot of this one in `folder`, which gets a journal of its own."""
        other = Snapshots(folder)
        try:
            arrays = self.arrays()
            arrays["engine/place"][2] = 0
            return other.save(self.newest.minute, self._identity(self._begin, self._through), arrays)
        finally:
            other.close()

    def close(self) -> None:
        self._journal.close()
        self._snapshots.close()


def values_of(engine: Engine, names: Sequence[str]) -> Mapping[str, NDArray[np.float32]]:
    """Named candidates of the newest minute, each (pairs,)."""
    return {name: engine.newest.column(name) for name in names}
