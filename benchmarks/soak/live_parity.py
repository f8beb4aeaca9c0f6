"""A month of 28 pairs bar by bar, every column against batch to the bit; each day begins from a restored state."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.soak.state import State
from bqx.features.catalogue import earliest, own_datasets
from bqx.features.checks import World
from bqx.features.checks.result import same_bits
from bqx.features.compute import evaluate
from bqx.features.declare import Dataset
from bqx.features.fits import Kept
from bqx.features.live.past import Past
from bqx.features.live.session import Session
from bqx.features.streams import Streams
from bqx.market.calendar import DAY, Calendar, datetime_of, minute_of
from bqx.market.pairs import PAIRS
from bqx.market.simulated import simulate

START = minute_of(datetime(2023, 12, 10, 22, tzinfo=UTC))
FIRST = minute_of(datetime(2024, 2, 26, 22, tzinfo=UTC))
"""Eleven weeks on; the month after it holds a leap day, a month's end and New York's change of clocks."""
ROWS = 360
MISSING = 0.01
"""Share of bars that are left out."""

F8 = NDArray[np.float64]


def live_parity(state: State) -> dict[str, Any]:
    """`state.size` trade days of all pairs and datasets; a trial is a day."""
    days = calendar_days(Calendar.load(), FIRST, state.size)
    return check_days(state, list(own_datasets().values()), market(state.seed, PAIRS, START, days[-1][1]), days)


def market(seed: int, pairs: Sequence[str], start: int, end: int) -> World:
    """Simulated bars, some of them missing."""
    calendar = Calendar.load()
    rng = np.random.default_rng(seed)
    frames = simulate(calendar, start, end, seed=seed, pairs=pairs, origin_minute=start)
    kept = {}
    for pair, frame in frames.items():
        chosen = rng.random(len(frame)) >= MISSING
        chosen[:5] = True
        kept[pair] = frame.filter(chosen.tolist())
    return World(kept, calendar, start + DAY, tuple(kept))


def calendar_days(calendar: Calendar, first: int, count: int) -> list[tuple[int, int]]:
    """First minute of `count` trade days, and the minute after each."""
    base = calendar.ordinal(first)
    return [
        (calendar.at_ordinal(base + k * DAY), calendar.at_ordinal(base + (k + 1) * DAY - 1) + 1) for k in range(count)
    ]


def check_days(state: State, homes: Sequence[Dataset], world: World, days: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """The days that earlier calls have not finished, then the planted fault."""
    began = time.perf_counter()
    done = {t["day"] for t in state.trials}
    shelf, session = Kept(), None
    for start, end in days:
        name = f"{datetime_of(start):%Y-%m-%dT%H:%MZ}"
        if name in done:
            continue
        clock = time.perf_counter()
        session = begin(homes, world, start, shelf) if session is None else again(session, homes)
        trial = compare(session, homes, world, (start, end), shelf)
        state.add({"day": name, **trial, "seconds": round(time.perf_counter() - clock, 1)})
        print(f"{name}: {trial['compared']:,} values, {trial['differing']} differ, {trial['p99_ms']} ms", flush=True)
    planted = plant(homes, world, days[-1], shelf)
    wrong = [t for t in state.trials if t["differing"]]
    return {
        "ok": not wrong and planted > 0 and len(state.trials) == len(days),
        "pairs": len(world.pairs),
        "columns": sum(len(home.columns) for home in homes),
        "days": len(state.trials),
        "compared": sum(t["compared"] for t in state.trials),
        "differing": sum(t["differing"] for t in state.trials),
        "columns_differing": sorted({c for t in state.trials for c in t["columns"]}),
        "stepped": all(live.stepped for live in session.lives) if session else None,
        "p99_ms_worst_day": max((t["p99_ms"] for t in state.trials), default=None),
        "planted_values_that_differ": planted,
        "trials": state.trials,
        "seconds": round(time.perf_counter() - began, 1),
    }


def begin(homes: Sequence[Dataset], world: World, start: int, shelf: Kept) -> Session:
    """A session that has taken in what the datasets see before minute `start`."""
    calendar = world.calendar
    oldest = calendar.segment_start(world.span[0])
    begins = {home.name: max(earliest(home, start, calendar), oldest) for home in homes}
    needs = [fit.earliest(start, calendar) for home in homes for fit in home.fits] + [start]
    first = max(min([*begins.values(), *needs]), oldest)
    past = Past(calendar, calendar.ordinal(start) - calendar.ordinal(first) + 7 * DAY, shelf)
    session, anchors = Session(homes, calendar, past), world.anchors()
    opens = [first, *(opens for _, opens in calendar.closures(first, start) if opens < start)]
    for low, high in zip(opens, [*opens[1:], start], strict=True):
        panel = world.panel(low, high)
        begun = [name for name, at in begins.items() if at <= low]
        for row in range(0, len(panel.grid), ROWS):
            part = panel.slice(row, min(row + ROWS, len(panel.grid)))
            if begun:
                session.advance(part, anchors, begun)
            else:
                past.take(part, anchors)
    return session


def again(session: Session, homes: Sequence[Dataset]) -> Session:
    """Another session, restored from the state of this one."""
    other = Session(homes, session.calendar, session.past)
    other.restore(session.state())
    return other


def compare(
    session: Session, homes: Sequence[Dataset], world: World, day: tuple[int, int], shelf: Kept
) -> dict[str, Any]:
    """A day minute by minute, then against batch."""
    found, seconds = walk(session, world, day)
    compared, differing, columns = 0, 0, []
    batch: dict[int, Streams] = {}
    for home in homes:
        first = max(earliest(home, day[0], world.calendar), world.calendar.segment_start(world.span[0]))
        if first not in batch:
            batch.clear()
            batch[first] = Streams(world.panel(min(first, day[0]), day[1]), world.calendar, world.anchors(), shelf)
        expected = evaluate(home, batch[first], start_row=batch[first].panel.grid.index(day[0]))
        for k, column in enumerate(home.columns):
            want = expected[column.name]
            wrong = int((~same_bits(found[home.name][:, k], want)).sum())
            compared += int((~np.isnan(want)).sum())
            differing += wrong
            if wrong:
                columns.append(f"{home.name}.{column.name}")
    p99 = round(1e3 * float(np.quantile(seconds, 0.99)), 2)
    return {"compared": compared, "differing": differing, "columns": columns, "p99_ms": p99}


def walk(session: Session, world: World, day: tuple[int, int]) -> tuple[dict[str, F8], list[float]]:
    """Values of each dataset, (minutes, columns, pairs), and the seconds of this core a minute took."""
    whole, anchors = world.panel(world.calendar.segment_start(day[0]), day[1]), world.anchors()
    panel = whole.slice(whole.grid.index(day[0]), len(whole.grid))  # with what is carried into its first minutes
    rows: dict[str, list[F8]] = {}
    seconds = []
    for row in range(len(panel.grid)):
        clock = time.thread_time()
        values = session.advance(panel.slice(row, row + 1), anchors)
        seconds.append(time.thread_time() - clock)
        for name, value in values.items():
            rows.setdefault(name, []).append(value[:, 0].copy())
    return {name: np.stack(parts) for name, parts in rows.items()}, seconds


def plant(homes: Sequence[Dataset], world: World, day: tuple[int, int], shelf: Kept) -> int:
    """Values of the last day's first hour that differ when one close of one pair differs in its last digit."""
    hour = (day[0], world.calendar.at_ordinal(world.calendar.ordinal(day[0]) + 60))
    session = begin(homes, world, day[0], shelf)
    other = Session(homes, world.calendar, session.past)
    other.restore(session.state())
    honest, _ = walk(session, world, hour)
    session.past.rewind(hour[0])
    pair = world.pairs[0]
    bent, _ = walk(other, replace(world, frames=_bent(world.frames, pair, hour[0] + 5)), hour)
    return sum(int((~same_bits(honest[name], bent[name])).sum()) for name in honest)


def _bent(frames: Mapping[str, pl.DataFrame], pair: str, minute: int) -> dict[str, pl.DataFrame]:
    """The first bar of a pair from `minute` on closes one unit in the last place higher."""
    frame = frames[pair]
    row = int(frame["ts_utc"].search_sorted(datetime_of(minute)))
    close = frame["close"].to_numpy().copy()
    close[row] = np.nextafter(close[row], np.inf)
    return {**frames, pair: frame.with_columns(pl.Series("close", close))}
