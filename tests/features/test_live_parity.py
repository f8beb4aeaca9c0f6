"""Batch and live give the same bits: the step functions, row by row over rings no longer than they need."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from bqx.features.catalogue import datasets
from bqx.features.checks import World
from bqx.features.checks.result import same_bits
from bqx.features.kernels.ewma import ewma_deviation, ewma_step
from bqx.features.kernels.levels import change_step, changes, reference_step, references
from bqx.features.kernels.momentum import momentum_step, previous_closes
from bqx.features.kernels.smooth import rebase_step, smooth, smooth_step
from bqx.features.kernels.spread import deviation_across
from bqx.features.kernels.sums import COUNT, RESTART, STATE_ROWS, equal_run_step, sample_variance, sums_step
from bqx.features.streams import HALF_LIFE, SIGMA_BURN, SIGMA_NEED, Streams, ewma_weight
from bqx.features.support import needed

F8 = NDArray[np.float64]


@pytest.fixture(scope="module")
def streams(world: World) -> Streams:
    return world.streams(datasets()["returns_std_bqx"], *world.span)[0]


def equal(a: F8, b: F8) -> None:
    assert (~np.isnan(a)).sum() > 10_000
    different = np.argwhere(~same_bits(a, b))
    assert len(different) == 0, f"{len(different)} differ, first at row, lane {different[0]}"


class Ring:
    """The last `cap` rows, row k at k % cap; what is older is overwritten."""

    def __init__(self, cap: int, lanes: int) -> None:
        self.rows = np.full((cap, lanes), np.nan)

    def put(self, r: int, row: F8) -> None:
        self.rows[r % len(self.rows)] = row


@pytest.mark.parametrize("w", [15, 75])
def test_momentum(streams: Streams, w: int) -> None:
    close, age = streams.panel.close, streams.panel.grid.seg_age
    lanes = close.shape[1]
    ring, state = Ring(w + 1, lanes), np.zeros((STATE_ROWS, lanes))
    run, last = np.zeros(lanes, dtype=np.int64), np.full(lanes, np.nan)
    now = tuple(np.empty((1, lanes)) for _ in range(3))
    live = tuple(np.empty_like(close) for _ in range(3))
    for r in range(len(close)):
        ring.put(r, close[r])
        momentum_step(ring.rows, r, age[r], w, needed(w), state, run, last, now, 0)
        for k in range(3):
            live[k][r] = now[k][0]
    for one, batch in zip(live, previous_closes(close, age, w, needed(w)), strict=True):
        equal(one, batch)


@pytest.mark.parametrize("w", [480, 2 * RESTART])
def test_deviation(streams: Streams, w: int) -> None:
    x, age = streams.bqx_close, streams.panel.grid.seg_age
    lanes = x.shape[1]
    ring, state = Ring(w + 1, lanes), np.zeros((STATE_ROWS, lanes))
    run, last = np.zeros(lanes, dtype=np.int64), np.full(lanes, np.nan)
    live = np.full_like(x, np.nan)
    for r in range(len(x)):
        ring.put(r, x[r])
        equal_run_step(ring.rows, r % (w + 1), run, last)
        sums_step(ring.rows, r, w, 0, age[r] % RESTART == 0, state)
        for j in range(lanes):
            count = state[COUNT, j]
            if count >= needed(w):
                live[r, j] = 0.0 if run[j] >= count else np.sqrt(sample_variance(state, j))
    equal(live, deviation_across(x, age, w, needed(w)))


def test_references_and_changes(streams: Streams) -> None:
    panel = streams.panel
    age, lanes = panel.grid.seg_age, panel.shape[1]
    reference, last = np.full(lanes, np.nan), np.full(lanes, np.nan)
    live_reference, live_change, out = np.empty(panel.shape), np.empty(panel.shape), np.empty((1, lanes))
    for r in range(len(age)):
        reference_step(age[r], panel.open[r : r + 1].copy(), 0, reference)
        live_reference[r] = reference
        change_step(age[r], panel.close[r : r + 1].copy(), reference[None, :].copy(), 0, last, out)
        live_change[r] = out[0]
    equal(live_reference, references(panel.open, age))
    equal(live_change, changes(panel.close, live_reference, age))
    equal(live_change, streams.rate_change)


def test_ewma_with_the_next_trajectory_alongside(streams: Streams) -> None:
    """Live keeps two states: this segment's, and the next one's over its last `burn` bars. It knows from the calendar
    when the segment ends, and never looks at an old bar again."""
    dy, age = streams.rate_change, streams.panel.grid.seg_age
    n, lanes = dy.shape
    alpha = ewma_weight(HALF_LIFE)
    opens = np.r_[np.flatnonzero(age == 0), n + SIGMA_BURN]
    live = np.full_like(dy, np.nan)
    count, mean = np.zeros(lanes), np.zeros(lanes)
    coming: list[tuple[int, F8, F8]] = []  # trajectories of segments to come: a burn may span several short ones
    begun = 1
    for r in range(n):
        if age[r] == 0 and r > 0:
            start, count, mean = coming.pop(0)
            assert start == r
        while begun < len(opens) and opens[begun] - SIGMA_BURN <= r:
            if opens[begun] > r:
                coming.append((int(opens[begun]), np.zeros(lanes), np.zeros(lanes)))
            begun += 1
        enough = count >= SIGMA_NEED
        live[r, enough] = np.sqrt(mean[enough])
        row = dy[r : r + 1].copy()
        ewma_step(row, 0, alpha, HALF_LIFE, count, mean)
        for _, later_count, later_mean in coming:
            ewma_step(row, 0, alpha, HALF_LIFE, later_count, later_mean)
    equal(live, ewma_deviation(dy, age, alpha, HALF_LIFE, SIGMA_NEED, SIGMA_BURN))
    equal(live, streams.sigma)


@pytest.mark.parametrize("burn", [600, 4000])
def test_smoothing_with_the_next_trajectory_alongside(streams: Streams, burn: int) -> None:
    """As above for levels: entering a segment, every state is counted from the new zero."""
    y, age, segment, ends = streams.rate_close, streams.panel.grid.seg_age, streams.segment, streams.rate_ends
    n, lanes = y.shape
    alpha, seed = 2.0 / 61.0, 60
    opens = np.r_[np.flatnonzero(age == 0), n + burn]
    live = np.full_like(y, np.nan)
    count, mean = np.zeros(lanes), np.zeros(lanes)
    coming: list[tuple[int, F8, F8]] = []
    begun = 1
    for r in range(n):
        if age[r] == 0 and r > 0:
            for _, _, state in coming:
                rebase_step(ends, segment[r] - 1, state)
            start, count, mean = coming.pop(0)
            assert start == r
        while begun < len(opens) and opens[begun] - burn <= r:
            if opens[begun] > r:
                coming.append((int(opens[begun]), np.zeros(lanes), np.zeros(lanes)))
            begun += 1
        row = y[r : r + 1].copy()
        for taken, state in [(count, mean), *((c, m) for _, c, m in coming)]:
            smooth_step(row, 0, alpha, seed, taken, state)
        emits = ~np.isnan(row[0]) & (count >= seed)
        live[r, emits] = mean[emits]
    equal(live, smooth(y, age, segment, ends, alpha, seed, seed, burn))
