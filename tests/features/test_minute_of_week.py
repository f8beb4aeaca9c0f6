"""Scores by minute of the week: against pandas, by hand, over rings, and their declared NULL pattern."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import mpmath
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from bqx.features.checks.result import same_bits
from bqx.features.kernels.divide import FLOOR
from bqx.features.kernels.minute_of_week import (
    AROUND,
    LEAST,
    SEEN,
    STATE_ROWS,
    WEEKS,
    places,
    weekly_score_reference,
    weekly_scores,
    weekly_step,
)
from bqx.features.support import PRICED, Profile, View
from bqx.market.calendar import DAY, WEEK, Calendar, Grid, datetime_of, minute_of
from bqx.market.panel import Panel

F8 = NDArray[np.float64]

HOLIDAYS = Calendar("test", ((1, 1), (12, 25)), (date(2024, 2, 14), date(2024, 3, 6)))
START = HOLIDAYS.segment_start(minute_of(datetime(2024, 1, 23, tzinfo=UTC)))
END = minute_of(datetime(2024, 4, 6, tzinfo=UTC))
"""Eleven weeks: a Wednesday missing in two of them, New York's clocks changed on 10 March."""


@pytest.fixture(scope="module")
def grid() -> Grid:
    return HOLIDAYS.grid(START, END)


def noise(grid: Grid, lanes: int = 2, missing: float = 0.3) -> F8:
    rng = np.random.default_rng(7)
    x = 5.0 + np.sin(grid.minute_of_week / 300)[:, None] + rng.standard_normal((len(grid), lanes))
    x[rng.random(x.shape) < missing] = np.nan
    x[: 3 * WEEK, 1:] = np.nan  # a lane that begins later
    return x


def scores(x: F8, grid: Grid) -> F8:
    return weekly_scores(x, grid.week, grid.minute_of_week, WEEK)


def test_weeks_and_minutes_by_zoneinfo(grid: Grid) -> None:
    """Sunday 17:00 New York is minute 0 before and after the change of clocks."""
    opens = None
    week, slot = grid.week, grid.minute_of_week
    for k in range(0, len(grid), 97):
        local = datetime_of(int(grid.minute[k])).astimezone(ZoneInfo("America/New_York"))
        since = ((local.weekday() + 1) % 7) * DAY + local.hour * 60 + local.minute - 17 * 60
        assert slot[k] == since
        sunday = local.date().toordinal() - (local.weekday() + 1) % 7
        opens = opens if opens is not None else sunday - 7 * int(week[k])
        assert sunday - 7 * int(week[k]) == opens
    opening = grid.minute[grid.minute_of_week == 0] % DAY
    assert set(opening.tolist()) == {21 * 60, 22 * 60}


def test_week_start() -> None:
    """First open minute; a closed first day moves it; closed minutes belong to the week before."""
    monday_closed = Calendar("test", (), (date(2024, 5, 27),))

    def sunday(day: int, month: int = 5, hour: int = 21) -> int:
        return minute_of(datetime(2024, month, day, hour, tzinfo=UTC))

    assert HOLIDAYS.week_start(sunday(6, 3, 21)) == sunday(3, 3, 22), "a holiday does not split the week"
    assert HOLIDAYS.week_start(sunday(11, 3), 2) == sunday(25, 2, 22), "clocks changed in between"
    assert monday_closed.week_start(sunday(29)) == sunday(27)
    assert monday_closed.week_start(sunday(26)) == sunday(19), "before the late opening it is still last week"
    assert monday_closed.week_start(sunday(25, 5, 12)) == sunday(19)
    assert monday_closed.week_start(sunday(5, 6), 1) == sunday(27)


