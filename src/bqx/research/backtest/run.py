"""The backtest of a training run: simulates its forecasts on bars, judges, and keeps the result beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.runlog import current_run
from bqx.base.version import __version__
from bqx.market.calendar import Calendar, datetime_of
from bqx.research.backtest.family import THRESHOLDS, Family
from bqx.research.backtest.forecasts import Forecasts
from bqx.research.backtest.inputs import Inputs, inputs, trade_days
from bqx.research.backtest.judge import judge
from bqx.research.backtest.market import Feed
from bqx.research.backtest.outcomes import outcomes
from bqx.research.backtest.profit import Book
from bqx.research.backtest.result import FORMAT, write_result
from bqx.research.backtest.settings import Settings
from bqx.research.backtest.sharpe import sharpe
from bqx.research.backtest.simulate import Setup, Simulated, simulate
from bqx.research.backtest.sizing import kelly_weight
from bqx.research.backtest.spread_table import SpreadTable
from bqx.research.backtest.spreads import Estimates, estimates
from bqx.research.backtest.trader import Trade
from bqx.research.training.folder import Run
from bqx.research.trials import Trial, Trials

if TYPE_CHECKING:
    from bqx.build.project import Project

I8 = NDArray[np.int64]
Note = Callable[[str], None]
Cell = tuple[int, int]
"""Horizon and fold."""


def backtest(project: Project, run: Run, settings: Settings, *, note: Note = lambda _: None) -> dict[str, Any]:
    """Simulate, judge and write `backtest.json` and the trades into the run's folder. The result as written."""
    given = inputs(project, run, settings)
    setup = settings.setup()
    days = trade_days(given.tables, project.calendar)
    family = Family(days, setup.rule, settings.sizing, seed=settings.seed, seeds=settings.seeds)
    table = SpreadTable()
    shown: list[Estimates] = []
    for pair in given.feed.pairs:
        note(f"{pair}: outcomes of every row")
        one = Feed(given.feed.read, project.calendar, (pair,), given.feed.start, given.feed.end, settings.cost_bps)
        market = one.market(one.start, one.end)
        for t in (t for t in given.tables if t.pair == pair):
            o = outcomes(t, market, project.calendar, setup.costs, setup.zones)
            family.add(o)
            table.add(o, market.grid)
        if int(market.estimated.sum()):
            shown.append(estimates(pair, one.read([pair], one.start, one.end)[pair], project.calendar))
    kelly = settings.sizing.kelly
    most = None if kelly is None else _kelly(family, given.tables, kelly, project.calendar)
    done = simulate(given.feed.markets(), project.calendar, given.tables, setup, most=most, note=note)
    trials = record_trials(project.root, run, settings, family)
    result = _result(run, settings, given, setup, done, family, trials, days, project.calendar)
    result["spread"]["table"], result["spread"]["estimators"] = table.rows(), [_plain(e) for e in shown]
    write_result(run.folder, result, done.trades)
    return result


def record_trials(root: Path, run: Run, settings: Settings, family: Family) -> int:
    """Enter the family under these settings in the ledger; how many trials the dataset has seen in all."""
    keys, matrix = family.matrix()
    base = {"run": run.hash} | {k: v for k, v in settings.as_dict().items() if k not in ("seed", "seeds")}
    ledger = Trials(root)
    rows = [
        Trial(
            kind="backtest",
            model=str(run.head["estimator"]),
            parameters={**base, "horizon": horizon, "threshold": threshold},
            lag_profile=str(run.head["lag_profile"]),
            dataset=str(run.head["dataset_hash"]),
            score=sharpe(matrix[:, k]),
            score_name="daily Sharpe ratio, net",
        )
        for k, (horizon, threshold) in enumerate(keys)
    ]
    ledger.record(rows)
    return max(ledger.count(dataset=str(run.head["dataset_hash"])), len(rows))


