"""Steppers across the panel: correlations of all pairs, agreement of ranks; and scores by the minute of the week."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bqx.features.kernels.divide import FLOOR
from bqx.features.kernels.group_correlation import Groups, group_step
from bqx.features.kernels.jit import kernel
from bqx.features.kernels.minute_of_week import AROUND, STATE_ROWS, WEEKS, deviation_step, weekly_step
from bqx.features.kernels.pair_sums import Sums, pair_sums
from bqx.features.kernels.panel_correlation import Held as Room
from bqx.features.kernels.panel_correlation import held_for, panel_correlation_step
from bqx.features.kernels.panel_ranks import agreement_row
from bqx.features.live.block import Block
from bqx.features.live.steppers.held import Held, empties, put_row
from bqx.features.live.steppers.rings import put
from bqx.features.live.tape import Stepper, ring, stepper
from bqx.market.calendar import WEEK

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I4 = NDArray[np.int32]
Three = tuple[Groups, Groups, Groups]


@kernel
def _groups(
    x: F8, seg_age: I4, row: int, window: int, need: int, groups: Three, memory: F8, sums: Sums, room: F8,
    out: tuple[F8, F8, F8],
) -> None:  # fmt: skip
    for i in range(len(x)):
        put(memory, row + i, x, i)
        group_step(memory, row + i, seg_age[i], window, need, groups, sums, room, out, i)


@stepper("group_correlation.group_correlations")
class GroupCorrelations(Held):
    def __init__(self, x: F8, seg_age: I4, window: int, need: int, groups: Three) -> None:
        lanes = x.shape[1]
        self.memory, self.sums = ring(window + 1, lanes), pair_sums(lanes)

    def __call__(self, block: Block, x: F8, seg_age: I4, window: int, need: int, groups: Three) -> tuple[F8, ...]:
        out, lanes = empties(x, 3), x.shape[1]
        room = np.empty(lanes * (lanes - 1) // 2)
        _groups(x, seg_age, block.row, window, need, groups, self.memory, self.sums, room, out)
        return out


@kernel
def _together(
    x: F8, seg_age: I4, row: int, window: int, need: int, least: int, every: int, memory: F8, sums: Sums, room: Room,
    share: F8, out: tuple[F8, F8],
) -> None:  # fmt: skip
    for i in range(len(x)):
        put(memory, row + i, x, i)
        mean, share[0] = panel_correlation_step(
            memory, row + i, seg_age[i], window, need, least, every, sums, room, share[0]
        )
        out[0][i], out[1][i] = mean, share[0]


@stepper("panel_correlation.panel_correlation")
class PanelCorrelation(Held):
    def __init__(self, x: F8, seg_age: I4, window: int, need: int, least: int, every: int) -> None:
        lanes = x.shape[1]
        self.memory, self.sums, self.share = ring(window + 1, lanes), pair_sums(lanes), np.full(1, np.nan)

    def __call__(
        self, block: Block, x: F8, seg_age: I4, window: int, need: int, least: int, every: int
    ) -> tuple[F8, F8]:
        out = (np.empty(len(x)), np.empty(len(x)))
        mine = (self.memory, self.sums, held_for(x.shape[1]), self.share)
        _together(x, seg_age, block.row, window, need, least, every, *mine, out)
        return out


@kernel
def _agreement(x: F4, seg_age: I4, row: int, lag: int, least: int, memory: F4, out: F8) -> None:
    for i in range(len(x)):
        r, inside = row + i, seg_age[i] >= lag
        put_row(memory, r, x, i)
        now = r % len(memory)
        out[i] = agreement_row(memory, now, (r - lag) % len(memory) if inside else now, inside, least)


@stepper("panel_ranks.rank_agreement")
class RankAgreement(Stepper):
    def __init__(self, x: F4, seg_age: I4, lag: int, least: int) -> None:
        self.memory = ring(lag + 1, x.shape[1], np.float32)

    def __call__(self, block: Block, x: F4, seg_age: I4, lag: int, least: int) -> F8:
        out = np.empty(len(x))
        _agreement(x, seg_age, block.row, lag, least, self.memory, out)
        return out


@kernel
def _weekly(
    x: F8, row: int, week: I4, slot: I4, least: float, scored: bool, memory: F8, place: I4, latest: I4, state: F8,
    out: F8,
) -> None:  # fmt: skip
    weeks = len(place) - 1
    for i in range(len(x)):
        r = row + i
        ahead = min(week[i] - latest[0], weeks + 1)
        if ahead > 0:
            for k in range(weeks + 1):
                for m in range(place.shape[1]):
                    place[k, m] = place[k + ahead, m] if k + ahead <= weeks else -1
            latest[0] = week[i]
        put(memory, r, x, i)
        place[weeks, slot[i] + AROUND] = r
        if scored:
            weekly_step(memory, r, place, 0, slot[i], least, state, out, i)
        else:
            deviation_step(memory, place, 0, slot[i], least, state, out, i)


class Weekly(Stepper):
    """memory : the weeks looked at and the present one. place : row of each of their minutes, -1 where there is none.
    latest : number of the present week."""

    scored = True

    def __init__(self, x: F8, week: I4, slot: I4, slots: int, least: float = FLOOR) -> None:
        self.memory = ring((WEEKS + 1) * WEEK, x.shape[1])
        self.place = np.full((WEEKS + 1, slots + 2 * AROUND), -1, dtype=np.int32)
        self.latest = np.full(1, np.iinfo(np.int32).min // 2, dtype=np.int32)

    def __call__(self, block: Block, x: F8, week: I4, slot: I4, slots: int, least: float = FLOOR) -> F8:
        out, state = np.empty(x.shape), np.empty((STATE_ROWS, x.shape[1]))
        mine = (self.scored, self.memory, self.place, self.latest, state)
        _weekly(x, block.row, week, slot, float(least), *mine, out)
        return out


stepper("minute_of_week.weekly_scores")(Weekly)


@stepper("minute_of_week.weekly_deviations")
class WeeklyDeviations(Weekly):
    scored = False
