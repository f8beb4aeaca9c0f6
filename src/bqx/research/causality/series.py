"""Series whose steps do not overlap: returns of k minutes, and BQX innovations sampled every w minutes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.base.errors import CausalityError, UsageError
from bqx.features.anchors import Anchors
from bqx.features.streams import SIGMA_BURN, SIGMA_NEED, WINDOWS, Streams
from bqx.market.calendar import Calendar
from bqx.market.panel import make_panel
from bqx.research.causality.gaps import Gaps

if TYPE_CHECKING:
    from bqx.build.project import Project

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
KINDS = ("return_1", "return_5", "return_15", *(f"bqx_{w}" for w in WINDOWS))
LEAST_SHARE = 0.9


@dataclass(frozen=True)
class Series:
    """Values (n, series) at steps `every` bars apart, NaN for NULL, each known at the end of its bar.

    minute, position, segment (n,) : of the step's last bar; position counts open minutes (Calendar.ordinal).
    carried : share of steps of each series whose last bar was not quoted; their next step holds what was missed, and
    so looks led by others (Lo and MacKinlay 1990). levels, scale (n, series) : log price at the end of the step, bps,
    and what the value was divided by; with them the gaps to what other pairs imply are known.
    """

    kind: str
    every: int
    names: tuple[str, ...]
    minute: I8
    position: I8
    segment: I8
    values: F8
    carried: tuple[float, ...] = ()
    levels: F8 | None = None
    scale: F8 | None = None

    def rows(self, start: int, stop: int) -> Series:
        """Steps with positions in [start, stop)."""
        keep = (self.position >= start) & (self.position < stop)
        return replace(
            self,
            minute=self.minute[keep],
            position=self.position[keep],
            segment=self.segment[keep],
            values=self.values[keep],
            levels=None if self.levels is None else self.levels[keep],
            scale=None if self.scale is None else self.scale[keep],
        )

    def only(self, names: Sequence[str]) -> Series:
        at = [self.names.index(name) for name in names]
        carried = tuple(self.carried[j] for j in at) if self.carried else ()
        levels, scale = (None if a is None else a[:, at] for a in (self.levels, self.scale))
        return replace(self, names=tuple(names), values=self.values[:, at], carried=carried, levels=levels, scale=scale)

    @cached_property
    def _gaps(self) -> Gaps:
        return Gaps.of(self.names)

    @cached_property
    def gaps(self) -> dict[str, F8]:
        """Pair -> gap (n,) to what the others imply, for pairs that have one; none without levels."""
        if self.levels is None or self.scale is None:
            return {}
        at = [self.names.index(name) for name in self._gaps.names]
        table = self._gaps.value(self.levels, self.scale, at)
        return {name: table[:, k] for k, name in enumerate(self._gaps.names)}

    @property
    def valid(self) -> F8:
        """Share of the steps that each series has."""
        return np.asarray(np.isfinite(self.values).mean(axis=0) if len(self.values) else np.zeros(len(self.names)))

    def complete(self) -> tuple[Series, tuple[str, ...]]:
        """Without the series that lack more than a tenth of the steps, and their names."""
        good = [n for n, share in zip(self.names, self.valid, strict=True) if share >= LEAST_SHARE]
        return self.only(good), tuple(n for n in self.names if n not in good)


def parse_kind(text: str) -> tuple[str, int]:
    """`return_5` -> ("return", 5); raises UsageError for what is not in KINDS."""
    found = re.fullmatch(r"(return|bqx)_(\d+)", text)
    if found is None or text not in KINDS:
        raise UsageError(f"unknown series {text!r}", fix=f"one of {', '.join(KINDS)}")
    return found[1], int(found[2])


def series_of(streams: Streams, kind: str, start: int, end: int) -> Series:
    """Steps that end in [start, end), in units of the EWMA deviation known before each began.

    return_k : log return of the k bars, over sigma. bqx_w : M_w(t) of the w returns up to t, over sigma: a random
    walk forecasts 0, so it is its own innovation. A step never crosses a closure. Without the scaling, volatility that
    all pairs share would look like a link of each with each.
    """
    what, every = parse_kind(kind)
    grid = streams.panel.grid
    close = streams.rate_close
    keep = np.flatnonzero((grid.minute % every == every - 1) & (grid.minute >= start) & (grid.minute < end))
    whole = (grid.seg_age[keep] >= every)[:, None]
    before = np.maximum(keep - every, 0)
    sigma = streams.sigma[before + 1] * (np.sqrt(every) if what == "return" else 1.0)
    move = close[keep] - close[before] if what == "return" else streams.oriented(every)[keep]
    scale = np.where(sigma > 0, sigma, np.nan)
    values = np.where(whole, move / scale, np.nan)
    levels = 1e4 * np.log(streams.panel.close[keep])
    base = streams.calendar.ordinal(int(grid.minute[0])) if len(grid) else 0
    filled = streams.panel.filled[keep]
    carried = tuple(float(s) for s in filled.mean(axis=0)) if len(keep) else ()
    segment = grid.seg_id[keep].astype(np.int64)
    return Series(
        kind, every, streams.panel.pairs, grid.minute[keep], base + keep, segment, values, carried, levels, scale
    )


def from_bars(bars: Mapping[str, pl.DataFrame], calendar: Calendar, kinds: Sequence[str], start: int, end: int,
              first: Mapping[str, int] | None = None) -> list[Series]:  # fmt: skip
    """Series of all kinds from bars (one frame a pair) that begin early enough for sigma, see `lead`."""
    pairs = tuple(sorted(bars))
    grid = calendar.grid(lead(calendar, start), end)
    streams = Streams(make_panel(bars, pairs, grid, first=first), calendar, Anchors())
    return [series_of(streams, kind, start, end) for kind in kinds]


def lead(calendar: Calendar, start: int) -> int:
    """Segment start from which bars must be read so that sigma is known at `start`."""
    back = max(calendar.ordinal(start) - SIGMA_BURN - SIGMA_NEED, 0)
    return calendar.segment_start(calendar.at_ordinal(back))


def from_project(project: Project, kinds: Sequence[str], pairs: Sequence[str], start: int, end: int,
                 as_of: int | None = None) -> list[Series]:  # fmt: skip
    """Series of a project's bars; CausalityError when fewer than two pairs have any."""
    spans = project.bars.spans(as_of)
    chosen = tuple(p for p in sorted(pairs) if p in spans and spans[p][0] < end and spans[p][1] >= start)
    if len(chosen) < 2:
        raise CausalityError(
            f"{len(chosen)} of {len(pairs)} pairs have bars in the span, two are the least",
            fix="`bqx bars list` shows what there is; import more pairs or give another span",
        )
    begin = lead(project.calendar, start)
    bars = project.bars.read(chosen, begin, end, as_of)
    return from_bars(bars, project.calendar, kinds, start, end, {p: spans[p][0] for p in chosen})