def test_against_pandas(grid: Grid) -> None:
    """Mean and deviation by a group-by over a long table of (week seen from, minute, value)."""
    x = noise(grid)
    have = scores(x, grid)
    for lane in range(2):
        frame = pd.DataFrame({"week": grid.week, "slot": grid.minute_of_week, "x": x[:, lane]})
        near = pd.concat([frame.assign(slot=frame.slot + d) for d in range(-AROUND, AROUND + 1)])
        seen = near.groupby(["week", "slot"]).x.count().rename("seen").reset_index()
        later = pd.concat([near.assign(week=near.week + k) for k in range(1, WEEKS + 1)])
        stats = later.groupby(["week", "slot"]).x.agg(["mean", "std"])
        enough = pd.concat([seen.assign(week=seen.week + k) for k in range(1, WEEKS + 1)])
        weeks = enough[enough.seen >= SEEN].groupby(["week", "slot"]).size().rename("weeks")
        both = frame.join(stats, on=["week", "slot"]).join(weeks, on=["week", "slot"])
        want = ((both.x - both["mean"]) / both["std"]).where(both.weeks >= LEAST).to_numpy()
        assert (np.isnan(want) == np.isnan(have[:, lane])).all()
        assert (~np.isnan(want)).sum() > 5000
        np.testing.assert_allclose(have[:, lane], want, rtol=1e-11, atol=1e-12)


def test_by_hand() -> None:
    """Weeks of 7 minutes. Minute 0 sees minutes 0-2: 1 2 3 in each of four weeks, mean 2, variance 8/11."""
    weeks, slots = 6, 7
    week = np.repeat(np.arange(weeks), slots).astype(np.int32)
    slot = np.tile(np.arange(slots), weeks).astype(np.int32)
    x = np.tile([1.0, 2.0, 3.0, 3.0, 3.0, 3.0, 3.0], weeks)[:, None]
    x[-slots:, 0] = [4.0, 9.0, 9.0, 9.0, 9.0, 9.0, np.nan]
    z = weekly_scores(x, week, slot, slots)[:, 0]
    assert np.isnan(z[: 4 * slots]).all(), "no week has four before it"
    assert z[4 * slots] == pytest.approx(-1.0 / np.sqrt(8 / 11), rel=1e-15)
    assert z[5 * slots] == pytest.approx(2.0 / np.sqrt(10 / 14), rel=1e-15), "five weeks now"
    assert np.isnan(z[5 * slots + 4]), "all values there are 3: no deviation"
    assert np.isnan(z[-1]), "no value now"
    few = weekly_scores(x, week, slot, slots, 0.85)[:, 0]
    assert few[4 * slots] == z[4 * slots], "sqrt(8/11) is 0.8528"
    assert np.isnan(weekly_scores(x, week, slot, slots, 0.853)[4 * slots, 0])


def test_the_current_week_and_old_ones_do_not_count(grid: Grid) -> None:
    x = noise(grid, 1, 0.0)
    row = len(grid) - 100
    base = scores(x, grid)[row, 0]
    moved = 0
    for back in range(WEEKS + 3):
        other = x.copy()
        other[(grid.week == grid.week[row] - back) & (np.arange(len(grid)) != row)] += 1.0
        changed = scores(other, grid)[row, 0] != base
        assert changed == (1 <= back <= WEEKS)
        moved += changed
    assert moved == WEEKS


def test_step_over_rings_and_beginnings(grid: Grid) -> None:
    """Nine weeks in a ring, and a panel that begins where the node says, give the batch's bits."""
    x = noise(grid)
    whole = scores(x, grid)
    place = places(grid.week, grid.minute_of_week, WEEK)
    cap = (WEEKS + 1) * WEEK
    ring, state, out = np.full((cap, 2), np.nan), np.empty((STATE_ROWS, 2)), np.full_like(x, np.nan)
    week, slot = (grid.week - grid.week[0]).tolist(), grid.minute_of_week.tolist()
    for r in range(len(x)):
        ring[r % cap] = x[r]
        weekly_step(ring, r, place, week[r], slot[r], FLOOR, state, out, r)
    assert same_bits(out, whole).all()
    first = grid.index(int(grid.minute[-3000]))
    begin = grid.index(Profile(PRICED).earliest(int(grid.minute[first]), HOLIDAYS))
    assert begin > 0
    part = grid.slice(begin, len(grid))
    assert same_bits(scores(x[begin:], part)[first - begin :], whole[first:]).all()
    later = grid.slice(begin + WEEK, len(grid))
    differs = ~same_bits(scores(x[begin + WEEK :], later)[first - begin - WEEK :], whole[first:])
    assert differs.any(), "the node's reach is not longer than needed"
    wide = np.repeat(x[:, :1], 28, axis=1)
    assert same_bits(scores(wide, grid), np.repeat(whole[:, :1], 28, axis=1)).all()


