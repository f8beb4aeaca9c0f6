"""L1 to L3: stored values against values computed again with another future, with none, and with the least history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.build.gather import anchors, gather
from bqx.build.inputs import Inputs
from bqx.build.project import Project
from bqx.features.catalogue import earliest
from bqx.features.checks.causal import hash_seed, shock
from bqx.features.compute import evaluate
from bqx.features.declare import Dataset as Home
from bqx.features.streams import Streams
from bqx.market.calendar import datetime_of
from bqx.market.panel import make_panel
from bqx.research.leakage.result import LEAST, LeakResult

if TYPE_CHECKING:
    from bqx.research.dataset import Dataset

F8 = NDArray[np.float64]
Bend = Callable[[str, pl.DataFrame], pl.DataFrame]
ROWS = 240


class Recompute:
    """Values of a dataset's pair from bars that a test may bend, beside those stored."""

    def __init__(self, dataset: Dataset, pair: str, homes: Sequence[str] | None) -> None:
        self.dataset, self.pair = dataset, pair
        project = dataset.project
        self.project = Project(project.root, project.config, None)
        self.project.as_of = dataset.as_of
        self.inputs: Inputs = gather(self.project)[0]
        counted = [d for d in project.catalogue.values() if d.name in {c.dataset for c in dataset.candidates}]
        self.homes = [d for d in counted if homes is None or d.name in homes]

    def values(self, home: Home, start: int, end: int, bend: Bend = lambda _, frame: frame) -> dict[str, F8]:
        """Columns over the open minutes of [start, end), in stored precision, of bars up to `end` that were bent."""
        pairs = self.inputs.pairs if "panel" in home.uses else (self.pair,)
        calendar = self.inputs.calendar
        begin = earliest(home, start, calendar)
        frames = self.project.bars.read(list(pairs), begin, end, as_of=self.dataset.as_of)
        bent = {p: bend(p, f) for p, f in frames.items()}
        limits = {p: s for p, s in self.inputs.spans.items() if p in pairs}
        panel = make_panel(
            bent,
            pairs,
            calendar.grid(begin, end),
            first={p: s[0] for p, s in limits.items()},
            last={p: s[1] for p, s in limits.items()},
            quotes="quotes" in home.uses,
        )
        found = evaluate(home, Streams(panel, calendar, anchors(self.inputs)), start_row=panel.grid.index(start))
        lane = pairs.index(self.pair)
        return {name: _stored(value[:, lane], home.by_name[name].dtype) for name, value in found.items()}

    def stored(self, home: Home, start: int, end: int) -> dict[str, F8]:
        names = [c.name for c in home.columns]
        frame = self.project.store.read(home.name, [self.pair], (start, end), names, self.dataset.as_of).collect()
        return {c: frame[c].cast(pl.Float64).fill_null(np.nan).to_numpy() for c in names}

    def compare(self, test: str, title: str, wanted: list[tuple[int, int]], make: Callable[[Home, int, int], dict[str, F8]]) -> LeakResult:  # fmt: skip # noqa: E501
        """Stored values of each span against `make`d ones, bit for bit."""
        compared = wrong = 0
        first = ""
        for home in self.homes:
            for start, end in wanted:
                now = make(home, start, end)
                for name, value in self.stored(home, start, end).items():
                    other = now[name][: len(value)]
                    differs = ~((value == other) | (np.isnan(value) & np.isnan(other)))
                    compared += int(np.isfinite(value).sum())
                    wrong += int(differs.sum())
                    if differs.any() and not first:
                        first = f"{home.name}.{name} near {datetime_of(start).isoformat()}"
        detail = f"{wrong:,} of {compared:,} values differ, first {first}" if wrong else f"{len(self.homes)} datasets"
        return LeakResult(test, title, compared, wrong, detail)

    def cut(self, share: float) -> tuple[int, int]:
        """A span of ROWS minutes that ends at that share of the time before the seal."""
        calendar, d = self.inputs.calendar, self.dataset
        low, high = calendar.ordinal(d.start), calendar.ordinal(d.sealed_from)
        at = low + int(share * (high - low))
        return calendar.at_ordinal(at - ROWS), calendar.at_ordinal(at) + 1


def l1_future(r: Recompute, seed: int = 0) -> LeakResult:
    """Other bars after t, some of them gone: everything up to t keeps every bit."""
    span = r.cut(0.9)

    def make(home: Home, start: int, end: int) -> dict[str, F8]:
        beyond = r.inputs.calendar.at_ordinal(r.inputs.calendar.ordinal(end) + ROWS)
        return r.values(home, start, beyond, lambda p, f: shock(f, end - 1, hash_seed(seed, p)))

    return r.compare("L1", "other future, same past", [span], make)


def l2_truncation(r: Recompute) -> LeakResult:
    """Bars end at t: everything up to t is the same."""
    return r.compare("L2", "bars cut at t", [r.cut(0.85)], r.values)


def l3_least_history(r: Recompute) -> LeakResult:
    """One minute at a time from the fewest bars it may need, as a live engine has them: the same as the batch."""
    count = max(3, -(-2 * LEAST // sum(len(h.columns) for h in r.homes)))
    spans = []
    for k in range(count):
        _, end = r.cut(0.6 + 0.3 * k / count)
        spans.append((end - 1, end))
    return r.compare("L3", "minute by minute from the least history", spans, r.values)


def _stored(value: F8, dtype: str) -> F8:
    return value.astype(np.float32).astype(np.float64) if dtype == "f4" else value
