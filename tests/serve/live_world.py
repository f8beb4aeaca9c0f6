"""A small market that goes live on a Friday noon: what its bars are, and what batch says of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from bqx.build.gather import gather
from bqx.build.project import Project
from bqx.features.catalogue import own_datasets
from bqx.features.checks import World
from bqx.features.declare import Dataset
from bqx.market.calendar import Calendar, datetime_of, minute_of
from bqx.market.simulated import simulate, simulated_source
from bqx.serve.live.bar import FIELDS, Bar
from bqx.serve.live.book import Book
from bqx.serve.live.engine import Engine

PAIRS = ("eurusd", "gbpusd", "usdjpy")
START = minute_of(datetime(2024, 2, 18, 22, tzinfo=UTC))
LIVE = minute_of(datetime(2024, 3, 8, 20, tzinfo=UTC))
"""Two hours before the week's close; New York's clocks change over the week end."""
END = minute_of(datetime(2024, 3, 11, 0, tzinfo=UTC))
NAMES = ("ohlc_rate", "returns_raw_rate", "returns_std_rate")


def homes() -> list[Dataset]:
    return [own_datasets()[name] for name in NAMES]


def technical() -> Dataset:
    """A dataset with lags."""
    return own_datasets()["technical_rate"]


def market() -> dict[str, pl.DataFrame]:
    """Bars with missing minutes around the week end, as a Friday evening has them."""
    frames = simulate(Calendar.load(), START, END, seed=11, pairs=PAIRS, origin_minute=START)
    rng = np.random.default_rng(5)
    return {
        pair: f.filter(pl.Series(rng.random(len(f)) > 0.03) | (pl.col("ts_utc") < datetime_of(START + 10)))
        for pair, f in frames.items()
    }


def project(root: Path, frames: Mapping[str, pl.DataFrame], until: int = LIVE) -> Project:
    """A project that has the bars before `until`."""
    made = Project.create(root, pairs=PAIRS)
    for pair, frame in frames.items():
        made.bars.ingest(pair, frame.filter(pl.col("ts_utc") < datetime_of(until)), simulated_source(11))
    return made


def bars_from(frames: Mapping[str, pl.DataFrame], start: int, end: int = END) -> list[Bar]:
    """In order of time, then of pairs."""
    out = []
    for pair, frame in frames.items():
        part = frame.filter((pl.col("ts_utc") >= datetime_of(start)) & (pl.col("ts_utc") < datetime_of(end)))
        minute = part["ts_utc"].to_physical().to_numpy() // 60_000_000
        values = part.select(FIELDS).cast(pl.Float64).fill_null(np.nan).to_numpy()
        out += [Bar(pair, int(m), tuple(row.tolist())) for m, row in zip(minute, values, strict=True)]
    return sorted(out, key=lambda bar: (bar.minute, bar.pair))


class Seen(dict[int, dict[str, np.ndarray]]):
    """Minute -> values of each dataset as served then, (columns, pairs) float32; a revised minute's are the later."""

    def feed(self, engine: Engine, book: Book, bars: Sequence[Bar], lag: float = 61.0) -> None:
        """Deliver bars one after the other, each `lag` seconds after its minute began, or at once when that is over."""
        now = 0.0
        for bar in bars:
            now = max(now, 60.0 * bar.minute + lag)
            if book.offer(bar, now) == "revision":
                engine.revise(bar)
                self.keep(engine)
            for minute, rows in book.ready(now):
                engine.take(minute, rows)
                self.keep(engine)
                if minute % 15 == 0:  # as often as suits: a sync takes longer than a minute of five datasets
                    engine.prepare()

    def keep(self, engine: Engine) -> None:
        self[engine.newest.minute] = {name: value.copy() for name, value in engine.newest.values().items()}


def book_of(engine: Engine) -> Book:
    return Book(engine.pairs, engine.calendar, engine.next)


def batch(frames: Mapping[str, pl.DataFrame], made: Project) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Minute and values of each dataset over the live span, with the project's baselines."""
    inputs, _ = gather(made)
    assert inputs.t0 is not None
    world = World(frames, made.calendar, inputs.t0, PAIRS)
    found = {home.name: world.values(home, LIVE, END) for home in homes()}
    for k, minute in enumerate(made.calendar.grid(LIVE, END).minute.tolist()):
        yield (
            minute,
            {name: np.stack([v[k] for v in values.values()]).astype(np.float32) for name, values in found.items()},
        )