def test_no_digits_lost(grid: Grid) -> None:
    """A level a billion times the deviation, an outlier as the oldest value."""
    x = 1e6 + 1e-3 * np.random.default_rng(3).standard_normal((len(grid), 1))
    x[grid.week == grid.week[-1] - WEEKS] += 1.0
    have = scores(x, grid)
    worst = 0.0
    with mpmath.workdps(50):
        for row in range(len(grid) - 7000, len(grid), 501):
            gap = np.abs(grid.minute_of_week - grid.minute_of_week[row])
            age = grid.week[row] - grid.week
            v = [mpmath.mpf(float(u)) for u in x[(gap <= AROUND) & (age >= 1) & (age <= WEEKS), 0]]
            mean = mpmath.fsum(v) / len(v)
            sd = mpmath.sqrt(mpmath.fsum([(u - mean) ** 2 for u in v]) / (len(v) - 1))
            want = (mpmath.mpf(float(x[row, 0])) - mean) / sd
            worst = max(worst, float(abs((mpmath.mpf(float(have[row, 0])) - want) / want)))
    assert worst < 1e-13


def test_reference(grid: Grid) -> None:
    x = noise(grid)
    have = scores(x, grid)[:, 0]
    for row in np.flatnonzero(~np.isnan(have))[::999]:
        want = weekly_score_reference(x[:, 0], grid.week, grid.minute_of_week, int(row))
        assert have[row] == pytest.approx(want, rel=1e-11)


def _view(x: F8, grid: Grid) -> View:
    seen = np.where(np.isnan(x), -1, grid.minute[:, None])
    first = np.array([int(lane[lane >= 0][0]) for lane in seen.T])
    pairs = tuple("abcdefgh"[: x.shape[1]])
    run = np.isnan(x).astype(np.int32)
    return View(Panel(grid, pairs, x, x, x, x, x, run, first, np.max(seen, axis=0)), HOLIDAYS)


def _weeks_seen(x: F8, grid: Grid, row: int) -> int:
    near = (np.abs(grid.minute_of_week - grid.minute_of_week[row]) <= AROUND) & ~np.isnan(x)
    return sum(int((near & (grid.week == grid.week[row] - k)).sum()) >= SEEN for k in range(1, WEEKS + 1))


def test_the_node_predicts_every_null(grid: Grid) -> None:
    x = noise(grid)
    x[np.isin(grid.week, grid.week[-1] - np.arange(2, 7)) & (grid.minute_of_week < 500)] = np.nan  # three weeks remain
    view = _view(x, grid)
    node = Profile(PRICED)
    valid, have = node.valid(view), ~np.isnan(scores(x, grid))
    assert (valid == have).all()
    assert 10_000 < valid.sum() < valid.size / 2
    assert node.warmup == 1 + LEAST * WEEK
    early = (grid.week == grid.week[-1]) & (grid.minute_of_week < 490) & ~np.isnan(x[:, 0])
    row = next(int(r) for r in np.flatnonzero(early) if _weeks_seen(x[:, 0], grid, r) == 3)
    assert node.why(view, row, 0) == "warm-up: 3 of the previous 8 weeks have values at this minute, 4 are needed"
    for at, lane in np.argwhere(valid)[::9999]:
        assert node.why(view, int(at), int(lane)) is None
