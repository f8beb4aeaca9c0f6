"""Calendar points, groups of pairs, and estimates that are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from bqx.features.anchors import Anchors
from bqx.features.checks import World
from bqx.features.fits import Fit, fitted
from bqx.features.groups import canonical, members
from bqx.features.refresh import Every, latest_points, point_before
from bqx.features.streams import PRICE, Streams
from bqx.features.support import Everyone, Fitted, counts, needed
from bqx.market.calendar import Calendar, minute_of, month_of
from bqx.market.pairs import PAIRS, parse_pair

START = minute_of(datetime(2024, 2, 18, 22, tzinfo=UTC))
END = minute_of(datetime(2024, 3, 16, tzinfo=UTC))


def key_of(every: Every, calendar: Calendar) -> Callable[[int], object]:
    """What changes at a point, the slow way."""

    def key(minute: int) -> object:
        if every == "hour":
            segment = calendar.segment_start(minute)
            return segment, (calendar.ordinal(minute) - calendar.ordinal(segment)) // 60
        if every == "month":
            return month_of(minute)
        day = calendar.trade_day(minute)
        return day if every == "day" else (day + 3) // 7

    return key


@pytest.mark.parametrize("every", ["hour", "day", "week", "month"])
def test_points(every: Every, holiday_calendar: Calendar) -> None:
    grid = holiday_calendar.grid(START, END)
    latest = latest_points(grid, every, holiday_calendar)
    key = key_of(every, holiday_calendar)
    wanted, now = np.empty(len(grid), dtype=np.int64), -1
    for r, minute in enumerate(grid.minute.tolist()):
        if r == 0:
            now = 0 if every != "month" else -1
        elif key(minute) != key(int(grid.minute[r - 1])):
            now = r
        wanted[r] = now
    np.testing.assert_array_equal(latest, wanted)
    for r in range(0, len(grid), 997):
        point = point_before(int(grid.minute[r]), every, holiday_calendar)
        assert point == (int(grid.minute[latest[r]]) if latest[r] >= 0 else point)
        assert key(point) == key(int(grid.minute[r]))


def test_a_grid_that_begins_inside_a_week(holiday_calendar: Calendar) -> None:
    """The week a holiday splits: its second segment belongs to the week begun before."""
    begin = holiday_calendar.segment_start(minute_of(datetime(2024, 3, 8, tzinfo=UTC)))
    grid = holiday_calendar.grid(begin, END)
    assert grid.minute_of_week[0] > 0
    latest = latest_points(grid, "week", holiday_calendar)
    assert latest[0] == -1 and (latest[grid.week == grid.week[0]] == -1).all()
    assert (latest_points(grid, "day", holiday_calendar)[:1440] == 0).all()


def test_groups_of_eurusd() -> None:
    at = PAIRS.index("eurusd")
    base, quote, cross = (members(PAIRS, g) for g in ("base", "quote", "cross"))
    assert {PAIRS[k] for k in np.flatnonzero(base.signs[at])} == {
        "eurgbp",
        "euraud",
        "eurnzd",
        "eurcad",
        "eurchf",
        "eurjpy",
    }
    turned = {PAIRS[k]: int(quote.signs[at, k]) for k in np.flatnonzero(quote.signs[at])}
    assert turned == {"gbpusd": 1, "audusd": 1, "nzdusd": 1, "usdcad": -1, "usdchf": -1, "usdjpy": -1}
    assert cross.signs[at].sum() == 15
    assert all(m.whole.all() for m in (base, quote, cross))


def test_groups_of_all_pairs() -> None:
    for group, size in (("base", 6), ("quote", 6), ("cross", 15)):
        signs = members(PAIRS, group).signs  # type: ignore[arg-type]
        assert (np.abs(signs).sum(axis=1) == size).all()
        assert not np.diag(signs).any()
    some = members(("eurusd", "gbpusd", "usdjpy"), "quote")
    assert not some.whole.any()
    assert "audusd" in some.missing[0] and "gbpusd" not in some.missing[0]
    assert canonical(("usdjpy", "eurusd")).tolist() == [1, 0]


def test_everyone_counts_members(world: World) -> None:
    view = world.view(*world.span)
    node = Everyone(PRICE, "quote")
    assert not node.valid(view).any()
    row = view.panel.shape[0] - 1
    have = sum(view.priced[row, k] for k, p in enumerate(view.panel.pairs) if "usd" in p and p != "eurusd")
    assert node.why(view, row, 0) == (
        f"panel: {have} of the 6 pairs of the quote group have a value; the project lacks audusd, gbpusd, nzdusd, "
        "usdcad, usdchf"
    )
    assert "the project has 3" in str(Everyone(PRICE, "panel").why(view, row, 0))
    assert parse_pair("eurusd").quote == "usd"


def mean_before(streams: Streams, row: int, lanes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean close of the 500 bars before a point."""
    rows = streams.panel.close[max(0, row - 500) : row, lanes]
    with np.errstate(invalid="ignore"):
        mean = np.nansum(rows, axis=0) / (~np.isnan(rows)).sum(axis=0)
    enough = (~np.isnan(rows)).sum(axis=0) >= needed(500)
    return np.where(enough, mean, np.nan)[:, None]


MEAN = Fit("mean", "none_rate", ("mean",), "day", Fitted(PRICE, 500, "day"), mean_before)


def test_kept_and_made_again_are_the_same(world: World) -> None:
    first, last = world.span
    panel = world.panel(world.calendar.segment_start(first), last)
    streams = Streams(panel, world.calendar, Anchors())
    points = np.unique(latest_points(panel.grid, "day", world.calendar))
    made = {int(row): fitted(MEAN, streams, int(row)) for row in points}
    assert len(streams.fits.made) == len(points) * len(panel.pairs)  # type: ignore[attr-defined]
    again = fitted(replace(MEAN, make=_never), streams, int(points[-1]))
    np.testing.assert_array_equal(again, made[int(points[-1])])
    seen = MEAN.earliest(int(panel.grid.minute[points[-1]]), world.calendar)
    tail = streams.tail(panel.grid.index(seen))
    fresh = Streams(tail.panel, world.calendar, Anchors())
    row = int(points[-1]) - panel.grid.index(seen)
    np.testing.assert_array_equal(fitted(MEAN, fresh, row), again)


def _never(streams: Streams, row: int, lanes: NDArray[np.int64]) -> NDArray[np.float64]:
    raise AssertionError("made again")


def test_fitted_says_where_an_estimate_exists(world: World) -> None:
    view = world.view(*world.span)
    valid = MEAN.sees.valid(view)
    have = counts(view.priced, 500)
    latest = latest_points(view.panel.grid, "day", world.calendar)
    for row in range(0, view.panel.shape[0], 613):
        for pair in range(3):
            point = int(latest[row])
            before = have[point - 1, pair] if point > 0 else 0
            assert valid[row, pair] == (before >= needed(500))
            reason = MEAN.sees.why(view, row, pair)
            assert (reason is None) == bool(valid[row, pair])
