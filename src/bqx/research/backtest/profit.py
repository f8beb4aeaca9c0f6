"""What the trades of a backtest made: expectancy with its bound, stress, drawdown, turnover, months."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bqx.market.calendar import EPOCH
from bqx.research.backtest.sharpe import DAYS, DRAWS
from bqx.research.backtest.trader import Trade
from bqx.research.bootstrap import block_length, resampled_sums, stationary_indices

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
STRESS = (1.0, 1.5, 2.0)


@dataclass(frozen=True)
class Book:
    """Closed trades as arrays (n,): weight, move of the mid, cost without financing, financing (bps of notional), row
    of `days` on which the trade ended."""

    weight: F8
    gross: F8
    cost: F8
    financing: F8
    day: I8

    def __len__(self) -> int:
        return len(self.weight)

    def net(self, stress: float = 1.0) -> F8:
        """Bps of notional with costs (not financing) times `stress`; the trades stay the same."""
        return self.gross - stress * self.cost - self.financing

    @classmethod
    def of_trades(cls, trades: Sequence[Trade], exit_rows: I8) -> Book:
        names = ("weight", "gross_bps", "cost_bps", "financing_bps")
        weight, gross, cost, financing = (np.array([getattr(t, k) for t in trades], np.float64) for k in names)
        return cls(weight, gross, cost, financing, np.asarray(exit_rows, np.int64))

    @classmethod
    def concat(cls, parts: Sequence[Book]) -> Book:
        """All trades of several books, in their order."""
        f8 = [np.concatenate([np.zeros(0), *(getattr(b, k) for b in parts)]) for k in list(cls.__annotations__)[:4]]
        return cls(f8[0], f8[1], f8[2], f8[3], np.concatenate([np.zeros(0, np.int64), *(b.day for b in parts)]))


@dataclass(frozen=True, slots=True)
class Expectancy:
    """Bps a unit of notional traded. low90, high90 : 90 % interval, stationary bootstrap of whole trade days, so that
    trades of one day and of pairs that share currencies stay together. None without trades."""

    stress: float
    mean: float | None
    low90: float | None
    high90: float | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def expectancy(book: Book, days: int, stress: float = 1.0, *, seed: int = 0, draws: int = DRAWS) -> Expectancy:
    """Sum of weight times net over the sum of weights; `days` trade days in all."""
    total = float(book.weight.sum())
    if not total > 0.0 or days < 20:
        return Expectancy(stress, float(book.weight @ book.net(stress)) / total if total > 0.0 else None, None, None)
    made = np.bincount(book.day, book.weight * book.net(stress), minlength=days).astype(np.float64)
    used = np.bincount(book.day, book.weight, minlength=days).astype(np.float64)
    sums = resampled_sums(np.ascontiguousarray(np.stack([made, used], axis=1)), block_length(made), draws, seed)
    ratio = sums[:, 0] / np.where(sums[:, 1] > 0.0, sums[:, 1], math.inf)
    low, high = np.quantile(ratio, [0.05, 0.95])
    return Expectancy(stress, float(made.sum()) / total, float(low), float(high))


def drawdown(pnl: F8) -> float:
    """Largest fall of the cumulated profit below its earlier maximum, in the unit of `pnl` (n,), 0 at the start.

    >>> drawdown(np.array([1.0, -3.0, 1.0, -1.0]))
    3.0
    """
    if not len(pnl):
        return 0.0
    level = np.cumsum(pnl)
    return float((np.maximum(np.maximum.accumulate(level), 0.0) - level).max())


def drawdown_interval(pnl: F8, *, seed: int = 0, draws: int = DRAWS) -> tuple[float, float]:
    """5 % and 95 % quantiles of the largest drawdown over a record of this length, by the stationary bootstrap. The one
    that happened is a single draw of it."""
    n = len(pnl)
    if n < 20:
        return math.nan, math.nan
    block = block_length(pnl)
    found = np.array([drawdown(pnl[stationary_indices(n, block, seed, k)]) for k in range(draws)])
    low, high = np.quantile(found, [0.05, 0.95])
    return float(low), float(high)


def summary(book: Book, days: I8, pnl: F8, *, seed: int = 0) -> dict[str, Any]:
    """Headline figures of a backtest; None where nothing was traded. Bps of equity unless said otherwise."""
    n, years = len(book), max(len(days), 1) / DAYS
    net = book.weight * book.net()
    won, lost = float(net[net > 0].sum()), float(-net[net < 0].sum())
    low, high = drawdown_interval(pnl, seed=seed)
    worst = drawdown(pnl)
    total = float(pnl.sum())
    downside = math.sqrt(float((np.minimum(pnl, 0.0) ** 2).mean())) if len(pnl) else 0.0
    weight = float(book.weight.sum())
    return {
        "trades": n,
        "days": len(days),
        "trades_a_day": n / max(len(days), 1),
        "turnover": 2.0 * weight / years,
        "turnover_unit": "times the equity a year, both sides",
        "profit_bps": total,
        "profit_a_year_bps": total / years,
        "volatility_a_year_bps": float(pnl.std(ddof=1)) * math.sqrt(DAYS) if len(pnl) > 1 else None,
        "win_rate": float((net > 0).mean()) if n else None,
        "hit_rate": float((book.gross > 0).mean()) if n else None,
        "break_even_hit_rate": _break_even(book) if n else None,
        "profit_factor": won / lost if lost > 0.0 else None,
        "drawdown_bps": worst,
        "drawdown_90_bps": None if math.isnan(low) else [low, high],
        "calmar": total / years / worst if worst > 0.0 else None,
        "sortino": float(pnl.mean()) / downside * math.sqrt(DAYS) if downside > 0.0 else None,
        "costs_bps_of_notional": float(book.weight @ book.cost) / weight if weight > 0.0 else None,
        "months": by_month(days, pnl),
    }


def _break_even(book: Book) -> float:
    """1/2 + c / (2 E|move|): the share of right sides at which these trades would earn nothing, if right ones moved as
    far as wrong ones."""
    move = float(np.abs(book.gross).mean())
    cost = float((book.cost + book.financing).mean())
    return min(0.5 + 0.5 * cost / move, 1.0) if move > 0.0 else 1.0


def by_month(days: I8, pnl: F8) -> list[dict[str, Any]]:
    """Profit of each calendar month of the trade days."""
    out: dict[str, float] = {}
    for day, made in zip(days.tolist(), pnl.tolist(), strict=True):
        month = f"{EPOCH + timedelta(days=day):%Y-%m}"
        out[month] = out.get(month, 0.0) + made
    return [{"month": k, "profit_bps": v} for k, v in out.items()]


def concentration(months: Sequence[dict[str, Any]]) -> float | None:
    """Share of the whole profit that the best month made (GATE6 allows 0.4); None without a profit."""
    values = [float(m["profit_bps"]) for m in months]
    return max(values) / math.fsum(values) if math.fsum(values) > 0.0 else None