def _kelly(family: Family, tables: Sequence[Forecasts], fraction: float, calendar: Calendar) -> dict[Cell, float]:
    """Cap by horizon and fold, from the trades that ended on a day before the fold's first; 0 in the first fold."""
    net = np.concatenate([b.net() for b in family.strategy])
    ended = np.concatenate([family.days[b.day] for b in family.strategy])
    horizon = np.concatenate([np.full(len(b), h) for b, h in zip(family.strategy, family.horizons, strict=True)])
    first: dict[int, int] = {}
    for t in tables:
        for fold in np.unique(t.fold).tolist():
            minute = int(t.minute[t.fold == fold][0])
            first[fold] = min(minute, first.get(fold, minute))
    return {
        (h, fold): kelly_weight(net[(horizon == h) & (ended < calendar.trade_day(minute))], fraction)
        for h in set(family.horizons)
        for fold, minute in first.items()
    }


def _result(
    run: Run, settings: Settings, given: Inputs, setup: Setup, done: Simulated, family: Family, trials: int, days: I8,
    calendar: Calendar,
) -> dict[str, Any]:  # fmt: skip
    pnl = done.pnl[np.searchsorted(done.days, days)]
    pnl[-1] += float(done.pnl.sum() - pnl.sum())  # exits that waited beyond the last day
    exits = np.array([calendar.trade_day(t.exited) for t in done.trades], np.int64)
    book = Book.of_trades(done.trades, np.minimum(np.searchsorted(days, exits), len(days) - 1))
    share = done.estimated / done.bars if done.bars else 0.0
    source = {0.0: "quotes", 1.0: "estimated"}.get(share, "mixed") if settings.cost_bps is None else "fixed"
    head = run.head
    return {
        "format": FORMAT,
        "run": run.name,
        "run_hash": run.hash,
        "dataset": head["dataset"],
        "dataset_hash": head["dataset_hash"],
        "dataset_present": given.dataset is not None,
        "estimator": head["estimator"],
        "lag_profile": head["lag_profile"],
        "catalogue_version": head["catalogue_version"],
        "simulated": run.simulated,
        "code_version": __version__,
        "run_id": current_run().run_id,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "window": {"first": datetime_of(given.feed.start).isoformat(), "last": datetime_of(given.feed.end).isoformat(),
                   "days": len(days), "folds": list(run.folds)},
        "pairs": list(given.feed.pairs),
        "horizons": sorted({t.horizon for t in given.tables}),
        "decisions": sum(len(t) for t in given.tables),
        "settings": settings.as_dict(),
        "hurdle_bps_beyond_spread": setup.rule.extra_cost_bps + setup.rule.margin_bps,
        "thresholds_of_family": list(THRESHOLDS),
        "spread": {"source": source, "estimated": share > 0.0, "estimated_share": share},
        "refused": done.refused,
        "open_at_end": done.open,
        "costs": _costs(book, done.trades),
        "by_pair": _groups(done.trades, "pair"),
        "by_horizon": _groups(done.trades, "horizon"),
        "by_fold": _groups(done.trades, "fold"),
        **judge(book, days, pnl, family, trials, seed=settings.seed),
        "daily": {"day": days.tolist(), "pnl_bps": pnl.tolist()},
    }  # fmt: skip


def _costs(book: Book, trades: list[Trade]) -> dict[str, float]:
    """Where the money went, bps of the equity; gross less the parts is the profit of closed trades."""
    parts = ("spread_bps", "slippage_bps", "commission_bps", "financing_bps")
    out = {"gross": float(book.weight @ book.gross)}
    out |= {k.removesuffix("_bps"): float(sum(t.weight * getattr(t, k) for t in trades)) for k in parts}
    return out | {"net": float(book.weight @ book.net())}


def _groups(trades: list[Trade], name: str) -> list[dict[str, Any]]:
    """Trades, profit and expectancy by pair, horizon or fold; no ratio a group, for groups share currencies."""
    out = []
    for value in sorted({getattr(t, name) for t in trades}):
        mine = [t for t in trades if getattr(t, name) == value]
        weight, net = sum(t.weight for t in mine), sum(t.weight * t.net_bps for t in mine)
        cost = sum(t.weight * t.cost_bps for t in mine)
        out.append({name: value, "trades": len(mine), "profit_bps": net, "expectancy_bps": net / weight,
                    "cost_bps": cost / weight, "win_rate": sum(t.net_bps > 0 for t in mine) / len(mine)})  # fmt: skip
    return out


def _plain(x: Estimates) -> dict[str, Any]:
    return {k: (None if v != v else v) for k, v in asdict(x).items()}  # NaN where nothing could be estimated
