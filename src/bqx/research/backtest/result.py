"""The result of a backtest as it lies beside its run."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import polars as pl

from bqx.base.atomic import replacing, write_text
from bqx.base.errors import BacktestInputError
from bqx.research.backtest.costs import Costs
from bqx.research.backtest.settings import Settings
from bqx.research.backtest.signal import SignalRule
from bqx.research.backtest.trader import Trade
from bqx.research.training.folder import Run

RESULT, TRADES = "backtest.json", "backtest_trades.parquet"
FORMAT = 1


def write_result(folder: Path, result: dict[str, Any], trades: list[Trade]) -> None:
    """The trades first, the result last: a result is complete."""
    names = [*(f.name for f in fields(Trade)), "net_bps"]
    frame = pl.DataFrame({k: [getattr(t, k) for t in trades] for k in names})
    with replacing(folder / TRADES) as temp:
        frame.write_parquet(temp, compression="zstd")
    write_text(folder / RESULT, json.dumps(result, indent=1, allow_nan=False) + "\n")


def read_result(run: Run) -> dict[str, Any] | None:
    """The latest backtest of a run, None when there is none; BacktestInputError when it is another run's."""
    path = run.folder / RESULT
    if not path.is_file():
        return None
    try:
        data: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except ValueError as exc:
        raise BacktestInputError(f"{RESULT} cannot be read: {exc}", where=str(path), fix="run it again") from exc
    if data.get("format") != FORMAT or data.get("run_hash") != run.hash:
        raise BacktestInputError(
            f"{RESULT} is not of this run and format {FORMAT}", where=str(path), fix="run it again"
        )
    return data


def rule_of(result: dict[str, Any] | None) -> SignalRule:
    """The rule a run was tested with, for serving it: a live hurdle below the tested one is another strategy. That of
    the default settings when there is no result."""
    if result is None:
        return Settings().setup().rule
    s, c = result["settings"], result["settings"]["costs"]
    beyond = Costs(slippage_bps=c["slippage_bps"], commission_bps=c["commission_bps"]).extra_round_trip()
    return SignalRule(s["margin_bps"], beyond, s["shrink"])
