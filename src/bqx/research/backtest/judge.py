"""What a backtest shows and what it does not: uncertainty, selection bias, luck, gates, in one dictionary."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.base.errors import CheckError
from bqx.research.backtest.deflated import best_of, probabilistic, shortest_record
from bqx.research.backtest.family import Family
from bqx.research.backtest.overfitting import overfitting
from bqx.research.backtest.profit import STRESS, Book, concentration, expectancy, summary
from bqx.research.backtest.sharpe import DAYS, Sharpe, null_error, sharpe, sharpe_of
from bqx.research.backtest.superior import superior
from bqx.research.skill import NO_SKILL

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
DSR_LEAST, PBO_MOST, MONTH_MOST = 0.95, 0.2, 0.4
SHOWN = "net profit beyond costs and luck"
FRAGILE = "net profit beyond luck, gone at 1.5 times the costs"


def judge(book: Book, days: I8, pnl: F8, family: Family, trials: int, *, seed: int = 0) -> dict[str, Any]:
    """All statistics of closed trades and daily profit; parts that cannot be had are None with a reason in `missing`.

    trials : from the ledger, at least the settings of the family.
    """
    missing: dict[str, str] = {}
    keys, matrix = family.matrix()
    out: dict[str, Any] = {"summary": summary(book, days, pnl, seed=seed)}
    out["expectancy"] = [expectancy(book, len(days), k, seed=seed).as_dict() for k in STRESS]
    out["concentration"] = concentration(out["summary"]["months"])
    out |= dict.fromkeys(("sharpe", "deflated", "pbo", "superior"))
    ratios = np.array([sharpe(matrix[:, k]) for k in range(matrix.shape[1])])
    measures: dict[str, Callable[[], dict[str, Any]]] = {
        "sharpe": lambda: sharpe_of(pnl, seed=seed).as_dict(),
        "deflated": lambda: deflate(sharpe_of(pnl, seed=seed), null_error(pnl), ratios, trials),
        "pbo": lambda: overfit(matrix, family.matrix_of_twins()),
        "superior": lambda: superior(matrix, seed=seed).as_dict(),
    }
    for name, measure in measures.items():
        try:
            out[name] = measure()
        except CheckError as why:
            missing[name] = why.what
    if out["superior"] is not None:
        horizon, threshold = keys[out["superior"].pop("best")]
        out["superior"]["best"] = {"horizon": horizon or "all", "threshold": threshold}
    out["benchmarks"] = benchmarks(family, days, seed=seed)
    out["missing"] = missing
    out["gates"] = gates(out)
    out["verdict"] = verdict(out)
    return out


def overfit(settings: F8, twins: F8) -> dict[str, Any]:
    """PBO of settings ranked among as many strategies of luck with the same entries; `of_settings` is by their own
    ranks, which tends to 1/2 when all are good and alike, as when none is (decision 140)."""
    found = overfitting(np.hstack([settings, twins]), luck=twins.shape[1])
    return found.as_dict() | {"of_settings": overfitting(settings).pbo}


def deflate(found: Sharpe, null: float, ratios: F8, trials: int) -> dict[str, Any]:
    """Deflated Sharpe ratio of daily profit. null : error of a daily ratio without skill (`sharpe.null_error`); that is
    how far luck spreads the trials. The ratios of the family differ by true skill and cost too; what the deflated ratio
    would be with their spread stands beside (`dsr_by_family`), and is not what the gate asks."""
    n, skew, kurtosis, daily = found.days, found.skew, found.kurtosis, found.daily
    best = best_of(trials, null)
    spread = float(ratios.std(ddof=1)) if len(ratios) > 1 else null
    record = shortest_record(daily, best, skew, kurtosis)
    alone = shortest_record(daily, 0.0, skew, kurtosis)
    return {
        "dsr": probabilistic(daily, best, n, skew, kurtosis),
        "psr": probabilistic(daily, 0.0, n, skew, kurtosis),
        "benchmark": best * math.sqrt(DAYS),
        "benchmark_unit": "Sharpe ratio a year that the best of the trials has without skill",
        "trials": trials,
        "deviation_of_trials": null * math.sqrt(DAYS),
        "deviation_of_family": spread * math.sqrt(DAYS),
        "dsr_by_family": probabilistic(daily, best_of(trials, spread), n, skew, kurtosis),
        "shortest_record_days": None if math.isinf(record) else record,
        "shortest_record_days_one_trial": None if math.isinf(alone) else alone,
    }


def benchmarks(family: Family, days: I8, *, seed: int = 0) -> dict[str, Any]:
    """Zero, random entries of equal turnover, and the random walk, all without caps, beside the strategy without them.

    `p` of random: share of the seeds that earn at least as much a unit of notional, the strategy counted among them.
    """
    own, walk = Book.concat(family.strategy), Book.concat(family.walk)
    mine = expectancy(own, len(days), seed=seed)
    random = family.random.sum(axis=1) / (float(own.weight.sum()) or math.inf)
    ratios = np.array([sharpe(x) * math.sqrt(DAYS) for x in family.random]) if len(days) > 1 else np.zeros(0)
    traded = mine.mean is not None and len(own) > 0
    out: dict[str, Any] = {
        "zero": {"expectancy_bps": 0.0, "what": "not trading"},
        "strategy_without_caps": {"trades": len(own), **mine.as_dict()},
        "random": None,
        "random_walk_forecast": {"trades": 0, "expectancy_bps": 0.0, "what": "a random walk forecasts 0: no trade"},
        "random_walk_signal": {"trades": len(walk), **expectancy(walk, len(days), seed=seed).as_dict(),
                               "what": "the same entries, on the side of the walk's forecast of the change of BQX"},
    }  # fmt: skip
    if traded and mine.mean is not None:
        low, middle, high = np.quantile(random, [0.05, 0.5, 0.95])
        sharpes = np.quantile(ratios, [0.05, 0.5, 0.95])
        out["random"] = {
            "seeds": family.seeds,
            "expectancy_bps": [float(low), float(middle), float(high)],
            "sharpe": [float(x) for x in sharpes],
            "p": float((np.sum(random >= mine.mean) + 1) / (family.seeds + 1)),
            "what": "entries of the same sizes and spacing, shifted in time, on random sides; 5 %, 50 %, 95 %",
        }
    return out


def gates(found: dict[str, Any]) -> dict[str, Any]:
    """GATE4, GATE5 and the month rule of GATE6 (platform.md I.2), each with what decided it."""
    first, second = found["expectancy"][0], found["expectancy"][1]
    low, stressed = first["low90"], second["mean"]
    dsr = None if found["deflated"] is None else found["deflated"]["dsr"]
    pbo = None if found["pbo"] is None else found["pbo"]["pbo"]
    most = found["concentration"]
    return {
        "GATE4": {"passed": low is not None and low > 0.0 and stressed is not None and stressed > 0.0,
                  "low90_bps": low, "at_1.5x_bps": stressed},
        "GATE5": {"passed": dsr is not None and dsr >= DSR_LEAST and pbo is not None and pbo <= PBO_MOST,
                  "dsr": dsr, "pbo": pbo},
        "GATE6_month": {"passed": most is not None and most <= MONTH_MOST, "share_of_best_month": most},
    }  # fmt: skip


def verdict(found: dict[str, Any]) -> str:
    """`no demonstrated skill` unless the intervals of Sharpe ratio and expectancy lie above 0 and the DSR clears."""
    low90 = found["expectancy"][0]["low90"]
    if found["sharpe"] is None or found["deflated"] is None or low90 is None:
        return NO_SKILL
    if found["sharpe"]["low"] <= 0.0 or low90 <= 0.0 or found["deflated"]["dsr"] < DSR_LEAST:
        return NO_SKILL
    return SHOWN if found["gates"]["GATE4"]["passed"] else FRAGILE
