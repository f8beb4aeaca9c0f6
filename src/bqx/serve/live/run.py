"""The live loop: feed, book, engine; one bar's fault never ends it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bqx.base.errors import BarRefused, FeedError
from bqx.base.runlog import event
from bqx.market.calendar import datetime_of
from bqx.serve.live.bar import Bar
from bqx.serve.live.book import Book
from bqx.serve.live.engine import Engine
from bqx.serve.live.feeds.port import Feed

POLL = 1.0
DROPPED = frozenset({"closed", "future", "impossible", "unknown"})


@dataclass
class LiveRun:
    """seen : verdicts on bars, see `bqx.serve.live.book`; `refused` revisions came too late, `broken` messages could
    not be read. slowest : milliseconds the slowest minute took."""

    engine: Engine
    feed: Feed
    book: Book
    seen: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0

    def run(
        self, minutes: int | None = None, told: Callable[[Engine], None] = lambda _: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        """Until the feed ends, `stop` says so, or `minutes` have been taken. told : called after each minute, and
        again when revised bars have moved the newest one's values."""
        taken = 0
        while not stop() and (minutes is None or taken < minutes):
            try:
                bars = self.feed.poll(POLL)
            except FeedError as error:
                self.seen["broken"] += 1
                event("live.broken_message", level="warning", what=error.what, where=error.where)
                continue
            now = self.feed.clock.now()
            revised = self.engine.told.revised
            for bar in bars or ():
                self._offer(bar, now)
            if self.engine.told.revised != revised:
                told(self.engine)  # the newest minute has other values now
            for minute, rows in self.book.ready(now):
                began = time.perf_counter()
                self.engine.take(minute, rows)
                self.slowest = max(self.slowest, 1e3 * (time.perf_counter() - began))
                taken += 1
                told(self.engine)
                self.engine.prepare()
                if taken == minutes:
                    return
            if bars is None:
                return

    def _offer(self, bar: Bar, now: float) -> None:
        verdict: str = self.book.offer(bar, now)
        if verdict == "revision":
            try:
                verdict = "revision" if self.engine.revise(bar) else "duplicate"
            except BarRefused as error:
                verdict = "refused"
                event("live.bar_refused", level="warning", what=error.what)
        elif verdict in DROPPED:
            at = f"{datetime_of(bar.minute):%Y-%m-%dT%H:%MZ}" if abs(bar.minute) < 1 << 31 else str(bar.minute)
            event("live.bar_dropped", level="warning", pair=bar.pair, minute=at, why=bar.problem() or verdict)
        self.seen[verdict] += 1

    def summary(self) -> dict[str, Any]:
        """For people and `--json`."""
        newest = self.engine.newest.minute
        return {
            "newest": f"{datetime_of(newest):%Y-%m-%dT%H:%MZ}",
            "next": f"{datetime_of(self.engine.next):%Y-%m-%dT%H:%MZ}",
            "minutes": self.engine.told.minutes,
            "caught_up": self.engine.told.caught_up,
            "revised": self.engine.told.revised,
            "snapshots": self.engine.told.snapshots,
            "refused_states": self.engine.told.refused,
            "slowest_minute_ms": round(self.slowest, 3),
            "bars": dict(self.seen),
            "waiting_minutes": self.book.waiting,
        }


def live_run(engine: Engine, feed: Feed, grace: float | None = None) -> LiveRun:
    """A run that goes on where the engine stands."""
    book = Book(engine.pairs, engine.calendar, engine.next)
    if grace is not None:
        book.grace = grace
    return LiveRun(engine, feed, book)
