"""Backtests of worlds whose skill is known: planted ones pass the economics gate, noise does not earn."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.soak.backtest_world import planted_run, traded_project
from benchmarks.soak.state import State
from bqx.market.calendar import Calendar, month_span
from bqx.research.backtest.costs import Costs
from bqx.research.backtest.financing import Financing
from bqx.research.backtest.judge import PBO_MOST
from bqx.research.backtest.run import backtest as run_backtest
from bqx.research.backtest.settings import Settings

PAIRS, HORIZONS, WEEKS, R2 = ("eurusd", "usdjpy", "gbpusd", "audnzd"), (15, 60), 10, 0.05


def world(
    seed: int,
    *,
    pairs: Sequence[str] = PAIRS,
    horizons: Sequence[int] = HORIZONS,
    weeks: int = WEEKS,
    sign: float = 1.0,
) -> dict[str, Any]:
    """One market, traded by noise at cost 0 and 0.1 bp and by a planted skill at 0.1 bp; each in a ledger of its own.

    sign : -1 is the fault that a test plants: the rule of the reference, which buys what falls.
    """
    calendar = Calendar.load()
    start = calendar.week_start(month_span("2024_02")[0])
    end = calendar.at_ordinal(calendar.ordinal(start) + weeks * 7200 - 1) + 1
    out: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="bqx-soak-") as folder:
        project, frames = traded_project(Path(folder) / "p", pairs, start, end, seed=seed)
        for name, r2, cost in (("noise_free", 0.0, 0.0), ("noise", 0.0, 0.1), ("planted", R2, 0.1)):
            run = planted_run(project, frames, name, horizons, start, end, r2=r2, seed=seed, sign=sign)
            costs = Costs(financing=Financing(1.0 if cost else 0.0))
            found = run_backtest(project, run, Settings(cost_bps=cost, costs=costs, seeds=100))
            (project.root / "research.sqlite").unlink()
            first = found["expectancy"][0]
            out[name] = {
                "trades": found["summary"]["trades"],
                "sharpe": found["sharpe"]["ratio"],
                "covers_0": found["sharpe"]["low"] <= 0.0 <= found["sharpe"]["high"],
                "low90": first["low90"],
                "high90": first["high90"],
                "dsr": found["deflated"]["dsr"],
                "pbo": found["pbo"]["pbo"],
                "pbo_of_settings": found["pbo"]["of_settings"],
                "gate4": found["gates"]["GATE4"]["passed"],
                "gate5": found["gates"]["GATE5"]["passed"],
                "p_luck": found["benchmarks"]["random"]["p"],
                "verdict": found["verdict"],
            }
    return out


def backtests(state: State) -> dict[str, Any]:
    """`state.size` worlds."""
    began = time.perf_counter()
    while len(state.trials) < state.size:
        state.add(world(state.seed + len(state.trials)))
    return summary(state.trials) | {"seconds": round(time.perf_counter() - began, 1)}


def summary(trials: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Planted: GATE4, DSR, PBO and a verdict in every world. Noise at 0.1 bp: GATE4, GATE5 and the verdict in none, DSR
    below 0.95; how often each PBO alone would have passed it is stated.

    Noise at cost 0 has an expectancy of 0, so the 90 % interval must lie above it in 5 % of the worlds and below it in
    5 %: more than three binomial deviations off fails.
    """
    n = len(trials)
    planted, noise, free = ([t[k] for t in trials] for k in ("planted", "noise", "noise_free"))
    above = sum(t["low90"] > 0.0 for t in free) / n
    below = sum(t["high90"] < 0.0 for t in free) / n
    allowed = 0.05 + 3.0 * math.sqrt(0.05 * 0.95 / n)
    covered = sum(t["covers_0"] for t in free) / n
    found = {
        "worlds": n,
        "planted_gate4": sum(t["gate4"] for t in planted) / n,
        "planted_dsr": min(t["dsr"] for t in planted),
        "planted_verdicts": sum(t["verdict"] != noise[0]["verdict"] for t in planted) / n,
        "planted_pbo": max(t["pbo"] for t in planted),
        "planted_pbo_of_settings_median": sorted(t["pbo_of_settings"] for t in planted)[n // 2],
        "noise_gate4": sum(t["gate4"] for t in noise) / n,
        "noise_dsr": max(t["dsr"] for t in noise),
        "noise_gate5": sum(t["gate5"] for t in noise) / n,
        "noise_pbo_median": sorted(t["pbo"] for t in noise)[n // 2],
        "noise_pbo_passes": sum(t["pbo"] <= PBO_MOST for t in noise) / n,
        "noise_pbo_of_settings_passes": sum(t["pbo_of_settings"] <= PBO_MOST for t in noise) / n,
        "noise_free_above": above,
        "noise_free_below": below,
        "noise_free_allowed": allowed,
        "noise_free_dsr_above_95": sum(t["dsr"] >= 0.95 for t in free) / n,
        "noise_free_sharpe_covers_0": covered,
    }
    good = found["planted_gate4"] == found["planted_verdicts"] == 1.0 and found["planted_dsr"] >= 0.95
    good = good and found["planted_pbo"] <= PBO_MOST
    honest = found["noise_gate4"] == 0.0 and found["noise_dsr"] < 0.95 and max(above, below) <= allowed
    honest = honest and found["noise_gate5"] == 0.0
    honest = honest and found["noise_free_dsr_above_95"] <= allowed and covered >= 1.0 - 2.0 * allowed
    return {"ok": good and honest, **found}
