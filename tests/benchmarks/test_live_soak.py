"""The small sibling of `make soak CHECK=live-parity`: three datasets, two pairs, two days, a week end between them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from benchmarks.soak.live_parity import calendar_days, check_days, market
from benchmarks.soak.state import State

from bqx.features.catalogue import own_datasets
from bqx.market.calendar import Calendar, datetime_of, minute_of

START = minute_of(datetime(2024, 2, 18, 22, tzinfo=UTC))
FRIDAY = minute_of(datetime(2024, 3, 7, 22, tzinfo=UTC))


def test_soak(results: Path) -> None:
    """The clocks change over the week end; a day that an earlier call has finished is not done again; a bar that is off
    by its last digit is seen."""
    homes = [own_datasets()[name] for name in ("base_bqx", "ohlc_rate", "returns_raw_rate")]
    days = calendar_days(Calendar.load(), FRIDAY, 2)
    world = market(3, ("eurusd", "usdjpy"), START, days[-1][1])
    silent = world.frames["eurusd"].filter(pl.col("ts_utc") != datetime_of(days[0][0]))  # a price carried into a day
    world = replace(world, frames={**world.frames, "eurusd": silent})
    state = State("live-parity", 3, 2)
    result = check_days(state, homes, world, days)
    assert result["ok"], result
    assert result["compared"] > 2 * 1440 * 2 * 40
    assert result["planted_values_that_differ"] > 20
    again = check_days(State("live-parity", 3, 2, [*state.trials]), homes, world, days)
    assert again["ok"] and again["trials"] == state.trials
