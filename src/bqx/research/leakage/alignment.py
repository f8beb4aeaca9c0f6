"""L4, L11 and L12: labels from raw bars, times of features and labels, and what happens at boundaries."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from bqx.features.streams import WINDOWS
from bqx.market.calendar import DAY
from bqx.research.labels import Labels, root
from bqx.research.leakage.result import LeakResult
from bqx.research.targets import HORIZONS

if TYPE_CHECKING:
    from bqx.research.dataset import Dataset
    from bqx.research.leakage.rows import Strata


def l4_labels(dataset: Dataset, pair: str, labels: Labels, strata: Strata) -> LeakResult:
    """Returns and M_w(t + h) from closes carried the slow way, at sampled rows, against the stored labels; NULL where a
    label would cross a closure or reach into the sealed test."""
    calendar = dataset.project.calendar
    low, high = int(labels.minute[0]) - 4 * DAY, int(labels.minute[-1]) + DAY
    frame = dataset.project.bars.read([pair], low, high, dataset.as_of)[pair]
    close = dict(
        zip((frame["ts_utc"].to_physical().to_numpy() // 60_000_000).tolist(), frame["close"].to_list(), strict=True)
    )
    sealed = dataset.splits.sealed or 1 << 62
    compared = wrong = 0
    first = ""
    for r in strata.rows:
        at, age, left = int(labels.position[r]), int(labels.seg_age[r]), int(labels.left[r])
        for h in HORIZONS:
            got_r, got_a = float(labels.values[f"r_{h}"][r]), float(labels.values[f"a_{h}_{h}"][r])
            if left < h or at + h >= sealed:
                bad = math.isfinite(got_r) or math.isfinite(got_a)
            else:
                path = [_carried(close, calendar.at_ordinal(at + k), age + k) for k in range(h + 1)]
                bad = False
                first_price, last_price = path[0], path[h]
                if first_price is not None and last_price is not None:
                    move = 1e4 * math.log(last_price / first_price)
                    bad |= not math.isclose(got_r, move, rel_tol=1e-4, abs_tol=2e-3)
                known = [x for x in path if x is not None]
                if len(known) == h + 1:
                    raw = sum((x - known[h]) / known[h] for x in known[:h])
                    bad |= not math.isclose(got_a, -1e4 * raw / root(h), rel_tol=1e-4, abs_tol=2e-3)
            compared, wrong = compared + 1, wrong + bad
            if bad and not first:
                first = f"h = {h} at position {at}"
    sizes = list(strata.counts.values())
    detail = f"first wrong: {first}" if wrong else f"{len(sizes)} strata, {min(sizes)} to {max(sizes)} rows each"
    return LeakResult("L4", "labels from raw bars", compared, wrong, detail)


def _carried(close: dict[int, float], minute: int, age: int) -> float | None:
    """The last close at most five minutes old, of the same segment."""
    for back in range(min(age, 5) + 1):
        if minute - back in close:
            return close[minute - back]
    return None


def l11_available(dataset: Dataset, pair: str) -> LeakResult:
    """A bar labelled t is usable at t + 1; every candidate reads t or earlier, every label begins after t."""
    compared = wrong = 0
    labels = dataset.labels(pair)
    row = 0
    for block in dataset.blocks(pair, dataset.candidates[:1]):
        here = labels.minute[row : row + len(block)]
        wrong += int((block.minute != here).sum())
        compared, row = compared + len(block), row + len(block)
    wrong += sum(c.lag < 0 for c in dataset.candidates)
    known = [info.known_from for info in dataset.project.store.partitions(dataset.as_of, pair=pair)]
    late = sum(k > dataset.as_of for k in known) if dataset.as_of is not None else 0
    text = f"{len(dataset.candidates):,} candidates, lags 0 to {max(c.lag for c in dataset.candidates)}"
    return LeakResult("L11", "availability", compared, wrong + late, text + f"; {late} partitions newer than as_of")


def l12_boundaries(dataset: Dataset, pair: str, labels: Labels) -> LeakResult:
    """No label and no lag reaches across a closure, and over the seam of two months a lag is the base's old value."""
    compared = wrong = 0
    for h in HORIZONS:
        for w in WINDOWS:
            beyond = labels.left < h
            wrong += int(np.isfinite(labels.values[f"a_{h}_{w}"][beyond]).sum())
            compared += int(beyond.sum())
    lagged = [c for c in dataset.candidates if c.lag][:: max(1, len(dataset.candidates) // 40)]
    base = [replace(c, lag=0) for c in lagged]
    blocks = list(dataset.blocks(pair, [*lagged, *base]))
    for block in blocks:
        for k, c in enumerate(lagged):
            young = block.seg_age < c.lag
            wrong += int(np.isfinite(block.X[young, k]).sum())
            compared += int(young.sum())
    for before, after in pairwise(blocks):
        for k, c in enumerate(lagged):
            rows = np.flatnonzero(after.seg_age[: c.lag] >= c.lag)
            got, want = after.X[rows, k], before.X[len(before) - c.lag + rows, len(lagged) + k]
            wrong += int((~((got == want) | (np.isnan(got) & np.isnan(want)))).sum())
            compared += len(rows)
    return LeakResult("L12", "boundaries", compared, wrong, f"{len(blocks)} months, {len(lagged)} lagged candidates")
