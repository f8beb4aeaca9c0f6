"""Bars on the grid: carries of at most five minutes, never across a closure, checked by a walk over the minutes."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import bar_files as bf
from bqx.market.bars import QUOTE_COLUMNS, as_bars
from bqx.market.calendar import Calendar, minute_of
from bqx.market.panel import NEVER, bars_in_stream, make_panel

CALENDAR = Calendar.load()
ROWS = bf.make_rows("2024-06-06T21:00", 5)
START = minute_of(ROWS[0].ts)
END = minute_of(ROWS[-1].ts) + 1
GRID = CALENDAR.grid(START, END)
WEEK2 = int(np.flatnonzero(np.diff(GRID.seg_id))[0]) + 1
LOST = sorted(
    {50, *range(100, 105), *range(200, 206), *range(300, 400), *range(WEEK2 - 3, WEEK2 + 2), *range(2000, 2004)}
)


def frame(lost: list[int], volume: bool = True) -> pl.DataFrame:
    kept = [r for i, r in enumerate(ROWS) if i not in set(lost)]
    out = bf.prices(kept)
    if volume:
        out = out.with_columns(volume=pl.Series([float(r.v) for r in kept]))
    return as_bars(out)


def test_the_rows_are_the_grid() -> None:
    assert GRID.minute.tolist() == [minute_of(r.ts) for r in ROWS]


def test_carries_equal_a_walk_over_the_minutes() -> None:
    panel = make_panel({"eurusd": frame(LOST)}, ("eurusd",), GRID)
    close, run = None, 0
    for i, row in enumerate(ROWS):
        if i == WEEK2:
            close, run = None, 0
        if i not in LOST:
            close, run = row.c, 0
            assert (panel.open[i, 0], panel.high[i, 0], panel.low[i, 0]) == (row.o, row.h, row.l)
            assert (panel.close[i, 0], panel.volume[i, 0], panel.fill_run[i, 0]) == (row.c, row.v, 0)
            continue
        run += 1
        assert panel.fill_run[i, 0] == run
        fields = [panel.open[i, 0], panel.high[i, 0], panel.low[i, 0], panel.close[i, 0]]
        if close is not None and run <= 5:
            assert fields == [close] * 4
            assert panel.volume[i, 0] == 0.0
        else:
            assert np.isnan(fields).all()
            assert np.isnan(panel.volume[i, 0])
    assert (panel.filled[:, 0] == np.isin(np.arange(len(ROWS)), LOST)).all()


def test_five_are_carried_and_the_sixth_is_not() -> None:
    close = make_panel({"eurusd": frame(LOST)}, ("eurusd",), GRID).close[:, 0]
    assert not np.isnan(close[100:105]).any()
    assert not np.isnan(close[200:205]).any()
    assert np.isnan(close[205])
    assert np.isnan(close[305:400]).all()


def test_nothing_is_carried_over_the_weekend() -> None:
    panel = make_panel({"eurusd": frame(LOST)}, ("eurusd",), GRID)
    assert not np.isnan(panel.close[WEEK2 - 3 : WEEK2, 0]).any()
    assert np.isnan(panel.close[WEEK2 : WEEK2 + 2, 0]).all()
    assert panel.fill_run[WEEK2 - 3 : WEEK2 + 3, 0].tolist() == [1, 2, 3, 1, 2, 0]


def test_a_friday_close_is_not_carried_into_a_late_opening() -> None:
    panel = make_panel({"eurusd": frame([WEEK2, WEEK2 + 1])}, ("eurusd",), GRID)
    assert panel.close[WEEK2 - 1, 0] == ROWS[WEEK2 - 1].c
    assert np.isnan(panel.close[WEEK2 : WEEK2 + 2, 0]).all()
    assert panel.close[WEEK2 + 2, 0] == ROWS[WEEK2 + 2].c


def test_without_volume_a_carry_has_none() -> None:
    panel = make_panel({"eurusd": frame(LOST, volume=False)}, ("eurusd",), GRID)
    assert np.isnan(panel.volume).all()


def test_pairs_do_not_leak_into_each_other() -> None:
    both = make_panel({"eurusd": frame(LOST), "gbpusd": frame([])}, ("eurusd", "gbpusd", "usdjpy"), GRID)
    alone = make_panel({"eurusd": frame(LOST)}, ("eurusd",), GRID)
    np.testing.assert_array_equal(both.close[:, 0], alone.close[:, 0])
    assert (both.fill_run[:, 1] == 0).all()
    assert np.isnan(both.close[:, 2]).all()
    assert both.first.tolist() == [START, START, NEVER]
    assert both.last.tolist() == [END - 1, END - 1, -1]


def test_bars_off_the_grid_are_left_out() -> None:
    inside = make_panel({"eurusd": frame([])}, ("eurusd",), CALENDAR.grid(START, START + 100))
    assert inside.shape == (100, 1)
    assert inside.close[:, 0].tolist() == [r.c for r in ROWS[:100]]
    later = frame([]).with_columns(pl.col("ts_utc").dt.offset_by("1d"))  # Friday's bars stand in the weekend
    close = make_panel({"eurusd": later}, ("eurusd",), GRID).close[:, 0]
    assert np.isnan(close[:-1440]).all()
    assert close[-1440:].tolist() == [r.c for r in ROWS[WEEK2 : WEEK2 + 1440]]


def test_quotes_only_when_asked_and_only_where_quoted() -> None:
    assert make_panel({"eurusd": frame(LOST)}, ("eurusd",), GRID).quotes == {}
    quoted = frame(LOST).with_columns([(pl.col("close") + k).alias(c) for k, c in enumerate(QUOTE_COLUMNS)])
    panel = make_panel({"eurusd": quoted}, ("eurusd",), GRID, quotes=True)
    assert set(panel.quotes) == set(QUOTE_COLUMNS)
    assert np.isnan(panel.quotes["bid_open"][100:105, 0]).all()
    assert panel.quotes["ask_close"][0, 0] == ROWS[0].c + 7


def test_bars_in_stream_counts_from_the_first_bar_ever() -> None:
    panel = make_panel({"eurusd": frame(list(range(10)))}, ("eurusd",), GRID)
    counted = bars_in_stream(panel, CALENDAR)[:, 0]
    assert counted[:12].tolist() == [0] * 10 + [1, 2]
    assert counted[-1] == len(ROWS) - 10
    early = make_panel({"eurusd": frame([])}, ("eurusd",), GRID, first={"eurusd": START - 1440})
    assert bars_in_stream(early, CALENDAR)[0, 0] == 1441


def test_slices_are_the_rows() -> None:
    panel = make_panel({"eurusd": frame(LOST)}, ("eurusd",), GRID)
    part = panel.slice(90, 110)
    np.testing.assert_array_equal(part.close, panel.close[90:110])
    assert part.grid.minute.tolist() == GRID.minute[90:110].tolist()
    assert part.first.tolist() == panel.first.tolist()


@pytest.mark.parametrize("empty", [{}, {"eurusd": as_bars(frame([]).head(0))}])
def test_no_bars(empty: dict[str, pl.DataFrame]) -> None:
    panel = make_panel(empty, ("eurusd",), GRID)
    assert np.isnan(panel.close).all()
    assert panel.first.tolist() == [NEVER]
