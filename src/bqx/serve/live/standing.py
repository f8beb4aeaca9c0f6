"""Where a live engine stands: all that it remembers, begun from stored bars or from a state, and rows taken in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import LiveStateError
from bqx.build.fits import StoredFits, held_fits
from bqx.build.gather import anchors as batch_anchors
from bqx.build.inputs import Inputs
from bqx.features.catalogue import earliest
from bqx.features.declare import Dataset
from bqx.features.live.carry import Carry
from bqx.features.live.dataset import twin
from bqx.features.live.past import Past
from bqx.features.live.session import Session
from bqx.market.bars import PRICE_COLUMNS, QUOTE_COLUMNS
from bqx.market.calendar import WEEK, datetime_of
from bqx.market.panel import Panel
from bqx.serve.live.bar import FIELDS
from bqx.serve.live.edges import Edges
from bqx.serve.live.history import history
from bqx.serve.live.journal import Record
from bqx.serve.live.newest import Newest
from bqx.serve.live.shelf import LiveShelf

if TYPE_CHECKING:
    from bqx.build.project import Project

ROWS = 360
"""Minutes in a block when history is caught up with: its values of all datasets are held at once."""


class Standing:
    """begin, through : span of the stored bars it began from. next : the open minute it takes next. newest : what it
    has to say. Use :meth:`prime` or :meth:`restore` first."""

    def __init__(self, project: Project, inputs: Inputs, homes: Sequence[Dataset]) -> None:
        self._project, self._inputs, self.homes, self.calendar = project, inputs, list(homes), project.calendar
        fitting = [home.name for home in homes if home.fits]
        self.shelf = LiveShelf(StoredFits(inputs, held_fits(project.manifest, fitting or ["-"])))
        lives = [twin(home) for home in homes]
        quotes = any("quotes" in live.home.uses and not live.stepped for live in lives)
        self.past = Past(self.calendar, 0, self.shelf, quotes=quotes)
        self.session = Session(homes, self.calendar, self.past, lives)
        self._known = batch_anchors(inputs)
        self._edges = Edges(inputs.pairs, self._known)
        self._carry = Carry(inputs.pairs)
        self.newest = Newest(homes, inputs.pairs)
        self.begin, self.through, self.next = -1, -1, -1

    def prime(self, through: int, note: Callable[[str], None]) -> None:
        """Take the stored bars up to minute `through` in, each dataset from where its look-back begins."""
        begins, past = self._begins(through)
        self.begin, self.through = min([past, *begins.values()]), through
        self.past.depth = self._depth(past)
        first = min(begins.values())
        for panel in history(self._project.bars, self._inputs, self.begin, through):
            start = int(panel.grid.minute[0])
            if start < first:
                self.past.take(panel, self._known)
                continue
            note(f"taking in the week of {datetime_of(start):%Y-%m-%d}")
            begun = [name for name, at in begins.items() if at <= start]
            for row in range(0, len(panel.grid), ROWS):
                part = panel.slice(row, min(row + ROWS, len(panel.grid)))
                values = self.session.advance(part, self._known, begun)
                self.newest.take(part.grid.minute, part.grid.seg_age, values)
            self._carry.fill(panel)
        self._edges.fill(self._known.edges, panel)
        self.next = self.after(through)

    def advance(self, rows: Sequence[Record]) -> None:
        """The next minutes, which follow one another."""
        for k in range(0, len(rows), ROWS):
            part = rows[k : k + ROWS]
            panel = self._panel(self._carry, part)
            self._edges.take(panel)
            values = self.session.advance(panel, self._edges.anchors())
            self.newest.take(panel.grid.minute, panel.grid.seg_age, values)
            self.next = self.after(part[-1].minute)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All that is remembered, copies."""
        found = {f"session/{k}": v for k, v in self.session.state().items()}
        for name, one in self._parts().items():
            found |= {f"{name}/{k}": v for k, v in one.state().items()}
        return found | {"engine/place": np.array([self.begin, self.through], dtype=np.int64)}

    def restore(self, arrays: Mapping[str, NDArray[Any]], minute: int) -> None:
        """Stand where another did after minute `minute`; :meth:`fill_past` is due then. Raises LiveStateError."""
        parts: dict[str, dict[str, NDArray[Any]]] = {}
        for key, value in arrays.items():
            head, _, rest = key.partition("/")
            parts.setdefault(head, {})[rest] = value
        self.begin, self.through = (int(v) for v in parts["engine"]["place"])
        self.session.restore(parts.get("session", {}))
        for name, one in self._parts().items():
            one.restore(parts.get(name, {}))
        self.next = self.after(minute)

    def _parts(self) -> dict[str, Any]:
        return {"carry": self._carry, "edges": self._edges, "newest": self.newest, "fits": self.shelf}

    def fill_past(self, minute: int, rows: Sequence[Record]) -> None:
        """The past is no part of a state: from the stored bars, and `rows` after them up to `minute`."""
        _, past = self._begins(minute)
        self.past.depth = self._depth(past)
        begin = min(past, self.calendar.segment_start(self.through))
        carry = Carry(self._inputs.pairs)
        for panel in history(self._project.bars, self._inputs, begin, self.through):
            self.past.take(panel, self._known)
            carry.fill(panel)
        if rows:
            self.past.take(self._panel(carry, rows), self._edges.anchors())

    def after(self, minute: int) -> int:
        """The open minute after one."""
        return self.calendar.at_ordinal(self.calendar.ordinal(minute + 1))

    def _begins(self, minute: int) -> tuple[dict[str, int], int]:
        """Where each dataset begins for values at `minute`, and where the past that it needs does."""
        first = self.calendar.segment_start(min(s[0] for s in self._inputs.spans.values()))
        begins = {home.name: max(earliest(home, minute, self.calendar), first) for home in self.homes}
        needs = [begins[live.home.name] for live in self.session.lives if not live.stepped]
        needs += [fit.earliest(minute, self.calendar) for home in self.homes for fit in home.fits]
        return begins, max(min(needs, default=minute), first)

    def _depth(self, past: int) -> int:
        return self.calendar.ordinal(self.through) - self.calendar.ordinal(past) + WEEK

    def _panel(self, carry: Carry, rows: Sequence[Record]) -> Panel:
        grid = self.calendar.grid(rows[0].minute, rows[-1].minute + 1)
        if len(grid) != len(rows):
            raise LiveStateError(f"{len(rows)} minutes for {len(grid)} rows of the grid")
        bars = np.stack([row.bars for row in rows])
        named = {name: bars[:, k] for k, name in enumerate(FIELDS)}
        prices = {name: named[name] for name in (*PRICE_COLUMNS, "volume")}
        return carry.panel(grid, prices, {name: named[name] for name in QUOTE_COLUMNS})
