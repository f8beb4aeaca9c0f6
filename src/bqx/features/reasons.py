"""Why values are NULL, counted: every NULL of a column has one reason, found from its support and not from a kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bqx.features.support import Mask, Support, View
from bqx.market.bars import QUOTE_COLUMNS
from bqx.market.pairs import PAIRS
from bqx.market.panel import Panel

REASONS: Mapping[str, str] = {
    "warm-up": "fewer bars since the pair's first than the column needs",
    "closure": "the window would reach across a weekend or holiday, which its policy forbids",
    "panel": "the project lacks other pairs that the value is about",
    "baseline": "the pair has no baseline price yet at this minute",
    "capability": "the source of the bars gives no volume, or no bid and ask",
    "gap": "too many minutes without a quote in what the value sees",
    "undefined": "the formula has no value here, such as a ratio to nothing",
}
"""In the order in which they are asked: a NULL has the first that holds."""


class Reasons:
    """Masks and counts over one panel, which must begin no later than the columns can see.

    Other markets are asked what they would give: one without a missing minute, of all 28 pairs or of this one's, the
    same with this one's baselines, and this one with volume and quotes wherever it has a bar.
    """

    def __init__(self, view: View) -> None:
        self.view = view
        self._counted: dict[tuple[Support, bytes], dict[str, NDArray[np.int64]]] = {}
        self._tails: dict[int, Reasons] = {}

    @cached_property
    def _whole(self) -> View:
        """One pair that was always there and never missed a minute; its baseline always known."""
        return View(_filled(self.view.panel, self.view.panel.pairs[:1]), self.view.calendar, np.array([0]))

    @cached_property
    def _market(self) -> View:
        """All 28 pairs like that, for values that look at other pairs too."""
        return View(_filled(self.view.panel, PAIRS), self.view.calendar, np.zeros(len(PAIRS), dtype=np.int64))

    @cached_property
    def _everyone(self) -> View:
        """The panel's pairs like that."""
        pairs = self.view.panel.pairs
        return View(_filled(self.view.panel, pairs), self.view.calendar, np.zeros(len(pairs), dtype=np.int64))

    @cached_property
    def _based(self) -> View:
        """Such pairs with the baselines there are."""
        panel = self.view.panel
        return View(_filled(panel, panel.pairs), self.view.calendar, self.view.baseline)

    @cached_property
    def _capable(self) -> View:
        panel = self.view.panel
        priced, quoted = ~np.isnan(panel.close), panel.fill_run == 0
        volume = np.where(quoted, 1.0, np.where(priced, 0.0, np.nan))
        quotes = dict.fromkeys(QUOTE_COLUMNS, np.where(quoted & priced, 1.0, np.nan))
        return View(replace(panel, volume=volume, quotes=quotes), self.view.calendar, self.view.baseline)

    def masks(self, support: Support, uses: AbstractSet[str]) -> dict[str, Mask]:
        """Each reason but "undefined", and "expected" where a value must be: masks (n, pairs) that exclude each other
        and cover every row. uses : of the column's dataset; what it does not use is not asked."""
        valid = self.view.mask(support)
        late = self.view.stream >= support.warmup
        left = late & ~valid
        out: dict[str, Mask] = {"expected": late & valid, "warm-up": ~late}
        panel = "panel" in uses
        hypotheses: dict[str, tuple[bool, Callable[[], Mask]]] = {
            "closure": (True, lambda: ~(self._market if panel else self._whole).mask(support)[:, :1]),
            "panel": (panel, lambda: ~self._everyone.mask(support)),
            "baseline": ("baseline" in uses, lambda: ~self._based.mask(support)),
            "capability": (bool(uses & {"volume", "quotes"}), lambda: self._capable.mask(support)),
        }
        for reason, (possible, where) in hypotheses.items():
            out[reason] = left & where() if possible and left.any() else np.zeros_like(left)
            left = left & ~out[reason]
        out["gap"] = left
        return out

    def counts(
        self, support: Support, uses: AbstractSet[str], spans: NDArray[np.int64]
    ) -> dict[str, NDArray[np.int64]]:
        """Rows of each mask by pair, within each pair's rows; spans : first row and the row after the last, shape
        (pairs, 2). Kept, for many columns see the same; asked of no more of the panel than the support can see."""
        key = (support, spans.tobytes())
        if key not in self._counted:
            row = self._begin(support, int(spans[:, 0].min(initial=len(self.view.panel.grid))))
            masks = self._tail(row).masks(support, uses)
            self._counted[key] = {
                reason: np.array([mask[a - row : b - row, lane].sum() for lane, (a, b) in enumerate(spans)])
                for reason, mask in masks.items()
            }
        return self._counted[key]

    def _begin(self, support: Support, row: int) -> int:
        """Row of the segment start that values from `row` on can see back to."""
        grid, calendar = self.view.panel.grid, self.view.calendar
        if row >= len(grid):
            return 0
        minute = calendar.segment_start(support.earliest(int(grid.minute[row]), calendar))
        return grid.index(minute) if minute > grid.minute[0] else 0

    def _tail(self, row: int) -> Reasons:
        if row == 0:
            return self
        if row not in self._tails:
            panel = self.view.panel.slice(row, len(self.view.panel.grid))
            self._tails[row] = Reasons(View(panel, self.view.calendar, self.view.baseline))
        return self._tails[row]


def _filled(panel: Panel, pairs: tuple[str, ...]) -> Panel:
    """The same grid with a quoted bar of each of some pairs in every minute."""
    lanes = len(pairs)
    ones = np.ones((len(panel.grid), lanes))
    return replace(
        panel,
        pairs=pairs,
        open=ones,
        high=ones,
        low=ones,
        close=ones,
        volume=ones,
        fill_run=np.zeros(ones.shape, dtype=np.int32),
        quotes=dict.fromkeys(QUOTE_COLUMNS, ones),
        first=np.zeros(lanes, dtype=np.int64),
        last=np.full(lanes, panel.last.max(initial=0)),
    )
