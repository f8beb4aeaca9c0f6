"""Paper trading: served forecasts through the backtest's own broker and trader, on bars as the desk saw them.

A run takes in forecasts and bars that are new, and trades the whole book again from its first bar. That is exact, for
broker and trader are deterministic, and needs no broker state on disk: killed at any point, the next run goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bqx.base.errors import PaperError
from bqx.market.calendar import Calendar, datetime_of
from bqx.research.backtest.market import Feed
from bqx.research.backtest.simulate import Setup, Simulated, simulate
from bqx.research.backtest.trader import Trade
from bqx.serve.monitor.files import forecast_files
from bqx.serve.monitor.paper_book import SCHEMA, PaperBook
from bqx.serve.monitor.sequential import FEWEST, mean_sequence

if TYPE_CHECKING:
    from bqx.build.project import Project

F8 = NDArray[np.float64]
ENOUGH = 60
"""Trade days before which no profit or loss of a paper book means anything."""


def offered(folder: Path, pairs: Sequence[str], *, research: bool) -> pl.DataFrame:
    """Decisions of the files of `bqx predict` (paper_book.SCHEMA). research : trade forecasts of models without all
    gates as well; otherwise those are kept and held back, as they are served as HOLD."""
    parts = [pl.DataFrame(schema=SCHEMA)]
    for pair in pairs:
        for _, table, said in forecast_files(folder, pair):
            t = table.filter(pl.col("sigma") > 0)
            open_ = bool(said["promoted"]) or research
            parts += [_decisions(t, pair, int(name[5:]), open_) for name in t.columns if name.startswith("move_")]
    return pl.concat(parts).sort("minute", "pair", "horizon")


def _decisions(table: pl.DataFrame, pair: str, horizon: int, demonstrated: bool) -> pl.DataFrame:
    return table.select(
        pl.lit(pair).alias("pair"),
        pl.lit(horizon, pl.Int64).alias("horizon"),
        (pl.col("ts_utc").dt.timestamp("us") // 60_000_000).alias("minute"),
        "sigma",
        pl.col("left").cast(pl.Int64),
        pl.col(f"move_{horizon}").alias("move"),
        pl.lit(demonstrated).alias("demonstrated"),
    )


def run(project: Project, book: PaperBook, rows: pl.DataFrame, setup: Setup, *, cost: float | None) -> dict[str, Any]:
    """Take in decisions and bars, trade, reconcile; the state of the book after it, which is not written yet.

    PaperError when no forecast has been made.
    """
    new, changed = book.add(rows)
    if book.decisions.is_empty():
        raise PaperError(
            "no forecast has been made yet", fix="`bqx predict --models RUN`, or `bqx update --models RUN`"
        )
    pairs = tuple(sorted(book.decisions["pair"].unique().to_list()))
    spans = project.bars.spans(project.as_of)
    start, end = int(book.decisions["minute"][0]), min(spans[p][1] for p in pairs) + 1
    now = project.bars.read(list(pairs), start, end, project.as_of)
    seen = as_seen(book.bars, now)
    book.bars = pl.concat([f.with_columns(pl.lit(p).alias("pair")) for p, f in sorted(seen.items())])
    paper = trade(seen, project.calendar, book, pairs, start, end, setup, cost)
    later = trade(now, project.calendar, book, pairs, start, end, setup, cost)
    book.head["through"] = end - 1
    return {
        "simulated": project.simulated,
        "through": datetime_of(end - 1).isoformat(),
        "decisions": {"new": new, "all": book.decisions.height, "changed_since": changed,
                      "held_back": int((~book.decisions["demonstrated"]).sum())},
        "trades": len(paper.trades),
        "open": paper.open,
        "refused": paper.refused,
        "profit_bps": float(paper.pnl.sum()),
        "days": len(paper.days),
        "reconciled": reconcile(paper.trades, later.trades),
        "edge": edge(paper.trades, project.calendar),
        "last_trades": [asdict(t) for t in paper.trades[-20:]],
    }  # fmt: skip


def as_seen(then: pl.DataFrame | None, now: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Bars as the desk saw them: those of earlier runs stay as they were, corrected since or not."""
    out = {}
    for pair, frame in now.items():
        mine = None if then is None else then.filter(pl.col("pair") == pair).drop("pair")
        if mine is None or mine.is_empty():
            out[pair] = frame
        else:
            newest = mine["ts_utc"][-1]
            out[pair] = pl.concat([mine.select(frame.columns), frame.filter(pl.col("ts_utc") > newest)])
    return out


def trade(
    bars: Mapping[str, pl.DataFrame], calendar: Calendar, book: PaperBook, pairs: tuple[str, ...], start: int, end: int,
    setup: Setup, cost: float | None,
) -> Simulated:  # fmt: skip
    """The book's decisions on these bars."""

    def read(names: Sequence[str], first: int, stop: int) -> dict[str, pl.DataFrame]:
        return {p: bars[p].filter(pl.col("ts_utc").is_between(datetime_of(first), datetime_of(stop), closed="left"))
                for p in names}  # fmt: skip

    return simulate(Feed(read, calendar, pairs, start, end, cost).markets(), calendar, book.tables(), setup)


def reconcile(paper: Sequence[Trade], backtest: Sequence[Trade]) -> dict[str, Any]:
    """Trade by trade: signal parity (the same entries), and what fills differ by; not the profit, whose luck is large.

    mid_bps : mean and largest difference of entry and exit prices, in the paper's disfavour when positive. cost_bps :
    mean of paper less backtest.
    """
    ours, theirs = {t.id: t for t in paper}, {t.id: t for t in backtest}
    both = sorted(ours.keys() & theirs.keys())
    worse = np.array([theirs[k].gross_bps - ours[k].gross_bps for k in both])
    cost = np.array([ours[k].cost_bps - theirs[k].cost_bps for k in both])
    alone = sorted(ours.keys() ^ theirs.keys())
    return {
        "both": len(both),
        "only_paper": len(ours) - len(both),
        "only_backtest": len(theirs) - len(both),
        "first_alone": alone[0] if alone else None,
        "sides_differ": sum(ours[k].side != theirs[k].side for k in both),
        "mid_bps": {"mean": float(worse.mean()), "largest": float(np.abs(worse).max())} if both else None,
        "cost_bps": float(cost.mean()) if both else None,
        "equal": not alone and not bool(np.any(worse)) and not bool(np.any(cost)),
    }


def edge(trades: Sequence[Trade], calendar: Calendar) -> dict[str, Any]:
    """The net edge a trade, judged day by day by a test that may be looked at daily.

    A day's observation is the weighted mean of the trades that ended on it. The verdict is `above` or `below` 0 when
    the confidence sequence left it, else open, and open in any case before 60 trade days.
    """
    days: dict[int, list[Trade]] = {}
    for t in trades:
        days.setdefault(calendar.trade_day(t.exited), []).append(t)
    daily = np.array([
        sum(t.weight * t.net_bps for t in days[d]) / sum(t.weight for t in days[d]) for d in sorted(days)
    ], dtype=np.float64)  # fmt: skip
    found = mean_sequence(daily)
    said = {"above": "the net edge is above 0", "below": "the net edge is below 0"}
    early = found.n < ENOUGH
    known = found.n >= FEWEST
    return {
        "days": found.n,
        "mean_bps": found.mean if found.n else None,
        "low_bps": found.low if known else None,
        "high_bps": found.high if known else None,
        "verdict": f"{found.n} of {ENOUGH} trade days: nothing can be said" if early
        else said.get(found.verdict, "no demonstrated edge"),
    }  # fmt: skip
